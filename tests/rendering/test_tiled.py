import numpy as np
import pytest
import torch

from ispbench.errors import UserError
from ispbench.rendering.tiled import render


class Local(torch.nn.Module):
    """A network that sees single pixels: its tiles must join without a trace."""

    def forward(self, raw):
        return torch.nn.functional.pixel_shuffle(raw, 2).repeat(1, 3, 1, 1).clamp(0, 1)


@pytest.mark.parametrize("tile, overlap", [(None, 64), (32, 0), (32, 8), (64, 16), (1000, 64)])
def test_tiles_join_without_a_trace(rng, tile, overlap):
    raw = rng.random((4, 45, 71), np.float32)
    counts = []
    image = render(Local(), raw, tile, overlap, counts.append)
    np.testing.assert_array_equal(image, render(Local(), raw))
    whole = torch.nn.functional.pixel_shuffle(torch.from_numpy(raw), 2)[0]
    np.testing.assert_array_equal(image[..., 1], (whole * 255).round().byte().numpy())
    assert len(counts) == counts[0]


def test_seams_fade(rng):
    """Tiles of different brightness: between them no step is larger than the fade allows."""

    class Moody(torch.nn.Module):
        calls = 0

        def forward(self, raw):
            self.calls += 1
            return torch.full((1, 3, 2 * raw.shape[2], 2 * raw.shape[3]), (self.calls % 2) * 0.5)

    image = render(Moody(), np.zeros((4, 16, 100), np.float32), tile=64, overlap=30).astype(int)
    assert np.ptp(image) > 100
    assert np.abs(np.diff(image, axis=1)).max() <= 128 / 30 + 1


def test_memory_and_nan_are_explained():
    class Hungry(torch.nn.Module):
        def forward(self, raw):
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    class Broken(torch.nn.Module):
        def forward(self, raw):
            return torch.full((1, 3, 32, 32), torch.nan)

    raw = np.zeros((4, 16, 16), np.float32)
    with pytest.raises(UserError, match="tile=1024"):
        render(Hungry(), raw)
    with pytest.raises(UserError, match="NaN"):
        render(Broken(), raw)
