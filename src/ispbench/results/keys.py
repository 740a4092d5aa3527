"""Keys: what makes a training or an evaluation the same one again.

A key is a hash of values and choices in canonical form. Where a class lives does not matter, only its name and, for
code that is not an installed library's, what it does: moving a class keeps a key, editing it changes the key.
"""

import ast
import hashlib
import inspect
import json
import math
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

_HYDRA_FLAGS = ("_partial_", "_convert_", "_recursive_", "_args_")
_OWN_ROOMS = ("ispbench.baselines", "ispbench.models", "ispbench.raw")  # what the networks of the zoo are made of


def key_of(identity: Mapping[str, Any]) -> str:
    """A key of 16 hexadecimal digits."""
    text = json.dumps(canonical(identity), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def canonical(value: Any) -> Any:
    """The value in the one form in which equal settings are equal.

    A ``_target_`` becomes the last part of its path, Hydra's flags go, tuples are lists, 1.0 is 1, NaN and infinities
    are words.
    """
    if isinstance(value, Mapping):
        return {
            str(key): str(item).rpartition(".")[2] if key == "_target_" else canonical(item)
            for key, item in value.items()
            if key not in _HYDRA_FLAGS
        }
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def code_digest(target: Any) -> str:
    """A hash of the code that a class, a function or an object is made of; empty for an installed library's.

    The code is that of its module and of the modules of the same project which that one imports, directly or not,
    without comments, docstrings, formatting and import statements.
    """
    target = target if inspect.isclass(target) or inspect.isroutine(target) else type(target)
    module = sys.modules.get(target.__module__)
    if module is None or not _counts(module):
        return ""
    found = {module.__name__: module}
    waiting = [module]
    while waiting:
        for name in _imported(waiting.pop()):
            other = sys.modules.get(name)
            if other is not None and name not in found and _counts(other):
                found[name] = other
                waiting.append(other)
    digests = sorted(hashlib.sha256(_plain_code(_file(module))).hexdigest() for module in found.values())
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def _file(module: ModuleType) -> Path:
    return Path(str(module.__file__))


def _counts(module: ModuleType) -> bool:
    """Whether a module is of the zoo or of a user's own project, rather than of an installed library."""
    name, file = module.__name__, getattr(module, "__file__", None)
    if not file or not file.endswith(".py"):
        return False
    if name.partition(".")[0] == "ispbench":
        return name.startswith(_OWN_ROOMS)
    path = Path(file).resolve()
    libraries = {sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")}
    return not any(path.is_relative_to(Path(folder).resolve()) for folder in libraries)


def _imported(module: ModuleType) -> Iterator[str]:
    package = module.__name__ if hasattr(module, "__path__") else module.__name__.rpartition(".")[0]
    for node in ast.walk(ast.parse(_file(module).read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            name = ".".join(part for part in (base if node.level else "", node.module or "") if part)
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


def _plain_code(path: Path) -> bytes:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        body[:] = [item for item in body if not isinstance(item, ast.Import | ast.ImportFrom)]
        first = body[0] if body else None
        is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        if is_text and isinstance(first.value.value, str):  # type: ignore[union-attr]
            body.pop(0)
        if not body and not isinstance(node, ast.Module):
            body.append(ast.Pass())
    return ast.unparse(tree).encode()
