"""The one datamodule: pairs in, batches of canonical packed RAW and sRGB targets out."""

from abc import abstractmethod
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from ispbench.data.pairs import PairDataset, PairSource
from ispbench.data.sampler import TrainingSampler
from ispbench.errors import UserError
from ispbench.raw.levels import subtract_black

SPLITS = ("train", "val", "test")


class PairedDataModule(pl.LightningDataModule):
    """Feeds any dataset of RAW and sRGB pairs.

    A batch holds ``raw`` (N, 4, h, w), canonical packed RAW; ``target`` (N, 3, 2h, 2w), sRGB in [0, 1]; ``index`` and
    ``name`` of each pair. Both images travel to the device as stored (uint16, uint8) and are scaled there.

    Args:
        version: Name and version of the dataset with its splits, such as ``zrr-v1``: the first part of a protocol.
        black_level: Of the sensor, in DN.
        white_level: Of the sensor, in DN.
        crop: Side of the training patches, even; null for whole images.
        augment: Whether training patches are flipped and turned.
        batch_size: Of training, on each device.
        eval_batch_size: Of validation and test; 1 where images differ in size.
        num_workers: Processes that load, on each device.
        max_steps: The training budget recommended for this dataset; ``trainer.max_steps`` reads it.
        val_every: Batches between validations; ``trainer.val_check_interval`` reads it.
        seed: Of the run: decides order, patches and turns.
        simulated: Whether the RAW is computed from photos; results are labelled so.
    """

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
        num_workers: int,
        max_steps: int,
        val_every: int,
        seed: int,
        simulated: bool = False,
    ) -> None:
        super().__init__()
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
        self.num_workers = num_workers
        self.max_steps = max_steps
        self.val_every = val_every
        self.seed = seed
        self.simulated = simulated
        self._sources: dict[str, PairSource] = {}

    @abstractmethod
    def open(self, split: str) -> PairSource:
        """The pairs of ``train``, ``val`` or ``test``.

        Raises:
            UserError: if they are missing or malformed.
        """

    def source(self, split: str) -> PairSource:
        """The pairs of a split, opened once."""
        if split not in self._sources:
            self._sources[split] = self.open(split)
        return self._sources[split]

    def fingerprint(self) -> str:
        """A hash of the pairs of all splits."""
        return "-".join(self.source(split).fingerprint[:8] for split in SPLITS)

    def train_dataloader(self) -> DataLoader:
        """Shuffled, augmented patches."""
        trainer = self.trainer
        source = self.source("train")
        world_size = trainer.world_size if trainer else 1
        if len(source) < self.batch_size * world_size:
            raise UserError(
                f"The training split has {len(source)} pairs, fewer than one batch of {self.batch_size} on each of "
                f"{world_size} devices; lower data.batch_size."
            )
        sampler = TrainingSampler(len(source), self.seed, trainer.global_rank if trainer else 0, world_size)
        dataset = PairDataset(source, self.crop, self.augment, self.seed)
        return self._loader(dataset, batch_size=self.batch_size, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Whole images, in order."""
        return self._loader(PairDataset(self.source("val")), batch_size=self.eval_batch_size)

    def test_dataloader(self) -> DataLoader:
        """Whole images, in order."""
        return self._loader(PairDataset(self.source("test")), batch_size=self.eval_batch_size)

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Scales a batch on its device: RAW to the canonical scale, the target to [0, 1]."""
        raw = subtract_black(batch["raw"].float(), self.black_level, self.white_level)
        return {**batch, "raw": raw, "target": batch["target"].float() / 255}

    def _loader(self, dataset: PairDataset, **options: Any) -> DataLoader:
        return DataLoader(
            dataset,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            **options,
        )
