"""``ispbench sync``: uploads the W&B runs that were made offline."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from ispbench.errors import UserError


def main(arguments: list[str]) -> None:
    """``ispbench sync``.

    Raises:
        UserError: if there is nothing to upload, no W&B account, or a run that could not be uploaded.
    """
    parser = argparse.ArgumentParser(prog="ispbench sync", description="Upload the W&B runs that were made offline.")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the runs; default: outputs")
    parser.add_argument("--project", help="upload to this project instead of each run's own")
    parser.add_argument("--entity", help="user or team to upload to; default: your own")
    parser.add_argument("--dry-run", action="store_true", help="only list what would be uploaded")
    options = parser.parse_args(arguments)

    runs = sorted(path for path in options.outputs.glob("**/wandb/offline-run-*") if path.is_dir())
    if not runs:
        raise UserError(f"{options.outputs} holds no offline W&B runs; name the runs' folder: --outputs FOLDER.")
    waiting = [run for run in runs if not _is_synced(run)]
    if options.dry_run:
        print("\n".join(map(str, waiting)), end="\n" if waiting else "")
    elif waiting:
        _upload(waiting, options.project, options.entity)
    done = 0 if options.dry_run else len(waiting)
    print(f"{done} uploaded, {len(waiting) - done} to upload, {len(runs) - len(waiting)} were uploaded before.")


def _upload(runs: list[Path], project: str | None, entity: str | None) -> None:
    from rich.progress import Progress

    from ispbench.training.loggers import logged_in

    os.environ.pop("WANDB_MODE", None)  # meant for the runs
    if not logged_in():
        raise UserError("W&B knows no account here; run `wandb login` once, or set WANDB_API_KEY.")
    target = [f"--{name}={value}" for name, value in (("project", project), ("entity", entity)) if value]
    failed = []
    with Progress() as progress:
        task = progress.add_task("Uploading", total=len(runs))
        for run in runs:
            command = [sys.executable, "-m", "wandb", "sync", *target, str(run)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode or not _is_synced(run):  # wandb ends with status 0 after some errors
                failed.append(run)
                progress.console.print(f"{run}\n{done.stdout}{done.stderr}", highlight=False, markup=False)
            progress.advance(task)
    if failed:
        raise UserError(
            f"{len(failed)} of {len(runs)} runs could not be uploaded, as told above; run `ispbench sync` again."
        )


def _is_synced(run: Path) -> bool:
    return any(run.glob("*.wandb.synced"))
