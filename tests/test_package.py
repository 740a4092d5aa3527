"""What the package says of itself, once."""

import re
import tomllib

import ispbench
from tests.conftest import REPOSITORY


def test_the_version_stands_in_one_place():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/ispbench/__init__.py"
    cited = re.search(r"^version: (.*)$", (REPOSITORY / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited[1] == ispbench.__version__
    assert f"\n## {ispbench.__version__} " in (REPOSITORY / "CHANGELOG.md").read_text()


def test_every_page_is_in_the_navigation():
    """Strict builds of the site check it too, where mkdocs is installed."""
    listed = set(re.findall(r"^ +- (\w+\.md)$", (REPOSITORY / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {path.name for path in (REPOSITORY / "docs").glob("*.md")} <= listed
