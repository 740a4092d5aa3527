"""Writes the table of metrics into the documentation, between markers: python -m tools.metric_tables."""

from pathlib import Path

from ispbench.metrics.table import TABLE, Metric

REPOSITORY = Path(__file__).resolve().parents[1]
_BEGIN = "<!-- metrics: written by python -m tools.metric_tables -->"
_END = "<!-- end of metrics -->"


def rules_table() -> str:
    """The scores of ``docs/rules.md``."""
    rows = [
        f"| `{name}` | {_meaning(metric)} | {metric.unit} | {_direction(metric)} | {_reference(metric)} |"
        for name, metric in TABLE.items()
    ]
    return "\n".join(["| name | definition | unit | better | compared with |", "|---|---|---|---|---|", *rows])


def column_table() -> str:
    """The columns of ``results/README.md``."""
    rows = [
        f"| `{name}` | {metric.unit and f'{metric.unit}; '}{_meaning(metric)}; {_direction(metric)} is better |"
        for name, metric in TABLE.items()
    ]
    return "\n".join(["| score | meaning |", "|---|---|", *rows])


TABLES = {REPOSITORY / "docs" / "rules.md": rules_table, REPOSITORY / "results" / "README.md": column_table}


def with_table(page: str, table: str) -> str:
    """A page with the text between its markers replaced."""
    before, rest = page.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}\n\n{table}\n\n{_END}{after}"


def _meaning(metric: Metric) -> str:
    """The description, and what sizes of images it holds for."""
    if metric.smallest == 1:
        return metric.description
    return f"{metric.description}; images of at least {metric.smallest} pixels a side"


def _direction(metric: Metric) -> str:
    return "higher" if metric.higher_is_better else "lower"


def _reference(metric: Metric) -> str:
    if not metric.reference:
        return "nothing"
    return "target" if metric.mask else "target, no mask"


if __name__ == "__main__":
    for path, table in TABLES.items():
        path.write_text(with_table(path.read_text(), table()))
