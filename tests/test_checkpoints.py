import pickle

import pytest
import torch
from torch import nn

from ispbench.checkpoints import load_official, load_strictly, load_weights, read_state_dict, unwrap
from ispbench.errors import UserError
from ispbench.models.build import build_model
from tests.conftest import TINY_METAISP


def csanet_state():
    torch.manual_seed(0)
    return build_model("csanet").net.state_dict()


def prefixed(state):
    return {f"module.{name}": value for name, value in state.items()}


FORMATS = {
    "bare": lambda state: state,
    "DataParallel": prefixed,
    "AWNet": lambda state: {"model_state": prefixed(state), "lr": 1e-4},
    "LiteISPNet": lambda state: {"state_dict": state},
    "BasicSR": lambda state: {"params_ema": state},
}


@pytest.mark.parametrize("wrap", FORMATS.values(), ids=FORMATS)
def test_the_released_file_formats_load(wrap, tmp_path):
    state = csanet_state()
    torch.save(wrap(state), tmp_path / "weights.pth")
    model = load_official("csanet", tmp_path / "weights.pth")
    assert not model.training
    assert all(torch.equal(value, state[name]) for name, value in model.net.state_dict().items())


def test_arrays_load_too():
    state = csanet_state()
    model = load_official("csanet", {name: value.numpy() for name, value in state.items()})
    assert all(torch.equal(value, state[name]) for name, value in model.net.state_dict().items())


def test_every_kind_of_mismatch_is_named():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = {"0.weight": torch.zeros(3, 5), "0.bias": torch.zeros(3), "2.bias": torch.zeros(1)}
    with pytest.raises(UserError) as error:
        load_strictly(net, state, "x.pth is not a checkpoint of y")
    sentence = str(error.value)
    assert "2 missing (1.weight, 1.bias)" in sentence
    assert "1 unexpected (2.bias)" in sentence
    assert "1 misshapen (0.weight (3, 5) instead of (3, 2))" in sentence
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_only_the_first_few_keys_are_spelled_out():
    with pytest.raises(UserError, match=r"9 unexpected \(k0, k1, k2, k3, k4, \.\.\.\)"):
        load_strictly(nn.Identity(), {f"k{number}": torch.zeros(1) for number in range(9)}, "x")


def test_a_checkpoint_of_another_model_is_refused():
    with pytest.raises(UserError, match="not a checkpoint of mwispnet"):
        load_official("mwispnet", csanet_state())


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match=r"evil\.pth is refused: it asks for print, which is no tensor") as refusal:
        read_state_dict(tmp_path / "evil.pth")
    assert "weights_only" not in str(refusal.value), "torch's advice to run it after all"
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"weight": Evil()}))
    with pytest.raises(UserError, match="holds other things than tensors"):
        read_state_dict(tmp_path / "evil.pkl")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut"])
def test_broken_files_are_refused(content, tmp_path):
    (tmp_path / "broken.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.pth"):
        read_state_dict(tmp_path / "broken.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no checkpoint file"):
        read_state_dict(tmp_path / "none.pth")


def test_a_tensor_file_is_no_checkpoint(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(UserError, match="holds a Tensor"):
        read_state_dict(tmp_path / "tensor.pth")


def test_prefixes_come_off_only_when_all_have_them():
    assert unwrap({"module.a": 1, "b": 2}) == {"module.a": 1, "b": 2}


def test_own_checkpoints_load(tmp_path):
    trained = build_model("metaisp", TINY_METAISP[1:])
    torch.save(
        {"state_dict": {f"model.net.{k}": v for k, v in trained.net.state_dict().items()}}, tmp_path / "own.ckpt"
    )
    fresh = build_model("metaisp", TINY_METAISP[1:])
    load_weights(fresh, tmp_path / "own.ckpt", "metaisp")
    raw = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(fresh.eval()(raw), trained.eval()(raw))
