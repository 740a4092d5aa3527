"""Where renderings are saved."""

from collections.abc import Sequence
from pathlib import Path

from ispbench.errors import UserError


def name_results(
    photos: Sequence[Path], folder: Path, endings: Sequence[str], overwrite: bool
) -> dict[Path, list[Path]]:
    """The files that each photo becomes.

    Args:
        photos: The files that are rendered.
        folder: Of the renderings.
        endings: Each follows the photo's name, such as ``-metaisp.png``.
        overwrite: Whether renderings may replace existing files.

    Raises:
        UserError: if two photos would become one file, or files exist.
    """
    results = {path: [folder / f"{path.stem}{ending}" for ending in endings] for path in photos}
    owners: dict[Path, Path] = {}
    for path, files in results.items():
        for file in files:
            if owners.setdefault(file, path) != path:
                raise UserError(f"{owners[file]} and {path} would both become {file}; render them into two folders.")
    existing = [file for file in owners if file.exists()]
    if existing and not overwrite:
        raise UserError(
            f"{len(existing)} of {len(owners)} results exist already, first {existing[0]}; set overwrite=true or "
            "another out=DIR."
        )
    return results
