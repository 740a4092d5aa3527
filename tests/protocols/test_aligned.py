import json

import cv2
import pytest
import torch

from ispbench.errors import UserError
from ispbench.evaluation.evaluate import evaluate
from ispbench.metrics.quality import psnr
from ispbench.protocols import aligned_targets as targets
from ispbench.protocols.aligned import AlignedToOutput, AlignedToRaw
from ispbench.protocols.flow import DIS, warp
from ispbench.protocols.mapping import FittedGCM
from ispbench.protocols.original import OriginalGT
from ispbench.raw.demosaic import bilinear
from tests.conftest import REPOSITORY, ispbench_here
from tests.protocols.pairs import Shifted, ShiftedData, first_pair

QUICK = {"steps": 60, "lr": 1e-2}


class Counting(FittedGCM):
    """Counts its calls and may break off."""

    def __init__(self, stop_after=None):
        super().__init__(**QUICK)
        self._calls, self._stop_after = 0, stop_after

    def __call__(self, raw, photo):
        if self._calls == self._stop_after:
            raise KeyboardInterrupt
        self._calls += 1
        return super().__call__(raw, photo)


def protocol(cache, mapping=None):
    return AlignedToRaw(DIS(), mapping or FittedGCM(**QUICK), cache=str(cache))


def batch_of(data, numbers):
    source = data.source("test")
    pairs = [torch.from_numpy(source.read(number)[1]).permute(2, 0, 1) / 255 for number in numbers]
    return {"target": torch.stack(pairs), "index": torch.tensor(numbers)}


def test_the_target_moves_onto_the_raw(tmp_path):
    """The pairs are made so that the unshifted photo is known."""
    shifted, still = ShiftedData(count=1, shift=(1.5, -1.0)), ShiftedData(count=1, shift=(0.0, 0.0))
    (raw, photo), (_, wanted) = first_pair(shifted), first_pair(still)
    aligned, mask = protocol(tmp_path).align(raw, photo)
    before, after = psnr(photo[None], wanted[None]), psnr(aligned[None], wanted[None], mask[None])
    assert after > before + 5
    assert 0.9 < mask.mean() < 1


def test_references_are_those_of_the_cache_and_the_mask_is_theirs(tmp_path):
    data, aligning = ShiftedData(), protocol(tmp_path)
    said = aligning.prepare(data, "test")
    batch = batch_of(data, [2, 0])
    target, mask, premultiplied = aligning.reference(batch["target"], batch)
    for row, number in enumerate((2, 0)):
        wanted, valid = aligning.targets(data, "test").read(number)
        assert torch.equal(target[row], wanted)
        assert torch.equal(mask[row], valid)
    assert premultiplied is None
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert said["valid_share"] == pytest.approx(
        torch.stack([aligning.targets(data, "test").read(i)[1].mean() for i in range(3)]).mean().item()
    )
    assert len(said["target_checksum"]) == 64


def test_targets_are_computed_once_and_alike(tmp_path):
    first, again, elsewhere = Counting(), Counting(), Counting()
    checksums = [
        protocol(cache, mapping).prepare(ShiftedData(), "test")["target_checksum"]
        for cache, mapping in ((tmp_path / "a", first), (tmp_path / "a", again), (tmp_path / "b", elsewhere))
    ]
    assert (first._calls, again._calls, elsewhere._calls) == (3, 0, 3)
    assert len(set(checksums)) == 1


def test_other_pairs_or_settings_have_other_targets(tmp_path):
    base = protocol(tmp_path).targets(ShiftedData(), "test").folder
    assert protocol(tmp_path).targets(ShiftedData(shift=(1.0, 0.0)), "test").folder != base
    assert protocol(tmp_path, FittedGCM(steps=10)).targets(ShiftedData(), "test").folder != base
    assert (
        AlignedToRaw(DIS("fast"), FittedGCM(**QUICK), cache=str(tmp_path)).targets(ShiftedData(), "test").folder != base
    )


def test_an_interruption_loses_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        protocol(tmp_path, Counting(stop_after=2)).prepare(ShiftedData(), "test")
    rest = Counting()
    protocol(tmp_path, rest).prepare(ShiftedData(), "test")
    assert rest._calls == 1


def test_a_damaged_file_is_made_anew_before_the_set_is_finished(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        protocol(tmp_path, Counting(stop_after=2)).prepare(ShiftedData(), "test")
    [first, *_] = sorted(tmp_path.rglob("*.png"))
    first.write_bytes(first.read_bytes()[:100])
    rest = Counting()
    protocol(tmp_path, rest).prepare(ShiftedData(), "test")
    assert rest._calls == 2


@pytest.mark.parametrize("harm", ["change", "remove"])
def test_a_changed_target_is_refused(tmp_path, harm):
    aligning, data = protocol(tmp_path), ShiftedData()
    aligning.prepare(data, "test")
    path = aligning.targets(data, "test").folder / "000001.png"
    if harm == "remove":
        path.unlink()
    else:
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        pixels[5, 5, 0] ^= 1
        cv2.imwrite(str(path), pixels)
    batch = batch_of(data, [0, 1])
    with pytest.raises(UserError, match=r"000001\.png is missing or was changed.*data align"):
        aligning.reference(batch["target"], batch)


def test_a_cache_that_cannot_be_written_is_the_users_mistake(tmp_path):
    (tmp_path / "aligned").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        protocol(tmp_path).prepare(ShiftedData(), "test")


def test_the_target_follows_the_output():
    data = ShiftedData(count=1)
    _, photo = first_pair(data)
    output = torch.roll(photo, (2, 1), dims=(1, 2))
    target, mask, premultiplied = AlignedToOutput(DIS()).reference(output[None], {"target": photo[None]})
    assert premultiplied is None
    assert psnr(output[None], target, mask) > psnr(output[None], photo[None]) + 8


def test_the_zeroed_variant_counts_black_pixels():
    data = ShiftedData(count=1)
    _, photo = first_pair(data)
    output = torch.roll(photo, 6, dims=2)
    plain = AlignedToOutput(DIS()).reference(output[None], {"target": photo[None]})
    zeroed = AlignedToOutput(DIS(), zeroed=True).reference(output[None], {"target": photo[None]})
    assert zeroed.mask is None
    assert torch.equal(zeroed.premultiplied_mask, plain.mask)
    assert torch.equal(zeroed.target, plain.target * plain.mask)
    share = plain.mask.mean().item()
    assert share < 0.99
    masked, counted = (
        psnr(output[None], plain.target, plain.mask),
        psnr(output[None] * zeroed.premultiplied_mask, zeroed.target),
    )
    assert counted.item() == pytest.approx(masked.item() - 10 * torch.tensor(share).log10().item(), abs=1e-3)


def test_names_tell_estimator_and_variant():
    assert protocol(None).name == "aligned-gt-raw-dis-fitted-60-0.01-8"
    assert AlignedToRaw(DIS("fast"), FittedGCM()).name == "aligned-gt-raw-dis-fast"
    assert AlignedToOutput(DIS()).name == "aligned-gt-output-dis"
    assert AlignedToOutput(DIS(), zeroed=True).name == "aligned-gt-output-dis-zeroed"
    data = ShiftedData()
    assert OriginalGT().full_name(data) == "shifted-v1/original-gt"
    assert AlignedToRaw(DIS(), FittedGCM()).full_name(data) == "shifted-v1/aligned-gt-raw-dis"
    data.target_set = "own-split"
    assert OriginalGT().full_name(data) == "shifted-v1/own-split"
    assert AlignedToRaw(DIS(), FittedGCM()).full_name(data) == "shifted-v1/own-split-aligned-gt-raw-dis"


def write_dataset(root):
    for folder in ("raw", "gt"):
        (root / folder).mkdir(parents=True)
    for number, (mosaic, target) in enumerate(Shifted(count=4, size=64).pairs):
        cv2.imwrite(str(root / "raw" / f"{number}.png"), mosaic)
        cv2.imwrite(str(root / "gt" / f"{number}.png"), target[..., ::-1])
    return [f"data.root={root}", "data=folder", "data.black_level=0", "data.white_level=4095", "data.test_fraction=0.5"]


def test_the_command_line_aligns_scores_and_records(tmp_path):
    data = [*write_dataset(tmp_path / "data"), "protocol.mapping.steps=30", f"paths.cache={tmp_path / 'cache'}"]
    done = ispbench_here("data", "align", *data, "--picture", "pairs.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    checksum = next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("checksum"))
    assert cv2.imread(str(tmp_path / "pairs.png")).shape[1] > 5 * 64
    options = ["model=classical", "protocol=aligned-gt-raw", "metrics=quality", "trainer=cpu", "logger=none"]
    done = ispbench_here(*data, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [path] = (tmp_path / "results" / "evaluations").glob("*.json")
    record = json.loads(path.read_text())
    assert record["protocol"] == "folder/aligned-gt-raw-dis-fitted-30-0.003-8"
    assert record["data"]["target_checksum"] == checksum
    assert record["metrics"]["psnr"] > 0


def test_the_command_line_complains_in_a_sentence(tmp_path):
    for arguments, sentence in (
        (["data=folder", "protocol=original-gt"], "no default"),
        ([*write_dataset(tmp_path / "data"), "protocol=original-gt"], "computes no targets ahead"),
        (["protocol/flow=dys"], "dis"),
        (["protocol.flow.preset=best"], "ultrafast, fast, medium"),
    ):
        done = ispbench_here("data", "align", *arguments, cwd=tmp_path)
        assert done.returncode != 0
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


def test_the_procedure_has_a_version():
    assert targets.VERSION == 1


def test_rules_and_records_have_one_version():
    from ispbench.results.records import RULES

    assert f"Version {RULES}" in (REPOSITORY / "docs" / "rules.md").read_text()


def test_warping_back_and_forth_is_nearly_the_identity():
    _, photo = first_pair(ShiftedData(count=1))
    flow = torch.full((2, 96, 96), 2.0)
    there, _ = warp(photo, flow)
    back, _ = warp(there, -flow)
    torch.testing.assert_close(back[:, 4:-4, 4:-4], photo[:, 4:-4, 4:-4], rtol=0, atol=1e-3)


def test_an_evaluation_makes_the_targets_that_the_cache_lacks(tmp_path):
    result = evaluate(
        bilinear, ShiftedData(count=1), protocol(tmp_path), metrics=["psnr"], device="cpu", progress=False
    )
    assert result.summary["psnr"] > 0
    assert list(tmp_path.rglob("index.json"))
