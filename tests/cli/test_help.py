"""What the command line says of itself, without anything heavy."""

import subprocess
import sys
import time

import pytest

from ispbench.cli.discovery import find_verbs
from ispbench.cli.main import dispatch
from ispbench.errors import UserError
from tests.conftest import ispbench

VERBS = find_verbs()
COMMANDS = [command for verb in VERBS.values() if verb.is_folder for command in find_verbs(verb).values()]
ALL = [*VERBS.values(), *COMMANDS]
HEAVY = ("torch", "numpy", "cv2", "pandas", "hydra", "omegaconf", "wandb", "optuna", "pytorch_lightning", "rich")


def test_the_verbs_are_found():
    names = "ablation-report data leaderboard models parity profile render runs sweep sync"
    assert set(names.split()) <= set(VERBS)
    assert {command.name for command in COMMANDS} >= {
        "data check",
        "data stats",
        "data show",
        "data pack",
        "data align",
    }


def test_every_verb_says_what_it_does():
    for verb in ALL:
        assert 10 < len(verb.summary) <= 110, verb.name
        assert verb.summary[0].islower()


@pytest.mark.parametrize("verb", ALL, ids=lambda verb: verb.name)
def test_the_help_of_a_verb_is_light(verb, tmp_path):
    program = (
        f"import sys; sys.argv = ['ispbench', *{verb.name.split()!r}, '--help']\n"
        "from ispbench.cli.main import main\n"
        "try: main()\n"
        "finally: sys.stderr.write(' '.join(sys.modules))"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: ispbench {verb.name}")
    assert verb.documentation.splitlines()[0] in done.stdout
    assert not set(HEAVY) & set(done.stderr.split())
    assert seconds < 5, "a fraction of a second, with room for a busy machine"
    assert not list(tmp_path.iterdir())


def test_help_names_every_setting_with_its_default(capsys):
    dispatch(["render", "-h"])
    printed = capsys.readouterr().out
    assert printed.startswith("Usage: ispbench render FILE... [SETTING=VALUE ...] [KEY=VALUE ...]\n")
    lines = [line.strip() for line in printed.splitlines()]
    assert "memory=X              GiB that a photo may take beyond the model on a CPU (default: 2.0)" in lines
    assert "overwrite=true|false  replace results that exist (default: false)" in lines
    assert any(line.startswith("KEY=VALUE") and "weights=PATH" in line for line in lines)


def test_a_verb_with_commands_lists_them(capsys):
    dispatch(["data"])
    alone = capsys.readouterr().out
    dispatch(["data", "--help"])
    assert capsys.readouterr().out == alone
    assert alone.startswith("Usage: ispbench data COMMAND")
    assert "  stats  print sizes" in alone
    dispatch(["runs", "--help"])
    shown = capsys.readouterr().out
    assert "  show  show one run" in shown
    assert "status=STATE" in shown


def test_nothing_typed_prints_the_help(tmp_path):
    done = ispbench(cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == ispbench("--help", cwd=tmp_path).stdout
    assert all(f"  {name} " in done.stdout for name in VERBS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words, message",
    [
        (["leaderbord"], "Unknown verb 'leaderbord'. Did you mean 'leaderboard'? Verbs: ablation-report, "),
        (["ablation_report"], "Did you mean 'ablation-report'?"),
        (["data", "pak"], "Unknown command 'pak' of ispbench data. Did you mean 'pack'?"),
        (["data", "limit=3"], "Unknown command 'limit=3' of ispbench data."),
        (["runs", "shwo"], "Unknown argument 'shwo' of ispbench runs."),
        (["leaderboard", "--result", "here"], "Did you mean '--results'?"),
        (["sync", "--dry-runs"], "Did you mean '--dry-run'?"),
        (["data", "align", "protocl=x"], "Did you mean 'protocol'?"),
    ],
)
def test_typos_are_answered(words, message):
    with pytest.raises(UserError) as error:
        dispatch(words)
    assert message in str(error.value)
