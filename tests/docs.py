"""The code blocks of a documentation page, so that a test can run what the page says."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.conftest import REPOSITORY


class Block(NamedTuple):
    """A fenced code block.

    Attributes:
        language: As the fence says.
        text: What is between the fences.
        file: The file that the fence names behind the language, or the paragraph before it in bold, as in
            ``**1. `model.py`**``; None without.
    """

    language: str
    text: str
    file: str | None


def code_blocks(page: str) -> list[Block]:
    """The blocks of a page of ``docs/``, in order."""
    text = (REPOSITORY / "docs" / page).read_text()
    parts = re.split(r"^```(\w*)([^\n]*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    blocks = []
    for prose, language, name, content in zip(parts[0::4], parts[1::4], parts[2::4], parts[3::4], strict=False):
        paragraph = prose.strip().rsplit("\n\n", 1)[-1]
        named = re.match(r"\*\*(?:\d+\. )?`([^`]+)`\*\*", paragraph)
        blocks.append(Block(language, content, name.strip() or (named[1] if named else None)))
    return blocks


def save_files(page: str, folder: Path) -> None:
    """Saves the blocks that name a file under a folder."""
    for block in code_blocks(page):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
