"""Hydra configurations from Python: composing them and naming what can be chosen."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ispbench.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONFIG_MODULE = "ispbench.conf"


def config_folder() -> Path:
    """The folder of the shipped configuration."""
    import ispbench.conf

    return Path(next(iter(ispbench.conf.__path__)))


def choices(group: str) -> list[str]:
    """The names of a configuration group: the files of ``conf/<group>/``."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


def groups() -> list[str]:
    """The configuration groups: the folders of ``conf/``."""
    return sorted(path.name for path in config_folder().iterdir() if any(path.glob("*.yaml")))


def compose(overrides: Sequence[str] = ()) -> "DictConfig":
    """Composes the configuration of a run, also while a Hydra application is running.

    Raises:
        UserError: for an unknown key or choice, naming the valid ones.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
            return hydra_compose("config", overrides=list(overrides), return_hydra_config=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from error
    finally:
        GlobalHydra.instance().hydra = outer


def require_values(config: "DictConfig") -> None:
    """Checks that nothing without a default was left out.

    Raises:
        UserError: naming the keys to give.
    """
    from omegaconf import OmegaConf

    if missing := sorted(OmegaConf.missing_keys(config)):
        verb = "has" if len(missing) == 1 else "have"
        raise UserError(f"{', '.join(missing)} {verb} no default; give a value: {missing[0]}=...")


def explain(error: Exception) -> str:
    """One sentence on what is wrong with an override or a configuration, naming the valid keys or choices."""
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf import DictConfig
    from omegaconf.errors import MissingMandatoryValue

    cause = error.__cause__ or error
    if isinstance(error, OverrideParseException):
        return f"The override {error.override!r} cannot be read; it has the form key=value, special characters quoted."
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} has no default; give it a value: {cause.full_key}=..."
    parent = getattr(cause, "parent_node", None)
    key = str(getattr(cause, "key", "") or "")
    if isinstance(parent, DictConfig) and key and key not in parent:
        place = str(parent._get_full_key(None) or "the configuration")
        valid = sorted(str(name) for name in parent if name != "hydra")
        return f"Unknown key {key!r} in {place}.{_suggest(key, valid)} Valid keys: {', '.join(valid)}."
    message = " ".join(str(error).split())
    missing_choice = re.search(r"Could not find '([\w/]+)/([^'/]+)'", message)
    if isinstance(error, HydraException) and missing_choice:
        group, name = missing_choice.groups()
        if group == "hydra/launcher":
            extra = "ray" if name == "ray" else "launch"
            return f'launcher={name} needs a package that is missing: pip install "ispbench[{extra}]".'
        valid = choices(group)
        return f"Unknown choice {group}={name}.{_suggest(name, valid)} Valid choices: {', '.join(valid)}."
    return message


def _suggest(name: str, valid: Sequence[str]) -> str:
    near = get_close_matches(name, valid, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
