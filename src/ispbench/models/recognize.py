"""Which model of the zoo a checkpoint belongs to, and with which options, from its tensors' names and shapes alone.

>>> from ispbench.models.build import build_model
>>> recognize(build_model("liteispnet", ["model.blocks=2"]).net.state_dict())
Recognition(name='liteispnet', options={'blocks': 2})
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from ispbench.config import build, model_settings, networks, variants
from ispbench.errors import UserError
from ispbench.models.interface import ISPModel
from ispbench.models.shapes import Shapes, on_meta


@dataclass(frozen=True)
class Recognition:
    """A model that has the tensors of a checkpoint.

    Attributes:
        name: A file of ``conf/model/``.
        options: Those of its keys that differ from the file.
    """

    name: str
    options: dict[str, Any]

    @property
    def overrides(self) -> list[str]:
        """The options as overrides of the configuration, such as ``model.blocks=2``."""
        return overrides(self.options)


def recognize(state: Mapping[str, Any], origin: str = "The given state dict") -> Recognition:
    """Finds the one model that has exactly these tensors, under its own names or its authors'.

    Args:
        state: Names to tensors or arrays, as `ispbench.checkpoints.read_state_dict` and ``unwrap`` return them.
        origin: What an error sentence calls it.

    Raises:
        UserError: if no model has these tensors, naming the nearest, or if several do.
    """
    tensors = on_meta(state)
    fits: list[Recognition] = []
    likeness: dict[str, float] = {}
    for names in (networks(), variants()):
        for name in names:
            options, likeness[name] = _fit(name, tensors)
            if options is not None:
                fits.append(Recognition(name, options))
        if fits:
            break
    if len(fits) == 1:
        return fits[0]
    if fits:
        found = ", ".join(" ".join([f"model={fit.name}", *fit.overrides]) for fit in fits)
        raise UserError(f"{origin} fits several models ({found}); say which it is.")
    nearest = max(likeness, key=lambda name: likeness[name])
    if not likeness[nearest]:
        raise UserError(f"{origin} is of no model here: none shares a tensor with it.")
    share = f"{likeness[nearest]:.0%}"
    raise UserError(f"{origin} is of no model here; the nearest is {nearest}, which has {share} of its tensors.")


def fitting_options(name: str, state: Mapping[str, Any]) -> dict[str, Any] | None:
    """The options with which a model has exactly these tensors, less those it has by default; None if with none."""
    return _fit(name, on_meta(state))[0]


def untold_options(name: str) -> tuple[str, ...]:
    """The options of a model that no tensor tells."""
    return _default(name)[0].untold_options


def overrides(options: Mapping[str, Any]) -> list[str]:
    """Options of a model as overrides of the configuration."""
    return [f"model.{key}={_spelled(value)}" for key, value in options.items()]


def _fit(name: str, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any] | None, float]:
    """The options with which a model has the tensors, or None, and the share of tensors that it has at best."""
    model, defaults = _default(name)
    best = 0.0
    for reading in _readings(model, tensors):
        try:
            options = {key: value for key, value in model.read_options(reading).items() if value != defaults[key]}
            candidate = _build({**defaults, **options}) if options else model
        except (LookupError, RuntimeError, UserError, ValueError):  # tensors of another network
            options, candidate = {}, model
        wanted = Shapes.of(candidate.net.state_dict())
        for shapes in _readings(candidate, tensors):
            if wanted and shapes == wanted:
                return options, 1.0
            common = sum(shapes.get(key) == shape for key, shape in wanted.items())
            best = max(best, common / max(len(wanted), len(shapes), 1))
    return None, best


def _readings(model: ISPModel, tensors: Mapping[str, Tensor]) -> Iterator[Shapes]:
    """The shapes of the tensors under their names, and under those that the model gives its authors' tensors."""
    yield Shapes.of(tensors)
    try:
        yield Shapes.of(model.official_state_dict(tensors))
    except (LookupError, RuntimeError, UserError, ValueError):  # a map of names meets tensors of another network
        return


@cache
def _default(name: str) -> tuple[ISPModel, dict[str, Any]]:
    """A model without values, and the keys of its file."""
    keys = OmegaConf.to_container(model_settings(name), resolve=True)
    assert isinstance(keys, dict)
    options = {str(key): value for key, value in keys.items()}
    return _build(options), options


def _build(keys: Mapping[str, Any]) -> ISPModel:
    with torch.device("meta"):
        return build(keys)


def _spelled(value: Any) -> str:
    """A value in the grammar of Hydra's overrides."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_spelled(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_spelled, value)) + "]"
    if isinstance(value, str):
        return value if re.fullmatch(r"[A-Za-z_][\w.-]*", value) else "'" + value.replace("'", r"\'") + "'"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
