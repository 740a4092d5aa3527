"""Pages of the documentation's site that lie outside ``docs/``, and links to files that the site does not show.

The report on the committed records is one of them; links to the folder ``results/`` lead there.

mkdocs calls the functions; ``mkdocs.yml`` names this file among its hooks.
"""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

REPOSITORY = Path(__file__).resolve().parents[1]
# Page of the site: its file in the repository.
OUTSIDE = {
    "index.md": "README.md",
    "columns.md": "results/README.md",
    "published.md": "results/published.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
# The objects whose docstrings make the reference.
REFERENCE = (
    "ispbench.api",
    "ispbench.evaluation.evaluate.Result",
    "ispbench.metrics.table.Metric",
    "ispbench.protocols.base.Protocol",
    "ispbench.protocols.base.Reference",
    "ispbench.models.interface.ISPModel",
    "ispbench.data.datamodule.PairedDataModule",
    "ispbench.data.pairs.PairSource",
)
REPORT = "ispbench-report.html"
_SHOWN = (".png", ".jpg")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages, and the images that pages show."""
    for page, source in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(REPOSITORY / source)))
    reference = "# Reference\n\n" + "\n".join(f"::: {name}\n" for name in REFERENCE)
    files.append(File.generated(config, "reference.md", content=reference))
    files.append(File.generated(config, REPORT, abs_src_path=str(REPOSITORY / "results" / "report.html")))
    for image in sorted(REPOSITORY.glob("results/ablations/*.png")):
        name = f"images/{image.name}"
        files.append(File.generated(config, name, abs_src_path=str(image)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns links of the repository into links of the site; what the site does not hold becomes plain text."""
    source = PurePosixPath(OUTSIDE.get(page.file.src_uri, f"docs/{page.file.src_uri}"))
    return re.sub(r"(!?)\[([^\]]+)\]\(([^)#:]+)(#[^)]*)?\)", lambda link: _link(link, source), markdown)


def _link(link: re.Match[str], source: PurePosixPath) -> str:
    shows, text, target, anchor = link.groups(default="")
    path = os.path.normpath(source.parent / target)
    if not (REPOSITORY / path).exists():
        raise PluginError(f"{source} links to {target}, which is not there")
    pages = {file: page for page, file in OUTSIDE.items()} | {"results": REPORT}
    if path in pages:
        return f"[{text}]({pages[path]}{anchor})"
    if path.startswith("docs/"):
        return f"{shows}[{text}]({path.removeprefix('docs/')}{anchor})"
    return f"![{text}](images/{PurePosixPath(path).name})" if path.endswith(_SHOWN) else text
