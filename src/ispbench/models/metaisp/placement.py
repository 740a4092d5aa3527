"""Block placement: which correction blocks stand at each stage of MetaISP, and in which order."""

from collections.abc import Mapping, Sequence

from ispbench.errors import UserError

ENCODER = ("encoder1", "encoder2", "encoder3")
BOTTLENECK = ("bottleneck",)
DECODER = ("decoder3", "decoder2", "decoder1")
DOUBLED = ("bottleneck", "decoder3")  # the stages of 2C channels
STAGES = ENCODER + BOTTLENECK + DECODER
BLOCKS = ("mccb", "mscb", "se", "conv")

Placement = dict[str, tuple[str, ...]]


def _everywhere(*blocks: str) -> Placement:
    return dict.fromkeys(STAGES, blocks)


def _only(stages: Sequence[str]) -> Placement:
    return dict.fromkeys(stages, ("mccb", "mscb"))


PRESETS: dict[str, Placement] = {
    "both": _everywhere("mccb", "mscb"),
    "mccb_only": _everywhere("mccb"),
    "mscb_only": _everywhere("mscb"),
    "none": _everywhere(),
    "encoder_only": _only(ENCODER),
    "decoder_only": _only(DECODER),
    "bottleneck_only": _only(BOTTLENECK),
    "mscb_first": _everywhere("mscb", "mccb"),
    "se": _everywhere("se", "mscb"),
}


def resolve(placement: str | Mapping[str, Sequence[str]], ablated: str) -> Placement:
    """The blocks of every stage.

    Args:
        placement: A preset's name, or a mapping from stages to lists of blocks (mccb, mscb, se, conv).
        ablated: What becomes of a block of the full network that the placement leaves out: ``remove``, or ``conv`` for
            a plain convolution block of equal cost in its place.

    Returns:
        Stage to block names; a name with the suffix ``_as_conv`` is the plain stand-in of that block.

    Raises:
        UserError: for an unknown preset, stage, block or `ablated`.
    """
    if isinstance(placement, str):
        if placement not in PRESETS:
            raise UserError(f"Unknown model.placement={placement}; choose one of {', '.join(PRESETS)}, or give stages.")
        placement = PRESETS[placement]
    if ablated not in ("remove", "conv"):
        raise UserError(f"model.ablated is remove or conv, not {ablated!r}.")
    for name in placement:
        if name not in STAGES:
            raise UserError(f"Unknown stage {name!r} in model.placement; stages are {', '.join(STAGES)}.")
    resolved: Placement = {}
    for stage in STAGES:
        blocks = tuple(placement.get(stage, ()))
        for block in blocks:
            if block not in BLOCKS:
                raise UserError(
                    f"Unknown block {block!r} at {stage} in model.placement; blocks are {', '.join(BLOCKS)}."
                )
        if ablated == "conv":
            missing = [block for block in ("mccb", "mscb") if block not in blocks][: max(0, 2 - len(blocks))]
            blocks += tuple(f"{block}_as_conv" for block in missing)
        resolved[stage] = blocks
    return resolved
