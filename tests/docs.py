"""What a page of the documentation tells its reader to run, so that a test can run it."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "results/README.md")),
    *sorted(DOCS.glob("*.md")),
    *sorted(REPOSITORY.glob("baselines/*/README.md")),
]


class Block(NamedTuple):
    """A fenced code block.

    Attributes:
        language: As the fence says.
        text: What is between the fences.
        file: The file that the fence names by ``title="..."``; None without.
    """

    language: str
    text: str
    file: str | None


def code_blocks(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    fence = r'^```(\w*)(?: title="([^"\n]+)")?\n(.*?)^```$'
    found = re.findall(fence, page.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(language, text, file or None) for language, file, text in found]


def save_files(page: Path, folder: Path) -> None:
    """Saves the blocks that name a file under a folder."""
    for block in code_blocks(page):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)


def commands(page: Path) -> list[list[str]]:
    """The words after ``ispbench`` of each of its command lines on a page, in blocks and in sentences.

    What stands for something else, such as ``...`` or ``check|stats``, is left out.
    """
    lines = []
    for block in code_blocks(page):
        if block.language in ("", "sh"):
            lines += block.text.replace("\\\n", " ").splitlines()
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines += (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose))
    return [words for line in lines if (words := _words(line))]


def _words(line: str) -> list[str] | None:
    start = re.match(r"(?:.*\s-m )?ispbench ", line)
    if start is None or "..." in line or re.search(r"\w\|\w", line):
        return None
    return shlex.split(re.sub(r"(&|;.*)$", "", line[start.end() :].partition(" # ")[0].rstrip()), comments=True)
