"""Photographs through simulated sensors: fresh captures for training, fixed ones for validation and test."""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ispbench.data.datamodule import SPLITS, PairedDataModule
from ispbench.data.pairs import Pair, PairSource
from ispbench.data.photographs import MIN_SIDE, Photograph, refuse_small
from ispbench.errors import UserError
from ispbench.raw import simulate
from ispbench.raw.captures import Capture, CaptureRange

MAX_CAPTURES = 9  # of a test photograph


@dataclass(frozen=True)
class Track:
    """What a benchmark asks of networks: one camera, many, an unseen one, or a known light.

    Attributes:
        cameras: Sensors of training and test.
        temperature: Lowest and highest color temperature in kelvin.
        iso: Lowest and highest ISO.
        captures: How many of each test photograph, 1 to 9.
        leave_out: Whether one of the sensors is left to the test, which then has no other.
        balance: Whether the RAW is white-balanced by the camera's gains for the light.
    """

    cameras: Sequence[str]
    temperature: Sequence[float]
    iso: Sequence[float]
    captures: int
    leave_out: bool = False
    balance: bool = False

    def cameras_of(self, split: str, unseen: str) -> tuple[str, ...]:
        """The sensors of a split; `unseen` is the one that is left out."""
        if not self.leave_out:
            return tuple(self.cameras)
        return (unseen,) if split == "test" else tuple(name for name in self.cameras if name != unseen)


class FixedCaptures(PairSource):
    """Whole photographs under captures that never change.

    Args:
        photographs: Of the split.
        captures: For each photograph, its captures.
        balance: See `Track`.
        seed: Decides the noise.

    Attributes:
        columns: Photograph, camera, light and ISO of each pair.
    """

    thread_safe = True

    def __init__(
        self,
        photographs: Sequence[Photograph],
        captures: Sequence[Sequence[Capture]],
        balance: bool,
        seed: Sequence[int],
    ) -> None:
        self._pairs = [(photo, item) for photo, each in zip(photographs, captures, strict=True) for item in each]
        self._balance = balance
        self._seed = tuple(seed)
        self.names = [f"{photo.name}@{capture}" for photo, capture in self._pairs]
        self.columns = {
            "photo": [photo.name for photo, _ in self._pairs],
            "camera": [capture.camera for _, capture in self._pairs],
            "light": [f"{capture.temperature:.0f}K" for _, capture in self._pairs],
            "iso": [f"{capture.iso:.0f}" for _, capture in self._pairs],
        }
        content = [f"{photo.key} {photo.pixels.shape} {capture!r}" for photo, capture in self._pairs]
        self.fingerprint = _hash(content, seed, balance)

    def read(self, index: int) -> Pair:
        """The RGGB mosaic in DN, shape (H, W), and the sRGB target, shape (H, W, 3)."""
        photo, capture = self._pairs[index]
        rng, target = np.random.default_rng((*self._seed, index)), photo.pixels[:]
        return simulate.simulate(target, capture, rng, self._balance), target


class FreshCaptures(PairSource):
    """Training samples: each is a crop of a photograph under a capture of its own.

    Args:
        photographs: Of the split; they take turns.
        captures: What is drawn from.
        balance: See `Track`.
        length: How many samples count as one epoch.
        seed: Decides the captures of `read`; those of `sample` are the training's own.
    """

    thread_safe = True

    def __init__(
        self, photographs: Sequence[Photograph], captures: CaptureRange, balance: bool, length: int, seed: Sequence[int]
    ) -> None:
        self._photographs = photographs
        self._captures = captures
        self._balance = balance
        self._seed = tuple(seed)
        self.names = [photographs[index % len(photographs)].name for index in range(length)]
        content = [f"{photo.key} {photo.pixels.shape}" for photo in photographs]
        self.fingerprint = _hash([*content, repr(captures)], (length,), balance)

    def read(self, index: int) -> Pair:
        """A whole photograph under a capture that depends on its index: for a look at the data."""
        return self.sample(index, None, np.random.default_rng((*self._seed, index)))

    def sample(self, index: int, crop: int | None, rng: np.random.Generator) -> Pair:
        """A training sample.

        Args:
            index: Of the sample in its epoch, which decides the photograph.
            crop: Side of the crop, even; None: the whole photograph.
            rng: Of the sample; draws crop, capture and noise.
        """
        photo = self._photographs[index % len(self._photographs)].pixels
        height, width = photo.shape[:2]
        top, left = (2 * int(rng.integers((side - crop) // 2 + 1)) if crop else 0 for side in (height, width))
        target = photo[top : top + crop, left : left + crop] if crop else photo[:]
        window = (top, left, height, width)
        return simulate.simulate(target, self._captures.draw(rng), rng, self._balance, window), target


class SimulatedData(PairedDataModule):
    """Photographs through simulated sensors. A subclass says which photographs a split has.

    Args:
        version: Name and version of the set of photographs; the track joins it.
        track: Name of the track.
        tracks: The settings of each track by name, see `Track`.
        unseen: The sensor that a track leaves out of training, if it leaves one out.
        num_train: How many training samples count as one epoch. Each has a crop and a capture of its own.
        val_captures: How many captures of each validation photograph, 1 to 9.
        exposure: See `CaptureRange`.
        exposure_spread: See `CaptureRange`.
        blur: See `Capture`.
        shading: See `Capture`.
        data_seed: Decides the noise of validation and test; another seed is another dataset.
        **options: See `PairedDataModule`.

    Raises:
        UserError: for an unknown track, or settings out of range.
    """

    in_memory = True

    def __init__(
        self,
        *,
        version: str,
        track: str,
        tracks: Mapping[str, Mapping[str, Any]],
        unseen: str,
        num_train: int,
        val_captures: int,
        exposure: float,
        exposure_spread: float,
        blur: float,
        shading: float,
        data_seed: int,
        **options: Any,
    ) -> None:
        if track not in tracks:
            raise UserError(f"data.track={track} is unknown; choose one of {', '.join(tracks)}.")
        levels = {"black_level": simulate.BLACK_LEVEL, "white_level": simulate.WHITE_LEVEL}
        if wrong := [f"data.{name}={options[name]}" for name in levels if options[name] != levels[name]]:
            raise UserError(f"{wrong[0]} is impossible: simulated RAW has the levels {levels}; leave it out.")
        super().__init__(version=version, simulated=True, **options)
        self.pack = "never"  # a packed copy would freeze the captures of training
        self.track = Track(**tracks[track])
        self.balanced = self.track.balance
        if unseen not in self.track.cameras and self.track.leave_out:
            raise UserError(
                f"data.unseen={unseen} is no camera of the track; choose one of {list(self.track.cameras)}."
            )
        self.version = "-".join([version, track, *([unseen] if self.track.leave_out else [])])
        if num_train < 1:
            raise UserError(f"data.num_train is at least 1, not {num_train}.")
        if not (1 <= val_captures <= MAX_CAPTURES and 1 <= self.track.captures <= MAX_CAPTURES):
            raise UserError(f"A photograph has 1 to {MAX_CAPTURES} captures: data.val_captures, captures of a track.")
        self.num_train = num_train
        self.val_captures = val_captures
        self.data_seed = data_seed
        optics = {"exposure": exposure, "exposure_spread": exposure_spread, "blur": blur, "shading": shading}
        temperature, iso = tuple(self.track.temperature), tuple(self.track.iso)
        self.ranges = {
            split: CaptureRange(self.track.cameras_of(split, unseen), temperature, iso, **optics)  # type: ignore[arg-type]
            for split in SPLITS
        }

    def identity(self) -> dict[str, Any]:
        """As of the base class, with the chosen track alone."""
        settings = super().identity()
        tracks = settings.pop("tracks")
        if not self.track.leave_out:
            del settings["unseen"]
        return settings | {"captures": tracks[settings["track"]]}

    @abstractmethod
    def photographs(self, split: str) -> Sequence[Photograph]:
        """The photographs of a split."""

    def refuse_unfit(self, photograph: Photograph, split: str) -> None:
        """Refuses a photograph that is too small for a split.

        Raises:
            UserError: naming it.
        """
        refuse_small(photograph, max(MIN_SIDE, self.crop or 0) if split == "train" else MIN_SIDE)

    def prepare_data(self) -> None:
        """Reads all photographs once, so that an unsuitable one is named before anything else starts."""
        for split in SPLITS:
            self.source(split)

    def open(self, split: str) -> FixedCaptures | FreshCaptures:
        """The pairs of a split."""
        photographs, captures, balance = self.photographs(split), self.ranges[split], self.track.balance
        if not photographs:
            raise UserError(f"No photograph of the {split} split is left.")
        for photograph in photographs:
            self.refuse_unfit(photograph, split)
        seed = (self.data_seed, SPLITS.index(split))
        if split == "train":
            return FreshCaptures(photographs, captures, balance, self.num_train, seed)
        count = self.val_captures if split == "val" else self.track.captures
        rng = np.random.default_rng(seed)
        fixed = [captures.fixed(number, count, rng) for number in range(len(photographs))]
        return FixedCaptures(photographs, fixed, balance, seed)


def _hash(content: Sequence[str], seed: Sequence[int], balance: bool) -> str:
    text = "\n".join([*content, f"{tuple(seed)} {balance} {simulate.VERSION}"])
    return hashlib.sha256(text.encode()).hexdigest()
