"""The configuration of a run, as its folder holds it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispbench.config.composing import compose, require_values
from ispbench.config.explaining import explain
from ispbench.config.groups import groups
from ispbench.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig


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


def _names_group(key: str) -> bool:
    return "." not in key and key.partition("/")[0] in groups()
