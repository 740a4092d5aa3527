"""Training on aligned targets: the mask in the loss, the source, and the joint form."""

import cv2
import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from ispbench.config import compose
from ispbench.errors import UserError, mistake_in
from ispbench.protocols.flow import DIS, consistent, warp
from ispbench.protocols.original import OriginalGT
from ispbench.protocols.training_targets import align_training
from ispbench.training.joint_alignment import JointAlignment
from tests.data import trees

TERMS = ["l1", "charbonnier", "mse", "huber", "psnr", "outlier_l1", "ssim", "color_angle", "chroma_blur", "fourier"]


def loss(**weights):
    return instantiate(compose([f"loss.weights.{name}={value}" for name, value in weights.items()]).loss)


@pytest.mark.parametrize("term", TERMS)
def test_no_term_sees_invalid_pixels(term):
    torch.manual_seed(0)
    target = torch.rand(2, 3, 32, 32)
    output = (target + 0.1 * torch.randn_like(target)).requires_grad_()
    mask = torch.ones(2, 1, 32, 32)
    mask[..., :10] = 0
    total = loss(l1=0, **{term: 1.0}) if term != "l1" else loss(l1=1.0)
    value = total([output], target, mask=mask)["loss"]
    value.backward()
    assert output.grad[..., :10].abs().max() == 0
    assert output.grad[..., 10:].abs().max() > 0
    spoiled = output.detach().clone()
    spoiled[..., :10] = 7.0
    assert total([spoiled], target, mask=mask)["loss"] == pytest.approx(value.item(), rel=1e-6)
    assert total([spoiled], target)["loss"].item() != pytest.approx(value.item(), rel=1e-3)


def test_a_side_output_counts_where_all_it_covers_is_valid():
    total = instantiate(compose(["loss.side_weights=[{l1: 1.0}]"]).loss)
    target = torch.zeros(1, 3, 8, 8)
    mask = torch.ones(1, 1, 8, 8)
    mask[..., 3] = 0  # an odd column: it spoils the second of four columns
    side = torch.ones(1, 3, 4, 4)
    values = total([target.clone(), side], target, mask=mask)
    assert values["l1_1"] == pytest.approx(3 / 4)


@pytest.fixture
def pairs(tmp_path, rng):
    """Training pairs whose targets are displaced, each in a direction of its own."""
    root = tmp_path / "pairs"
    for number, (mosaic, target) in enumerate(trees.pairs(6, rng, size=96)):
        angle = 2 * np.pi * number / 6
        shift = np.float32([[1, 0, 2 * np.cos(angle)], [0, 1, 2 * np.sin(angle)]])
        moved = cv2.warpAffine(target, shift, (96, 96), borderMode=cv2.BORDER_REFLECT)
        for split in ("train", "val", "test"):
            trees.write(root / split, str(number), mosaic, moved)
    return root


def folder(root, tmp_path, *overrides):
    levels = ["data.black_level=63", "data.white_level=1020", "data.crop=64", "data.batch_size=2"]
    config = compose(["data=folder", f"data.root={root}", f"data.cache={tmp_path}/cache", *levels, *overrides])
    data = instantiate(config.data)
    data.num_workers = 0
    return data


def test_training_sees_aligned_targets_with_their_mask(pairs, tmp_path, monkeypatch):
    monkeypatch.setenv("ISPBENCH_CACHE", str(tmp_path / "cache"))
    data = folder(pairs, tmp_path, "data.targets=aligned-gt-raw-dis", "data.augment=false", "data.crop=96")
    align_training(data, OriginalGT())
    batch = data.to_canonical(next(iter(data.train_dataloader())))
    assert batch["target"].shape == (2, 3, 96, 96)
    assert batch["mask"].shape == (2, 1, 96, 96)
    assert set(batch["mask"].unique().tolist()) == {0.0, 1.0}
    assert "aligned-gt-raw-dis, checksum" in data.notes["targets"]
    # nearer to the photograph before it was displaced than the dataset's own target is
    originals = [target for _, target in trees.pairs(6, np.random.default_rng(0), size=96)]
    for index, name in zip(batch["index"].tolist(), batch["name"], strict=True):
        aligned, mask = batch["target"], batch["mask"]
        position = batch["index"].tolist().index(index)
        valid = mask[position, 0].numpy() > 0
        truth = originals[int(name)] / 255
        displaced = data.source("train").read(index)[1] / 255
        ours = np.abs(aligned[position].permute(1, 2, 0).numpy() - truth)[valid].mean()
        assert ours < 0.6 * np.abs(displaced - truth)[valid].mean()
    whole = data.to_canonical(next(iter(data.test_dataloader())))
    assert "mask" not in whole


def test_other_targets_are_another_training(pairs, tmp_path):
    plain, aligned = folder(pairs, tmp_path), folder(pairs, tmp_path, "data.targets=aligned-gt-raw-dis")
    assert plain.identity() != aligned.identity()


@pytest.mark.parametrize(
    "targets, message",
    [
        ("aligned-gt-output-dis", "is unknown; choose original-gt, or begin with one of aligned-gt-raw-dis"),
        ("aligned-gt-raw-pwc", "is unknown"),
        ("aligned-gt-raw-dis-fast", "needs other settings than the default ones"),
    ],
)
def test_unknown_targets_are_refused(pairs, tmp_path, targets, message):
    with pytest.raises(UserError, match=message):
        align_training(folder(pairs, tmp_path, f"data.targets={targets}"), OriginalGT())


def test_simulated_targets_are_aligned_already():
    data = instantiate(compose(["data=mini", "data.targets=aligned-gt-raw-dis"]).data)
    with pytest.raises(UserError, match="aligned already"):
        align_training(data, OriginalGT())


def test_joint_alignment_warps_targets_and_learns():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    mosaic, photo = next(trees.pairs(1, rng, size=96))
    raw = torch.from_numpy(np.stack([mosaic[r::2, c::2] for r in (0, 1) for c in (0, 1)]).astype(np.float32))[None]
    raw = (raw - 63) / 957
    target = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    displaced = target.roll(2, dims=-1)
    joint = JointAlignment(DIS())
    optimizer = torch.optim.Adam(joint.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        warped, mask, value = joint(raw, displaced)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < 0.5 * losses[0]
    valid = mask.expand_as(target) > 0
    assert not warped.requires_grad
    assert (warped - target).abs()[valid].mean() < 0.5 * (displaced - target).abs()[valid].mean()
    assert not any("flow" in name for name in joint.state_dict())


def test_a_flow_that_does_not_return_is_inconsistent():
    forward = torch.zeros(2, 16, 16)
    forward[0] = 2.0
    backward = -forward.clone()
    backward[0, :, 8] = 5.0
    kept = consistent(forward, backward, 1.0)[0]
    assert kept[:, 6].max() == 0  # it points to column 8, from where the flow leads elsewhere
    assert kept[:, 2:5].min() == 1
    assert kept[:, 15].max() == 0  # outside of the frame
    warped, _ = warp(torch.arange(16.0).expand(1, 16, 16), forward)
    assert warped[0, 0, 3] == pytest.approx(5.0)


def test_a_consistency_check_joins_name_and_mask(pairs, tmp_path):
    data = folder(pairs, tmp_path)
    overrides = ["protocol=aligned-gt-raw", f"protocol.cache={tmp_path}/cache"]
    plain, strict = (instantiate(compose([*overrides, *more]).protocol) for more in ([], ["protocol.consistency=0.2"]))
    assert strict.name == "aligned-gt-raw-dis-fb0.2"
    assert strict.targets(data, "test").valid_share < plain.targets(data, "test").valid_share
    with pytest.raises(Exception, match=r"protocol\.consistency is above 0") as caught:
        instantiate(compose([*overrides, "protocol.consistency=-1"]).protocol)
    assert isinstance(mistake_in(caught.value), UserError)


def test_the_size_of_a_set_is_told_before_it_is_made(pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ispbench.protocols.aligned_targets._SAMPLED", 2)
    data = folder(pairs, tmp_path)
    protocol = instantiate(compose(["protocol=aligned-gt-raw", f"protocol.cache={tmp_path}/cache"]).protocol)
    usage = type("Usage", (), {"free": 100})
    with monkeypatch.context() as patched:
        patched.setattr("ispbench.protocols.aligned_targets.shutil.disk_usage", lambda _: usage)
        with pytest.raises(UserError, match=r"4 more aligned targets need about 0\.00 GB.*ISPBENCH_CACHE"):
            protocol.targets(data, "train")
    found = protocol.targets(data, "train")
    assert len(found.hashes) == 6
    assert "more aligned targets, about 0.00 GB" in capsys.readouterr().out
