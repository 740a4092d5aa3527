import subprocess
from types import SimpleNamespace

import pytest

from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from ispbench.training import loggers


@pytest.fixture
def offline_runs(tmp_path):
    """Three runs, the first of them uploaded."""
    runs = [tmp_path / "outputs" / "day" / f"cell-{n}" / "wandb" / f"offline-run-{n}" for n in "012"]
    for run in runs:
        run.mkdir(parents=True)
        (run / "run-x.wandb").touch()
    (runs[0] / "run-x.wandb.synced").touch()
    return runs


def test_sync_uploads_what_waits_and_goes_on_after_a_failure(offline_runs, tmp_path, monkeypatch, capsys):
    commands = []

    def upload(command, **_):
        commands.append(command)
        if command[-1] == str(offline_runs[2]):
            (offline_runs[2] / "run-x.wandb.synced").touch()
        return SimpleNamespace(returncode=0, stdout="no such project\n", stderr="")

    monkeypatch.setattr(loggers, "logged_in", lambda: True)
    monkeypatch.setattr(subprocess, "run", upload)
    arguments = ["--outputs", str(tmp_path / "outputs"), "--project", "isp", "--entity", "us"]
    with pytest.raises(UserError, match=r"1 of 2 runs could not be uploaded"):
        dispatch(["sync", *arguments])
    assert [command[-1] for command in commands] == [str(run) for run in offline_runs[1:]]
    assert commands[0][-3:-1] == ["--project=isp", "--entity=us"]
    assert "no such project" in capsys.readouterr().err

    dispatch(["sync", *arguments, "--dry-run"])
    output = capsys.readouterr().out
    assert str(offline_runs[1]) in output
    assert str(offline_runs[2]) not in output
    assert "1 to upload, 2 were uploaded before" in output


def test_sync_says_what_is_missing(offline_runs, tmp_path, monkeypatch):
    monkeypatch.setattr(loggers, "logged_in", lambda: False)
    with pytest.raises(UserError, match="run `wandb login` once"):
        dispatch(["sync", "--outputs", str(tmp_path / "outputs")])
    with pytest.raises(UserError, match="holds no offline W&B runs"):
        dispatch(["sync", "--outputs", str(tmp_path / "nowhere")])
