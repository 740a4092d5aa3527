"""Sweep files: what they say, and which come with ispbench."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ispbench.config import config_folder
from ispbench.errors import UserError, suggest
from ispbench.sweep.parameters import Parameter, hydra_value, is_integer, read_parameter

METHODS = ("grid", "random", "bayes")
METRIC = "val/psnr"  # what `train` returns the best value of
_ENDING = ".sweep.yml"
_DEFAULT_COUNT = 20


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
        hint = suggest(name, shipped())
        raise UserError(f"There is no sweep file {name}.{hint} Give a path or one of {', '.join(shipped())}.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
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
    listed = content.get("command")
    command = [str(word) for word in listed] if isinstance(listed, list) else []
    if "ispbench" not in command:
        raise UserError(
            f"{name} does not run ispbench; its command is to be: "
            '["${env}", "${interpreter}", -m, ispbench, "${args_no_hyphens}"], with overrides as you like.'
        )
    metric = content.get("metric", {"name": METRIC, "goal": "maximize"})
    if metric != {"name": METRIC, "goal": "maximize"}:
        raise UserError(f"Runs are ranked by their best {METRIC}; write metric: {{name: {METRIC}, goal: maximize}}.")
    count = content.get("run_cap", _DEFAULT_COUNT)
    if not is_integer(count) or count < 1:
        raise UserError(f"run_cap of {name} is a number of runs, not {count!r}.")
    known = [read_parameter(str(key), options) for key, options in parameters.items()]
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


def _key(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~")
