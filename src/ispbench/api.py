"""The Python interface: models, data and evaluation without a Hydra job, a run folder or any global state."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ispbench import pretrained
from ispbench.config import build_group, choices
from ispbench.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ispbench.data.datamodule import PairedDataModule
    from ispbench.evaluation.evaluate import Result
    from ispbench.metrics.table import Metric
    from ispbench.models.interface import ISPModel
    from ispbench.protocols.base import Protocol


def list_models(pattern: str = "*") -> list[str]:
    """The models that can be created.

    Args:
        pattern: Which, such as ``awnet*``.
    """
    return [name for name in choices("model") if fnmatch(name, pattern)]


def list_weights(pattern: str = "*") -> list[tuple[str, str]]:
    """The trained weights that come with ispbench, each as a model and the name that `create_model` takes.

    Args:
        pattern: Of which models, such as ``metaisp*``.
    """
    return [(model, name) for model, name in pretrained.names() if fnmatch(model, pattern)]


def create_model(name: str | None = None, *, weights: str | Path | None = None, **options: Any) -> "ISPModel":
    """Builds a model, with fresh weights or given ones.

    Args:
        name: One of `list_models`; may be left out where there are `weights`, whose tensors tell it.
        weights: A checkpoint of ispbench, a run folder, the authors' file, or the name of weights that come with
            ispbench, see `list_weights`. They bring the options of their model: a checkpoint of ispbench all, other
            files those that the shapes of tensors tell.
        **options: Settings of ``conf/model/<name>.yaml``, such as ``num_bases=4``.

    Returns:
        The model, in ``eval()`` if it has weights.

    Raises:
        UserError: for an unknown model or option, and for weights of another model.
    """
    from ispbench.checkpoint_files import read
    from ispbench.checkpoints import identify, load_weights, weights_file

    file = None if weights is None else read(weights_file(weights, model=name))
    if file is not None:
        found = identify(file, name)
        name, options = found.name, {**found.options, **options}
    if name is None:
        raise UserError(f"Say which model it is: create_model(NAME, ...), one of {', '.join(list_models())}.")
    model: ISPModel = build_group("model", name, options)
    if file is not None:
        load_weights(model, file, name)
        model.eval()
    return model


def load_data(name: str, **options: Any) -> "PairedDataModule":
    """Opens a dataset; `mini` needs nothing else, the others a ``root``.

    Args:
        name: A file of ``conf/data/``, such as ``zrr`` or ``folder``.
        **options: Settings of that file, such as ``root="pairs"``, ``black_level=64``, ``white_level=1023``.

    Raises:
        UserError: for an unknown dataset or option, a missing one, and for files that are missing.
    """
    data: PairedDataModule = build_group("data", name, options)
    data.prepare_data()
    return data


def evaluate(
    model: "nn.Module | Callable[[Tensor], Tensor]",
    data: "PairedDataModule",
    protocol: "str | Protocol" = "original-gt",
    split: str = "test",
    metrics: "Sequence[str] | Mapping[str, Metric] | None" = None,
    *,
    device: "str | torch.device | None" = None,
    precision: str = "32-true",
    limit: int | None = None,
    progress: bool = True,
) -> "Result":
    """Scores any model on any split under any protocol.

    Args:
        model: From `create_model`, or any module or function of your own from canonical packed RAW, shape (N, 4, h, w),
            to sRGB in [0, 1], shape (N, 3, 2h, 2w).
        data: From `load_data`.
        protocol: A file of ``conf/protocol/``, or a protocol.
        split: train, val or test.
        metrics: Names of ``ispbench.metrics.table.TABLE``, or entries by name; None for those of ``metrics=default``.
        device: None for the device of the model's parameters if that is not the CPU, else the best there is.
        precision: ``32-true``, or ``bf16-mixed`` or ``16-mixed`` for autocast. Scores are always float32.
        limit: Score only the first images; None for all.
        progress: Whether a progress bar is shown.

    Returns:
        ``scores``, a table with one row an image; ``summary``, the means by metric; ``notes``, why a mean is missing.

    Raises:
        UserError: for an unknown protocol, split or metric, and for outputs of another shape.
    """
    from ispbench.evaluation.evaluate import evaluate as score

    chosen: Protocol = build_group("protocol", protocol, {}) if isinstance(protocol, str) else protocol
    return score(
        model, data, chosen, split, metrics, device=device, precision=precision, limit=limit, progress=progress
    )
