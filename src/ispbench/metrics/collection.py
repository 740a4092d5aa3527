"""Scores gathered from several processes, so that each image counts once."""

import numpy as np
import torchmetrics
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat


class ImageScores(torchmetrics.Metric):
    """Collects one row of scores an image across processes; an image that came twice counts once."""

    full_state_update = False
    rows: list[Tensor]
    indices: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("rows", default=[], dist_reduce_fx="cat")
        self.add_state("indices", default=[], dist_reduce_fx="cat")

    def update(self, indices: Tensor, rows: Tensor) -> None:
        """Adds the scores of some images: their indices, shape (N,), and their rows, shape (N, M)."""
        self.indices.append(indices)
        self.rows.append(rows)

    def compute(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The indices in order, shape (N,), and the row of each, shape (N, M).

        Arrays, since torchmetrics drops the dimensions of a tensor with a single value.
        """
        indices, rows = dim_zero_cat(self.indices), dim_zero_cat(self.rows)
        first = {int(index): position for position, index in reversed(list(enumerate(indices.tolist())))}
        order = [first[index] for index in sorted(first)]
        return indices[order].cpu().numpy(), rows[order].cpu().numpy()
