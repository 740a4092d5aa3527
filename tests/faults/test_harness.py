"""The judge of the attempts itself: what it lets pass and what not."""

import os
import signal

import pytest

from ispbench.errors import UserError
from tests.faults.harness import Ended, Program, is_sentence, some, table


def test_a_program_of_its_own_answers_and_can_be_killed(attempt, tmp_path):
    attempt.program("a wrong choice", "model=metaips", cwd=tmp_path, status=2, says="Did you mean 'metaisp'?")
    ended = Program("models", cwd=tmp_path, arrange=kill_itself).wait()
    assert ended.status == -signal.SIGKILL


def kill_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_traceback_another_status_and_another_sentence_fail(attempt):
    for ended in (Ended(1, "", "Traceback (most recent call last):\nispbench: x."), Ended(2, "", "ispbench: x.")):
        with pytest.raises(AssertionError):
            attempt.judge("x", ended, 1)
    with pytest.raises(AssertionError):
        attempt.judge("x", Ended(1, "", "ispbench: y."), 1, "x")
    with pytest.raises(AssertionError, match="not refused"):
        attempt.refused("x", lambda: None)
    with pytest.raises(ZeroDivisionError):
        attempt.survived("x", lambda: 1 / 0)
    assert not attempt.notes


def test_what_is_lost_or_changed_fails(attempt, tmp_path):
    (tmp_path / "file").write_text("a")
    with attempt.keeps("nothing", tmp_path):
        (tmp_path / "more").touch()
    with pytest.raises(AssertionError, match="is changed"), attempt.keeps("a change", tmp_path):
        (tmp_path / "file").write_text("b")
    with pytest.raises(AssertionError, match="is lost"), attempt.keeps("a loss", tmp_path):
        (tmp_path / "file").unlink()


@pytest.mark.parametrize("text", ["", "two\nlines.", "without an end", "x" * 2000 + "."])
def test_what_is_no_sentence(text):
    with pytest.raises(AssertionError):
        is_sentence(text)


def test_the_table_counts(attempt):
    def refuse():
        raise UserError("It is wrong.")

    attempt.refused("a mistake", refuse)
    attempt.survived("a mistake", refuse)
    attempt.note("a signal", "same score", 3)
    notes = [(attempt.area, what, outcome, number) for (what, outcome), number in attempt.notes.items()]
    lines = [line.split() for line in table(notes)]
    assert ["harness", "3", "a", "signal:", "3", "same", "score"] in lines
    assert lines[-1] == ["all", "5"]
    attempt.notes.clear()


def test_some_are_spread(monkeypatch):
    monkeypatch.setattr("tests.faults.harness.FULL", False)
    assert some(range(10), 3) == [0, 4, 9]
    assert some(range(2), 3) == [0, 1]
    monkeypatch.setattr("tests.faults.harness.FULL", True)
    assert some(range(10), 3) == list(range(10))
