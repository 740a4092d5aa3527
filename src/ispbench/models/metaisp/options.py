"""The options of MetaISP, read from the names and shapes of its tensors."""

from itertools import product
from typing import Any

from ispbench.models.metaisp.blocks import equal_cost_width
from ispbench.models.metaisp.placement import DOUBLED, PRESETS, STAGES, Placement, resolve
from ispbench.models.shapes import Shapes

# Where the tensors of each stage stand.
_PREFIXES = dict(
    zip(
        STAGES,
        [*(f"encoder.{level}." for level in range(3)), "bottleneck.", *(f"decoder.{level}." for level in range(3))],
        strict=True,
    )
)
_CORRECTIONS = ("mccb", "mscb", "se")
_LARGEST_DIM = 1024  # up to which K is looked for where only plain blocks depend on it

# The blocks of each stage: corrections by name, plain ones by their hidden width.
_Blocks = dict[str, tuple[str | int, ...]]


def read_options(shapes: Shapes) -> dict[str, Any]:
    """Width, bases, placement, resampling, tail, norm and predictor, as far as the tensors tell them.

    Raises:
        KeyError: if the tensors are those of another network.
    """
    width = shapes["head.weight"][0]
    options: dict[str, Any] = {
        "width": width,
        "resampling": "dwt" if "down.0.conv.weight" in shapes else "strided",
        "tail": "full_size" if "tail.2.weight" in shapes else "double" if "tail.1.weight" in shapes else "single",
    }
    blocks = {stage: _blocks(shapes, prefix) for stage, prefix in _PREFIXES.items()}
    if told := _told_dims(shapes):
        options["basis_dim"] = told
    if bases := [shape for name, shape in shapes.items() if name.endswith(".bases")]:
        options |= {"num_bases": bases[0][0]}
        options["predictor"] = "depthwise" if shapes.has(".predictor.spatial.") else "pool"
        kept = "running" if shapes.has(".norm.num_batches_tracked") else "tracked"
        options["descriptor_norm"] = kept if shapes.has(".predictor.norm.") else "none"
    separable = shapes.has(".conv.1.weight") or shapes.has(".body.1.1.weight")
    options["convolutions"] = "separable" if separable else "full"
    has_blocks = shapes.has(".back.weight") or shapes.has(".body.1.weight")
    if has_blocks and not shapes.has(".norm.weight") and not shapes.has(".body.0.weight"):
        options["norm"] = "none"
    dims = [told] if told else range(1, _LARGEST_DIM + 1)
    for dim, ablated, preset in product(dims, ("remove", "conv"), PRESETS):
        if blocks == _expected(resolve(preset, ablated), width, dim, separable):
            plain = any(isinstance(kind, int) for kinds in blocks.values() for kind in kinds)
            return {**options, **({"basis_dim": dim} if plain else {}), "placement": preset, "ablated": ablated}
    stages = {
        stage: [kind if isinstance(kind, str) else "conv" for kind in kinds] for stage, kinds in blocks.items() if kinds
    }
    return {**options, "placement": stages}


def _told_dims(shapes: Shapes) -> int | list[int] | None:
    """K as far as bases and squeeze-and-excitation tell it; None where there is neither."""
    dims: dict[bool, int] = {}
    for stage, prefix in _PREFIXES.items():
        for name, shape in shapes.items():
            if name.startswith(prefix) and name.endswith((".bases", ".body.4.fc1.weight")):
                dims[stage in DOUBLED] = shape[-1] if name.endswith(".bases") else shape[1]
    if not dims:
        return None
    first, second = dims.get(False, dims.get(True)), dims.get(True, dims.get(False))
    assert first is not None
    assert second is not None
    return first if first == second else [first, second]


def _blocks(shapes: Shapes, prefix: str) -> tuple[str | int, ...]:
    kinds: list[str | int] = []
    for index in range(shapes.count(prefix)):
        block = f"{prefix}{index}."
        if f"{block}bases" in shapes:
            kinds.append("mccb" if len(shapes[f"{block}bases"]) == 3 else "mscb")
        elif shapes.has(f"{block}body.4.fc"):
            kinds.append("se")
        else:
            kinds.append(shapes[f"{block}body.3.weight"][0])
    return tuple(kinds)


def _expected(placement: Placement, width: int, basis_dim: int | list[int], separable: bool) -> _Blocks:
    """What `_blocks` reads from the stages of this placement."""
    expected: _Blocks = {}
    dims = basis_dim if isinstance(basis_dim, list) else [basis_dim, basis_dim]
    for stage, kinds in placement.items():
        doubled = stage in DOUBLED
        expected[stage] = tuple(
            kind
            if kind in _CORRECTIONS
            else equal_cost_width(kind.removesuffix("_as_conv"), width * (1 + doubled), dims[doubled], separable)
            for kind in kinds
        )
    return expected
