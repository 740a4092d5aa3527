"""Upload the W&B runs that were made offline."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import setting
from ispbench.console import say, warn
from ispbench.errors import UserError


@dataclass
class Settings:
    """What the verb takes."""

    outputs: Path = setting(Path("outputs"), "folder of the runs", metavar="DIR")
    project: str | None = setting(None, "upload to this project instead of each run's own", metavar="NAME")
    entity: str | None = setting(None, "user or team to upload to (default: your own)", metavar="NAME")
    dry_run: bool = setting(False, "only list what would be uploaded")


def run(settings: Settings) -> None:
    """Uploads, and says how many.

    Raises:
        UserError: if there is nothing to upload, no W&B account, or a run that could not be uploaded.
    """
    runs = sorted(path for path in settings.outputs.glob("**/wandb/offline-run-*") if path.is_dir())
    if not runs:
        raise UserError(f"{settings.outputs} holds no offline W&B runs; name the runs' folder: outputs=DIR.")
    waiting = [path for path in runs if not _is_synced(path)]
    if settings.dry_run:
        for path in waiting:
            say(str(path))
    elif waiting:
        _upload(waiting, settings.project, settings.entity)
    done = 0 if settings.dry_run else len(waiting)
    say(f"{done} uploaded, {len(waiting) - done} to upload, {len(runs) - len(waiting)} were uploaded before.")


def _upload(runs: list[Path], project: str | None, entity: str | None) -> None:
    from rich.progress import track

    from ispbench.training.loggers import logged_in

    os.environ.pop("WANDB_MODE", None)  # meant for the runs
    if not logged_in():
        raise UserError("W&B knows no account here; run `wandb login` once, or set WANDB_API_KEY.")
    target = [f"--{name}={value}" for name, value in (("project", project), ("entity", entity)) if value]
    failed = 0
    for path in track(runs, "Uploading"):
        command = [sys.executable, "-m", "wandb", "sync", *target, str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not _is_synced(path):  # wandb ends with status 0 after some errors
            failed += 1
            warn(f"{path} was not uploaded.\n{done.stdout}{done.stderr}".rstrip())
    if failed:
        raise UserError(
            f"{failed} of {len(runs)} runs could not be uploaded, as told above; run `ispbench sync` again."
        )


def _is_synced(run: Path) -> bool:
    return any(run.glob("*.wandb.synced"))
