import time
from types import SimpleNamespace

import psutil
import pytest

from ispbench.evaluation.others import OtherProcesses, complaint


def test_what_others_use_is_what_all_use_less_what_this_process_does(monkeypatch):
    times = iter([SimpleNamespace(user=10.0, system=1.0, idle=5.0), SimpleNamespace(user=13.0, system=2.0, idle=9.0)])
    own, clock = iter([2.0, 3.0]), iter([100.0, 102.0])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(times))
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(time, "process_time", lambda: next(own))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert OtherProcesses().cores() == pytest.approx(((13 + 2) - (10 + 1) - (3 - 2)) / 2)
    assert "up to 1.5 of its 4 cores" in complaint(1.5)
    assert complaint(0.05) == ""
