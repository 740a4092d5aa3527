"""``results/README.md`` explains the columns of the tables and the fields of the files, and nothing else."""

import json
import re

import pytest
from tools import folds
from tools.league_tables import PAGES, with_tables
from tools.metric_tables import column_table

from ispbench.metrics.table import TABLE
from ispbench.results import published
from ispbench.results.evaluation_table import columns
from ispbench.results.leaderboard import AFTER, BEFORE
from ispbench.results.records import EvaluationRecord, TrainingRecord
from tests.conftest import REPOSITORY

README = (REPOSITORY / "results" / "README.md").read_text()


def section_of(title):
    return README.partition(f"## {title}")[2].partition("\n## ")[0]


def explained(section):
    """The names in the first cells of a section's tables."""
    cells = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_column_of_the_leaderboard_is_explained_in_its_own_words():
    lines = re.findall(r"^\| `(\w+)` \| (.*) \|$", section_of("Columns of leaderboard.csv"), re.MULTILINE)
    assert lines == list((BEFORE | AFTER).items())


def test_every_column_of_the_evaluations_is_explained_and_no_other():
    section = section_of("Columns of evaluations.csv")
    assert column_table() in section
    assert sorted(explained(section)) == sorted(columns())
    assert set(TABLE) < set(explained(section))


@pytest.mark.parametrize(
    "record, title",
    [
        (TrainingRecord(key="0", model="m", dataset="d"), "trainings"),
        (EvaluationRecord(key="0", model="m", dataset="d", protocol="p"), "evaluations"),
    ],
    ids=["training", "evaluation"],
)
def test_every_field_of_a_record_is_explained_and_no_other(record, title):
    section = section_of("Fields of a record")
    both, trainings, evaluations = re.split(r"^\| field \| (?:trainings|evaluations) \|$", section, flags=re.MULTILINE)
    own = trainings if title == "trainings" else evaluations
    assert sorted([*explained(both), *explained(own)]) == sorted(json.loads(record.content()))


def test_every_field_of_published_numbers_is_explained_and_no_other():
    assert set(explained(section_of("Files of published numbers"))) == published.FIELDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_show_the_league_of_the_records(page):
    text = page.read_text()
    assert "<!-- league" in text
    assert with_tables(text) == text, "run: python -m tools.league_tables"


def test_the_page_shows_the_folds_of_the_records():
    table = folds.table_of(folds.pooled(REPOSITORY / "results" / "rhid-sample", "rhid-sample-v1"))
    assert table in (REPOSITORY / "docs" / "results.md").read_text(), (
        "put in: python -m tools.folds rhid-sample-v1 results/rhid-sample"
    )
