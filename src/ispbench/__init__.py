"""ispbench: the benchmark suite for learned camera ISPs, from RAW Bayer image to sRGB photo.

>>> import ispbench
>>> ispbench.list_models("awnet*")
['awnet_demosaic', 'awnet_raw']
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ispbench.api import create_model, evaluate, list_models, list_weights, load_data

__version__ = "0.2.0"
__all__ = ["__version__", "create_model", "evaluate", "list_models", "list_weights", "load_data"]

# A wheel carries conf/ and baselines/ inside the package; a checkout keeps them at its top.
_checkout = Path(__file__).resolve().parents[2]
if (_checkout / "conf" / "config.yaml").is_file() and (_checkout / "baselines").is_dir():
    __path__.append(str(_checkout))


def __getattr__(name: str) -> Any:
    """The public functions, imported when they are first used: torch is heavy."""
    if name in __all__:
        from ispbench import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
