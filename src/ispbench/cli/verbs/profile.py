"""Time models on one image at a time, measure their memory, and count their operations.

Their weights are fresh, and the models stand side by side in one table. With runtimes=, each is timed in each of them
on the CPU, in a process of its own; files of `ispbench export` may stand among the runtimes.

  ispbench profile model=metaisp,unet size=fullhd device=cuda
  ispbench profile model=metaisp runtimes=eager,compiled,onnx,onnx-int8,executorch size=448x448,1088x1920
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ispbench.cli.arguments import overrides, setting
from ispbench.config import choices, select
from ispbench.console import Column, say, table, warn
from ispbench.errors import UserError
from ispbench.evaluation.sizes import parse_size
from ispbench.files import write_atomically

Rows = Sequence[Mapping[str, Any]]

_COLUMNS = {
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
_RUNTIME_COLUMNS = {
    "file MB": ("file_mb", "{:.2f}"),
    "threads": ("threads", "{}"),
    "ms": ("median_ms", "{:.2f}"),
    "IQR": ("iqr_ms", "{:.2f}"),
    "peak MB": ("peak_memory_mb", "{:.0f}"),
    "network MB": ("network_memory_mb", "{:.0f}"),
    "others": ("other_cores", "{:.2f}"),
}
_MAI_SCORE = " MAI score 2^(2 PSNR) / ms with C = 1 (arXiv:2211.03885): for ratios on this device and size alone."
_SCORES = {"PSNR": ("psnr", "{:.2f}"), "MAI score": ("mai_score", "{:.3g}")}


@dataclass
class Settings:
    """What the verb takes."""

    model: str = setting("", "a model, several (metaisp,unet), or patterns such as awnet* or '*'", metavar="NAME,...")
    device: str = setting("auto", "auto | cpu | cuda | cuda:1 | mps", metavar="DEVICE")
    precision: str = setting("float32", "the latter two by autocast", choices=("float32", "bfloat16", "float16"))
    size: str = setting("448x448", "Bayer image, or fullhd; with runtimes= several", metavar="HEIGHTxWIDTH")
    runtimes: str = setting(
        "",
        "eager, compiled, torchscript, onnx, onnx-fp16, onnx-int8, executorch, exported files",
        metavar="NAME,...",
    )
    weights: str | None = setting(None, "with runtimes=: of the model, which they tell", metavar="PATH")
    compile: bool = setting(False, "torch.compile the network")
    channels_last: bool = setting(False, "memory format of weights and input")
    deploy: bool = setting(True, "merge what was made to be merged first, as evaluations do")
    repetitions: int = setting(10, "timed calls, three at least", at_least=0)
    warmup: int = setting(3, "calls before them", at_least=0)
    budget: float = setting(20, "seconds after which no further call starts", metavar="SECONDS", at_least=0)
    threads: int = setting(0, "of torch on a CPU; 0: its own choice", at_least=0)
    protocol: str = setting("", "add the PSNR of the results under this protocol, and the MAI score", metavar="NAME")
    results: Path = setting(Path("results"), "results folder", metavar="DIR")
    output: Path | None = setting(None, "write the measurements as JSON", metavar="FILE")
    trace: Path | None = setting(None, "write a Chrome trace of one call of each model", metavar="DIR")
    overrides: list[str] = overrides("any key of the configuration, such as model.width=16")


def run(settings: Settings) -> None:
    """Prints the table, and writes the measurements.

    Raises:
        UserError: for a mistake in the arguments, and at the end for models that could not be profiled.
    """
    if settings.runtimes:
        run_runtimes(settings)
        return
    if settings.weights:
        raise UserError("weights= is for runtimes=...; otherwise weights are fresh, since times do not depend on them.")
    names = _names(settings.model)
    height, width = parse_size(settings.size)
    from rich.progress import track

    from ispbench.evaluation.profile import Conditions, profile

    conditions = Conditions(
        height,
        width,
        device=settings.device,
        precision=settings.precision,
        compile=settings.compile,
        channels_last=settings.channels_last,
        repetitions=settings.repetitions,
        warmup=settings.warmup,
        budget_s=settings.budget,
        threads=settings.threads,
        deploy=settings.deploy,
        traces=settings.trace,
    )
    progress = partial(track, description="Profiling", transient=True)
    rows, failed = profile(names, settings.overrides, conditions, progress)
    if settings.protocol:
        _add_scores(rows, settings)
    _tell(rows, settings, _print)
    if failed:
        raise UserError(f"{len(failed)} of {len(names)} models could not be profiled: {'; '.join(failed)}")


def run_runtimes(settings: Settings) -> None:
    """Prints the table of models in runtimes, and writes the measurements.

    Raises:
        UserError: for a mistake in the arguments, and at the end for measurements that could not be made.
    """
    for name, default in (
        ("device", "auto"),
        ("precision", "float32"),
        ("compile", False),
        ("channels_last", False),
        ("deploy", True),
    ):
        if getattr(settings, name) not in (default, "cpu"):
            raise UserError(
                f"{name} has no meaning with runtimes=, which run on the CPU: runtimes=eager,compiled,onnx."
            )
    sizes = [parse_size(size) for size in settings.size.split(",")]
    from rich.progress import track

    from ispbench.exporting.configured import load_model
    from ispbench.exporting.side_by_side import RUNTIMES, Timing, parse_runtimes, profile_runtimes

    runtimes = parse_runtimes(settings.runtimes)
    models = []
    if settings.weights:
        _, model, about = load_model(settings.weights, settings.overrides)
        models.append((about["model"], model))
    elif settings.model or any(runtime in RUNTIMES for runtime in runtimes):
        for name in _names(settings.model):
            models.append((name, load_model(None, [f"model={name}", *settings.overrides])[1]))
    timing = Timing(settings.repetitions, settings.warmup, settings.budget, settings.threads)
    rows, failed = profile_runtimes(
        models, runtimes, sizes, timing, partial(track, description="Profiling", transient=True)
    )
    _add_scores(rows, settings)
    _tell(rows, settings, _print_runtimes)
    if failed:
        raise UserError(f"{len(failed)} measurements could not be made: {'; '.join(failed)}")


def _tell(rows: list[dict[str, Any]], settings: Settings, show: Callable[[Rows, Settings], None]) -> None:
    """Writes and prints what was measured, and says whether the machine was busy."""
    from ispbench.evaluation.others import complaint

    _save(rows, settings)
    if rows:
        show(rows, settings)
        if sentence := complaint(max(row["other_cores"] for row in rows)):
            warn(sentence)


def _save(rows: list[dict[str, Any]], settings: Settings) -> None:
    """Writes the measurements, if they are to be written."""
    if settings.output is None:
        return
    from ispbench.evaluation.profile import as_json

    typed = asdict(settings)
    kept = {name: value for name, value in typed.items() if name not in ("model", "output", "trace", "overrides")}
    content = as_json(rows, kept | {"results": str(settings.results)}, settings.overrides)
    write_atomically(settings.output, content, "choose another output=FILE")
    say(f"wrote {settings.output}")


def _names(text: str) -> list[str]:
    """Models, from their names or patterns as Hydra's command line has them: ``a,b``, ``[a,b]`` or ``glob(a*)``."""
    if not text:
        known = ", ".join(choices("model"))
        raise UserError(f"Say which model: model=NAME, or model='*' for all. Models: {known}.")
    plain = text.removeprefix("glob(").removesuffix(")").strip("[]")
    return select("model", [pattern.strip() for pattern in plain.split(",")])


def _add_scores(rows: list[dict[str, Any]], settings: Settings) -> None:
    """Adds the PSNR of each model's newest run under the protocol, and the score derived from it.

    An exported file brings its own PSNR; what is made in half precision or int8 for the timing alone has none.
    """
    from ispbench.evaluation.latency import mai_score
    from ispbench.results.lookup import recorded_psnr

    psnr = recorded_psnr(settings.results, settings.protocol) if settings.protocol else {}
    for row in rows:
        if row["model"] in psnr and "-" not in row.get("runtime", ""):
            row.setdefault("psnr", psnr[row["model"]])
        if "psnr" in row:
            row["mai_score"] = mai_score(row["psnr"], row["median_ms"])


def _print(rows: Rows, settings: Settings) -> None:
    first = rows[0]
    extras = ["compiled"] * first["compiled"] + ["channels last"] * first["channels_last"]
    memory = "on the GPU" if first["memory_kind"] == "cuda" else f"of the process ({first['memory_kind']})"
    caption = f"Median and interquartile range of up to {settings.repetitions} calls; peak memory {memory}."
    columns = _COLUMNS
    if settings.protocol:
        columns = columns | _SCORES
        caption += _MAI_SCORE
    table(
        [Column("model"), *(Column(heading, right=True) for heading in columns)],
        [
            (row["model"], *(pattern.format(row[key]) if key in row else "-" for key, pattern in columns.values()))
            for row in rows
        ],
        title=", ".join([first["input"] + " packed RAW", first["precision"], *extras, first["device"]]),
        caption=caption,
        min_width=130,
    )


def _print_runtimes(rows: Rows, settings: Settings) -> None:
    from ispbench.evaluation.latency import cpu_model

    columns = _RUNTIME_COLUMNS | (_SCORES if any("psnr" in row for row in rows) else {})
    caption = (
        f"Median and interquartile range of up to {settings.repetitions} calls. Peak MB: the whole process; network "
        "MB: what the network added to it; others: cores that other processes kept busy."
    )
    if "MAI score" in columns:
        caption += _MAI_SCORE
    table(
        ["model", "runtime", "size", *(Column(heading, right=True) for heading in columns)],
        [
            (
                row["model"],
                Path(row["runtime"]).name,
                row["size"],
                *(pattern.format(row[key]) if row.get(key) is not None else "-" for key, pattern in columns.values()),
            )
            for row in rows
        ],
        title=f"CPU ({cpu_model()}), float32 unless the name says otherwise",
        caption=caption,
        min_width=150,
    )
