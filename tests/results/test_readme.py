"""``results/README.md`` explains the columns of the leaderboard and the fields of both records, and nothing else."""

import json
import re

import pytest
from tools.metric_tables import column_table

from ispbench.metrics.table import TABLE
from ispbench.results.leaderboard import columns
from ispbench.results.records import EvaluationRecord, TrainingRecord
from tests.conftest import REPOSITORY

README = (REPOSITORY / "results" / "README.md").read_text()


def explained(section):
    """The names in the first cells of a section's tables."""
    cells = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_column_is_explained_and_no_other():
    section = README.partition("## Columns")[2].partition("## Fields")[0]
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
    section = README.partition("## Fields")[2]
    both, trainings, evaluations = re.split(r"^\| field \| (?:trainings|evaluations) \|$", section, flags=re.MULTILINE)
    own = trainings if title == "trainings" else evaluations
    assert sorted([*explained(both), *explained(own)]) == sorted(json.loads(record.content()))
