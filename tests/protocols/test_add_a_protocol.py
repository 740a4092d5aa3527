"""What docs/add_a_protocol.md says, done in an empty folder."""

import json

import numpy as np
import pytest
import torch

from ispbench.metrics.quality import psnr
from tests.conftest import TINY_METAISP, TINY_QUALITY, ispbench
from tests.docs import DOCS, commands, save_files

PAGE = DOCS / "add_a_protocol.md"
COMMAND = commands(PAGE)[0]
FAST = [*TINY_METAISP, *TINY_QUALITY]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's own folder, with an evaluation under each of two protocols."""
    folder = tmp_path_factory.mktemp("own")
    save_files(PAGE, folder)
    for words in (COMMAND, [word for word in COMMAND if not word.startswith("protocol=")]):
        done = ispbench(*words, *FAST, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_one_training_is_scored_under_both(folder):
    (training,) = (json.loads(path.read_text()) for path in folder.glob("results/trainings/*.json"))
    found = [json.loads(path.read_text()) for path in folder.glob("results/evaluations/*.json")]
    assert sorted(record["protocol"] for record in found) == ["mini-v2/center-gt-8", "mini-v2/original-gt"]
    assert {record["training_key"] for record in found} == {training["key"]}
    assert len({record["metrics"]["psnr"] for record in found}) == 2


def test_a_wrong_border_is_one_sentence(folder):
    done = ispbench(*COMMAND, *FAST, "protocol.border=0", cwd=folder)
    assert done.returncode == 1
    assert done.stderr == "ispbench: protocol.border is at least 1 pixel, not 0.\n"


def test_the_border_does_not_count(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    from center import CenterGT

    generator = torch.Generator().manual_seed(0)
    images, target = (torch.rand(2, 3, 40, 48, generator=generator) for _ in range(2))
    reference = CenterGT(8).reference(images, {"target": target})
    middle = np.s_[..., 8:-8, 8:-8]
    expected = -10 * torch.log10((images[middle] - target[middle]).square().mean((1, 2, 3)))
    torch.testing.assert_close(psnr(images, reference.target, reference.mask), expected)
