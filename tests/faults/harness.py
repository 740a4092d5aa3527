"""Attempts to break ispbench, how each is judged, and the note that is taken of it.

An attempt passes if it ends as it should: with the exit status it deserves, in one clear sentence instead of a
traceback, with everything that was there before, or with the score of a run that nobody disturbed.
"""

import contextlib
import hashlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ispbench.errors import UserError

FULL = os.environ.get("ISPBENCH_FAULTS") == "full"
NOTE = "attempts"  # the property of a test's report under which its notes travel
Case = TypeVar("Case")

# Processes are forked from one that has imported everything and computed nothing: each starts in a moment, and may be
# killed without harm to the tests.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["ispbench.cli.train", "ispbench.training.experiment", "hydra", "tests.faults.harness"])


def some(cases: Iterable[Case], few: int) -> list[Case]:
    """All cases in the full form of the tests; in the reduced one a few of them, spread evenly."""
    cases = list(cases)
    if FULL or len(cases) <= few:
        return cases
    return [cases[round(place * (len(cases) - 1) / max(few - 1, 1))] for place in range(few)]


def count(full: int, few: int) -> int:
    """How many attempts to generate."""
    return full if FULL else few


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        status: Its exit status; a negative one is the number of the signal that killed it.
        out: What it wrote to standard output.
        err: What it wrote to standard error.
    """

    status: int
    out: str
    err: str


class Program:
    """``python -m ispbench`` in a process of its own, but without the seconds that its imports take.

    Args:
        words: The command line.
        cwd: Where it runs.
        arrange: A function of a module, called in the process before the program, to disturb it from within.
        **environment: Changes of the environment; what a Python reads when it starts has no effect any more.
    """

    def __init__(
        self, *words: object, cwd: Path, arrange: Callable[[], None] | None = None, **environment: str
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ispbench-faults-"))
        settings = {**os.environ, **environment}
        self.process = _FORKS.Process(
            target=_program, args=([str(word) for word in words], str(cwd), settings, str(self._folder), arrange)
        )
        self.process.start()

    def send(self, number: int) -> None:
        """Sends a signal."""
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, number)

    def wait(self, timeout: float = 300) -> Ended:
        """Waits until the process has ended."""
        self.process.join(timeout)
        hangs = self.process.exitcode is None
        if hangs:
            self.process.kill()
            self.process.join()
        out, err = ((self._folder / name).read_text(errors="replace") for name in ("out", "err"))
        assert not hangs, f"hangs: {out}{err}"
        return Ended(int(self.process.exitcode or 0), out, err)


def _program(words: list[str], cwd: str, environment: dict[str, str], folder: str, arrange: Any) -> None:
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["ispbench", *words]
    if arrange is not None:
        arrange()
    from ispbench.cli.main import main

    main()


class Attempts:
    """Judges the attempts of a test and takes notes of them.

    Args:
        area: What is attacked, as the table names it.
    """

    def __init__(self, area: str) -> None:
        self.area = area
        self.notes: Counter[tuple[str, str]] = Counter()

    def note(self, what: str, outcome: str, number: int = 1) -> None:
        """Counts attempts that a test has judged itself."""
        self.notes[what, outcome] += number

    def program(
        self, what: str, *words: object, cwd: Path, status: int | Sequence[int] = 0, says: str = "", **more: Any
    ) -> Ended:
        """Runs the command line and judges how it ends, see `judge`."""
        ended = Program(*words, cwd=cwd, **more).wait()
        self.judge(what, ended, status, says)
        return ended

    def judge(
        self, what: str, ended: Ended, status: int | Sequence[int] = 0, says: str = "", outcome: str = ""
    ) -> None:
        """Judges the end of a process.

        Args:
            what: Was tried.
            ended: How it ended.
            status: The exit status that is right, or several.
            says: Part of the sentence with which it ends; without it an end without an error needs none.
            outcome: For the table; without it, whether it went well, was killed or gave a sentence.
        """
        told = ended.out + ended.err
        assert "Traceback" not in told, f"{what}: {told}"
        assert ended.status in ([status] if isinstance(status, int) else status), f"{what}: {ended}"
        if says or ended.status > 0:
            sentence = (ended.err.strip().splitlines() or [""])[-1]
            assert sentence.startswith("ispbench: "), f"{what}: {told}"
            assert says in sentence, f"{what}: {sentence}"
        usual = "a sentence" if ended.status > 0 else "killed" if ended.status < 0 else "went well"
        self.note(what, outcome or usual)

    def refused(self, what: str, action: Callable[[], object], says: str = "") -> str:
        """Does what has to be refused as the user's mistake, in one sentence, which is returned."""
        try:
            action()
        except UserError as error:
            sentence = is_sentence(str(error))
            assert says in sentence, f"{what}: {sentence}"
            self.note(what, "a sentence")
            return sentence
        raise AssertionError(f"{what}: was not refused")

    def survived(self, what: str, action: Callable[[], object]) -> object:
        """Does what may be refused in a sentence or do no harm, as with a file of which a random byte was changed."""
        try:
            result = action()
        except UserError as error:
            is_sentence(str(error))
            self.note(what, "a sentence")
            return None
        self.note(what, "went well")
        return result

    @contextlib.contextmanager
    def keeps(self, what: str, *places: Path) -> Iterator[None]:
        """What was in some folders or files before is there afterwards, unchanged."""
        before = {path: _hash(path) for path in _files(places)}
        yield
        for path, content in before.items():
            assert path.is_file(), f"{what}: {path} is lost"
            assert _hash(path) == content, f"{what}: {path} is changed"


def is_sentence(text: str) -> str:
    """Checks that a message is what a user can read: one line that ends as sentences do, without a traceback."""
    assert text.count("\n") == 0, text
    assert text.strip(), "an empty message"
    assert text.rstrip().endswith((".", "?")), text
    assert "Traceback" not in text, text
    assert "weights_only" not in text, f"torch's advice: {text}"
    assert len(text) < 2000, text
    return text


def table(notes: Iterable[tuple[str, str, str, int]]) -> list[str]:
    """What was tried by area, as lines: notes of area, attempt, outcome and their number."""
    tried: dict[tuple[str, str], Counter[str]] = {}
    for area, what, outcome, number in notes:
        tried.setdefault((area, what), Counter())[outcome] += number
    lines, sums = [], Counter[str]()
    for (area, what), outcomes in sorted(tried.items()):
        sums[area] += outcomes.total()
        ends = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
        lines.append(f"{area:14} {outcomes.total():6}  {what}: {ends}")
    lines += ["", *(f"{area:14} {number:6}" for area, number in sorted(sums.items())), f"{'all':14} {sums.total():6}"]
    return lines


def _files(places: Iterable[Path]) -> list[Path]:
    return [
        path
        for place in places
        for path in ([place] if place.is_file() else sorted(item for item in place.rglob("*") if item.is_file()))
    ]


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
