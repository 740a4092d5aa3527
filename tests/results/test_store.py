import json

import pytest

from ispbench.errors import UserError
from ispbench.results import store
from ispbench.results.records import EvaluationRecord, TrainingRecord


def training(key="t" * 16, **fields):
    return TrainingRecord(key=key, model="metaisp", dataset="mini", seed=0, status="finished", **fields)


def evaluation(key="e" * 16, **fields):
    defaults = {"training_key": "t" * 16, "status": "finished", "metrics": {"psnr": 20.0}}
    return EvaluationRecord(
        key=key, model="metaisp", dataset="mini", protocol="mini-v1/original-gt", seed=0, **defaults | fields
    )


def test_a_record_comes_back_under_a_name_that_says_what_it_is(tmp_path):
    path = store.save(tmp_path, evaluation(), "image,psnr\n")
    assert path.relative_to(tmp_path).as_posix() == f"evaluations/metaisp-mini-s0-original-gt-test-{'e' * 16}.json"
    assert path.with_suffix(".scores.csv").read_text() == "image,psnr\n"
    found = store.find(tmp_path, "evaluation", "e" * 16)
    assert found == store.as_dict(evaluation()) | {"date": found["date"]}
    assert found["versions"]["torch"]
    assert found["kind"] == "evaluation"
    assert store.find(tmp_path, "evaluation", "f" * 16) is None
    assert store.find(tmp_path, "training", "e" * 16) is None


def test_a_key_has_one_record(tmp_path):
    store.save(tmp_path, training())
    store.save(tmp_path, training(training={"steps": 3}))
    (path,) = (tmp_path / "trainings").glob("*.json")
    assert json.loads(path.read_text())["training"] == {"steps": 3}


def test_nan_becomes_null(tmp_path):
    path = store.save(tmp_path, evaluation(metrics={"psnr": float("nan"), "ssim": float("inf")}))
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert content["metrics"] == {"psnr": None, "ssim": None}


def test_evaluations_are_joined_with_their_training(tmp_path):
    store.save(tmp_path, training(config={"model": {"width": 8}}, training={"steps": 3, "val_psnr": 19.0}))
    store.save(tmp_path, evaluation(config={"split": "test"}))
    store.save(tmp_path, evaluation("d" * 16, metrics={"psnr": 21.0}))
    store.save(tmp_path, training("u" * 16, error="stopped"))
    store.save(tmp_path, evaluation("a" * 16, training_key=None, origin="images"))
    rows = store.load(tmp_path)
    assert len(rows) == 4
    joined = next(row for row in rows if row.get("key") == "e" * 16)
    assert joined["config"] == {"model": {"width": 8}, "evaluation": {"split": "test"}}
    assert joined["training"]["steps"] == 3
    assert joined["metrics"] == {"psnr": 20.0}
    alone = next(row for row in rows if row["key"] == "u" * 16)
    assert alone["error"] == "stopped"
    assert alone["metrics"] == {}
    images = next(row for row in rows if row["key"] == "a" * 16)
    assert "steps" not in images["training"]


def test_records_of_schema_1_are_read(tmp_path):
    old = {"schema": 1, "id": "old", "date": "2026", "status": "finished", "metrics": {"psnr": 1.0}}
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "old.json").write_text(json.dumps(old))
    assert store.load(tmp_path) == [old]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 3}'])
def test_a_file_that_is_no_record_is_named(text, tmp_path):
    (tmp_path / "evaluations").mkdir()
    (tmp_path / "evaluations" / "x.json").write_text(text)
    with pytest.raises(UserError, match=r"x\.json is not a"):
        store.load(tmp_path)
