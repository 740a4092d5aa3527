"""What a sweep varies: the distributions of its parameters.

They mean what they mean to W&B. A value is drawn as a quantile, a number between 0 and 1, and looked up in the
distribution; so a random and a Bayesian search know the same distributions.
"""

import math
import re
import sys
from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

from ispbench.errors import UserError


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
_QUANTIZED = ("q_uniform", "q_log_uniform", "q_log_uniform_values", "q_normal", "q_log_normal")
_RANGED = (*_INVERSE, *_QUANTIZED)
_CATEGORICAL = ("categorical", "categorical_w_probabilities")
DISTRIBUTIONS = ("constant", *_CATEGORICAL, *_INVERSE, *_QUANTIZED)


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
        if self.distribution in _QUANTIZED:
            step = options["q"]
            value = round(value / step) * step
        return value if isinstance(value, int) else float(f"{value:.6g}")


def read_parameter(key: str, options: Any) -> Parameter:
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
    parameter = Parameter(key, kind, {**optional, **options})
    try:
        extremes = [parameter.at(0), parameter.at(1)]
    except OverflowError:
        extremes = [math.inf]
    if any(isinstance(value, float) and not math.isfinite(value) for value in extremes if kind in _RANGED):
        hint = "min, max, mu and sigma are exponents of e" if "log" in kind and not kind.endswith("values") else kind
        raise UserError(f"Values of {key} are too large for a number; choose smaller ones ({hint}).")
    return parameter


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


def is_integer(value: Any) -> bool:
    """Whether a value is an integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _guess(options: Mapping[str, Any]) -> str:
    """The distribution of a parameter that names none."""
    if "value" in options:
        return "constant"
    if "values" in options:
        return "categorical_w_probabilities" if "probabilities" in options else "categorical"
    return "int_uniform" if all(is_integer(options.get(name)) for name in _RANGE) else "uniform"


def _options(kind: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What a distribution needs, and what it may have with the default."""
    if kind == "constant":
        return ("value",), {}
    if kind in _CATEGORICAL:
        return ("values",) if kind == "categorical" else ("values", "probabilities"), {}
    step = {"q": 1} if kind in _QUANTIZED else {}
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
        if not _is_number(value) or (kind == "int_uniform" and not is_integer(value)):
            what = "an integer" if kind == "int_uniform" else "a number"
            raise UserError(f"{name} of {key} is {what}, not {value!r} (YAML takes 1e-4 for text; write 0.0001).")
    if "min" in options and options["min"] >= options["max"]:
        raise UserError(f"min of {key} is to be smaller than its max.")
    positive = ("min", "q", "sigma") if kind.endswith("values") else ("q", "sigma")
    if wrong := [name for name in positive if options.get(name, 1) <= 0]:
        raise UserError(f"{wrong[0]} of {key} is to be larger than 0.")
