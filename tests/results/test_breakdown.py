import pytest

from ispbench.errors import UserError
from ispbench.results import store
from ispbench.results.breakdown import print_breakdown
from ispbench.results.records import EvaluationRecord


def save(results, number, psnr, **by):
    record = EvaluationRecord(
        key=f"{number:016d}",
        model=f"model{number}",
        dataset="photos",
        protocol="photos-v1-many-cameras/original-gt",
        seed=0,
        status="finished",
        metrics={"psnr": psnr},
        by={"camera": {name: {"n_images": 3, "psnr": value} for name, value in by.items()}} if by else {},
    )
    store.save(results, record)


def test_means_by_camera_are_printed_best_first(tmp_path, capsys):
    save(tmp_path, 1, 20.0, imx219=19.0, imx708=21.0)
    save(tmp_path, 2, 25.0, imx219=26.0, imx708=24.0)
    save(tmp_path, 3, 30.0)
    print_breakdown(tmp_path, "camera")
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.split()]
    assert lines[0][:4] == ["photos-v1-many-cameras/original-gt,", "psnr", "by", "camera,"]
    head = lines.index(["model", "variant", "seed", "all", "imx219", "imx708"])
    assert lines[head + 2 :] == [
        ["model2", "0", "25.00", "26.00", "24.00"],
        ["model1", "0", "20.00", "19.00", "21.00"],
    ]


def test_what_no_evaluation_is_broken_down_by_is_told(tmp_path):
    save(tmp_path, 1, 20.0, imx219=19.0)
    with pytest.raises(UserError, match="has psnr by lens; they are broken down by camera"):
        print_breakdown(tmp_path, "lens")
    with pytest.raises(UserError, match="has ssim by camera"):
        print_breakdown(tmp_path, "camera", "ssim")
