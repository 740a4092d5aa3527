"""Report missing, damaged or mixed-up files, and implausible levels and CFA.

What the cache holds of the dataset is verified, too. Ends with an error if something is wrong.
"""

from dataclasses import dataclass

from ispbench.cli.arguments import overrides, setting
from ispbench.config import compose_and_build
from ispbench.console import say
from ispbench.errors import UserError

_SHOWN = 5  # places named of each finding


@dataclass
class Settings:
    """What the command takes."""

    limit: int | None = setting(None, "read only so many pairs of each split (default: all)", at_least=1)
    overrides: list[str] = overrides("data=NAME and any key of it, such as data.root=FOLDER")


def run(settings: Settings) -> None:
    """Prints the report.

    Raises:
        UserError: if there are errors.
    """
    (data,) = compose_and_build(settings.overrides, "data")
    from ispbench.data.validation.check import check
    from ispbench.data.validation.diagnose import Finding
    from ispbench.protocols.aligned_targets import check_sets

    findings = check(data, settings.limit)
    if damaged := check_sets(data.version, data.cache):
        text = f"{len(damaged):,} aligned targets are damaged"
        findings.append(Finding("ERROR", text, damaged, "compute their sets again"))
    for finding in findings:
        say(f"{finding.level:<8} {finding.text}")
        for place in finding.first[:_SHOWN]:
            say(f"{'':<8}   {place}")
        if len(finding.first) > _SHOWN:
            say(f"{'':<8}   and {len(finding.first) - _SHOWN:,} more")
        if finding.remedy and finding.level != "ok":
            say(f"{'':<8} > {finding.remedy}")
    if errors := [finding for finding in findings if finding.level == "ERROR"]:
        raise UserError(f"The check found {len(errors)} kinds of errors; the report above says what to do about each.")
