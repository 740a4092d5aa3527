"""Checks the links between the pages of the built site, anchors included: python -m tools.links outputs/site."""

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """What a page links to, and the anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            elif name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")


@cache
def _read(path: Path) -> _Page:
    return _Page(path.read_text())


def broken(site: Path) -> list[str]:
    """The links that lead nowhere, each with its page; links to other sites are not followed.

    Args:
        site: The folder of the site.
    """
    found = []
    for path in sorted(site.rglob("*.html")):
        for link in sorted(_read(path).links):
            target = urlsplit(link)
            if target.scheme or target.netloc:
                continue
            base = site if target.path.startswith("/") else path.parent
            place = (base / unquote(target.path).lstrip("/")) if target.path else path
            place = place / "index.html" if place.is_dir() else place
            if not place.is_file():
                found.append(f"{path.relative_to(site)}: {link} is not there")
            elif target.fragment and place.suffix == ".html" and unquote(target.fragment) not in _read(place).anchors:
                found.append(f"{path.relative_to(site)}: {link} has no such anchor")
    return found


if __name__ == "__main__":
    if problems := broken(Path(sys.argv[1])):
        sys.exit("\n".join(problems))
