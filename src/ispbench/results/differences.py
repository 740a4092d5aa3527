"""The leaves of configurations, and in which of them two configurations differ."""

from collections.abc import Mapping
from typing import Any

from ispbench.errors import UserError

ABSENT = "-"


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a configuration under their full keys, such as ``optimizer.lr``."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The leaves in which two configurations differ, with both values; ``-`` where one has no such key."""
    left, right = flatten(first), flatten(second)
    pairs = {key: (left.get(key, ABSENT), right.get(key, ABSENT)) for key in sorted({*left, *right})}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def changes_from_default(record: Mapping[str, Any]) -> dict[str, tuple[Any, Any]] | None:
    """How a run's configuration differs from the default of its model and data; None if these are gone."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from ispbench.config import compose
    from ispbench.results.keys import canonical

    try:
        composed = compose([f"model={record['model']}", f"data={record['dataset']}"])
        default = flatten(
            {
                str(key): canonical(OmegaConf.to_container(section, resolve=True))
                if OmegaConf.is_config(section)
                else canonical(section)
                for key, section in composed.items()
                if key in record["config"]
            }
        )
    except (UserError, OmegaConfBaseException):
        return None
    # A record holds what decides the numbers: no places, and what the data says of itself instead of its settings.
    ours = {key: value for key, value in flatten(record["config"]).items() if key in default}
    return {key: (default[key], value) for key, value in ours.items() if default[key] != value}
