import pytest
import torch

from ispbench.metrics.collection import ImageScores


def test_rows_are_collected_once_and_in_order():
    collected = ImageScores()
    collected.update(torch.tensor([3, 0]), torch.tensor([[3.0, 1], [0, 1]]))
    collected.update(torch.tensor([1, 3]), torch.tensor([[1.0, 1], [9, 9]]))
    indices, rows = collected.compute()
    assert indices.tolist() == [0, 1, 3]
    assert rows[:, 0].tolist() == [0, 1, 3]


@pytest.mark.parametrize("count", [1, 5])
def test_shapes_do_not_depend_on_the_number_of_images(count):
    collected = ImageScores()
    collected.update(torch.arange(count), torch.rand(count, 1))
    indices, rows = collected.compute()
    assert indices.shape == (count,)
    assert rows.shape == (count, 1)
