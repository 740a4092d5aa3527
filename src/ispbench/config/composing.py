"""Composing configurations with Hydra, and checking them before anything slow is imported."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispbench.config.explaining import explain
from ispbench.config.groups import CONFIG_MODULE, choices, groups
from ispbench.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Groups whose files set keys of others, and groups that a run cannot do without.
_WITHOUT_DEFAULTS = {"ablation", "budget", "debug", "experiment", "launcher"}
_NEEDED = ("model", "data", "loss", "optimizer", "scheduler", "trainer", "callbacks", "metrics", "protocol", "logger")


def compose(overrides: Sequence[str] = ()) -> "DictConfig":
    """Composes the configuration of a run and checks its values, also while a Hydra application is running.

    Raises:
        UserError: for an unknown key or choice, naming the valid ones, and for a value that its key does not take.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        with _composer() as load:
            return _checked(load, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from error


def compose_run(overrides: Sequence[str] = ()) -> "DictConfig":
    """As `compose`, with the names of the chosen model and data under ``choices``, as a run folder's file has them."""
    from hydra.errors import HydraException
    from omegaconf import open_dict
    from omegaconf.errors import OmegaConfBaseException

    try:
        with _composer() as load:
            config, chosen = _checked(load, overrides), load(overrides).hydra.runtime.choices
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from error
    with open_dict(config):
        config.choices = {group: chosen[group] for group in ("model", "data")}
    return config


def compose_all(arguments: Sequence[str]) -> "list[DictConfig]":
    """Composes and checks what a command line of Hydra asks for: one run, or all cells of its grid.

    Args:
        arguments: Overrides and Hydra's flags. With flags that show something instead of running, nothing is composed.

    Raises:
        UserError: for a value that its key does not take.
        HydraException: for an unknown key or choice; `explain` makes a sentence of it.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra._internal.utils import get_args_parser
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.types import RunMode

    options = get_args_parser().parse_args(list(arguments))
    shows = ("help", "hydra_help", "cfg", "info", "shell_completion", "experimental_rerun")
    if any(getattr(options, name) for name in (*shows, "config_path", "config_name")):
        return []
    with _composer(options.config_dir) as load:
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        given = parser.parse_overrides(options.overrides)
        plain = [str(item.input_line) for item in given if not item.is_sweep_override()]
        hydra = load(plain).hydra
        if not options.multirun and hydra.mode != RunMode.MULTIRUN:
            return [_checked(load, options.overrides)]
        if not hydra.sweeper._target_.endswith(".BasicSweeper"):
            return [_checked(load, plain)]  # another sweeper draws its cells as it goes
        swept = [f"{key}={values}" for key, values in (hydra.sweeper.params or {}).items()]
        (cells,) = BasicSweeper.split_arguments(parser.parse_overrides([*swept, *options.overrides]), None)
        return [_checked(load, cell) for cell in cells]


@contextmanager
def _composer(config_dir: str | None = None) -> "Iterator[Callable[[Sequence[str]], DictConfig]]":
    """How overrides become a configuration with Hydra's own part, while no other Hydra application is running."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    folders = [*_folders_of_job(), *([f"file://{Path(config_dir).absolute()}"] if config_dir else [])]
    places = [f"hydra.searchpath=[{','.join(folders)}]"] if folders else []

    def load(overrides: Sequence[str]) -> "DictConfig":
        for override in overrides:
            group, _, name = override.partition("=")
            if group in _NEEDED and name == "null":  # Hydra's own error names no group
                raise UserError(_lacks(group))
        return hydra_compose("config", overrides=[*places, *overrides], return_hydra_config=True)

    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
            yield load
    finally:
        GlobalHydra.instance().hydra = outer


def _folders_of_job() -> list[str]:
    """The user's own folders of configuration that the running Hydra application was given."""
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return []
    sources = HydraConfig.get().runtime.config_sources
    return [f"file://{source.path}" for source in sources if source.schema == "file"]


def _checked(load: "Callable[[Sequence[str]], DictConfig]", overrides: Sequence[str]) -> "DictConfig":
    """A configuration whose values are of the kinds that the files of its choices have."""
    from omegaconf import open_dict

    from ispbench.config.schema import validate

    config = load(overrides)
    known = set(groups()) - _WITHOUT_DEFAULTS
    choices = config.hydra.runtime.choices.items()
    files = [f"{group}={name}" for group, name in choices if name is not None and group.partition("/")[0] in known]
    with open_dict(config):
        del config["hydra"]
    validate(config, load(files))
    return config


def require_values(config: "DictConfig") -> None:
    """Checks that nothing which a run needs was left out.

    Raises:
        UserError: naming the keys to give.
    """
    for group in _NEEDED:
        if config.get(group) is None:
            raise UserError(_lacks(group))
    require_all(config)


def require_all(config: "DictConfig") -> None:
    """Checks that a configuration or a part of one has no key without a value.

    Raises:
        UserError: naming the keys to give.
    """
    from omegaconf import OmegaConf

    if missing := sorted(_missing(OmegaConf.to_container(config), str(config._get_full_key(None) or ""))):
        verb = "has" if len(missing) == 1 else "have"
        raise UserError(f"{', '.join(missing)} {verb} no default; give a value: {missing[0]}=...")


def _missing(values: Any, place: str = "") -> Iterator[str]:
    """The keys without a value; OmegaConf.missing_keys would resolve what only a running Hydra application can."""
    if isinstance(values, dict):
        for name, value in values.items():
            yield from _missing(value, f"{place}.{name}" if place else str(name))
    elif values == "???":
        yield place


def _lacks(group: str) -> str:
    return f"{group}=null leaves a run without what it needs; choose one of {', '.join(choices(group))}."
