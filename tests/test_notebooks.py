import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from ispbench.results import store
from tests.conftest import REPOSITORY
from tests.raw.test_camera import GRBG, photograph, scene
from tests.report.grid import save_grid
from tests.results.grid import add_row

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def run(name, folder):
    """Executes a notebook in a folder; what its cells printed, by cell."""
    notebook = nbformat.read(REPOSITORY / "notebooks" / name, as_version=4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stdout"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stored_without_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_look_at_raw(tmp_path, rng, monkeypatch):
    photo = photograph(tmp_path / "photo.dng", scene(rng), GRBG, neutral=None)
    monkeypatch.setenv("ISPBENCH_CAMERA_FILE", str(photo))
    printed = run("01_look_at_raw.ipynb", tmp_path)
    linear, final = _decibels(printed, "PSNR against the target: ")
    assert final > linear + 5
    assert final > 16
    assert "photo.dng: 158x120, CFA GRBG before the crop" in printed
    assert "assumed: no white balance, gray world assumed" in printed
    assert _decibels(printed, "PSNR between the two: ")[0] > 30
    right = _decibels(printed, "right ")[0]
    assert right == pytest.approx(final, abs=0.1)
    for mistake in ("wrong_CFA_phase", "black_level_kept", "two_bits_too_many"):
        assert _decibels(printed, mistake)[0] < right - 0.5


def test_read_an_ablation(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.delenv("ISPBENCH_RESULTS", raising=False)
    monkeypatch.delenv("ISPBENCH_CHECKPOINT", raising=False)
    printed = run("02_read_an_ablation.ipynb", folder)
    assert "toy runs of three steps" in printed
    assert "PSNR: the means of the 2 values lie up to" in printed
    assert "with 2 seeds as blocks F(1, 1)" in printed
    for level, side in (("encoder 1", 96), ("encoder 2", 48), ("encoder 3", 24), ("bottleneck", 12), ("decoder 1", 48)):
        (line,) = (line for line in printed.splitlines() if line.startswith(f"{level}, MSCB  ") and "x" in line)
        assert f"{side}x{side}" in line
        least, most = float(line.split()[-3]), float(line.split()[-1])
        assert -1 <= least < most <= 1
    assert "27 captures of coffee, china, flower: 5 cameras, 3 lights" in printed
    assert float(printed.split("its weights differ by ")[1].split()[0]) > 0.003
    live, frozen, uniform = _decibels(printed, "PSNR ")[:3]
    assert float(printed.split("dynamic gain ")[1].split()[0]) == pytest.approx(live - frozen, abs=0.015)
    assert 5 < uniform < 40


def test_read_a_breakdown(tmp_path, monkeypatch):
    results = tmp_path / "results"
    save_grid(results, ["lan", "unet"])
    monkeypatch.setenv("ISPBENCH_RESULTS", str(results))
    printed = run("04_read_a_breakdown.ipynb", tmp_path)
    assert "48 images of 8 photographs, broken down by camera, iso" in printed
    models = {name: [] for name in ("lan", "unet")}
    for record in store.load(results):
        models[record["model"]].append(pd.read_csv(results / "evaluations" / f"{record['id']}.scores.csv"))
    lan, unet = (pd.concat(tables).groupby(["camera", "iso"])["psnr"].mean() for tables in models.values())
    for iso, gap in (unet - lan).groupby("iso").mean().items():
        assert f"iso {iso}: unet minus lan = {gap:+.2f} (" in printed
    gap = unet.groupby("camera").mean()["imx708"] - unet.groupby("camera").mean()["imx219"]
    assert f"unet, camera imx708 minus imx219: {gap:+.2f} (" in printed
    assert "these rows were not scored by psnr_color_fitted" in printed


def test_compare_models(tmp_path, monkeypatch):
    add_row(tmp_path / "results", "metaisp", 28.0)
    add_row(tmp_path / "results", "unet", 25.0)
    add_row(tmp_path / "results", "lan", 28.01, seeds=(0,))
    monkeypatch.setenv("ISPBENCH_RESULTS", str(tmp_path / "results"))
    printed = run("03_compare_models.ipynb", tmp_path)
    assert "3 models, 24 images of 8 photographs" in printed
    lines = {line.partition(":")[0]: line for line in printed.splitlines()}
    verdicts = {pair: line.endswith(": a difference") for pair, line in lines.items() if " - " in pair}
    assert {frozenset(pair.split(" - ")): told for pair, told in verdicts.items()} == {
        frozenset(("metaisp", "unet")): True,
        frozenset(("lan", "unet")): True,
        frozenset(("lan", "metaisp")): False,
    }
    assert "not known from itself (others)" in lines["lan"]


def _decibels(printed, start):
    line = next(line for line in printed.splitlines() if line.startswith(start))
    return [float(word) for word, unit in zip(line.split(), line.split()[1:], strict=False) if unit == "dB"]
