"""ispbench: the benchmark suite for learned camera ISPs, from RAW Bayer image to sRGB photo."""

from pathlib import Path

__version__ = "0.1.0"

# A wheel carries conf/ and baselines/ inside the package; a checkout keeps them at its top.
_checkout = Path(__file__).resolve().parents[2]
if (_checkout / "conf" / "config.yaml").is_file() and (_checkout / "baselines").is_dir():
    __path__.append(str(_checkout))
