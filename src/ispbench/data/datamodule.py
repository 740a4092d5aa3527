"""The one datamodule: pairs in, batches of canonical packed RAW and sRGB targets out."""

import inspect
import os
from abc import abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Self

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from torch.utils.data import DataLoader, DistributedSampler, Subset

from ispbench.console import warn
from ispbench.data import SPLITS
from ispbench.data.cache import cached
from ispbench.data.datasets.layout import Issue
from ispbench.data.packing import open_pack, pack_path
from ispbench.data.pairs import PairDataset, PairSource
from ispbench.data.sampler import TrainingSampler
from ispbench.errors import UserError
from ispbench.raw.levels import normalize_raw


def loading_processes(devices: int = 1) -> int:
    """How many processes load for each device unless ``num_workers`` says: its share of this machine's CPU cores.

    At most 8, which keep a device busy with patches of decoded PNG files; beyond, memory is all that grows.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores // devices)


class PairedDataModule(pl.LightningDataModule):
    """Loads any dataset of RAW and sRGB pairs. A subclass says how to `open` a split.

    A batch holds ``raw`` (N, 4, h, w), canonical packed RAW; ``target`` (N, 3, 2h, 2w), sRGB in [0, 1]; ``index`` and
    ``name`` of each pair. Both images travel to the device as stored (uint16, uint8) and are scaled there.

    Args:
        version: Name and version of the dataset with its splits, such as ``zrr-v1``: the first part of a protocol.
        black_level: The sensor's black level, in DN.
        white_level: The sensor's white level, in DN.
        crop: Side of the training patches, even; null for whole images.
        augment: Whether to flip and rotate training patches at random.
        batch_size: Pairs per optimizer step. They are divided among devices and accumulated batches, so that learning
            rate and schedule are right for any number of devices.
        eval_batch_size: Pairs per batch of validation and test; 1 if images differ in size.
        simulated: Whether the RAW is computed from photos; results then say so.
        target_set: Which targets the scores are against, the second part of a protocol: ``original-gt`` for the files
            as their authors give them, ``own-split`` if the split is ours.
        targets: What a training learns: ``original-gt``, or the name of aligned targets, such as
            ``aligned-gt-raw-dis``. Validation and test are not affected; their protocol says what they compare with.
        on_error: What to do about an unreadable file in training: ``raise`` ends the run and names it, ``skip`` takes
            the next pair and counts it in `skipped`. Validation and test always raise.
        pack: Whether to use a packed copy of the decoded pairs: ``auto`` if there is one (``ispbench data pack``),
            ``always`` creates it, ``never`` reads the files. An outdated copy is rebuilt.
        cache: Folder of packed copies; None for the user's cache folder.

    Attributes:
        settings: The constructor's arguments by name, defaults included.
        places: The settings that decide neither the pairs nor how a training uses them; see `identity`.
        root: The dataset's folder, if it has one.
        cfa: CFA phase of the mosaics as stored, for checks.
        allow_partial: Whether an incomplete copy of the dataset is accepted, for checks.
        seed: The run's seed; it decides the order, the patches and their flips. Whoever runs the datamodule sets it.
        training_source: The pairs of training with the `targets` that it asks for; None for those of the dataset.
            Whoever runs the datamodule sets it.
        num_workers: Loader processes per device; None for as many as `loading_processes` finds fit. Whoever runs the
            datamodule sets it.
        in_memory: Whether reading a pair costs nothing, so that loader processes do not pay.
        balanced: Whether the RAW comes white-balanced.
        skipped: Why pairs were left out of training, and how often.
        notes: What the record of a run should say about the data.
    """

    in_memory: ClassVar[bool] = False
    balanced: bool = False
    settings: dict[str, Any]
    places: ClassVar[tuple[str, ...]] = (
        "root",
        "cache",
        "pack",
        "eval_batch_size",
        "full_resolution",
        "help",
    )
    root: Path | None = None
    cfa: str = "RGGB"
    allow_partial: bool = False

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        """Records the constructor's arguments, those of a subclass included."""
        data = super().__new__(cls)
        data.settings = _arguments(cls, args, settings)
        return data

    def __init__(
        self,
        *,
        version: str,
        black_level: float,
        white_level: float,
        crop: int | None,
        augment: bool,
        batch_size: int,
        eval_batch_size: int,
        simulated: bool = False,
        target_set: str = "original-gt",
        targets: str = "original-gt",
        on_error: str = "raise",
        pack: str = "auto",
        cache: str | None = None,
    ) -> None:
        super().__init__()
        for key, value, valid in (
            ("on_error", on_error, ("raise", "skip")),
            ("pack", pack, ("auto", "always", "never")),
        ):
            if value not in valid:
                raise UserError(f"data.{key}={value} is unknown; choose one of {', '.join(valid)}.")
        if crop is not None and (crop < 2 or crop % 2):
            raise UserError(f"data.crop is an even number of pixels, not {crop}.")
        if batch_size < 1 or eval_batch_size < 1:
            raise UserError("data.batch_size and data.eval_batch_size are at least 1.")
        if not 0 <= black_level < white_level:
            raise UserError(f"data.black_level={black_level} must lie below data.white_level={white_level}.")
        self.version = version
        self.black_level = black_level
        self.white_level = white_level
        self.crop = crop
        self.augment = augment
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.simulated = simulated
        self.target_set = target_set
        self.targets = targets
        self.on_error = on_error
        self.pack = pack
        self.cache = cache
        self.training_source: PairSource | None = None
        self.seed = 0
        self.num_workers: int | None = 0
        self.skipped: Counter[str] = Counter()
        self.notes: dict[str, str] = {}
        self._sources: dict[str, PairSource] = {}

    @property
    def protocol(self) -> str:
        """What the scores are of and against, such as ``zrr-v1/original-gt``."""
        return f"{self.version}/{self.target_set}"

    def identity(self) -> dict[str, Any]:
        """The settings that decide the pairs and how a training uses them, as plain values.

        Every setting counts unless it is one of `places`, so that a subclass has nothing to declare.
        """
        return {name: _plain(value) for name, value in self.settings.items() if name not in self.places}

    @abstractmethod
    def open(self, split: str) -> PairSource:
        """The pairs of ``train``, ``val`` or ``test``.

        Raises:
            UserError: if they are missing or malformed.
        """

    def survey(self) -> tuple[dict[str, PairSource], list[Issue]]:
        """The pairs of all splits as far as they can be found, and the issues with the rest, for a check."""
        return {split: self.open(split) for split in SPLITS}, []

    def full_mosaics(self) -> list[Path]:
        """The files of whole mosaics without targets, for a look at complete photos.

        Raises:
            UserError: if the dataset has none.
        """
        raise UserError("This dataset has no full-resolution files.")

    def source(self, split: str) -> PairSource:
        """The pairs of a split, opened once; from its packed copy, as the setting ``pack`` says."""
        if split not in self._sources:
            source = self.open(split)
            if self.pack != "never":
                skip = self.on_error == "skip" and split == "train"
                source = open_pack(source, self.pack_path(split), build=self.pack == "always", skip=skip)
            self._sources[split] = source
        return self._sources[split]

    def pack_path(self, split: str) -> Path:
        """The path of a split's packed copy, whether it exists or not."""
        return cached(pack_path(self.version, str(Path(self.root or "").resolve()), split), self.cache)

    def fingerprint(self) -> str:
        """A hash of the pairs of all splits."""
        return "-".join(self.source(split).fingerprint[:8] for split in SPLITS)

    def share(self, world_size: int, accumulated: int) -> int:
        """The part of a batch that one device loads at once.

        Raises:
            UserError: if the batch does not divide evenly.
        """
        parts = world_size * accumulated
        if self.batch_size % parts:
            raise UserError(
                f"data.batch_size={self.batch_size} is what one optimizer step sees and does not divide among "
                f"{world_size} device(s) and {accumulated} accumulated batch(es); choose a multiple of {parts}."
            )
        return self.batch_size // parts

    def train_dataloader(self) -> DataLoader:
        """Shuffled, augmented patches; a resumed training continues where it was interrupted."""
        source, trainer = self.training_source or self.source("train"), self.trainer
        share, done = self.batch_size, 0
        rank, world_size, epoch = 0, 1, 0
        if trainer is not None:
            rank, world_size, epoch = trainer.global_rank, trainer.world_size, trainer.current_epoch
            share = self.share(world_size, trainer.accumulate_grad_batches)
            done = trainer.fit_loop.epoch_loop.batch_progress.current.completed * share
        if len(source) < self.batch_size:
            raise UserError(
                f"The training split has {len(source)} pairs, fewer than one batch of {self.batch_size}; lower "
                "data.batch_size."
            )
        sampler = TrainingSampler(len(source), self.seed, rank, world_size, epoch, done, self.batch_size)
        dataset = PairDataset(source, self.crop, self.augment, self.seed, skip=self.on_error == "skip")
        return self._loader(dataset, batch_size=share, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Whole images, in order."""
        return self.evaluation_loader("val", *self._process())

    def test_dataloader(self) -> DataLoader:
        """Whole images, in order."""
        return self.evaluation_loader("test", *self._process())

    def evaluation_loader(self, split: str, rank: int = 0, world_size: int = 1, limit: int | None = None) -> DataLoader:
        """Whole images of a split, in order, as stored; `to_canonical` scales a batch.

        Args:
            split: train, val or test.
            rank: Of this process.
            world_size: How many processes share the images. Some come twice where they do not divide evenly.
            limit: Only the first images; None for all.
        """
        source = self.source(split)
        pairs: PairDataset | Subset = PairDataset(source)
        if limit is not None:
            pairs = Subset(pairs, range(min(limit, len(source))))
        sampler: DistributedSampler | None = None
        if world_size > 1:
            sampler = DistributedSampler(pairs, world_size, rank, shuffle=False)
        return self._loader(pairs, batch_size=self.eval_batch_size, sampler=sampler)

    def _process(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def on_before_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Counts the pairs that were skipped for a batch, and reports each reason once."""
        for line in filter(None, "\n".join(batch.pop("skipped", ())).splitlines()):
            if line not in self.skipped:
                warn(f"skipped a pair (data.on_error=skip): {line}")
            self.skipped[line] += 1
        return batch

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Makes a batch canonical on its device."""
        return self.to_canonical(batch)

    def to_canonical(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch as models and metrics see it, from one as it is stored; the given one stays as it is.

        Args:
            batch: With ``raw``, packed RAW in DN, shape (N, 4, h, w), and ``target``, sRGB from 0 to 255, shape
                (N, 3, 2h, 2w), or with a validity mask, 0 or 255, as fourth plane.

        Returns:
            The same with canonical RAW and the target in [0, 1], both float32. A validity mask becomes ``mask``, 0 or
            1, shape (N, 1, 2h, 2w).
        """
        raw = normalize_raw(batch["raw"].float(), self.black_level, self.white_level)
        target = batch["target"].float() / 255
        mask = {"mask": target[:, 3:]} if target.shape[1] == 4 else {}
        return {**batch, "raw": raw, "target": target[:, :3], **mask}

    def _loader(self, dataset: PairDataset | Subset, **options: Any) -> DataLoader:
        workers = self.num_workers
        if workers is None:
            workers = 0 if self.in_memory else loading_processes(self.trainer.num_devices if self.trainer else 1)
        return DataLoader(
            dataset,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self.seed),  # a loader draws nothing of the training's random state
            **options,
        )


def _arguments(cls: type, args: tuple[Any, ...], given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a class's constructor by name, with the defaults of it and of its base classes."""
    defaults: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, PairedDataModule) and "__init__" in vars(base):
            parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
            defaults |= {item.name: item.default for item in parameters if item.default is not item.empty}
    names = list(inspect.signature(cls.__init__).parameters)[1:]  # type: ignore[misc]
    return defaults | dict(zip(names, args, strict=False)) | given


def _plain(value: Any) -> Any:
    """A setting without types of OmegaConf or of paths."""
    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value, resolve=True)
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
