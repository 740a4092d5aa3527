"""Models by the name of their file in ``conf/model/``."""

from collections.abc import Sequence

from ispbench.config import build, compose
from ispbench.models.interface import ISPModel


def build_model(name: str, overrides: Sequence[str] = ()) -> ISPModel:
    """Builds the model that ``conf/model/<name>.yaml`` describes, with fresh weights and the sensor levels of ZRR.

    To run it on other data, call ``model.set_levels(data.black_level, data.white_level)``.

    Args:
        name: A file of ``conf/model/``, such as ``metaisp``.
        overrides: Hydra overrides, such as ``model.num_bases=4``.

    Raises:
        UserError: for an unknown model or override, naming the valid ones.
    """
    return build(compose([f"model={name}", *overrides]).model)
