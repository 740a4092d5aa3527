"""The one interface of every ISP: canonical packed RAW in, sRGB out.

>>> import torch
>>> from ispbench.models.build import build_model
>>> model = build_model("metaisp").eval()
>>> model(torch.rand(1, 4, 50, 70)).shape
torch.Size([1, 3, 100, 140])
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from ispbench.errors import UserError
from ispbench.models.shapes import Shapes


class ISPModel(nn.Module):
    """A camera ISP around a bare network in its authors' convention.

    A subclass builds `net` and derives its inputs from canonical RAW (`net_inputs`). Everything that is common to all
    models is here: padding to a multiple, cropping back, clamping to [0, 1].

    Attributes:
        net: The bare network in its authors' convention. In ``eval()`` it returns the image alone; in ``train()`` it
            may return a tuple, the image first and then its side outputs.
        multiple: Pad multiple: packed height and width are padded to a multiple of this.
        minimum: Minimum size: packed height and width are padded to at least this, a multiple of `multiple`.
        black_level: Of the sensor, in DN, for networks that see RAW with its black level; ZRR's unless `set_levels`
            says otherwise.
        white_level: Of the sensor, in DN, likewise.
        paper: Citation of the method.
        input_kind: The authors' input convention, in a few words.
        unused_parameters: Prefixes of parameters of `net` that its forward pass never uses, kept because the authors'
            checkpoints contain them.
        untold_options: Options of the model that change what it computes but none of its tensors, so that a checkpoint
            does not tell them.
    """

    net: nn.Module
    multiple: int = 1
    minimum: int = 1
    black_level: float = 63.0
    white_level: float = 1020.0
    paper: ClassVar[str] = ""
    input_kind: ClassVar[str] = "packed RAW"
    unused_parameters: tuple[str, ...] = ()
    untold_options: ClassVar[tuple[str, ...]] = ()

    def set_levels(self, black_level: float, white_level: float) -> None:
        """Tells the model the levels of the sensor whose images it will see: those of the dataset.

        Raises:
            UserError: unless 0 <= `black_level` < `white_level`.
        """
        if not 0 <= black_level < white_level < float("inf"):
            raise UserError(f"The black level {black_level} must lie between 0 and the white level {white_level}.")
        self.black_level, self.white_level = float(black_level), float(white_level)

    def net_inputs(self, raw: Tensor) -> tuple[Tensor, ...]:
        """The inputs of `net` in its authors' convention.

        Args:
            raw: Canonical packed RAW, shape (N, 4, h, w), h and w multiples of `multiple`.
        """
        return (raw,)

    def official_state_dict(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The authors' tensors under the names of `net`; the same names unless a subclass maps them."""
        return state

    @classmethod
    def read_options(cls, shapes: Shapes) -> dict[str, Any]:
        """The options with which the model has the given tensors; none unless a subclass reads some.

        Args:
            shapes: Of tensors under the names of `net`.

        Raises:
            KeyError: possibly, if they are those of another network.
        """
        return {}

    def forward_scales(self, raw: Tensor) -> tuple[Tensor, ...]:
        """The image and, in training mode, the side outputs of a multi-scale network.

        Args:
            raw: Canonical packed RAW, shape (N, 4, h, w), any h and w.

        Returns:
            The sRGB image, shape (N, 3, 2h, 2w), then side outputs at the scales of `net`. Nothing is clamped.
        """
        height, width = raw.shape[-2:]
        pad_bottom, pad_right = (max(self.minimum - side, 0) or -side % self.multiple for side in (height, width))
        if pad_bottom or pad_right:
            raw = F.pad(raw, (0, pad_right, 0, pad_bottom), mode="replicate")
        outputs = self.net(*self.net_inputs(raw))
        outputs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
        if pad_bottom or pad_right:
            outputs = tuple(_crop(out, (height, width), raw.shape[-2:]) for out in outputs)
        return outputs

    def forward(self, raw: Tensor) -> Tensor:
        """Renders sRGB.

        Args:
            raw: Canonical packed RAW, shape (N, 4, H/2, W/2): planes R, Gr, Gb, B, black level subtracted, white
                level = 1. Any H/2 and W/2.

        Returns:
            sRGB, shape (N, 3, H, W): in [0, 1] in ``eval()``; in ``train()`` unclamped, so that gradients pass.
        """
        image = self.forward_scales(raw)[0]
        return image if self.training else image.clamp(0, 1)


def _crop(image: Tensor, unpadded: Sequence[int], padded: Sequence[int]) -> Tensor:
    """Crops an output of any scale to the part that belongs to the unpadded input."""
    height, width = (
        -(-side * part // whole) for side, part, whole in zip(image.shape[-2:], unpadded, padded, strict=True)
    )
    return image[..., :height, :width]
