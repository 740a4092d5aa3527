"""The metrics of pyiqa: without the package, without weights, and with random ones where pyiqa is installed."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn

from ispbench.metrics.iqa import Learned, learned
from ispbench.metrics.scoring import load, score_images
from ispbench.metrics.table import choose

NAMES = ["dists", "topiq", "musiq"]


def batch():
    return torch.rand(2, 2, 3, 64, 72, generator=torch.Generator().manual_seed(0))


class Compared(nn.Module):
    """Stands for a network of pyiqa, which returns shape (N, 1)."""

    def forward(self, images, references=None):
        return (images if references is None else images - references).abs().mean((1, 2, 3))[:, None]


@pytest.fixture
def fake(monkeypatch):
    """A pyiqa that records what it is asked for."""
    asked = {}

    def create_metric(name, **options):
        print(f"Loading pretrained model {name}")
        asked[name] = options
        return SimpleNamespace(net=Compared())

    module = ModuleType("pyiqa")
    module.create_metric = create_metric
    monkeypatch.setitem(sys.modules, "pyiqa", module)
    return asked


def test_without_the_package_the_scores_are_empty_and_say_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    metrics = choose(["psnr", *NAMES])
    loaded, missing = load(metrics)
    assert list(missing) == NAMES
    assert all('pip install "ispbench[iqa]"' in reason for reason in missing.values())
    rows = score_images(metrics, loaded, *batch())
    assert rows[:, 0].isfinite().all()
    assert rows[:, 1:].isnan().all()


def test_weights_that_cannot_be_had_are_the_reason(fake, monkeypatch):
    def refuse(name, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr(sys.modules["pyiqa"], "create_metric", refuse)
    loaded, missing = load(choose(NAMES))
    assert loaded == {}
    assert missing["topiq"] == "pyiqa cannot load topiq_fr (Name or service not known)"


def test_each_gets_what_it_compares_with(fake, capsys):
    metrics = choose(NAMES)
    loaded, missing = load(metrics)
    assert missing == {}
    assert fake == {
        "dists": {"device": "cpu"},
        "topiq_fr": {"device": "cpu", "backbone_pretrain": False},
        "musiq": {"device": "cpu"},
    }
    assert capsys.readouterr().out == ""
    images, references = batch()
    images = (images * 255).round() / 255
    rows = score_images(metrics, loaded, images, references)
    compared = (images - references).abs().mean((1, 2, 3))
    torch.testing.assert_close(rows, torch.stack((compared, compared, images.mean((1, 2, 3))), dim=1))
    assert score_images(metrics, loaded, images, references, torch.ones(2, 1, 64, 72)).isnan().all()


@pytest.mark.parametrize("name, inputs", [("dists", 2), ("topiq_fr", 2), ("musiq", 1)])
def test_the_networks_with_random_weights(name, inputs, monkeypatch):
    pyiqa = pytest.importorskip("pyiqa", reason="needs the extra iqa")
    vgg16 = torchvision.models.vgg16
    monkeypatch.setattr(torchvision.models, "vgg16", lambda weights: vgg16(weights=None))  # the backbone of DISTS
    options = {"pretrained": False} | ({"backbone_pretrain": False} if name == "topiq_fr" else {})
    network = Learned(pyiqa.create_metric(name, device="cpu", **options).net)
    images = batch()[:inputs]
    scores = network(*images)
    assert scores.shape == (2,)
    single = torch.cat([network(*(value[i, None] for value in images)) for i in range(2)])
    torch.testing.assert_close(scores, single, rtol=1e-3, atol=1e-4)
    assert scores.isfinite().all()


def test_the_real_package_without_its_weights(monkeypatch, tmp_path):
    pytest.importorskip("pyiqa", reason="needs the extra iqa")
    import pyiqa.utils.download_util as downloads

    def refuse(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(downloads, "DEFAULT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(downloads, "download_url_to_file", refuse)
    for name in ("topiq_fr", "musiq"):
        with pytest.raises(Exception, match=rf"pyiqa cannot load {name} \(no network\)"):
            learned(name)
