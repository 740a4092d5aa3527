import copy
import subprocess

import pytest
from scipy.stats import t

from ispbench.errors import UserError
from ispbench.results import reproduction
from ispbench.results.commands import repeatable
from ispbench.results.reproduction import checkout, command_of, find_row, judge
from tests.results.grid import add_row


@pytest.fixture
def results(tmp_path):
    add_row(tmp_path, "metaisp", 28.0, scatter=0.2)
    add_row(tmp_path, "lan", 24.0, seeds=(0,))
    add_row(tmp_path, "classical", 20.0, seeds=(None,))
    return tmp_path


def outcome(results, part, moved, **changes):
    row, record, ranking = find_row(results, part, "psnr")
    again = copy.deepcopy(dict(record))
    again["metrics"]["psnr"] += moved
    again["config"] |= changes
    return judge(row, record, again, ranking, "psnr")


def test_within_the_scatter_of_the_seeds_is_reproduced(results):
    row, record, _ = find_row(results, "metaisp-photos-s1", "psnr")
    scores = [other["metrics"]["psnr"] for other in row.records]
    mean = sum(scores) / 3
    deviation = (sum((score - mean) ** 2 for score in scores) / 2) ** 0.5
    reach = t.ppf(0.975, 2) * deviation * (1 + 1 / 3) ** 0.5
    offset = mean - record["metrics"]["psnr"]
    inside, outside = (
        outcome(results, record["id"], offset + 0.99 * reach),
        outcome(results, record["id"], offset + 1.01 * reach),
    )
    assert inside.reproduced
    assert "within the scatter of 3 trainings" in inside.sentence("psnr")
    assert not outside.reproduced
    assert "outside of the scatter" in outside.sentence("psnr")


def test_a_single_seed_borrows_or_nothing_can_be_said(results, tmp_path):
    assert outcome(results, "lan-photos", 0.3).seeds == 3
    alone = tmp_path / "alone"
    add_row(alone, "lan", 24.0, seeds=(0,))
    assert outcome(alone, "lan-photos", 0.0).reproduced
    unknown = outcome(alone, "lan-photos", 0.3)
    assert not unknown.reproduced
    assert "evaluate more seeds" in unknown.sentence("psnr")


def test_what_learns_nothing_comes_out_the_same(results):
    assert outcome(results, "classical", 0.0005).reproduced
    assert not outcome(results, "classical", 0.01).reproduced


def test_something_else_is_no_reproduction(results):
    other = outcome(results, "metaisp-photos-s1", 0.0, optimizer={"lr": 0.1})
    assert not other.reproduced
    assert "optimizer.lr was - and is 0.1" in other.sentence("psnr")
    assert outcome(results, "metaisp-photos-s1", 0.0, seed=9).reproduced


def test_the_command(results):
    record = dict(find_row(results, "metaisp-photos-s1", "psnr")[1])
    with pytest.raises(UserError, match="made before commands were recorded; give its overrides"):
        command_of(record, [])
    record["command"] = ["model=metaisp", "seed=1"]
    assert command_of(record, ["data.root=x"]) == ["model=metaisp", "seed=1", "data.root=x"]
    with pytest.raises(UserError, match="scores weights from elsewhere"):
        command_of(record | {"training_key": None, "origin": "weights"}, [])


def test_a_command_holds_no_place():
    typed = [
        "model=metaisp",
        "data=zrr",
        "data.root=/data/ZRR",
        "paths.results=r",
        "logger=wandb",
        "logger.wandb.mode=x",
    ]
    typed += ["hydra.run.dir=x", "+hydra.job.name=x", "weights=a.pth", "protocol.flow.weights=~/flow.pth", "seed=1"]
    typed += ["loss/terms=all", "launcher=joblib", "data.root=pairs", "trainer.max_steps=2"]
    assert repeatable(typed) == ["model=metaisp", "data=zrr", "seed=1", "loss/terms=all", "trainer.max_steps=2"]


def test_the_commit_is_checked_out_and_removed_again(tmp_path, monkeypatch):
    source = tmp_path / "src" / "ispbench" / "results" / "reproduction.py"
    source.parent.mkdir(parents=True)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@t"]
    commits = []
    subprocess.run([*git, "init", "-q"], check=True)
    for text in ("first", "second"):
        source.write_text(text)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", text], check=True)
        commits.append(subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip())
    monkeypatch.setattr(reproduction, "__file__", str(source))
    monkeypatch.setattr(reproduction, "commit_is_here", lambda commit: commit in commits)
    with checkout(commits[1]) as folder:
        assert folder == tmp_path, "this very checkout"
    with checkout(commits[0]) as folder:
        assert (folder / source.relative_to(tmp_path)).read_text() == "first"
    assert not folder.exists()
    assert str(folder) not in subprocess.run([*git, "worktree", "list"], capture_output=True, text=True).stdout
    with pytest.raises(UserError, match="is not at hand; run this in a checkout"), checkout("f" * 40):
        pass
