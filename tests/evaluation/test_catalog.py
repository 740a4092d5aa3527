"""What the catalog says of each model is what counting it says."""

import pytest

from ispbench.config import choices
from ispbench.evaluation import catalog
from ispbench.evaluation.catalog import count, entries
from ispbench.evaluation.sizes import SIZES


@pytest.mark.parametrize("name", choices("model"))
def test_the_catalog_is_up_to_date(name, monkeypatch):
    monkeypatch.setattr(catalog, "count", lambda name, sizes: pytest.fail(f"{name} is to be counted anew"))
    [entry] = entries([name])
    assert entry == count(name), "run python -m ispbench.evaluation.catalog"


def test_years_are_those_of_the_first_publications():
    years = {entry.name: entry.year for entry in entries(choices("model"))}
    assert years["mwispnet"] == 2020  # AIM 2020, arXiv 2011.04994
    assert years["rmfa_tiny"] == 2024
    assert years["classical"] is None


def test_other_sizes_and_other_options_are_counted(monkeypatch):
    [known] = entries(["microisp"])
    [other] = entries(["microisp"], (448, 896))
    assert other.gmacs == {"448x896": pytest.approx(2 * known.gmacs["448x448"], rel=1e-3)}
    assert set(known.gmacs) == {f"{height}x{width}" for height, width in SIZES.values()}
    counted = []
    monkeypatch.setattr(catalog, "_options", lambda name: {"stages": 3})
    monkeypatch.setattr(catalog, "count", lambda name, sizes: counted.append(name))
    entries(["microisp"])
    assert counted == ["microisp"]
