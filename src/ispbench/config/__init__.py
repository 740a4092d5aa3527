"""Hydra configurations from Python: what can be chosen, composing, checking, building."""

from ispbench.config.building import build, build_group, compose_and_build, default_of
from ispbench.config.composing import compose, compose_all, compose_run, require_all, require_values
from ispbench.config.explaining import explain
from ispbench.config.groups import (
    CONFIG_MODULE,
    choices,
    chosen,
    config_folder,
    groups,
    keys,
    model_settings,
    networks,
    select,
    variants,
)
from ispbench.config.run_folder import load_run

__all__ = [
    "CONFIG_MODULE",
    "build",
    "build_group",
    "choices",
    "chosen",
    "compose",
    "compose_all",
    "compose_and_build",
    "compose_run",
    "config_folder",
    "default_of",
    "explain",
    "groups",
    "keys",
    "load_run",
    "model_settings",
    "networks",
    "require_all",
    "require_values",
    "select",
    "variants",
]
