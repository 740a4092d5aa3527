"""How far a row can be trusted: what was found when its weights were evaluated again, or its training was repeated.

Records are not edited. A verification is a file of its own, ``verifications/ID-TIER.json``, beside them.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ispbench.errors import UserError
from ispbench.files import write_atomically
from ispbench.results.records import EvaluationRecord
from ispbench.results.rows import Row

TIERS = ("self-reported", "checked", "reproduced")
_FOLDER = "verifications"


class Tiers:
    """The tiers that the verifications of a results folder give.

    Raises:
        UserError: for an unreadable verification.
    """

    def __init__(self, results: Path) -> None:
        self._found: dict[str, set[str]] = {}
        for verification in _read_all(results):
            self._found.setdefault(verification["evaluation"], set()).add(verification["tier"])

    def of(self, row: Row) -> str:
        """The tier of a row.

        ``reproduced`` if one of its trainings was repeated and came out within the scatter of the seeds; ``checked``
        if all of its weights were evaluated again with the same scores; else ``self-reported``.
        """
        tiers = [self._found.get(record["id"], set()) for record in row.records]
        if any("reproduced" in found for found in tiers):
            return "reproduced"
        return "checked" if all("checked" in found for found in tiers) else "self-reported"


def verify(results: Path, record: Mapping[str, Any], tier: str, found: Mapping[str, Any]) -> Path:
    """Writes a verification.

    Args:
        results: The results folder.
        record: The evaluation's record.
        tier: ``checked`` or ``reproduced``.
        found: What came out: the scores, and how it was compared.
    """
    here = EvaluationRecord(key="", model="", dataset="", protocol="")  # knows the commit, the versions and the time
    content = {"evaluation": record["id"], "tier": tier, "recorded": record["metrics"], **found}
    content |= {"date": here.date, "ispbench": here.ispbench, "versions": here.versions, "git": here.git}
    path = results / _FOLDER / f"{record['id']}-{tier}.json"
    write_atomically(path, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return path


def _read_all(results: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((results / _FOLDER).glob("*.json")):
        try:
            content = json.loads(path.read_text())
            if content["tier"] not in TIERS or not isinstance(content["evaluation"], str):
                raise ValueError("it names no evaluation and tier")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is not a readable verification ({error}); delete or restore it.") from error
        yield content
