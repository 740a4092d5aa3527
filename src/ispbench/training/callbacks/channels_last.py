"""Training in the channels_last memory format."""

import pytorch_lightning as pl
import torch


class ChannelsLast(pl.Callback):
    """Keeps the weights in channels_last, in which their convolutions then compute.

    Many convolutions are faster so, on GPUs with mixed precision above all; others slow down, as
    ``ispbench profile channels_last=true`` shows. Results change by rounding alone. MetaISP brings its maps into that
    format by itself.
    """

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Converts the weights."""
        pl_module.to(memory_format=torch.channels_last)
