from types import SimpleNamespace

import pytest
import torch

from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.models.ensemble import SelfEnsemble
from ispbench.training.callbacks.deploy import Deploy
from tests.toys import ToyPyramid


def start(callback, model):
    """The test of two dark uint16 images begins."""
    raw = torch.randint(64, 200, (2, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    batch = {"raw": raw, "target": torch.zeros(2, 3, 32, 32), "name": ["a", "b"]}
    data = SimpleNamespace(
        test_dataloader=lambda: [batch],
        on_after_batch_transfer=lambda batch, _: {**batch, "raw": (batch["raw"] - 64) / 959},
    )
    module = SimpleNamespace(model=model.eval(), device=torch.device("cpu"))
    callback.on_test_start(SimpleNamespace(datamodule=data), module)


def test_the_network_is_merged_checked_and_saved(tmp_path):
    model = build_model("syenet", data="mini")
    callback = Deploy(str(tmp_path))
    start(callback, model)
    assert sum(value.numel() for value in model.parameters()) == 5640
    assert callback.difference < 1e-5
    saved = torch.load(tmp_path / "deployed.ckpt", weights_only=True)["state_dict"]
    assert sum(value.numel() for value in saved.values()) == 5640


def test_the_network_inside_an_ensemble_is_merged():
    model = build_model("syenet", data="mini")
    start(Deploy(), SelfEnsemble(model))
    assert model.net.deployed


def test_a_merge_that_changes_the_image_stops_the_test():
    model = build_model("syenet", data="mini")
    merge = model.net.deploy

    def spoil():
        merge()
        model.net.tail[1].bias.data += 0.5

    model.net.deploy = spoil
    with pytest.raises(RuntimeError, match=r"deploy\(\) changes the image by"):
        start(Deploy(), model)


def test_a_network_without_branches_is_refused():
    with pytest.raises(UserError, match="such as syenet, not Toy"):
        start(Deploy(), ToyPyramid())
