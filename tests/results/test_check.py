import json

import pandas as pd
import pytest

from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from ispbench.files import hash_file
from ispbench.results.check import check_record, find_record
from ispbench.results.keys import key_of
from ispbench.results.records import RULES, EvaluationRecord, TrainingRecord
from ispbench.results.rows import minor
from ispbench.results.schema import schema_of
from tests.conftest import REPOSITORY
from tests.results.grid import add_row


@pytest.fixture
def results(tmp_path):
    add_row(tmp_path, "metaisp", 28.0, params=1000)
    add_row(tmp_path, "classical", 20.0, seeds=(None,))
    return tmp_path


def path_of(results, model="metaisp"):
    return next((results / "evaluations").glob(f"{model}-*.json"))


def doctored(path, change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    return path


def told(path, level="wrong", **options):
    return [finding.text for finding in check_record(path, **options) if finding.level == level]


def test_a_true_record_passes_and_what_is_open_is_told(results):
    for model in ("metaisp", "classical"):
        assert told(path_of(results, model)) == []
    commit, training, weights = told(path_of(results), "open")
    assert commit.startswith("commit: 0123456789ab is not in this checkout")
    assert training.startswith("training: commit")
    assert weights.startswith("weights: not at hand")


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda record: record["metrics"].update(psnr=30.0), "metrics.psnr: the record says 30, the scores of single"),
        (lambda record: record["by"]["photo"]["photo1"].update(ssim=0.9), "by.photo.photo1.ssim: the record says 0.9"),
        (lambda record: record["by"]["photo"].pop("photo1"), "by.photo: the record and the table"),
        (lambda record: record["metrics"].update(lpips=0.1), "metrics: lpips is none of the metrics"),
        (lambda record: record["metrics"].pop("ssim"), "metrics.ssim: the record has no mean"),
        (lambda record: record["data"].update(fingerprint="f" * 16), "data: the fingerprint is ffffffffffffffff, but"),
        (lambda record: record["data"].update(n_images=25), "images: the record says 25, the table holds 24"),
        (lambda record: record.update(lucky=True), "schema: unknown field lucky"),
        (lambda record: record["complexity"].update(beauty=1), "schema: unknown field complexity.beauty"),
        (lambda record: record.pop("rules"), "schema: the record: 'rules' is a required property"),
        (lambda record: record.update(seed="zero"), "schema: seed: 'zero' is not of type 'integer', 'null'"),
        (lambda record: record.update(rules="9.9"), "rules: measured by 9.9, and this version is"),
        (lambda record: record["git"].update(dirty=True), "commit: the checkout had uncommitted changes"),
        (lambda record: record.update(git={}), "commit: there is none"),
        (lambda record: record.update(weights="f" * 16), "weights: ffffffffffffffff is not the hash of last"),
        (lambda record: record.update(training_key="f" * 16), "training: there is no record"),
        (lambda record: record["config"].update(limit=7), "key: config gives"),
        (lambda record: record.update(status="failed"), "status: it is failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(change, reason, results):
    assert any(text.startswith(reason) for text in told(doctored(path_of(results), change)))


def test_scores_of_other_pairs_under_the_same_name_are_wrong(results):
    def other_pairs(record):
        record["data"]["fingerprint"] = record["config"]["data"]["pairs"] = "f" * 16
        record["key"] = key_of(record["config"])

    (text, *_) = [text for text in told(doctored(path_of(results), other_pairs)) if text.startswith("data")]
    assert "other pairs under the same name" in text


def test_the_table_of_scores_counts(results):
    table = path_of(results).with_suffix(".scores.csv")
    scores = pd.read_csv(table)
    scores.iloc[[0, *range(len(scores) - 1)]].to_csv(table, index=False)
    assert any("the table holds 23 in 24 lines" in text for text in told(path_of(results)))
    table.unlink()
    assert told(path_of(results)) == [f"scores: {table.name} is missing"]


def test_the_hash_of_the_weights(results, tmp_path):
    file = tmp_path / "weights" / "last.ckpt"
    file.parent.mkdir()
    file.write_bytes(b"weights")
    assert any(text.startswith("weights: the hash of") for text in told(path_of(results), weights=file))

    def scored(record):
        record["weights"] = hash_file(file)

    path = doctored(path_of(results), scored)
    training = results / "trainings" / f"{json.loads(path.read_text())['training_key']}"
    training = next(training.parent.glob(f"*-{training.name}.json"))
    doctored(training, lambda record: record["training"]["checkpoints"].update(last=hash_file(file)))
    assert told(path, weights=file) == told(path, weights=file.parent) == []


def test_the_verb_fails_with_the_reasons(results, capsys):
    bad = doctored(path_of(results), lambda record: record["metrics"].update(psnr=30.0))
    with pytest.raises(UserError, match="1 of 2 records cannot be accepted"):
        dispatch(["check", str(bad), "classical-photos", f"results={results}"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["wrong", bad.stem]
    assert "metrics.psnr: the record says 30" in lines[1]
    assert any(line.split()[:1] == ["ok"] for line in lines)


def test_a_record_is_found_by_a_part_of_its_id(results):
    assert find_record(results, "classical-photos") == path_of(results, "classical")
    assert find_record(results, "there/x-1.scores.csv") == find_record(results, "there/x-1.json")
    with pytest.raises(UserError, match="6 records in"):
        find_record(results, "metaisp")
    with pytest.raises(UserError, match="no record in"):
        find_record(results, "unet")


def test_the_schemas_name_the_fields_of_records():
    records = {
        "training": TrainingRecord(key="0", model="m", dataset="d"),
        "evaluation": EvaluationRecord(key="0", model="m", dataset="d", protocol="p"),
    }
    for kind, record in records.items():
        schema = schema_of(kind)
        assert set(schema["properties"]) == set(json.loads(record.content()))
        assert schema["$id"].startswith(f"urn:ispbench:{kind}:")


def test_the_committed_records_pass():
    for path in sorted((REPOSITORY / "results" / "evaluations").glob("*.json")):
        if minor(json.loads(path.read_text())["rules"]) == minor(RULES):
            assert told(path) == [], path.stem
