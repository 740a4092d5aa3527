"""How much of the machine other processes use while something is timed."""

import time

import psutil

BUSY = 0.2  # cores in use by others from which times are doubtful


class OtherProcesses:
    """Watches from its creation."""

    def __init__(self) -> None:
        self._start, self._own, self._all = time.perf_counter(), time.process_time(), _busy_seconds()

    def cores(self) -> float:
        """How many cores the other processes of the machine kept busy, on average."""
        elapsed = time.perf_counter() - self._start
        others = _busy_seconds() - self._all - (time.process_time() - self._own)
        return min(max(others / max(elapsed, 1e-3), 0.0), float(psutil.cpu_count() or 1))


def complaint(cores: float) -> str:
    """What to say of such a machine; empty for a quiet one."""
    if cores < BUSY:
        return ""
    total = psutil.cpu_count() or 1
    return (
        f"The machine was busy: other processes kept up to {cores:.1f} of its {total} cores busy while networks were "
        "timed. Times are too long; repeat them on a quiet machine."
    )


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))
