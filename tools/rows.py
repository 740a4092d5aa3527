"""What a branch changes in the results: its records, and its rows of the leaderboard against those before.

python -m tools.rows records BASE            prints the files of the records that differ from a commit
python -m tools.rows changes OLD.csv RESULTS prints, as Markdown, rows that are new, gone or changed
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd

from ispbench.results.leaderboard import leaderboard
from ispbench.results.sheets import Sheet, as_markdown, show

_SHOWN = {"rank": "{:.0f}", "seeds": "{:.0f}", "psnr": "{:.4f}", "ssim": "{:.4f}", "lpips": "{:.4f}", "tier": "{}"}


def changed_records(base: str) -> list[str]:
    """The records whose JSON or whose table of scores is not that of a commit."""
    command = ["git", "diff", "--name-only", f"{base}...HEAD", "--", "results/evaluations", "results/trainings"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    records = dict.fromkeys(name.removesuffix(".scores.csv").removesuffix(".json") + ".json" for name in names)
    return [name for name in records if Path(name).is_file()]


def changes(old: pd.DataFrame, new: pd.DataFrame) -> Sheet:
    """Rows that are new, gone or changed, old values before new ones."""
    before, after = (
        {row["row"] + row["ranking_key"]: row for row in table.to_dict("records")} if "ranking_key" in table else {}
        for table in (old, new)
    )
    lines = []
    for key in [*after, *(key for key in before if key not in after)]:
        pair = before.get(key, {}), after.get(key, {})
        cells = [[show(side.get(name), pattern) for side in pair] for name, pattern in _SHOWN.items()]
        if not all(pair) or any(first != second for first, second in cells):
            row = pair[1] or pair[0]
            what = "changed" if all(pair) else "new" if pair[1] else "gone"
            shown = [
                second if first == second else f"{first or 'none'} → {second or 'none'}" for first, second in cells
            ]
            lines.append((what, row["ranking"], f"{row['model']} {show(row['variant'], '{}')}".strip(), *shown))
    notes = [] if lines else ["No row changes."]
    headings = ("what", "ranking", "model", *_SHOWN)
    return Sheet("Rows of the leaderboard", headings, lines, frozenset({"what", "ranking", "model", "tier"}), notes)


if __name__ == "__main__":
    if sys.argv[1] == "records":
        print(*changed_records(sys.argv[2]), sep="\n")
    else:
        path = Path(sys.argv[2])
        table = pd.read_csv(path) if path.is_file() and path.stat().st_size else pd.DataFrame()
        print(as_markdown([changes(table, leaderboard(Path(sys.argv[3])))]))
