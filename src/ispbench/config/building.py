"""From configurations to objects."""

from collections.abc import Mapping, Sequence
from typing import Any

from ispbench.config.composing import compose, require_all
from ispbench.config.explaining import explain
from ispbench.errors import UserError, mistake_in


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


def compose_and_build(overrides: Sequence[str], *groups: str) -> list[Any]:
    """Composes a configuration and builds some of its parts, such as ``data`` and ``protocol``.

    Raises:
        UserError: for a mistake in the overrides, a missing value, or what a part itself complains of.
    """
    config = compose(overrides)
    for group in groups:
        require_all(config[group])
    return [build(config[group]) for group in groups]


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
