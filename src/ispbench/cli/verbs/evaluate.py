"""Score the weights of a run or a file under any protocol, on any split.

A run folder brings its own configuration; overrides change it. One training can be evaluated under any number of
protocols and metrics, and each evaluation gets a record of its own in RESULTS/evaluations. Of a file, the tensors tell
the model and its options; model=NAME says it where they fit several.

  ispbench evaluate weights=outputs/2026-11-24/10-15-00-metaisp-zrr-s0 protocol=aligned-gt-raw
  ispbench evaluate weights=zrr_best_slim.pkl data=zrr data.root=/data/ZRR
"""

from dataclasses import MISSING, dataclass

from ispbench.cli.arguments import overrides, setting


@dataclass
class Settings:
    """What the verb takes."""

    weights: str = setting(MISSING, "a run folder, a checkpoint, or the authors' file", metavar="PATH")
    overrides: list[str] = overrides("model= data= protocol= metrics=, and any key, such as eval.split=val")


def run(settings: Settings) -> None:
    """Evaluates, and prints the scores."""
    from ispbench.evaluation.report import report, tell_finished
    from ispbench.evaluation.weights import evaluate_weights

    record, path, fresh = evaluate_weights(settings.weights, settings.overrides)
    if not fresh:
        tell_finished(record)
    report(record, path)
