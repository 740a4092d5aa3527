"""The highest memory use of a stretch of code: what was allocated on the GPU, else what the process kept in RAM."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import torch

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class PeakMemory:
    """Measures from its creation.

    Args:
        device: Where the code runs; None for the CPU, which needs no torch.

    Attributes:
        kind: ``cuda``: allocated on the GPU; ``resident``: the process's resident set, interpreter and libraries
            included; ``resident since start``: the same where the system cannot reset its maximum, so that an earlier
            and larger use may hide this one.
    """

    def __init__(self, device: "torch.device | None" = None) -> None:
        self.device = device
        if device is not None and device.type == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats(device)
            self.kind = "cuda"
            return
        try:
            _CLEAR.write_text("5")  # Linux: sets the maximum to the present value
            self.kind = "resident"
        except OSError:
            self.kind = "resident since start"

    def megabytes(self) -> float:
        """The maximum so far, in MiB."""
        if self.device is not None and self.device.type == "cuda":
            import torch

            return torch.cuda.max_memory_allocated(self.device) / 2**20
        return (_high_water_mark() if self.kind == "resident" else _peak_resident()) / 2**20


def _high_water_mark() -> int:
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return _peak_resident()


def _peak_resident() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return psutil.Process().memory_info().peak_wset
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
