"""Train and evaluate a row of the leaderboard again, from its commit, and say whether the same comes out.

ID is a part of an evaluation's id. Its command is run from a checkout of its commit. A record holds no place of a
machine: say where the data are. If the score lies within the scatter of the row's seeds, a verification is written, and
the row's tier is "reproduced".

  ispbench reproduce metaisp-zrr-s0-original data=zrr data.root=/data/ZRR
  ispbench reproduce 8e976aa183811b2e experiment=photos model=metaisp data.track=one-camera data.root=photos
"""

from dataclasses import dataclass
from pathlib import Path

from ispbench.cli.arguments import overrides, positional, setting
from ispbench.console import say
from ispbench.errors import UserError


@dataclass
class Settings:
    """What the verb takes."""

    id: str = positional("ID", "a part of an evaluation's id that no other id has")
    metric: str = setting("psnr", "the score that is compared")
    results: Path = setting(Path("results"), "results folder", metavar="DIR")
    outputs: Path = setting(Path("outputs/reproduce"), "where the run and its records go", metavar="DIR")
    dry_run: bool = setting(False, "only say what would be run")
    overrides: list[str] = overrides("what the record does not hold, such as data.root=FOLDER")


def run(settings: Settings) -> None:
    """Runs the command, compares, and writes the verification.

    Raises:
        UserError: if it cannot be repeated, or something else comes out.
    """
    from ispbench.results.reproduction import checkout, command_of, find_row, judge, repeat
    from ispbench.results.verifications import verify

    row, record, ranking = find_row(settings.results, settings.id, settings.metric)
    command = command_of(record, settings.overrides)
    commit = record["training"].get("commit") or record["git"].get("commit") or ""
    say(f"commit {commit or 'unknown'}", f"python -m ispbench {' '.join(command)}")
    if settings.dry_run:
        return
    with checkout(commit) as folder:
        again = repeat(folder, command, settings.outputs / record["key"])
    outcome = judge(row, record, again, ranking, settings.metric)
    said = outcome.sentence(settings.metric)
    if not outcome.reproduced:
        raise UserError(f"{record['id']} was not reproduced. {said}")
    say(f"{record['id']} was reproduced. {said}")
    found = {"found": again["metrics"], "metric": settings.metric, "said": said}
    say(f"wrote {verify(settings.results, record, 'reproduced', found)}")
