"""Exports every network to every format, and prints the tables of docs/export.md.

    python benchmarks/export_zoo.py                          # all networks, fresh weights, small images
    python benchmarks/export_zoo.py --models lan,metaisp
    python benchmarks/export_zoo.py --trained RUN [RUN ...]  # trained networks in fp32, fp16 and int8
    python benchmarks/export_zoo.py --trained RUN --write    # into docs/export.md

What was measured before is kept in outputs/export_zoo.json; a network named by --models is measured anew. ExecuTorch is
left out where it is not installed.
"""

import argparse
import importlib.util
import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ispbench.config import choices
from ispbench.errors import UserError
from ispbench.exporting.configured import load_data, load_model
from ispbench.exporting.export import export
from ispbench.exporting.graph import divisor, fitting_size
from ispbench.exporting.request import Request
from ispbench.exporting.runtimes import SUFFIXES
from ispbench.files import write_atomically

STORE = Path("outputs/export_zoo.json")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "export.md"
# Small test images: heavy networks are compared, not timed.
DATA = ["data=mini", "data.leaves=2", "data.megapixels=0.02", "data.crop=32", "data.num_train=8"]
SIDE = 64
# Of networks of a hundred layers a shallower form is compared: the same operators, in a tenth of the time.
SHALLOW = {
    "awnet_demosaic": ["model.depths=[1,1,1,1,1]"],
    "awnet_raw": ["model.depths=[1,1,1,1,1]"],
    "convir_rhid": ["model.blocks=1"],
    "liteispnet": ["model.blocks=1"],
    "mwispnet": ["model.blocks=1"],
    "nafnet_w32": ["model.encoder_blocks=[1,1,1,1]"],
}
COLUMNS = {
    "onnx": Request(format="onnx", dynamic=True, images=2, keep=True),
    "onnx-fp16": Request(format="onnx", precision="fp16", images=2, keep=True),
    "torchscript": Request(format="torchscript", dynamic=True, images=2, keep=True),
    "executorch": Request(format="executorch", images=2, keep=True),
}
TRAINED = {name: Request(precision=name, images=12, keep=True) for name in ("fp32", "fp16", "int8")}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--models", default="", help="only these, measured anew")
    arguments.add_argument("--trained", nargs="*", default=[], help="run folders")
    arguments.add_argument("--data-root", default="", help="where the data of the runs lies now")
    arguments.add_argument("--write", action="store_true", help="put the tables into docs/export.md")
    typed = arguments.parse_args()
    found: dict[str, Any] = json.loads(STORE.read_text()) if STORE.is_file() else {"zoo": {}, "trained": {}}
    formats = [name for name in COLUMNS if name != "executorch" or importlib.util.find_spec("executorch")]
    names = typed.models.split(",") if typed.models else [] if typed.trained else choices("model")
    for name in names:
        known = {} if typed.models else found["zoo"].get(name, {})
        for format in (format for format in formats if format not in known):
            known = found["zoo"][name] = known | zoo_cell(name, format)
            write_atomically(STORE, json.dumps(found, indent=1) + "\n")
    for run in typed.trained:
        overrides = [f"data.root={typed.data_root}"] if typed.data_root else []
        row = trained_row(run, overrides)
        found["trained"][row["model"]] = row
        write_atomically(STORE, json.dumps(found, indent=1) + "\n")
    tables = {"zoo": zoo_table(found["zoo"]), "trained": trained_table(found["trained"])}
    for name, text in tables.items():
        print(text)
        if typed.write:
            put(name, text)


def zoo_cell(name: str, format: str) -> dict[str, Any]:
    """What became of a network in a format."""
    _, model, _ = load_model(None, [f"model={name}", *SHALLOW.get(name, []), *DATA])
    found = outcome(partial(export_small, name, COLUMNS[format]), COLUMNS[format].dynamic)
    print(name, format, {key: found.get(key) for key in ("dynamic", "max_error", "psnr", "reason")}, flush=True)
    return {"divisor": divisor(model), "minimum": 2 * model.minimum, format: found}


def export_small(name: str, request: Request, dynamic: bool) -> Mapping[str, Any]:
    """Exports a network with fresh weights at a small size."""
    config, model, _ = load_model(None, [f"model={name}", *SHALLOW.get(name, []), *DATA])
    data, protocol = load_data(config)
    height, width = fitting_size(model, max(SIDE, 2 * divisor(model)), max(SIDE, 3 * divisor(model)))
    wanted = replace(request, height=height, width=width, dynamic=dynamic)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}{SUFFIXES[request.format]}"
        return export(model, data, protocol, wanted, path, progress=False)


def outcome(attempt: Callable[[bool], Mapping[str, Any]], dynamic: bool) -> dict[str, Any]:
    """The numbers of an export, at a static size if no other works; or why there are none."""
    reasons = []
    for free in (True, False) if dynamic else (False,):
        try:
            found = attempt(free)
        except UserError as error:
            reasons.append(str(error))
            continue
        comparison = found["comparison"]
        if comparison["failures"] and free:
            reasons.append(f"out of tolerance at any size: {'; '.join(comparison['failures'])}")
            continue
        return {
            "dynamic": free,
            "max_error": comparison["max_error"],
            "psnr": comparison["psnr"],
            "failures": comparison["failures"],
            "flags": found["flags"],
            "why_static": reasons[0] if reasons else None,
        }
    return {"reason": reasons[-1]}


def trained_row(run: str, overrides: list[str]) -> dict[str, Any]:
    """A trained network on all test images of its dataset, in each precision of ONNX."""
    row: dict[str, Any] = {}
    for precision, request in TRAINED.items():
        config, model, about = load_model(run, overrides)
        data, protocol = load_data(config)
        with tempfile.TemporaryDirectory() as folder:
            found = export(model, data, protocol, request, Path(folder) / "network.onnx", about)
        row |= {"model": about["model"], precision: {key: found[key] for key in ("comparison", "bytes", "calibration")}}
        print(about["model"], precision, found["comparison"]["after"], flush=True)
    return row


def zoo_table(zoo: Mapping[str, Any]) -> str:
    """One line a network."""
    lines = [
        "| network | multiple of | ONNX fp32 | ONNX fp16 | TorchScript | ExecuTorch | not on NNAPI |",
        "|---|---:|---|---|---|---|---|",
    ]
    notes = []
    for name in sorted(zoo):
        row, cells = zoo[name], []
        for format in COLUMNS:
            cell, note = cell_of(row.get(format), format)
            cells.append(cell)
            notes += [f"- `{name}`, {format}: {note}"] if note else []
        absent = [flag for flag in row.get("onnx", {}).get("flags", ()) if "NNAPI" in flag]
        operators = absent[0].partition(": ")[2] if absent else "-"
        lines.append(f"| `{name}` | {row['divisor']} | {' | '.join(cells)} | {operators} |")
    return "\n".join([*lines, "", *notes]) + "\n"


def cell_of(found: Mapping[str, Any] | None, format: str) -> tuple[str, str]:
    """A cell of the table, and what is to be said below it."""
    if found is None:
        return "not tried", ""
    if "reason" in found:
        return "no", shortened(found["reason"])
    error = float(found["max_error"])
    number = f"{float(found['psnr']):.0f} dB" if format.endswith("fp16") else f"{error:.0e}" if error else "0"
    size = "" if not COLUMNS[format].dynamic else ", any size" if found["dynamic"] else ", one size"
    note = shortened(found["why_static"]) if found["why_static"] else ""
    if found["failures"]:
        note = f"out of tolerance: {'; '.join(found['failures'])}"
    return f"{number}{size}{' (fails)' if found['failures'] else ''}", note


def shortened(reason: str) -> str:
    """A reason without what the table says anyway."""
    reason = reason.partition(" A static size may work")[0].partition(" (http")[0].rstrip(".")
    reason = re.sub(r"^\w+ cannot be exported as \w+ in \w+ for [^:]*: ", "", reason)
    return reason if len(reason) < 160 else f"{reason[:160].rsplit(' ', 1)[0]} ..."


def trained_table(trained: Mapping[str, Any]) -> str:
    """Three lines a network, and what int8 costs."""
    lines = [
        "| network | file | MiB | max error | PSNR to PyTorch | PSNR | SSIM | CIEDE2000 |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in sorted(trained.items()):
        before = row["fp32"]["comparison"]["before"]
        lines.append(f"| `{name}` | PyTorch | - | - | - | {scores(before)} |")
        for precision in TRAINED:
            found = row[precision]["comparison"]
            label = f"{precision} (fails)" if found["failures"] else precision
            lines.append(
                f"| | {label} | {row[precision]['bytes'] / 2**20:.2f} | {float(found['max_error']):.1g} | "
                f"{float(found['psnr']):.1f} dB | {scores(found['after'])} |"
            )
    return "\n".join(lines) + "\n"


def scores(found: Mapping[str, float]) -> str:
    return f"{found['psnr']:.2f} | {found['ssim']:.4f} | {found['ciede2000']:.2f}"


def put(name: str, text: str) -> None:
    """Replaces a table of the page, between its two comments."""
    page = PAGE.read_text()
    start, end = f"<!-- {name} table -->\n", f"<!-- end of {name} table -->"
    before, _, rest = page.partition(start)
    write_atomically(PAGE, f"{before}{start}\n{text}\n{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    main()
