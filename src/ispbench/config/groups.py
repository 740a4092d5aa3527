"""What can be chosen: the groups of ``conf/`` and their files."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ispbench.errors import UserError, suggest

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONFIG_MODULE = "ispbench.conf"


def config_folder() -> Path:
    """The folder of the shipped configuration."""
    return Path(next(iter(import_module(CONFIG_MODULE).__path__)))


def groups() -> list[str]:
    """The configuration groups: the folders of ``conf/``."""
    return sorted(path.name for path in config_folder().iterdir() if any(path.glob("*.yaml")))


def choices(group: str) -> list[str]:
    """The names of a configuration group: the files of ``conf/<group>/``."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


def model_settings(name: str) -> "DictConfig":
    """The keys of a model's file; a variant has those of its model too."""
    from omegaconf import DictConfig, OmegaConf

    own = OmegaConf.load(config_folder() / "model" / f"{name}.yaml")
    assert isinstance(own, DictConfig)
    for base in own.pop("defaults", []):
        own = DictConfig(OmegaConf.merge(model_settings(base), own))
    return own


def variants() -> list[str]:
    """The models that are another one with other settings: the files of ``conf/model/`` with a ``defaults`` list."""
    import yaml

    folder = config_folder() / "model"
    files = {name: (folder / f"{name}.yaml").read_text(encoding="utf-8") for name in choices("model")}
    return [name for name, text in files.items() if "defaults" in yaml.safe_load(text)]


def networks() -> list[str]:
    """The models that are no variants of another one."""
    known = variants()
    return [name for name in choices("model") if name not in known]


def select(group: str, patterns: Sequence[str]) -> list[str]:
    """The names of a configuration group that match any of the patterns, such as ``awnet*``.

    Raises:
        UserError: for a pattern that matches none.
    """
    names = choices(group)
    found: dict[str, None] = {}
    for pattern in patterns:
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            raise UserError(
                f"There is no {group} {pattern!r}.{suggest(pattern, names)} Valid choices: {', '.join(names)}."
            )
        found |= dict.fromkeys(matches)
    return list(found)


def keys() -> list[str]:
    """The first words of all overrides: the configuration groups and the keys of ``conf/config.yaml``."""
    import yaml

    content = yaml.safe_load((config_folder() / "config.yaml").read_text(encoding="utf-8"))
    return sorted({*groups(), *content} - {"defaults"})


def chosen(overrides: Sequence[str], group: str) -> str | None:
    """What the overrides choose of a group, the last one counts; None if they choose nothing."""
    named = [value for key, _, value in (item.lstrip("+").partition("=") for item in overrides) if key == group]
    return named[-1] if named else None
