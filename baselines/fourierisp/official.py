"""The tensor names of the authors' code, and the layers that it builds and never runs."""

import re
from collections.abc import Callable

from torch import nn

from ispbench.baselines.fourierisp.blocks import conv, halve

_UNET = "conv_0|down_path_|skip_conv_|up_path_"
# Applied in this order, from the authors' names to ours.
_RENAMES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (rf"^p_net\.(?={_UNET})", "phase."),
    (rf"^(?=({_UNET})1)", "amplitude."),
    (rf"^(?=({_UNET})2)", "colour."),
    (r"\.conv_0\d", ".stem"),
    (r"\.down_path_\d\.(\d)\.downsample", r".down.\1"),
    (r"\.down_path_\d", ".encoder"),
    (r"\.skip_conv_\d", ".skips"),
    (r"\.up_path_\d", ".decoder"),
    (r"conv_fft_1", "correction.0"),
    (r"conv_fft_2", "correction.2"),
    (r"csff_enc", "fusion.0"),
    (r"csff_dec", "fusion.1"),
    (r"^p_net\.demosaic", "phase_up"),
    (r"^p_net\.sam12", "phase_attention"),
    (r"^sam12", "amplitude_attention"),
    (r"^cat123", "merge"),
    (r"^cas\.adj(\d)\.down", lambda match: f"colour_down.{int(match[1]) - 1}"),
    (r"^cas\.adj(\d)", lambda match: f"adapt.{int(match[1]) - 1}"),
    (r"spatial_process", "spatial"),
    (r"frequency_process\.(sft\.)?", "frequency."),
    (r"trans(?=amp|pha)", "frequency.trans"),
    (r"^last\.", "refine.0."),
    (r"^pre_re", "restem"),
    (r"^last2\.", "refine.1."),
    (r"\.process\.0\.(?=process|conv_du)", ".attention."),
)


def own_name(name: str) -> str:
    """Our name of an official tensor that the forward pass reads."""
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def never_used(width: int) -> nn.ModuleDict:
    """The layers of the authors' checkpoints that no forward pass reads.

    Args:
        width: Channels of the finest level.

    Returns:
        Layers under the authors' names, with slashes for dots.
    """
    channels = [width * 2**level for level in range(4)]
    half_norm_blocks = {
        **dict.fromkeys(("conv_01.1", "conv_01.2", "conv_02.1", "conv_02.2", "pre_re.1"), width),
        **dict.fromkeys(("p_net.conv_01.1", "p_net.conv_01.2", "p_net.pre_re.1"), width),
    }
    plain_blocks = {f"down_path_2.{level}": channels[level] for level in range(4)}
    for level in range(3):
        half_norm_blocks[f"cas.adj{level + 1}.spatial_process"] = channels[level]
        for prefix, path in (("", 1), ("", 2), ("p_net.", 1)):
            half_norm_blocks[f"{prefix}skip_conv_{path}.{2 - level}"] = channels[level]
            plain_blocks[f"{prefix}up_path_{path}.{2 - level}.conv_block"] = channels[level]

    layers: dict[str, nn.Module] = {
        "cat12": conv(2 * width, width, 1),
        "p_net.pre_re.0": conv(4, width),
        "p_net.pre_re.1.conv_1": conv(width, width),
        "p_net.pre_re.1.norm": nn.InstanceNorm2d(width // 2, affine=True),
        "p_net.pre_re.1.conv_2": conv(width, width),
        "cas.adj3.down": halve(channels[2], channels[3]),
    }
    for level in range(3):
        for name in ("frequency_spatial", "spatial_frequency"):
            layers[f"cas.adj{level + 1}.{name}"] = conv(channels[level], channels[level])
    for block, count in half_norm_blocks.items():
        layers[f"{block}.identity"] = conv(count, count, 1)
        layers[f"{block}.conv_3"] = conv(2 * count, count)
    for block, count in plain_blocks.items():
        layers[f"{block}.conv_fft_1"] = conv(count, count, 1)
        layers[f"{block}.conv_fft_2"] = conv(count, count, 1)
    return nn.ModuleDict({name.replace(".", "/"): layer for name, layer in layers.items()})
