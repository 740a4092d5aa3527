"""Checkpoints into models: the authors' released weights, and those of a training.

model = load_official("liteispnet", "LiteISPNet_model_80.pth")
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ispbench import pretrained
from ispbench.checkpoint_files import NEWEST, Checkpoint, read
from ispbench.config import choices
from ispbench.console import warn
from ispbench.errors import UserError
from ispbench.models.build import build_model
from ispbench.models.interface import ISPModel
from ispbench.models.recognize import Recognition, fitting_options, overrides, recognize, untold_options

ABOUT = "ispbench"  # where a checkpoint of ours says which model it is of
_NAMED = 5  # how many offending keys an error spells out
_OWN_PREFIX = "model.net."  # of the tensors in a checkpoint written by a run
# Where a checkpoint file keeps its tensors: AWNet under "model_state", LiteISPNet under "state_dict".
_WRAPPERS = ("model_state", "state_dict", "params_ema", "params", "model")


def load_official(name: str, source: str | Path | Mapping[str, Any]) -> ISPModel:
    """Builds a baseline and loads its authors' weights.

    Options that the tensors tell, such as a width or the deployed form of a re-parameterized network, are theirs.

    Args:
        name: The model, a file of ``conf/model/``.
        source: A checkpoint file, or its state dict: the authors' names to tensors or arrays. A wrapping dictionary and
            the ``module.`` prefix of DataParallel are taken off.

    Returns:
        The model in ``eval()``.

    Raises:
        UserError: if the file cannot be read safely or a key is missing, unexpected or of another shape.
    """
    state = read_state_dict(source) if isinstance(source, str | Path) else unwrap(source)
    model = build_model(name, overrides(fitting_options(name, state) or {}))
    origin = str(source) if isinstance(source, str | Path) else "The given state dict"
    load_strictly(model.net, model.official_state_dict(state), f"{origin} is not a checkpoint of {name}")
    return model.eval()


def load_weights(model: ISPModel, source: str | Path | Checkpoint, name: str) -> None:
    """Fills a model from a checkpoint of ispbench or from its authors' file.

    Args:
        model: The model to fill.
        source: The file, or a run folder, or what was read of it.
        name: The model's name, for the error.

    Raises:
        UserError: if the file is unreadable or belongs to another model.
    """
    checkpoint = _read(source)
    path, state = checkpoint.path, unwrap(checkpoint.content, str(checkpoint.path))
    own = own_tensors(state)
    try:
        load_strictly(model.net, own or model.official_state_dict(state), f"{path} is not a checkpoint of this {name}")
    except UserError as error:
        options = fitting_options(name, own or state) if name in choices("model") else None
        if options is None:
            raise
        remedy = " ".join(overrides(options)) or "the options of its file"
        raise UserError(f"{path} is a checkpoint of {name} with {remedy}; build the model so.") from error


def own_tensors(state: Mapping[str, Any]) -> dict[str, Any]:
    """The network's tensors in a checkpoint of ispbench, under the names of the network; empty for other files."""
    return {name.removeprefix(_OWN_PREFIX): value for name, value in state.items() if name.startswith(_OWN_PREFIX)}


def weights_file(path: str | Path, select: str | None = None, model: str | None = None) -> Path:
    """The checkpoint that a path means: the file itself, the one of a run folder that its run scores, or a shipped one.

    Args:
        path: A file, a run folder, or the name of weights that come with ispbench, such as ``photos-v1/one-camera``.
        select: ``best`` or ``last``, in a run folder; None for what the run was configured to score.
        model: Whose weights a name means; None if the name tells it.

    Raises:
        UserError: if there is none.
    """
    path = Path(path)
    if not path.is_dir():
        return path if path.exists() else pretrained.find(path.as_posix(), model) or path
    config = path / "config.yaml"
    if select is None and config.is_file():
        from omegaconf import OmegaConf

        select = OmegaConf.select(OmegaConf.load(config), "eval.checkpoint")
    chosen = path / "checkpoints" / f"{select or 'last'}.ckpt"
    if not chosen.is_file():
        raise UserError(f"{path} holds no {chosen.relative_to(path)}; give a run folder or a checkpoint file.")
    return chosen


def describe(source: str | Path | Checkpoint) -> dict[str, Any]:
    """What a checkpoint of ours says of its model: ``model``, its name, and ``options``; empty for other files.

    Raises:
        UserError: if the file cannot be read safely.
    """
    about = _read(source).content.get(ABOUT)
    if not isinstance(about, Mapping) or not isinstance(about.get("model"), str):
        return {}
    return dict(about) if isinstance(about.get("options"), Mapping) else {}


def progress_of(checkpoint: Checkpoint) -> dict[str, float]:
    """How far the training was at a checkpoint of ours: ``step``, and ``val_psnr`` if that validated."""
    found: dict[str, float] = {}
    step, callbacks = (checkpoint.content.get(key) for key in ("global_step", "callbacks"))
    if isinstance(step, int):
        found["step"] = step
    for state in callbacks.values() if isinstance(callbacks, Mapping) else ():
        score = state.get("current_score") if isinstance(state, Mapping) else None
        if isinstance(score, torch.Tensor | float) and torch.as_tensor(score).numel() == 1:
            found["val_psnr"] = float(score)
    return found


def identify(source: str | Path | Checkpoint, name: str | None = None) -> Recognition:
    """Which model a checkpoint is of, and with which options.

    A checkpoint of ours says it; of other files the names and shapes of the tensors tell it.

    Args:
        source: The file, or what was read of it.
        name: The model where it is known already; then the options alone are looked for, and are none for weights that
            do not fit it.

    Raises:
        UserError: if the file cannot be read safely, or fits no model or several.
    """
    checkpoint = _read(source)
    path = checkpoint.path
    about = describe(checkpoint)
    if about and name in (None, about["model"]):
        return Recognition(about["model"], dict(about["options"]))
    state = unwrap(checkpoint.content, str(path))
    own = own_tensors(state)
    if name is not None:
        return Recognition(name, (fitting_options(name, own or state) if name in choices("model") else None) or {})
    found = recognize(own or state, str(path))
    if own and (untold := untold_options(found.name)):
        untold_keys = ", ".join(f"model.{key}" for key in untold)
        warn(f"{path} does not say {untold_keys}: taken from conf/model/{found.name}.yaml.")
    return found


def newest_checkpoint(source: Path, required: bool = True) -> Checkpoint | None:
    """The checkpoint to continue a training from.

    Args:
        source: A checkpoint, or a run's folder: its last whole checkpoint.
        required: Whether it is an error if there is none.

    Raises:
        UserError: if there is none and it is required, or if the given file is none.
    """
    if not source.is_dir():
        return check_resumable(read(source))
    for name in NEWEST:
        path = source / "checkpoints" / f"{name}.ckpt"
        if not path.is_file():
            continue
        try:
            return check_resumable(read(path))
        except UserError as error:
            warn(f"{error} The checkpoint before it is taken.")
    if required:
        raise UserError(f"{source} holds no whole checkpoint to continue from; set resume=never.")
    return None


def check_resumable(checkpoint: Checkpoint) -> Checkpoint:
    """Gives a checkpoint back if it holds all that a training needs to go on.

    Raises:
        UserError: if it holds weights alone, as authors release them.
    """
    content = checkpoint.content
    kinds: dict[str, type] = dict.fromkeys(("state_dict", "loops", "callbacks"), Mapping)
    kinds |= {"optimizer_states": list, "lr_schedulers": list, "pytorch-lightning_version": str}
    kinds |= {"global_step": int, "epoch": int}
    if lacking := [key for key, kind in kinds.items() if not isinstance(content.get(key), kind)]:
        raise UserError(
            f"{checkpoint.path} holds no state of a training to continue ({', '.join(lacking)}); start a training from "
            "its weights with weights=FILE instead of resume=FILE."
        )
    return checkpoint


def read_state_dict(path: str | Path) -> dict[str, Any]:
    """Reads the tensors of a checkpoint file without running any code that it may hold.

    Raises:
        UserError: if the file is missing, is no checkpoint, or needs more than tensors.
    """
    return unwrap(read(path).content, str(path))


def _read(source: str | Path | Checkpoint) -> Checkpoint:
    return source if isinstance(source, Checkpoint) else read(weights_file(source))


def unwrap(content: Mapping[str, Any], origin: str = "The given state dict") -> dict[str, Any]:
    """Takes off a wrapping dictionary and the ``module.`` prefix that DataParallel adds.

    Raises:
        UserError: if something in it has a number or the like for a name.
    """
    for key in _WRAPPERS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if odd := [name for name in content if not isinstance(name, str)]:
        raise UserError(f"{origin} is no checkpoint: its tensors have no names but {str(odd[0])[:40]!r} and so on.")
    prefix = "module."
    strip = all(name.startswith(prefix) for name in content)
    return {name.removeprefix(prefix) if strip else name: value for name, value in content.items()}


def load_strictly(module: torch.nn.Module, state: Mapping[str, Any], complaint: str) -> None:
    """Loads a state dict whole or not at all.

    Args:
        module: The module to fill.
        state: Names to tensors or arrays.
        complaint: How the error sentence begins.

    Raises:
        UserError: naming the first missing, unexpected and misshapen keys.
    """
    own = module.state_dict()
    tensors = {name: _tensor(value) for name, value in state.items()}
    missing = [name for name in own if name not in tensors]
    unexpected = [name for name in tensors if name not in own]
    shapes = {name: tuple(value.shape) for name, value in tensors.items() if value is not None}
    misshapen = [
        f"{name} {shapes.get(name, 'without a shape')} instead of {tuple(own[name].shape)}"
        for name in own
        if name in tensors and shapes.get(name) != tuple(own[name].shape)
    ]
    problems = [
        f"{len(names)} {kind} ({', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''})"
        for kind, names in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
        if names
    ]
    if problems:
        raise UserError(f"{complaint}: {'; '.join(problems)}.")
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:  # sparse ones, or of a type that cannot be converted
        raise UserError(f"{complaint}: it holds tensors of another kind.") from error


def _tensor(value: Any) -> torch.Tensor | None:
    if isinstance(value, torch.Tensor):
        return value
    try:
        return torch.from_numpy(np.array(value))
    except TypeError:  # text, or a dictionary
        return None
