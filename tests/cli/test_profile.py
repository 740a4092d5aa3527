"""``ispbench profile`` as a user runs it."""

import json

import pytest

from tests.conftest import ispbench


def test_several_models_side_by_side(tmp_path):
    done = ispbench(
        "profile",
        "model=glob(c*s*a*)",
        "size=64x32",
        "repetitions=3",
        "warmup=1",
        "threads=1",
        "--output",
        "found.json",
        "--trace",
        "traces",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "found.json").read_text())
    assert [row["model"] for row in content["models"]] == ["classical", "csanet"]
    for row in content["models"]:
        assert row["model"] in done.stdout
        assert row["median_ms"] > 0
        assert row["threads"] == 1
        assert row["input"] == "4x32x16"
        assert row["gflops"] == 2 * row["gmacs"]
        assert (tmp_path / "traces" / f"{row['model']}.json").is_file()
    assert content["settings"]["size"] == "64x32"


def test_networks_are_timed_in_the_form_that_is_used(tmp_path):
    params = []
    for deploy in ("true", "false"):
        arguments = ("model=mobileie", "size=32", "repetitions=3", f"deploy={deploy}", "output=found.json")
        done = ispbench("profile", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        params.append(json.loads((tmp_path / "found.json").read_text())["models"][0]["params"])
    assert params == [4_132, 51_259]


def test_the_challenge_score_of_a_recorded_psnr(tmp_path):
    runs = tmp_path / "results" / "runs"
    runs.mkdir(parents=True)
    record = {"schema": 1, "id": "a", "date": "2026-01-01", "status": "finished", "model": "classical"}
    record |= {"protocol": "mini-v1/original-gt", "metrics": {"psnr": 20.0}}
    (runs / "a.json").write_text(json.dumps(record))
    arguments = ("profile", "model=classical", "size=32", "repetitions=3", "--output", "found.json")
    done = ispbench(*arguments, "protocol=mini-v1/original-gt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "MAI score" in done.stdout
    [row] = json.loads((tmp_path / "found.json").read_text())["models"]
    assert row["mai_score"] == pytest.approx(2**40 / row["median_ms"])
    done = ispbench(*arguments, "protocol=zrr-v1/original-gt", cwd=tmp_path)
    assert done.returncode == 1
    assert "no scores under 'zrr-v1/original-gt'; it has mini-v1/original-gt" in done.stderr


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ((), "Say which model"),
        (("model=metaips",), "There is no model 'metaips'. Did you mean 'metaisp'?"),
        (("model=unet", "size=63"), "even sides"),
        (("model=unet", "device=warp"), "device=warp cannot be used"),
        (("model=unet", "compile=perhaps"), "compile is true or false"),
        (("model=unet", "model.depht=1", "size=32"), "Unknown key 'depht'"),
        (("unet",), "Unknown argument 'unet' of ispbench profile"),
    ],
)
def test_a_mistake_gives_one_sentence(tmp_path, arguments, sentence):
    done = ispbench("profile", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
