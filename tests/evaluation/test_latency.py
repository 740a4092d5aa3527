import json
import mmap
import os
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from ispbench.errors import UserError
from ispbench.evaluation.latency import latency, mai_score
from ispbench.evaluation.memory import PeakMemory
from tests.toys import ToyISP


class Slow(nn.Module):
    """Takes a known time and remembers what it was given."""

    def __init__(self, seconds=0.0):
        super().__init__()
        self.seconds, self.seen = seconds, []
        self.conv = nn.Conv2d(4, 12, 1)

    def forward(self, raw):
        time.sleep(self.seconds)
        out = self.conv(raw)
        channels_last = raw.is_contiguous(memory_format=torch.channels_last)
        self.seen.append((tuple(raw.shape), out.dtype, channels_last))
        return nn.functional.pixel_shuffle(out, 2)


def model(seconds=0.0):
    isp = ToyISP()
    isp.net = Slow(seconds)
    return isp.eval()


def test_what_is_measured_and_under_which_circumstances():
    measured = latency(model(0.02), 64, 32, repetitions=4, warmup=2)
    assert 20 <= measured.min_ms <= measured.median_ms
    assert measured.iqr_ms >= 0
    assert measured.repetitions == 4
    assert measured.images_per_s == pytest.approx(1000 / measured.median_ms)
    assert measured.megapixels_per_s == pytest.approx(measured.images_per_s * 64 * 32 / 1e6)
    assert measured.peak_memory_mb > 10
    assert measured.input == "4x32x16"
    assert measured.threads == torch.get_num_threads()
    assert measured.device.startswith("CPU (")
    assert measured.device.endswith(f"{measured.threads} threads")
    assert (measured.precision, measured.compiled, measured.channels_last) == ("float32", False, False)


def test_warm_up_calls_come_first_and_the_budget_ends_it():
    isp = model(0.01)
    assert latency(isp, 8, 8, repetitions=1000, warmup=2, budget_s=0).repetitions == 3
    assert len(isp.net.seen) == 5


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_and_memory_format_reach_the_network(precision):
    isp = model()
    latency(isp, 8, 12, repetitions=3, precision=precision, channels_last=True)
    assert isp.net.seen[0] == ((1, 4, 4, 6), getattr(torch, precision), True)


def test_an_unknown_precision_is_refused():
    with pytest.raises(UserError, match="float32, bfloat16, float16"):
        latency(model(), 8, 8, precision="half")


def test_a_trace_can_be_opened(tmp_path):
    latency(model(), 8, 8, repetitions=3, trace=tmp_path / "deep" / "toy.json")
    trace = json.loads((tmp_path / "deep" / "toy.json").read_text())
    assert any("conv" in str(event.get("name")) for event in trace["traceEvents"])


def test_peak_memory_sees_an_allocation_after_its_start():
    # In a process of its own: where the system cannot reset its maximum, an earlier and larger use would hide this one.
    code = (
        "import torch; from ispbench.evaluation.memory import PeakMemory\n"
        "peak = PeakMemory(torch.device('cpu')); start = peak.megabytes()\n"
        "block = torch.ones(64, 1024, 1024)\n"
        "print(peak.megabytes() - start)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(output) > 200


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the system cannot reset its maximum")
def test_peak_memory_forgets_what_was_freed_before_its_start():
    before = PeakMemory(torch.device("cpu"))
    block = mmap.mmap(-1, 256 * 2**20)  # goes back to the system at once, which a tensor's memory need not
    for page in range(0, len(block), mmap.PAGESIZE):
        block[page] = 1
    peak = before.megabytes()
    block.close()
    after = PeakMemory(torch.device("cpu"))
    assert after.kind == "resident"
    assert after.megabytes() < peak - 200


def test_the_challenge_score_weighs_half_a_decibel_as_twice_the_speed():
    assert mai_score(3, 2) == 2**6 / 2
    assert mai_score(22.5, 10) == pytest.approx(mai_score(22, 5))
    assert mai_score(22, 5, constant=4) == pytest.approx(mai_score(22, 5) / 4)
