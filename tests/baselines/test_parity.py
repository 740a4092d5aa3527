"""Every baseline is numerically its authors' network."""

import numpy as np
import pytest
import torch

from ispbench.checkpoints import load_official
from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from ispbench.parity.compare import compare
from ispbench.parity.vectors import SAMPLES, load_vectors, reduce
from tests.baselines.make_parity_vectors import full_entries

VECTORS = load_vectors()
# MACs that the public implementation spends on convolutions whose results it discards, in 1e9 at the vector's size, and
# its side outputs in eval(); ours computes neither.
DISCARDED = {
    "pynet": 0.0068,
    "awnet_raw": 0.0137,
    "awnet_demosaic": 0.0265,
    "mwispnet": 0.0010,
    "liteispnet": 0.0029,
    "pynet_v2": 0.0472,
    "fourierisp": 0.0755,
}


@pytest.mark.parametrize("key", VECTORS)
def test_output_parameters_and_macs_are_the_public_ones(key):
    row = compare(VECTORS[key])
    assert row.error <= row.tolerance
    assert row.params == row.reference_params
    if row.reference_gmacs is not None:
        assert row.gmacs == pytest.approx(row.reference_gmacs - DISCARDED.get(key, 0), abs=1e-4)


@pytest.mark.parametrize("key", [key for key, vector in VECTORS.items() if vector.fixed])
def test_checkpoints_load_with_and_without_their_frozen_filters(key):
    state = {name: torch.from_numpy(value) for name, value in VECTORS[key].state_dict().items()}
    with_filters = load_official(key, state).net.state_dict()
    bare = {name: value for name, value in state.items() if name not in VECTORS[key].fixed}
    without = load_official(key, {f"module.{name}": value for name, value in bare.items()}).net.state_dict()
    assert all(torch.equal(with_filters[name], without[name]) for name in with_filters)


def test_a_wrong_weight_is_seen():
    vector = VECTORS["csanet"]
    net = load_official("csanet", vector.state_dict()).net
    with torch.no_grad():
        list(net.parameters())[-1].add_(0.01)
        output = net(*map(torch.from_numpy, vector.model_inputs()))
    assert vector.error(output.numpy()) > vector.tolerance


def test_samples_are_small():
    assert all(len(vector.sample) <= SAMPLES for vector in VECTORS.values())


def test_the_command_prints_the_table(capsys):
    dispatch(["parity", "lan", "syenet"])
    printed = capsys.readouterr().out
    assert "| `lan` |" in printed
    assert "46,847" in printed
    with pytest.raises(UserError, match="No reference vector of nope"):
        dispatch(["parity", "nope"])


def test_the_reduced_vectors_are_those_of_the_reference_data(shared):
    index = full_entries(shared / "parity")
    assert index.keys() == VECTORS.keys()
    for key, entry in index.items():
        full = np.load(shared / "parity" / f"{key}.npy")
        kept, sample = reduce(key, entry, full)
        np.testing.assert_array_equal(sample, VECTORS[key].sample)
        assert {name: tuple(shape) for name, shape in kept["tensors"].items()} == {
            name: tuple(shape) for name, shape in VECTORS[key].tensors.items()
        }
        assert kept["scale"] == VECTORS[key].scale
