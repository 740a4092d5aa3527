"""Protocols whose target follows the geometry of the RAW, or of the output.

The targets of ISP datasets come from another camera and fit the RAW only within some pixels. Reference: Z. Zhang et
al., "Learning RAW-to-sRGB Mappings with Inaccurately Aligned Supervision", ICCV 2021, arXiv:2108.08119.
"""

from typing import Any

import torch
from torch import Tensor

from ispbench.data.datamodule import PairedDataModule
from ispbench.errors import UserError
from ispbench.protocols.aligned_targets import AlignedTargets, aligned_targets
from ispbench.protocols.base import Protocol, Reference
from ispbench.protocols.flow import FlowEstimator, consistent, warp
from ispbench.protocols.mapping import ColorMapping


class AlignedToRaw(Protocol):
    """The target warped to the RAW once, through a color mapping and optical flow; only valid pixels count.

    Every model is scored against the same images. The name holds the estimator, as in ``aligned-gt-raw-dis``.

    Args:
        flow: The flow estimator.
        mapping: What gives the RAW the target's colors.
        consistency: How far in pixels the flow back may miss the point it came from; farther off, a pixel is invalid.
            None: not checked.
        cache: Folder to keep the targets in; null for the user's cache folder.
    """

    def __init__(
        self,
        flow: FlowEstimator,
        mapping: ColorMapping,
        consistency: float | None = None,
        cache: str | None = None,
    ) -> None:
        if consistency is not None and consistency <= 0:
            raise UserError(f"protocol.consistency is above 0 pixels, or null, not {consistency}.")
        self.flow = flow
        self.mapping = mapping
        self.consistency = consistency
        self.cache = cache
        checked = "" if consistency is None else f"fb{consistency:g}"
        self.name = "-".join(part for part in ("aligned-gt-raw", flow.name, mapping.name, checked) if part)
        self._targets: AlignedTargets | None = None

    def prepare(self, data: PairedDataModule, split: str) -> dict[str, Any]:
        """Finds or makes the aligned targets of the split."""
        self._targets = self.targets(data, split)
        return {"target_checksum": self._targets.checksum, "valid_share": self._targets.valid_share}

    def targets(self, data: PairedDataModule, split: str) -> AlignedTargets:
        """The aligned targets of a split, see `aligned_targets`."""
        settings = f"{self.name} {sorted((key, value) for key, value in vars(self.mapping).items() if key[0] != '_')}"
        return aligned_targets(data, split, self.name, settings, self.align, self.cache)

    def align(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Warps a target, shape (3, 2h, 2w), to its canonical packed RAW, shape (4, h, w); see `warp`."""
        image = self.mapping(raw, target)
        flow = self.flow(image, target)
        warped, mask = warp(target, flow)
        if self.consistency is not None:
            mask = mask * consistent(flow, self.flow(target, image), self.consistency)
        return warped, mask

    def reference(self, images: Tensor, batch: dict[str, Any]) -> Reference:
        """The aligned targets of the batch."""
        assert self._targets is not None, "prepare() comes before reference()"
        pairs = [self._targets.read(int(index)) for index in batch["index"]]
        target, mask = (torch.stack(part).to(images.device) for part in zip(*pairs, strict=True))
        if target.shape != images.shape:
            raise UserError(
                f"The output has shape {tuple(images.shape)} but its aligned target {tuple(target.shape)}; the aligned "
                "protocols need outputs of the target's size."
            )
        return Reference(target, mask)


class AlignedToOutput(Protocol):
    """The target warped to each output: it rewards a model for its own distortions and differs from model to model.

    For comparison with published scores alone.

    Args:
        flow: The flow estimator.
        zeroed: Whether invalid pixels are set to zero in both images and counted, as the published code does, which
            raises the score with their number; else they are left out.
    """

    def __init__(self, flow: FlowEstimator, zeroed: bool = False) -> None:
        self.flow = flow
        self.zeroed = zeroed
        self.name = f"aligned-gt-output-{flow.name}" + ("-zeroed" if zeroed else "")

    def reference(self, images: Tensor, batch: dict[str, Any]) -> Reference:
        """Each target warped to its output."""
        targets = batch["target"].float()
        pairs = [warp(target, self.flow(image, target)) for image, target in zip(images, targets, strict=True)]
        target, mask = (torch.stack(part) for part in zip(*pairs, strict=True))
        target = target.mul(255).round().div(255)
        return Reference(target * mask, premultiplied_mask=mask) if self.zeroed else Reference(target, mask)
