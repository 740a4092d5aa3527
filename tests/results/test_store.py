import json

import pytest

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
    old |= {"model": "metaisp", "protocol": "mini-v1/original-gt", "seed": 3}
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "old.json").write_text(json.dumps(old))
    (record,) = store.load(tmp_path)
    assert record.items() >= old.items()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 3}', "[" * 10**5, '{"a": NaN}', "\xff"])
def test_a_file_that_is_no_record_is_named_and_left_out(text, tmp_path, capsys):
    store.save(tmp_path, evaluation())
    (tmp_path / "evaluations" / "x.json").write_text(text, encoding="latin-1")
    (row,) = store.load(tmp_path)
    assert row["key"] == "e" * 16
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "x.json is not a" in told


@pytest.mark.parametrize(
    "change, says",
    [
        ({"protocol": None}, "its protocol is null"),
        ({"metrics": {"psnr": "high"}}, 'its psnr is "high"'),
        ({"metrics": [20.0]}, "its metrics is [20.0]"),
        ({"id": "other"}, 'its id is "other"'),
        ({"kind": "training"}, 'it is of kind "training"'),
        ({"seed": "0"}, 'its seed is "0"'),
    ],
)
def test_a_record_with_a_wrong_field_is_named_and_left_out(change, says, tmp_path, capsys):
    path = store.save(tmp_path, evaluation())
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert store.load(tmp_path) == []
    assert f"{path} is not a sound record ({says}" in capsys.readouterr().err


def test_what_a_record_lacks_is_empty_or_named(tmp_path):
    path = store.save(tmp_path, evaluation())
    whole = json.loads(path.read_text())
    for name in whole:
        path.write_text(json.dumps({key: value for key, value in whole.items() if key != name}))
        rows, faults = store.survey(tmp_path)
        assert len(rows) + len(faults) == 1
        assert all(f"it has no {name}" in fault or name == "schema" for fault in faults)


def test_two_records_of_one_key_are_named_and_the_newer_counts(tmp_path, capsys):
    path = store.save(tmp_path, evaluation(metrics={"psnr": 1.0}, date="2026-01-01"))
    record = json.loads(path.read_text()) | {"id": f"copy-{'e' * 16}", "metrics": {"psnr": 2.0}, "date": "2026-01-02"}
    (tmp_path / "evaluations" / f"copy-{'e' * 16}.json").write_text(json.dumps(record))
    (row,) = store.load(tmp_path)
    assert row["metrics"] == {"psnr": 2.0}
    assert f"are records of one key, {'e' * 16}; keep one of them" in capsys.readouterr().err
    assert store.find(tmp_path, "evaluation", "e" * 16)["metrics"] == {"psnr": 2.0}


def test_a_record_takes_the_place_of_one_of_its_key_under_another_name(tmp_path):
    store.save(tmp_path, evaluation(), "scores")
    path = store.save(tmp_path, EvaluationRecord(**vars(evaluation()) | {"model": "other"}), "scores")
    assert sorted((tmp_path / "evaluations").iterdir()) == [path, path.with_suffix(".scores.csv")]


def test_a_record_that_cannot_be_read_counts_as_none(tmp_path, capsys):
    path = store.save(tmp_path, training())
    path.write_text("{")
    assert store.find(tmp_path, "training", "t" * 16) is None
    assert "counts as none" in capsys.readouterr().err
