"""The files that a page of the documentation tells its readers to write."""

import re

_BLOCK = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path):
    """The code blocks of a Markdown file that name a file behind their language: file name to text."""
    return dict(_BLOCK.findall(path.read_text()))
