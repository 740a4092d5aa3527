"""The table, the choice from it, and the documentation made from it."""

import pytest
import torch
from tools.metric_tables import TABLES, with_table

from ispbench.errors import UserError
from ispbench.metrics.table import TABLE, Metric, choose

MODULE = """
from ispbench.metrics.table import Metric

def contrast(images, level=1.0):
    return level * images.std((1, 2, 3))

CONTRAST = Metric("contrast", contrast, True, "Contrast", "standard deviation", reference=False, mask=False)
NEEDS_A_REFERENCE = Metric("contrast", contrast, True, "Contrast", "standard deviation", mask=True)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "contrasts.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_directions():
    lower = {name for name, metric in TABLE.items() if not metric.higher_is_better}
    assert lower == {"lpips", "lpips_vgg", "ciede2000", "dists"}
    assert TABLE["psnr"].heading == "PSNR ↑"


def test_names_are_chosen_in_their_order():
    assert list(choose(["ssim", "psnr"])) == ["ssim", "psnr"]
    assert list(choose("psnr")) == ["psnr"]
    with pytest.raises(UserError, match="There is no metric 'pnsr'; choose from psnr, ssim"):
        choose(["psnr", "pnsr"])


def test_a_metric_from_outside(module):
    extra = {"plain": {"_target_": "contrasts.CONTRAST"}, "double": {"_target_": "contrasts.CONTRAST", "level": 2}}
    chosen = choose(["double", "psnr"], extra)
    assert list(chosen) == ["double", "psnr", "plain"]
    images = torch.rand(2, 3, 8, 8)
    plain, double = (chosen[name].score(chosen[name].load(), images, images) for name in ("plain", "double"))
    torch.testing.assert_close(double, 2 * plain)
    assert chosen["double"].name == "double"
    assert chosen["double"].options == {"level": 2}
    assert list(choose(["psnr"], {**extra, "plain": None})) == ["psnr", "double"]


@pytest.mark.parametrize(
    "extra, sentence",
    [
        ({"_target_": "contrasts.MISSING"}, r"extra\.mine\._target_=contrasts\.MISSING cannot be imported"),
        ({"_target_": "broken.METRIC"}, "cannot be imported: .*no_such_package"),
        ({"_target_": "contrasts.contrast"}, r"is not an ispbench\.metrics\.table\.Metric but function"),
        ({"level": 2}, r"extra\.mine needs _target_"),
        (7, r"extra\.mine is not an ispbench\.metrics\.table\.Metric but int"),
        ({"_target_": "contrasts.CONTRAST", "levle": 2}, r"cannot be called with \(images, levle=2\): .*levle"),
        ({"_target_": "contrasts.NEEDS_A_REFERENCE"}, r"cannot be called with \(images, references, mask\): too many"),
    ],
)
def test_a_mistake_in_a_metric_from_outside_is_one_sentence(module, extra, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        choose([], {"mine": extra})
    assert "\n" not in str(error.value).strip()


def test_a_metric_of_the_table_takes_only_a_file_of_weights(module, tmp_path):
    chosen = choose(["lpips"], {"lpips": {"weights": str(tmp_path / "none.pth")}, "lpips_vgg": {"weights": "unused"}})
    assert list(chosen) == ["lpips"]
    with pytest.raises(UserError, match=r"none\.pth"):
        chosen["lpips"].load()
    for name, value in (
        ("lpips", {"network": "vgg"}),
        ("ssim", {"covariance": "sample"}),
        ("psnr", {"_target_": "contrasts.CONTRAST"}),
        ("psnr", Metric("psnr", torch.mean, True, "PSNR", "not it")),
    ):
        with pytest.raises(UserError, match=f"metrics.extra.{name} may only set weights"):
            choose([], {name: value})


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_the_documentation_has_the_table(path):
    page = path.read_text()
    assert page == with_table(page, TABLES[path]()), "run python -m tools.metric_tables"
