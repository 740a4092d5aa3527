"""What ends the program: a sentence and a status, also where the disk or the terminal fails."""

import errno
import os
import subprocess
import sys
import types

import pytest
from hydra.errors import InstantiationException

from ispbench.cli.failures import guarded
from ispbench.errors import UserError
from ispbench.training.signals import Terminated
from tests.conftest import TINY_RUN, ispbench

STOPPED = "It goes on."


def ended(error, capsys):
    """Exit status and sentence for what an action raises."""

    def action():
        raise error

    status = guarded(action, STOPPED)
    return status, capsys.readouterr().err


def wrapped(cause):
    error = InstantiationException("Error in call to target")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error, status, sentence",
    [
        (UserError("Say which."), 1, "Say which."),
        (wrapped(UserError("Say which.")), 1, "Say which."),
        (KeyboardInterrupt(), 130, "Interrupted. It goes on."),
        (Terminated(), 143, "Ended by SIGTERM. It goes on."),
        (
            OSError(errno.ENOSPC, "No space left on device", "a/b"),
            1,
            "a/b cannot be written (No space left on device); ",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "The output cannot be written"),
        (
            OSError(errno.EROFS, "Read-only file system", "x"),
            1,
            "x cannot be written (Read-only file system); set paths",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            1,
            "x cannot be written (Permission denied); set paths",
        ),
        (
            RuntimeError('Could not detect "srun", are you indeed on a slurm cluster?'),
            1,
            "launcher=submitit_slurm found",
        ),
    ],
)
def test_a_sentence_and_a_status(error, status, sentence, capsys):
    given, told = ended(error, capsys)
    assert given == status
    assert told.startswith(f"ispbench: {sentence}")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "error", [ValueError("no"), wrapped(ValueError("no")), FileNotFoundError(2, "No such file", "x")]
)
def test_a_bug_keeps_its_traceback(error, capsys):
    with pytest.raises(type(error)):
        ended(error, capsys)


@pytest.mark.parametrize(
    "module, name",
    [
        ("joblib.externals.loky.process_executor", "TerminatedWorkerError"),
        ("submitit.core.utils", "UncompletedJobError"),
        ("ray.exceptions", "WorkerCrashedError"),
    ],
)
def test_a_dead_worker_is_told_by_its_class(module, name, capsys, monkeypatch):
    if module.startswith("ray"):  # its wheel does not fit the pinned packages
        stand_in = types.ModuleType(module)
        stand_in.WorkerCrashedError = type(name, (Exception,), {})
        monkeypatch.setitem(sys.modules, module, stand_in)
    kind = getattr(pytest.importorskip(module), name)
    status, told = ended(kind("gone"), capsys)
    assert status == 1
    assert "A worker process of the grid died" in told
    namesake = type(name, (Exception,), {})
    with pytest.raises(namesake):
        ended(namesake("of another package"), capsys)


def test_a_mistake_is_not_announced_by_hydra(tmp_path):
    done = ispbench(*TINY_RUN, "model.placement=all", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("ispbench: ")
    assert "Error executing job" not in done.stderr


def piped(command, folder, **environment):
    environment = {**os.environ, "PYTHON": sys.executable, **environment}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)


def test_a_full_output_is_a_sentence(tmp_path):
    done = piped('"$PYTHON" -m ispbench --help > /dev/full', tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "ispbench: The output cannot be written (No space left on device); free some space or use another disk.\n"
    )


def test_a_closed_pipe_is_no_error(tmp_path):
    done = piped('"$PYTHON" -m ispbench sweep | head -1', tmp_path, PYTHONUNBUFFERED="1")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert not done.stderr


def test_no_output_at_all_is_no_error(tmp_path):
    done = piped('"$PYTHON" -m ispbench sweep >&- 2>&-', tmp_path)
    assert done.returncode == 0


def test_an_ascii_terminal_shows_what_it_can(tmp_path):
    (tmp_path / "results" / "runs").mkdir(parents=True)
    (tmp_path / "é").mkdir()
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = piped('"$PYTHON" -m ispbench models lan --size 64 && "$PYTHON" -m ispbench render é', tmp_path, **ascii_only)
    assert "lan" in done.stdout
    assert "Traceback" not in done.stderr
    assert "holds no" in done.stderr


def test_outputs_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "outputs").write_text("a file in the place of the folder")
    done = ispbench("model=classical", *TINY_RUN, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("ispbench: ")
    assert "outputs" in done.stderr
    assert "set paths.outputs" in done.stderr
    assert "Traceback" not in done.stderr
