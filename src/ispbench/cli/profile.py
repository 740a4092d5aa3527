"""``ispbench profile``: latency, throughput, memory and complexity of models, side by side."""

import argparse
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ispbench.config import choices
from ispbench.errors import UserError

_DEFAULTS = {
    "device": "auto",
    "precision": "float32",
    "size": "448x448",
    "compile": "false",
    "channels_last": "false",
    "repetitions": "10",
    "warmup": "3",
    "budget": "20",
    "threads": "0",
    "protocol": "",
    "results": "results",
}
_SETTINGS = """settings:
  model=NAME           a model, several (metaisp,unet) or a pattern: model=glob(*)
  device=auto          auto | cpu | cuda | cuda:1 | mps
  precision=float32    float32 | bfloat16 | float16 (by autocast)
  size=448x448         Bayer image, HEIGHTxWIDTH or fullhd
  compile=false        torch.compile the network
  channels_last=false  memory format of weights and input
  repetitions=10       timed calls; warmup=3 calls come first, and after budget=20 seconds no further one starts
  threads=0            of torch on a CPU; 0: its own choice
  protocol=NAME        add the PSNR that results=results holds under it, and the MAI challenge score
Any other KEY=VALUE is an override of the configuration, such as model.width=16."""


def main(arguments: list[str]) -> None:
    """``ispbench profile``."""
    parser = argparse.ArgumentParser(
        prog="ispbench profile",
        description="Time models on one image at a time, with fresh weights, and measure their memory.",
        epilog=_SETTINGS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="see below")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the measurements as JSON")
    parser.add_argument("--trace", type=Path, metavar="FOLDER", help="write a Chrome trace of one call of each model")
    options = parser.parse_intermixed_args(arguments)
    names, settings, overrides = _split(options.settings)
    rows, failed = _measure(names, settings, overrides, options.trace)
    if settings["protocol"]:
        _add_scores(rows, settings["protocol"], Path(settings["results"]) / "runs")
    if options.output is not None:
        _write(options.output, rows, settings, overrides)
    _print(rows, settings)
    if failed:
        raise UserError(f"{len(failed)} of {len(names)} models could not be profiled: {'; '.join(failed)}")


def _split(items: list[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """The models' names, the settings with their defaults, and the overrides of the configuration."""
    chosen, settings, overrides = "", dict(_DEFAULTS), []
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise UserError(f"{item!r} is no setting; they have the form key=value, such as model=metaisp.")
        if key == "model":
            chosen = value
        elif key in settings:
            settings[key] = value
        else:
            overrides.append(item)
    known = choices("model")
    if not chosen:
        raise UserError(f"Say which model: model=NAME, or model='glob(*)' for all. Models: {', '.join(known)}.")
    pattern = chosen.removeprefix("glob(").removesuffix(")") if chosen.startswith("glob(") else ""
    wanted = chosen.strip("[]").split(",")
    names = [name for name in known if fnmatch(name, pattern)] if pattern else [name.strip() for name in wanted]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UserError(f"There is no model {', '.join(unknown) or pattern}. Models: {', '.join(known)}.")
    return names, settings, overrides


def _measure(
    names: list[str], settings: dict[str, str], overrides: list[str], traces: Path | None
) -> tuple[list[dict[str, Any]], list[str]]:
    import torch
    from rich.progress import track

    from ispbench.evaluation.complexity import complexity
    from ispbench.evaluation.latency import latency
    from ispbench.models.build import build_model

    height, width = _size(settings["size"])
    device = _device(settings["device"])
    compiled, channels_last = (_truth(key, settings[key]) for key in ("compile", "channels_last"))
    numbers = {key: _number(key, settings[key]) for key in ("repetitions", "warmup", "budget", "threads")}
    if numbers["threads"]:
        torch.set_num_threads(numbers["threads"])
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for name in track(names, "Profiling", transient=True):
        try:
            model = build_model(name, overrides)
            counted = asdict(complexity(model, height, width))
            model = model.to(device).eval()
            if compiled:
                model.net.compile()
            measured = latency(
                model,
                height,
                width,
                repetitions=numbers["repetitions"],
                warmup=numbers["warmup"],
                budget_s=numbers["budget"],
                precision=settings["precision"],
                channels_last=channels_last,
                trace=traces / f"{name}.json" if traces else None,
            )
        except (RuntimeError, NotImplementedError) as error:  # out of memory, an operation the device lacks
            failed.append(f"{name}: {str(error).splitlines()[0]}")
            continue
        except UserError as error:  # an override that this one of several models lacks
            if len(names) == 1:
                raise
            failed.append(f"{name}: {error}")
            continue
        rows.append({"model": name, **counted, **asdict(measured)})
    return rows, failed


def _size(text: str) -> tuple[int, int]:
    from ispbench.evaluation.complexity import SIZES

    if text in SIZES:
        return SIZES[text]
    try:
        sides = [int(side) for side in text.split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or any(side < 2 or side % 2 for side in sides):
        raise UserError(f"size has the form HEIGHTxWIDTH with even sides, such as 448x448, or fullhd; not {text!r}.")
    return sides[0], sides[-1]


def _device(text: str) -> Any:
    import torch

    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(text)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={text} cannot be used here: {str(error).splitlines()[0]}") from error
    return device


def _truth(key: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise UserError(f"{key} is true or false, not {text!r}.")
    return text.lower() == "true"


def _number(key: str, text: str) -> int:
    if not text.isdigit():
        raise UserError(f"{key} is a whole number, not {text!r}.")
    return int(text)


def _add_scores(rows: list[dict[str, Any]], protocol: str, runs: Path) -> None:
    """Joins the PSNR of each model's last finished run under a protocol, and the score derived from it."""
    from ispbench.evaluation.latency import mai_score
    from ispbench.results.record import load_records

    records = [r for r in load_records(runs) if r["protocol"] == protocol and r["metrics"].get("psnr") is not None]
    if not records:
        found = sorted({record["protocol"] for record in load_records(runs)})
        raise UserError(f"{runs} holds no scores under {protocol!r}; it has {', '.join(found) or 'none at all'}.")
    psnr = {record["model"]: record["metrics"]["psnr"] for record in records}
    for row in rows:
        if row["model"] in psnr:
            row["psnr"] = psnr[row["model"]]
            row["mai_score"] = mai_score(row["psnr"], row["median_ms"])


def _write(path: Path, rows: list[dict[str, Any]], settings: dict[str, str], overrides: list[str]) -> None:
    import datetime
    import json

    import torch

    import ispbench
    from ispbench.files import write_atomically

    content = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "ispbench": ispbench.__version__,
        "torch": torch.__version__,
        "settings": settings,
        "overrides": overrides,
        "models": rows,
    }
    write_atomically(path, json.dumps(content, indent=1) + "\n")
    print(f"wrote {path}")


def _print(rows: list[dict[str, Any]], settings: dict[str, str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    first = rows[0]
    extras = ["compiled"] * first["compiled"] + ["channels last"] * first["channels_last"]
    title = ", ".join([first["input"] + " packed RAW", first["precision"], *extras, first["device"]])
    memory = "on the GPU" if first["memory_kind"] == "cuda" else f"of the process ({first['memory_kind']})"
    caption = f"Median and interquartile range of up to {settings['repetitions']} calls; peak memory {memory}."
    columns = {
        "params": ("params", "{:,}"),
        "GMACs": ("gmacs", "{:.3f}"),
        "GFLOPs": ("gflops", "{:.3f}"),
        "FFT GFLOPs": ("fft_gflops", "{:.3f}"),
        "ms": ("median_ms", "{:.2f}"),
        "IQR": ("iqr_ms", "{:.2f}"),
        "images/s": ("images_per_s", "{:.2f}"),
        "MP/s": ("megapixels_per_s", "{:.2f}"),
        "peak MB": ("peak_memory_mb", "{:.0f}"),
    }
    if settings["protocol"]:
        columns |= {"PSNR": ("psnr", "{:.2f}"), "MAI score": ("mai_score", "{:.3g}")}
        caption += " MAI score 2^(2 PSNR) / ms with C = 1 (arXiv:2211.03885): for ratios on this device and size alone."
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = [pattern.format(row[key]) if key in row else "-" for key, pattern in columns.values()]
        table.add_row(row["model"], *cells)
    console = Console()
    console.width = max(console.width, 130)
    console.print(table)
