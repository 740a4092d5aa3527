"""The authors' released weights in our models, and checkpoint files read safely.

model = load_official("liteispnet", "LiteISPNet_model_80.pth")
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

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


def load_weights(model: ISPModel, path: str | Path, name: str) -> None:
    """Fills a model from a checkpoint of ispbench or from its authors' file.

    Args:
        model: The model to fill.
        path: The file, or a run folder.
        name: The model's name, for the error.

    Raises:
        UserError: if the file is unreadable or belongs to another model.
    """
    path = weights_file(path)
    state = read_state_dict(path)
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


def weights_file(path: str | Path, select: str | None = None) -> Path:
    """The checkpoint that a path means: the file itself, or the one of a run folder that its run scores.

    Args:
        path: A file, or a run folder.
        select: ``best`` or ``last``, in a run folder; None for what the run was configured to score.

    Raises:
        UserError: if there is none.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    config = path / "config.yaml"
    if select is None and config.is_file():
        from omegaconf import OmegaConf

        select = OmegaConf.select(OmegaConf.load(config), "eval.checkpoint")
    chosen = path / "checkpoints" / f"{select or 'last'}.ckpt"
    if not chosen.is_file():
        raise UserError(f"{path} holds no {chosen.relative_to(path)}; give a run folder or a checkpoint file.")
    return chosen


def describe(path: str | Path) -> dict[str, Any]:
    """What a checkpoint of ours says of its model: ``model``, its name, and ``options``; empty for other files.

    Raises:
        UserError: if the file cannot be read safely.
    """
    about = _read(Path(path)).get(ABOUT)
    return dict(about) if isinstance(about, Mapping) else {}


def progress_of(path: Path) -> dict[str, float]:
    """How far the training was at a checkpoint of ours: ``step``, and ``val_psnr`` if that validated.

    Raises:
        UserError: if the file cannot be read safely.
    """
    content = _read(path)
    found: dict[str, float] = {"step": int(content.get("global_step", 0))}
    for state in content.get("callbacks", {}).values():
        score = state.get("current_score") if isinstance(state, Mapping) else None
        if score is not None:
            found["val_psnr"] = float(score)
    return found


def identify(path: str | Path, name: str | None = None) -> Recognition:
    """Which model a checkpoint is of, and with which options.

    A checkpoint of ours says it; of other files the names and shapes of the tensors tell it.

    Args:
        path: The file.
        name: The model where it is known already; then the options alone are looked for, and are none for weights that
            do not fit it.

    Raises:
        UserError: if the file cannot be read safely, or fits no model or several.
    """
    content = _read(Path(path))
    about = content.get(ABOUT)
    if isinstance(about, Mapping) and name in (None, about["model"]):
        return Recognition(about["model"], dict(about["options"]))
    state = unwrap(content)
    own = own_tensors(state)
    if name is not None:
        return Recognition(name, (fitting_options(name, own or state) if name in choices("model") else None) or {})
    found = recognize(own or state, str(path))
    if own and (untold := untold_options(found.name)):
        untold_keys = " and ".join(f"model.{key}" for key in untold)
        warn(f"{path} does not say {untold_keys}: taken from conf/model/{found.name}.yaml.")
    return found


def newest_checkpoint(source: Path, required: bool = True) -> Path | None:
    """The checkpoint to continue a training from.

    Args:
        source: A checkpoint, or a run's folder: its last whole checkpoint.
        required: Whether it is an error if there is none.

    Raises:
        UserError: if there is none and it is required.
    """
    if not source.is_dir():
        return source
    for name in ("last", "previous", "best"):
        path = source / "checkpoints" / f"{name}.ckpt"
        if not path.is_file():
            continue
        try:
            read_state_dict(path)
        except UserError as error:
            warn(f"{error} The checkpoint before it is taken.")
        else:
            return path
    if required:
        raise UserError(f"{source} holds no whole checkpoint to continue from; set resume=never.")
    return None


def read_state_dict(path: str | Path) -> dict[str, Any]:
    """Reads the tensors of a checkpoint file without running any code that it may hold.

    Raises:
        UserError: if the file is missing, is no checkpoint, or needs more than tensors.
    """
    return unwrap(_read(Path(path)))


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise UserError(f"There is no checkpoint file {path}; give the path of a downloaded .pth, .pkl or .ckpt file.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("\n")[0]
        raise UserError(
            f"{path} is refused: it does not load as plain tensors (weights_only=True): {reason} If you trust its "
            "source, load it yourself and pass its state dict to ispbench.checkpoints.load_official."
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:  # OSError: a zip file cut short
        reason = str(error).split("\n")[0] or "the file is cut short"
        raise UserError(f"{path} is not a readable checkpoint: {reason}") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors.")
    return content


def unwrap(content: Mapping[str, Any]) -> dict[str, Any]:
    """Takes off a wrapping dictionary and the ``module.`` prefix that DataParallel adds."""
    for key in _WRAPPERS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    prefix = "module."
    strip = all(name.startswith(prefix) for name in content)
    return {name[len(prefix) :] if strip else name: value for name, value in content.items()}


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
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    problems = [
        f"{len(names)} {kind} ({', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''})"
        for kind, names in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
        if names
    ]
    if problems:
        raise UserError(f"{complaint}: {'; '.join(problems)}.")
    module.load_state_dict(tensors)


def _tensor(value: Any) -> torch.Tensor:
    return value if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value))
