"""``ispbench sweep``: runs a W&B sweep file on this machine, without an account or a server.

The distributions mean what they mean to W&B. A value is drawn as a quantile, a number between 0 and 1, and looked up in
the distribution; so a random and a Bayesian search know the same distributions.
"""

import argparse
import math
import random
import re
import shlex
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import accumulate, product
from pathlib import Path
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

from ispbench.config import compose, config_folder
from ispbench.errors import UserError

METHODS = ("grid", "random", "bayes")
METRIC = "val/psnr"  # what `train` returns the best value of
_ENDING = ".sweep.yml"
_DEFAULT_COUNT = 20


def _between(quantile: float, low: float, high: float) -> float:
    return low + quantile * (high - low)


def _geometric(quantile: float, low: float, high: float) -> float:
    return low * (high / low) ** quantile


def _normal(quantile: float, mu: float, sigma: float) -> float:
    return NormalDist(mu, sigma).inv_cdf(quantile)


# Distribution to its options and the value at a quantile.
_RANGE = ("min", "max")
_BELL = ("mu", "sigma")
_INVERSE: Mapping[str, tuple[tuple[str, str], Callable[[float, float, float], float]]] = MappingProxyType(
    {
        "int_uniform": (_RANGE, lambda quantile, low, high: int(low + quantile * (high - low + 1))),
        "uniform": (_RANGE, _between),
        "log_uniform": (_RANGE, lambda quantile, low, high: math.exp(_between(quantile, low, high))),
        "log_uniform_values": (_RANGE, _geometric),
        "inv_log_uniform": (_RANGE, lambda quantile, low, high: math.exp(-_between(1 - quantile, low, high))),
        "inv_log_uniform_values": (_RANGE, _geometric),
        "normal": (_BELL, _normal),
        "log_normal": (_BELL, lambda quantile, mu, sigma: math.exp(_normal(quantile, mu, sigma))),
    }
)
_QUANTISED = ("q_uniform", "q_log_uniform", "q_log_uniform_values", "q_normal", "q_log_normal")
_CATEGORICAL = ("categorical", "categorical_w_probabilities")
DISTRIBUTIONS = ("constant", *_CATEGORICAL, *_INVERSE, *_QUANTISED)


@dataclass(frozen=True)
class Parameter:
    """What is varied, and how.

    Attributes:
        key: Of the configuration, such as ``optimizer.lr``.
        distribution: One of `DISTRIBUTIONS`.
        options: ``value``, ``values`` and ``probabilities``, ``min`` and ``max``, ``mu`` and ``sigma``, or ``q``.
    """

    key: str
    distribution: str
    options: Mapping[str, Any]

    def at(self, quantile: float) -> Any:
        """The value at a quantile between 0 and 1."""
        quantile = min(max(quantile, 1e-9), 1 - 1e-9)
        options = self.options
        if self.distribution == "constant":
            return options["value"]
        if self.distribution in _CATEGORICAL:
            values = options["values"]
            shares = list(accumulate(options.get("probabilities", [1] * len(values))))
            return values[bisect(shares, quantile * shares[-1])]
        names, inverse = _INVERSE[self.distribution.removeprefix("q_")]
        value = inverse(quantile, *(options[name] for name in names))
        if self.distribution in _QUANTISED:
            step = options["q"]
            value = round(value / step) * step
        return value if isinstance(value, int) else float(f"{value:.6g}")


@dataclass(frozen=True)
class Sweep:
    """A sweep file.

    Attributes:
        name: Of the file.
        description: One sentence.
        method: One of `METHODS`.
        fixed: Overrides of all runs.
        parameters: What is varied.
        count: How many runs a random or a Bayesian search makes.
    """

    name: str
    description: str
    method: str
    fixed: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    count: int

    def with_overrides(self, overrides: Sequence[str]) -> "Sweep":
        """The sweep with further overrides of all runs, which win over its own values and its varied parameters."""
        keys = {_key(item) for item in overrides}
        fixed = [item for item in self.fixed if _key(item) not in keys]
        varied = tuple(parameter for parameter in self.parameters if parameter.key not in keys)
        return Sweep(self.name, self.description, self.method, (*fixed, *overrides), varied, self.count)

    def run(self, values: Mapping[str, Any]) -> list[str]:
        """The overrides of the run with these values."""
        return [*self.fixed, *(f"{key}={hydra_value(value)}" for key, value in values.items())]

    def grid(self) -> list[str]:
        """The overrides of a Hydra multirun over all values."""
        varied = {item.key: ",".join(map(hydra_value, item.options["values"])) for item in self.parameters}
        return ["-m", *self.fixed, *(f"{key}={values}" for key, values in varied.items())]

    def draws(self, seed: int, count: int) -> Iterator[dict[str, Any]]:
        """Random values of the parameters; a larger count begins with those of a smaller one."""
        for number in range(count):
            generator = random.Random(f"{seed}-{number}")
            yield {parameter.key: parameter.at(generator.random()) for parameter in self.parameters}


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its best validation PSNR, or why there is none."""

    values: Mapping[str, Any]
    score: float | None
    error: str | None = None


def main(arguments: list[str]) -> None:
    """Runs a sweep.

    Raises:
        UserError: for a mistake in the arguments or the file.
        SystemExit: with status 1 if a run failed.
    """
    options, rest = _parser().parse_known_args(arguments)
    words = [item for item in rest if "=" not in item and not item.startswith(("-", "~"))]
    if odd := [*words[1:], *(item for item in rest if item.startswith("-"))]:
        raise UserError(f"Unknown argument {odd[0]!r}; overrides have the form key=value, see --help.")
    if options.list or not words:
        if rest and not words:
            raise UserError(f"Name a sweep file: one of {', '.join(shipped())}, or a path.")
        _list()
        return
    sweep = load(words[0]).with_overrides([item for item in rest if item != words[0]])
    if sweep.method == "grid" and options.count:
        raise UserError(f"{sweep.name} is a grid, which runs all of its cells; --count is for random and bayes.")
    count = options.count or sweep.count
    if options.dry_run:
        _print_commands(sweep, options.seed, count)
        return
    outcomes = _SEARCHES[sweep.method](sweep, options.seed, count)
    if outcomes:
        _print_table(outcomes)
    if any(outcome.error for outcome in outcomes):
        raise SystemExit(1)


def shipped() -> dict[str, Path]:
    """The sweep files that come with ispbench, by name."""
    folder = config_folder() / "wandb_sweeps"
    return {path.name.removesuffix(_ENDING): path for path in sorted(folder.glob(f"*{_ENDING}"))}


def load(name: str) -> Sweep:
    """Reads a sweep file.

    Args:
        name: Of a shipped file, or the path of any other.

    Raises:
        UserError: if there is no such file, or it is not a sweep of ispbench.
    """
    import yaml

    path = Path(name) if Path(name).is_file() else shipped().get(name)
    if path is None:
        near = get_close_matches(name, shipped(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UserError(f"There is no sweep file {name}.{hint} Give a path or one of {', '.join(shipped())}.")
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} is not readable YAML ({' '.join(str(error).split())}).") from error
    return parse(path.name.removesuffix(_ENDING), content)


def parse(name: str, content: Any) -> Sweep:
    """Understands the content of a sweep file.

    Raises:
        UserError: if it is not a sweep of ispbench, naming what is valid.
    """
    parameters = content.get("parameters") if isinstance(content, dict) else None
    if not isinstance(parameters, dict) or not parameters:
        raise UserError(f"{name} is not a sweep file: it needs method and parameters, see docs/sweeps.md.")
    method = content.get("method")
    if method not in METHODS:
        raise UserError(f"Unknown method {method!r} in {name}; choose one of {', '.join(METHODS)}.")
    command = [str(word) for word in content.get("command") or ()]
    if "ispbench" not in command:
        raise UserError(
            f"{name} does not run ispbench; its command is to be: "
            '["${env}", "${interpreter}", -m, ispbench, "${args_no_hyphens}"], with overrides as you like.'
        )
    metric = content.get("metric", {"name": METRIC, "goal": "maximize"})
    if metric != {"name": METRIC, "goal": "maximize"}:
        raise UserError(f"Runs are ranked by their best {METRIC}; write metric: {{name: {METRIC}, goal: maximize}}.")
    count = content.get("run_cap", _DEFAULT_COUNT)
    if not _is_integer(count) or count < 1:
        raise UserError(f"run_cap of {name} is a number of runs, not {count!r}.")
    known = [_parameter(str(key), options) for key, options in parameters.items()]
    if method == "grid" and (odd := [item for item in known if item.distribution not in ("constant", "categorical")]):
        raise UserError(f"A grid needs the values of {odd[0].key}: write values: [...] instead of a distribution.")
    constant = [f"{item.key}={hydra_value(item.at(0))}" for item in known if item.distribution == "constant"]
    return Sweep(
        name=name,
        description=str(content.get("description", "")),
        method=method,
        fixed=(*(word for word in command if "=" in word and "${" not in word), *constant),
        parameters=tuple(item for item in known if item.distribution != "constant"),
        count=count,
    )


def hydra_value(value: Any) -> str:
    """A value as Hydra's command line reads it, quoted where it has to be."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(hydra_value, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{hydra_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and (
        not re.fullmatch(r"[A-Za-z_][\w-]*", value) or value.lower() in ("true", "false", "null", "nan", "inf")
    ):
        from hydra.core.override_parser.types import Quote, QuotedString

        return QuotedString(value, Quote.single).with_quotes()
    return str(value)


def _parameter(key: str, options: Any) -> Parameter:
    """Checks a parameter of a sweep file and fills in what W&B leaves out."""
    if not isinstance(options, dict):
        raise UserError(f"{key} is to be written as {key}: {{value: ...}} or {key}: {{values: [...]}}.")
    if "parameters" in options:
        raise UserError(f"{key} has nested parameters; write their keys with dots instead: {key}.NAME.")
    options = dict(options)
    kind = options.pop("distribution", None) or _guess(options)
    if kind not in DISTRIBUTIONS:
        raise UserError(f"Unknown distribution {kind!r} of {key}; choose one of {', '.join(DISTRIBUTIONS)}.")
    needed, optional = _options(kind)
    if set(needed) - set(options) or set(options) - {*needed, *optional}:
        extra = f" and perhaps {', '.join(optional)}" if optional else ""
        given = ", ".join(map(str, options)) or "nothing"
        raise UserError(f"{key} is {kind}, which takes {', '.join(needed) or 'nothing'}{extra}; it was given {given}.")
    _check(key, kind, options)
    return Parameter(key, kind, {**optional, **options})


def _guess(options: Mapping[str, Any]) -> str:
    """The distribution of a parameter that names none."""
    if "value" in options:
        return "constant"
    if "values" in options:
        return "categorical_w_probabilities" if "probabilities" in options else "categorical"
    return "int_uniform" if all(_is_integer(options.get(name)) for name in _RANGE) else "uniform"


def _options(kind: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What a distribution needs, and what it may have with the default."""
    if kind == "constant":
        return ("value",), {}
    if kind in _CATEGORICAL:
        return ("values",) if kind == "categorical" else ("values", "probabilities"), {}
    step = {"q": 1} if kind in _QUANTISED else {}
    if _INVERSE[kind.removeprefix("q_")][0] == _BELL:
        return (), {"mu": 0.0, "sigma": 1.0, **step}
    return _RANGE, step


def _check(key: str, kind: str, options: Mapping[str, Any]) -> None:
    if kind == "constant":
        return
    if kind in _CATEGORICAL:
        values, shares = options["values"], options.get("probabilities")
        if not isinstance(values, list) or not values:
            raise UserError(f"values of {key} is a list of at least one value, not {values!r}.")
        if shares is not None and (
            not isinstance(shares, list)
            or len(shares) != len(values)
            or not all(_is_number(share) and share >= 0 for share in shares)
            or not sum(shares) > 0
        ):
            raise UserError(f"probabilities of {key} is a list of one number for each of its {len(values)} values.")
        return
    for name, value in options.items():
        if not _is_number(value) or (kind == "int_uniform" and not _is_integer(value)):
            what = "an integer" if kind == "int_uniform" else "a number"
            raise UserError(f"{name} of {key} is {what}, not {value!r} (YAML takes 1e-4 for text; write 0.0001).")
    if "min" in options and options["min"] >= options["max"]:
        raise UserError(f"min of {key} is to be smaller than its max.")
    positive = ("min", "q", "sigma") if kind.endswith("values") else ("q", "sigma")
    if wrong := [name for name in positive if options.get(name, 1) <= 0]:
        raise UserError(f"{wrong[0]} of {key} is to be larger than 0.")


def _grid(sweep: Sweep, seed: int, count: int) -> list[Outcome]:
    """All combinations in one Hydra multirun, so that launchers work."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from ispbench.cli import train

    overrides = sweep.grid()
    varied = [item for item in OverridesParser.create().parse_overrides(overrides[1:]) if item.is_sweep_override()]
    keys = [item.get_key_element() for item in varied]
    cells = product(*(item.sweep_string_iterator() for item in varied))
    scores = train(overrides)
    if not scores:  # a launcher ran them in other processes
        print("`ispbench runs` lists the runs and their scores.")
        return []
    return [Outcome(dict(zip(keys, cell, strict=True)), score) for cell, score in zip(cells, scores, strict=True)]


def _random(sweep: Sweep, seed: int, count: int) -> list[Outcome]:
    """Random configurations one after another."""
    outcomes = []
    for number, values in enumerate(sweep.draws(seed, count)):
        if not number:
            compose(sweep.run(values))  # a mistake is told once instead of by every run
        outcomes.append(_attempt(sweep, values, f"run {number + 1} of {count}"))
    return outcomes


def _bayes(sweep: Sweep, seed: int, count: int) -> list[Outcome]:
    """Configurations that Optuna proposes from the scores so far; a stopped search goes on where it was."""
    from filelock import FileLock, Timeout

    search = _Search(sweep, seed)
    path = Path(compose(sweep.run(search.ask()[1])).paths.outputs) / "sweeps" / f"{sweep.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(path.with_suffix(".lock")).acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"The search {sweep.name} is running already; wait until it has ended.") from error
    with lock:
        search.open(path)
        for number, values in search.unfinished():
            search.tell(number, _attempt(sweep, values, f"run {number + 1} of {count}, again"))
        while len(search) < count:
            number, values = search.ask()
            search.tell(number, _attempt(sweep, values, f"run {number + 1} of {count}"))
        return search.outcomes()


class _Search:
    """An Optuna study over the parameters of a sweep."""

    def __init__(self, sweep: Sweep, seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            raise UserError('A Bayesian search needs Optuna: pip install "ispbench[sweeps]".') from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._sweep = sweep
        self._seed = seed
        self._space: dict[str, Any] = {parameter.key: self._dimension(parameter) for parameter in sweep.parameters}
        self._study = optuna.create_study(direction="maximize")

    def open(self, path: Path) -> None:
        """Goes on with a study on disk, one for each space, fixed overrides and seed."""
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        from ispbench.results.record import hash_config

        sweep = self._sweep
        space = [[parameter.key, parameter.distribution, dict(parameter.options)] for parameter in sweep.parameters]
        identity = hash_config({"space": space, "fixed": sorted(sweep.fixed), "seed": self._seed})
        self._study = self._optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))),
            study_name=f"{sweep.name}-{identity}",
            direction="maximize",
            load_if_exists=True,
        )

    def __len__(self) -> int:
        return len(self._study.trials)

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The number and the values of the next run; the same ones after a stop as without."""
        seed = random.Random(f"{self._seed}-{len(self)}").getrandbits(32)
        self._study.sampler = self._optuna.samplers.TPESampler(seed=seed)
        trial = self._study.ask(self._space)
        values = self._values(trial.params)
        trial.set_user_attr("values", values)
        return trial.number, values

    def tell(self, number: int, outcome: Outcome) -> None:
        """Notes what became of a run."""
        state = None if outcome.error is None else self._optuna.trial.TrialState.FAIL
        self._study.tell(number, outcome.score, state=state)

    def unfinished(self) -> list[tuple[int, dict[str, Any]]]:
        """The runs that were stopped."""
        running = self._study.get_trials(states=(self._optuna.trial.TrialState.RUNNING,))
        return [(trial.number, trial.user_attrs["values"]) for trial in running if "values" in trial.user_attrs]

    def outcomes(self) -> list[Outcome]:
        """All runs of the study."""
        return [
            Outcome(trial.user_attrs["values"], trial.value, "failed" if trial.value is None else None)
            for trial in self._study.trials
            if "values" in trial.user_attrs
        ]

    def _values(self, found: Mapping[str, Any]) -> dict[str, Any]:
        values = {}
        for parameter in self._sweep.parameters:
            place = found[parameter.key]
            if parameter.distribution == "categorical":
                values[parameter.key] = parameter.options["values"][place]
            else:
                values[parameter.key] = parameter.at(place)
        return values

    def _dimension(self, parameter: Parameter) -> Any:
        """A quantile, or the index of a value where values have no order."""
        if parameter.distribution == "categorical":
            return self._optuna.distributions.CategoricalDistribution(range(len(parameter.options["values"])))
        return self._optuna.distributions.FloatDistribution(0, 1)


_SEARCHES = MappingProxyType({"grid": _grid, "random": _random, "bayes": _bayes})


def _attempt(sweep: Sweep, values: Mapping[str, Any], title: str) -> Outcome:
    """Makes one run; if it fails, that is told and the next can go on."""
    from rich.console import Console

    from ispbench.cli import train

    overrides = sweep.run(values)
    console = Console()
    console.print(f"[bold]{title}[/]  {' '.join(overrides[len(sweep.fixed) :])}", highlight=False, soft_wrap=True)
    score = None
    try:
        (score,) = train(overrides)
        error = None if score is not None and math.isfinite(score) else "no validation score"
    except SystemExit as stop:
        error = f"it ended with status {stop.code}"
    except UserError as mistake:
        error = str(mistake)
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    if error:
        Console(stderr=True).print(f"ispbench: {title} failed: {error}", markup=False, highlight=False, soft_wrap=True)
        return Outcome(values, None, error)
    return Outcome(values, score)


def _print_commands(sweep: Sweep, seed: int, count: int) -> None:
    if sweep.method == "grid":
        runs = [sweep.grid()]
    elif sweep.method == "random":
        runs = [sweep.run(values) for values in sweep.draws(seed, count)]
    else:
        runs = [sweep.run(_Search(sweep, seed).ask()[1])]
    for overrides in runs:
        print(shlex.join(["python", "-m", "ispbench", *overrides]))
    if sweep.method == "bayes" and count > 1:
        print(f"# and {count - 1} more, chosen by the scores")


def _print_table(outcomes: Sequence[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    def rank(outcome: Outcome) -> float:
        return math.inf if outcome.score is None else -outcome.score

    keys = list(outcomes[0].values)
    table = Table(*(key.replace(".", ".\n") for key in keys))
    table.add_column(METRIC, justify="right")
    for outcome in sorted(outcomes, key=rank):
        score = "failed" if outcome.error else "-" if outcome.score is None else f"{outcome.score:.3f}"
        table.add_row(*(str(outcome.values[key]) for key in keys), score)
    Console().print(table)


def _list() -> None:
    sweeps = [load(name) for name in shipped()]
    width = max(len(sweep.name) for sweep in sweeps)
    for sweep in sweeps:
        print(f"{sweep.name:<{width}}  {sweep.method:<6}  {sweep.description}")


def _key(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ispbench sweep",
        usage="%(prog)s NAME|FILE [OPTIONS] [KEY=VALUE ...]",
        description="Run a W&B sweep file on this machine: a grid, a random or a Bayesian search. Without a name, list "
        "those that come with ispbench. A stopped sweep goes on with the same command.",
        epilog="Overrides hold for every run and win over the file: data=zrr data.root=/data/ZRR seed=3.",
        allow_abbrev=False,
    )
    parser.add_argument("--list", action="store_true", help="list the sweep files that come with ispbench")
    parser.add_argument("--count", type=_positive, help="runs of a random or Bayesian search (default: its run_cap)")
    parser.add_argument("--seed", type=int, default=0, help="of the search; seed=... is that of the runs (default: 0)")
    parser.add_argument("--dry-run", action="store_true", help="print the commands instead of running them")
    return parser


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
