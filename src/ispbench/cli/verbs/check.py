"""Check records before they are submitted: schema, means, images, data, rules, commit, weights.

A record is a JSON file of a results folder, or a part of its id. What is wrong ends the command with an error; what
could not be verified here is told as open. With again=true the weights are evaluated once more; if the same scores come
out, a verification is written, and the row's tier is "checked".

  ispbench check results/evaluations/metaisp-zrr-* weights=outputs/RUN/checkpoints
  ispbench check metaisp-zrr-s0-original weights=outputs/RUN again=true data=zrr data.root=/data/ZRR
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ispbench.cli.arguments import overrides, positional, setting
from ispbench.console import say
from ispbench.errors import UserError


@dataclass
class Settings:
    """What the verb takes."""

    records: list[str] = positional("RECORD", "files of records, or parts of their ids", at_least=1)
    weights: Path | None = setting(None, "the scored weights, or a folder that holds them", metavar="PATH")
    again: bool = setting(False, "evaluate the weights once more")
    results: Path = setting(Path("results"), "results folder, for parts of ids", metavar="DIR")
    overrides: list[str] = overrides("for again=true: where the data are, such as data.root=FOLDER")

    def __post_init__(self) -> None:
        if self.again and (self.weights is None or len(self.records) > 1):
            raise UserError("again=true evaluates the weights of one record: give it, and weights=PATH.")


def run(settings: Settings) -> None:
    """Prints what was found.

    Raises:
        UserError: if something is wrong.
    """
    from ispbench.results import store
    from ispbench.results.check import check_record, find_record

    rows_of = cache(lambda results: store.survey(results)[0])
    paths = list(dict.fromkeys(find_record(settings.results, name) for name in settings.records))
    wrong = 0
    for path in paths:
        findings = check_record(path, settings.weights, rows_of(path.parent.parent))
        failed = any(finding.level == "wrong" for finding in findings)
        wrong += failed
        say(f"{'wrong' if failed else 'ok':<6} {path.stem}")
        for finding in sorted(findings, key=lambda finding: finding.level, reverse=True):
            say(f"{'':<6} {finding.level:<6} {finding.text}")
    if wrong:
        raise UserError(f"{wrong} of {len(paths)} records cannot be accepted, as told above.")
    if settings.again:
        from ispbench.evaluation.again import evaluate_again

        assert settings.weights is not None
        say(f"wrote {evaluate_again(paths[0], settings.weights, settings.overrides)}")
