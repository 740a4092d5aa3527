"""The map of the code holds: a room imports only from rooms before it."""

import ast
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

# In the order of docs/architecture.md; what stands in one entry is one room.
ROOMS = [
    ("errors", "precision"),
    ("files",),
    ("console", "config"),
    ("raw",),
    ("data",),
    ("models", "baselines", "pretrained", "checkpoints", "checkpoint_files"),
    ("rendering",),
    ("metrics",),
    ("losses",),
    ("protocols",),
    ("results",),
    ("evaluation",),
    ("exporting",),
    ("training",),
    ("parity",),
    ("sweep",),
    ("report",),
    ("api",),
    ("cli", "__main__"),
]
RANK = {name: rank for rank, room in enumerate(ROOMS) for name in room}
SOURCE = REPOSITORY / "src" / "ispbench"
FILES = sorted([*SOURCE.rglob("*.py"), *(REPOSITORY / "baselines").rglob("*.py")])


def room_of(path: Path) -> str:
    inside = path.relative_to(SOURCE if path.is_relative_to(SOURCE) else REPOSITORY)
    return inside.parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """The rooms that a file imports from, also late and for types only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module == "ispbench":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ispbench."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("ispbench.")}
    return found & set(RANK)


def test_every_file_has_a_room():
    rooms = {room_of(path) for path in FILES} - {"__init__"}
    assert rooms <= set(RANK), f"not on the map: {rooms - set(RANK)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_no_import_runs_uphill(path):
    room = room_of(path)
    if room == "__init__":
        return  # the public interface, imported late
    uphill = {other for other in imported_rooms(path) if RANK[other] > RANK[room]}
    assert not uphill, f"{room} comes before {', '.join(sorted(uphill))} on the map"
