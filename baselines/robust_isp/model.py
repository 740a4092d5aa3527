"""RobustISP: EfficientISP with a wider first and a narrower second layer, 1,616 parameters.

Reference: Arhire and Timofte, "Learned Lightweight Smartphone ISP with Unpaired Data", CVPR Workshops 2025,
arXiv 2505.10420.
"""

from typing import ClassVar

from ispbench.baselines.efficient_isp.model import EfficientISP


class RobustISP(EfficientISP):
    """RobustISP behind the common interface; see `EfficientISP`."""

    widths: ClassVar[tuple[int, int]] = (16, 4)
