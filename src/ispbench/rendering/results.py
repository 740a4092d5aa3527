"""Where renderings are saved."""

from collections.abc import Sequence
from pathlib import Path

from ispbench.errors import UserError


def name_results(photos: Sequence[Path], folder: Path, ending: str, overwrite: bool) -> dict[Path, Path]:
    """The file that each photo's rendering becomes.

    Args:
        photos: The files that are rendered.
        folder: Of the renderings.
        ending: Follows the photo's name, such as ``-metaisp.png``.
        overwrite: Whether renderings may replace existing files.

    Raises:
        UserError: if two photos would become one file, or files exist.
    """
    results = {path: folder / f"{path.stem}{ending}" for path in photos}
    owners: dict[Path, Path] = {}
    for path, result in results.items():
        if owners.setdefault(result, path) != path:
            raise UserError(f"{owners[result]} and {path} would both become {result}; render them into two folders.")
    existing = [result for result in results.values() if result.exists()]
    if existing and not overwrite:
        raise UserError(
            f"{len(existing)} of {len(results)} results exist already, first {existing[0]}; set overwrite=true or "
            "another out=DIR."
        )
    return results
