"""Trained weights that come with ispbench: ``MODEL/DATASET/TRACK.ckpt`` in this folder, named ``DATASET/TRACK``.

Each is a checkpoint of a training whose record is in ``results/``, without the state that only a training needs.
"""

from pathlib import Path

from ispbench.errors import UserError

_FOLDER = Path(__file__).parent


def names() -> list[tuple[str, str]]:
    """All of them: the model, and the name of its weights, such as ``photos-v1/one-camera``."""
    files = (path.relative_to(_FOLDER).with_suffix("") for path in _FOLDER.glob("*/*/*.ckpt"))
    return sorted((file.parts[0], "/".join(file.parts[1:])) for file in files)


def find(name: str, model: str | None = None) -> Path | None:
    """The file of weights that come with ispbench.

    Args:
        name: Such as ``photos-v1/one-camera``.
        model: Whose weights; None: of whatever model has any of that name.

    Returns:
        The file; None if there is none.

    Raises:
        UserError: if several models have weights of that name.
    """
    owners = [owner for owner, weights in names() if weights == name and model in (None, owner)]
    if len(owners) > 1:
        raise UserError(f"weights={name} are those of {', '.join(owners)}; say which: model=NAME.")
    return _FOLDER / owners[0] / f"{name}.ckpt" if owners else None
