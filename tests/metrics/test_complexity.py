import pytest
import torch
from torch import nn

from ispbench.metrics.complexity import complexity
from ispbench.metrics.latency import latency
from ispbench.models.build import build_model
from ispbench.models.interface import ISPModel


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 12, 3, padding=1)
        self.dead = nn.Conv2d(4, 4, 1)

    def forward(self, raw):
        return nn.functional.pixel_shuffle(self.conv(raw), 2)


class Model(ISPModel):
    def __init__(self):
        super().__init__()
        self.net = Net()


def test_counts_by_hand():
    counted = complexity(Model(), 32, 64)
    assert counted.params == (4 * 9 + 1) * 12 + (4 + 1) * 4
    assert counted.params_used == (4 * 9 + 1) * 12
    assert counted.gmacs == pytest.approx(4 * 9 * 12 * 16 * 32 / 1e9)
    assert counted.input == "4x16x32"


def test_the_model_is_left_as_it_was():
    model = Model().train()
    complexity(model)
    assert model.training
    assert model.net.conv.weight.device.type == "cpu"


def test_a_model_without_parameters():
    counted = complexity(build_model("classical"))
    assert counted.params == counted.params_used == 0


def test_latency_is_measured_with_its_circumstances():
    measured = latency(Model().eval(), 32, 32, repetitions=4)
    assert 0 < measured.median_ms < 10_000
    assert measured.iqr_ms >= 0
    assert measured.peak_memory_mb > 10
    assert measured.input == "4x16x16"
    assert str(torch.get_num_threads()) in measured.device
