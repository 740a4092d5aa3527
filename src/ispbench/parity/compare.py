"""Every baseline against its authors' network, for equal weights and inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ispbench.checkpoints import load_official, load_strictly
from ispbench.models.shortcuts import without_shortcuts
from ispbench.parity.vectors import Vector

# The reference output of a network that amplifies float32 rounding beyond the tolerance is itself rounding: it is
# compared in float64, at a tolerance relative to its scale.
ILL_CONDITIONED = {"mwispnet": 0.02}


@dataclass(frozen=True)
class Parity:
    """How far a network is from its authors'.

    Attributes:
        key: The vector.
        error: Largest absolute difference of the outputs.
        tolerance: What counts as equal.
        params: Ours.
        reference_params: The public implementation's, without frozen filters.
        gmacs: Ours, in 1e9 at the vector's size.
        reference_gmacs: The public implementation's; None where not measured.
    """

    key: str
    error: float
    tolerance: float
    params: int
    reference_params: int
    gmacs: float
    reference_gmacs: float | None

    @property
    def equal(self) -> bool:
        """Whether output and parameter count agree."""
        return self.error <= self.tolerance and self.params == self.reference_params


def compare(vector: Vector) -> Parity:
    """Loads a vector's weights into our network and compares."""
    net = _load(vector)
    inputs = [torch.from_numpy(array) for array in vector.model_inputs()]
    tolerance = vector.tolerance
    if vector.key in ILL_CONDITIONED:
        net, inputs = net.double(), [tensor.double() for tensor in inputs]
        tolerance = ILL_CONDITIONED[vector.key] * vector.scale
    with torch.no_grad():
        output = net(*inputs)
        with without_shortcuts(), FlopCounterMode(display=False) as counter:
            net(*inputs)
    return Parity(
        key=vector.key,
        error=vector.error(output.numpy()),
        tolerance=tolerance,
        params=sum(value.numel() for value in net.parameters()),
        reference_params=vector.params,
        gmacs=counter.get_total_flops() / 2e9,
        reference_gmacs=vector.gmacs,
    )


def _load(vector: Vector) -> nn.Module:
    if vector.network != "gcm":
        return load_official(vector.network, vector.state_dict()).net
    from ispbench.protocols.gcm import GCM

    net = GCM().eval()
    load_strictly(net, vector.state_dict(), "The vector is not of the global colour mapping")
    return net


def as_markdown(rows: Sequence[Parity]) -> str:
    """The table for the documentation."""
    lines = [
        "| network | max error | tolerance | parameters | reference | GMACs | reference |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        reference = "-" if row.reference_gmacs is None else f"{row.reference_gmacs:.4f}"
        lines.append(
            f"| `{row.key}` | {row.error:.1e} | {row.tolerance:.1e} | {row.params:,} | {row.reference_params:,} "
            f"| {row.gmacs:.4f} | {reference} |"
        )
    return "\n".join(lines)
