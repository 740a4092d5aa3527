"""Hydra configurations from Python: composing them and naming what can be chosen."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispbench.errors import UserError, mistake_in, suggest

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONFIG_MODULE = "ispbench.conf"

# Groups whose files set keys of others, and groups that a run cannot do without.
_WITHOUT_DEFAULTS = {"ablation", "budget", "debug", "experiment", "launcher"}
_NEEDED = ("model", "data", "loss", "optimizer", "scheduler", "trainer", "callbacks", "metrics", "protocol", "logger")


def config_folder() -> Path:
    """The folder of the shipped configuration."""
    return Path(next(iter(import_module(CONFIG_MODULE).__path__)))


def choices(group: str) -> list[str]:
    """The names of a configuration group: the files of ``conf/<group>/``."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


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

    return sorted({*groups(), *yaml.safe_load((config_folder() / "config.yaml").read_text())} - {"defaults"})


def chosen(overrides: Sequence[str], group: str) -> str | None:
    """What the overrides choose of a group, the last one counts; None if they choose nothing."""
    named = [value for key, _, value in (item.lstrip("+").partition("=") for item in overrides) if key == group]
    return named[-1] if named else None


def groups() -> list[str]:
    """The configuration groups: the folders of ``conf/``."""
    return sorted(path.name for path in config_folder().iterdir() if any(path.glob("*.yaml")))


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


def compose_and_build(overrides: Sequence[str], *groups: str) -> list[Any]:
    """Composes a configuration and builds some of its parts, such as ``data`` and ``protocol``.

    Raises:
        UserError: for a mistake in the overrides, a missing value, or what a part itself complains of.
    """
    config = compose(overrides)
    for group in groups:
        require_all(config[group])
    return [build(config[group]) for group in groups]


def build(config: Any, **more: Any) -> Any:
    """Instantiates what ``_target_`` names; a user's mistake comes up without Hydra's wrapping.

    Args:
        config: A part of a configuration.
        **more: Further arguments of the target.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(config, **more)
    except InstantiationException as error:
        raise mistake_in(error) or error from None


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

    from ispbench.schema import validate

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


def explain(error: Exception) -> str:
    """One sentence on what is wrong with an override or a configuration, naming the valid keys or choices."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf import DictConfig
    from omegaconf.errors import MissingMandatoryValue

    from ispbench.schema import MOVED

    cause = error.__cause__ or error
    if isinstance(error, OverrideParseException):
        return f"The override {error.override!r} cannot be read; it has the form key=value, special characters quoted."
    if isinstance(cause, MissingMandatoryValue):
        return f"{cause.full_key} has no default; give it a value: {cause.full_key}=..."
    parent = getattr(cause, "parent_node", None)
    key = str(getattr(cause, "key", "") or "")
    if isinstance(parent, DictConfig) and key and key not in parent:
        place = str(parent._get_full_key(None) or "the configuration")
        if moved := MOVED.get(f"{place}.{key}"):
            return f"Unknown key {key!r} in {place}: {moved}."
        valid = sorted(str(name) for name in parent if name != "hydra")
        return f"Unknown key {key!r} in {place}.{suggest(key, valid)} Valid keys: {', '.join(valid)}."
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        if group == "hydra/launcher":
            extra = "ray" if name == "ray" else "launch"
            return f'launcher={name} needs a package that is missing: pip install "ispbench[{extra}]".'
        valid = choices(group)
        return f"Unknown choice {group}={name}.{suggest(name, valid)} Valid choices: {', '.join(valid)}."
    return " ".join(str(error).split())


def build_group(group: str, name: str, options: Mapping[str, Any]) -> Any:
    """Instantiates a choice of a configuration group from Python.

    Args:
        group: Such as ``model``.
        name: A file of ``conf/<group>/``.
        options: Values for its keys.

    Raises:
        UserError: for an unknown choice or key, or one without a value, naming the valid ones.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    config = compose([f"{group}={name}"])
    for key, value in options.items():
        try:
            OmegaConf.update(config, f"{group}.{key}", value, force_add=False)
        except OmegaConfBaseException as error:
            raise UserError(explain(error)) from error
    require_all(config[group])
    return build(config[group])


def default_of(group: str, name: str) -> dict[str, Any]:
    """The resolved settings of a choice; empty if it is not to be found."""
    from omegaconf import OmegaConf

    try:
        config = compose([f"{group}={name}"])
    except UserError:
        return {}
    return dict(OmegaConf.to_container(config[group], resolve=True))  # type: ignore[arg-type]


def _names_group(key: str) -> bool:
    return "." not in key and key.partition("/")[0] in groups()


def load_run(folder: Path, overrides: Sequence[str] = ()) -> "DictConfig":
    """The configuration of a run, as its folder holds it, with changes.

    Args:
        folder: Holds ``config.yaml``.
        overrides: Choices such as ``protocol=aligned-gt-raw`` replace a whole group; keys such as ``data.root=FOLDER``
            are changed in place.

    Raises:
        UserError: for an unreadable file, an unknown key or choice.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    path = folder / "config.yaml"
    try:
        config: Any = OmegaConf.load(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not the configuration of a run ({error}).") from error
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        whole = {item.key_or_group: str(item.input_line) for item in parsed if _names_group(item.key_or_group)}
        composed = compose(list(whole.values())) if whole else {}
        for group in dict.fromkeys(key.partition("/")[0] for key in whole):
            config[group] = OmegaConf.to_container(composed[group], resolve=False)
            if group in config.choices and group in whole:
                config.choices[group] = whole[group].partition("=")[2]
        OmegaConf.set_struct(config, True)
        for item in parsed:
            if item.key_or_group not in whole:
                adds = item.is_add() or item.is_force_add()
                OmegaConf.update(config, item.key_or_group, item.value(), force_add=adds)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from error
    OmegaConf.set_struct(config, False)
    require_values(config)
    return config
