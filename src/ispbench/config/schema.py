"""What the values of a configuration may be, so that a mistake is answered before anything slow is imported.

`RULES` names the keys that are ispbench's own or Lightning's, and what each takes. Every other value is compared with
the one in the file it comes from: a number stays a number, a whole number whole, text text.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ispbench.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Rule:
    """What a key takes.

    Attributes:
        expected: In words, for the message.
        holds: Whether a value is one of them.
    """

    expected: str
    holds: Callable[[Any], bool]

    def __or__(self, other: "Rule") -> "Rule":
        return Rule(f"{self.expected} or {other.expected}", lambda value: self.holds(value) or other.holds(value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _range(kind: str, least: float | None, most: float | None) -> str:
    if most is not None:
        return f"{kind} from {least} to {most}"
    return kind if least is None else f"{kind} of at least {least}"


def whole(least: int | None = None, most: int | None = None) -> Rule:
    """A whole number in a closed range."""
    return Rule(
        _range("a whole number", least, most),
        lambda value: _is_whole(value) and (least is None or value >= least) and (most is None or value <= most),
    )


def number(least: float | None = None, most: float | None = None) -> Rule:
    """A finite number in a closed range."""
    return Rule(
        _range("a number", least, most),
        lambda value: _is_number(value) and (least is None or value >= least) and (most is None or value <= most),
    )


def choice(*names: str) -> Rule:
    """One of some words."""
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


def list_of(rule: Rule, length: int | None = None) -> Rule:
    """A list whose members follow a rule."""
    return Rule(
        f"a list of {'' if length is None else f'{length}: each '}{rule.expected}",
        lambda value: isinstance(value, list) and length in (None, len(value)) and all(map(rule.holds, value)),
    )


ANY = Rule("anything", lambda value: True)
NULL = Rule("null", lambda value: value is None)
TRUTH = Rule("true or false", lambda value: isinstance(value, bool))
TEXT = Rule("text", lambda value: isinstance(value, str))
GROUP = Rule("a group of keys", lambda value: isinstance(value, dict))
POSITIVE = Rule("a number above 0", lambda value: _is_number(value) and value > 0)
FRACTION = Rule("a number from 0 to below 1", lambda value: _is_number(value) and 0 <= value < 1)
EVEN = Rule("an even whole number of at least 2", lambda value: _is_whole(value) and value >= 2 and value % 2 == 0)
# Lightning: a float is a share of the batches, a whole number counts them.
BATCHES = Rule(
    "a share from 0.0 to 1.0 or a whole number of batches",
    lambda value: _is_number(value) and value >= 0 and (_is_whole(value) or value <= 1),
)
DEVICES = choice("auto") | Rule(
    "a number of devices (-1: all), or a list of their indices",
    lambda value: (
        (_is_whole(value) and (value == -1 or value > 0))
        or (isinstance(value, list) and bool(value) and all(_is_whole(index) and index >= 0 for index in value))
        or (isinstance(value, str) and value.replace(",", "").replace(" ", "").isdigit())
    ),
)
PRECISION = choice(
    *("32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true"),
    *("transformer-engine", "transformer-engine-float16"),
)
_UNUSED = ("", "_find_unused_parameters_false", "_find_unused_parameters_true")
_STAGES = ("", "_stage_1", "_stage_2", "_stage_2_offload", "_stage_3", "_stage_3_offload", "_stage_3_offload_nvme")
STRATEGY = choice(
    *("auto", "single_device", "fsdp", "fsdp_cpu_offload", "single_xla", "xla", "xla_debug", "single_tpu"),
    *(f"ddp{start}{unused}" for start in ("", "_spawn", "_fork", "_notebook") for unused in _UNUSED),
    *(f"deepspeed{stage}" for stage in _STAGES),
)

_TRAINER = {
    "accelerator": choice("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "accumulate_grad_batches": whole(1),
    "barebones": TRUTH,
    "benchmark": TRUTH | NULL,
    "check_val_every_n_epoch": whole(1) | NULL,
    "default_root_dir": TEXT | NULL,
    "detect_anomaly": TRUTH,
    "deterministic": TRUTH | choice("warn") | NULL,
    "devices": DEVICES,
    "enable_autolog_hparams": TRUTH,
    "enable_checkpointing": TRUTH | NULL,
    "enable_model_summary": TRUTH | NULL,
    "enable_progress_bar": TRUTH | NULL,
    "fast_dev_run": TRUTH | whole(1),
    "gradient_clip_algorithm": choice("norm", "value") | NULL,
    "gradient_clip_val": number(0) | NULL,
    "inference_mode": TRUTH,
    "limit_predict_batches": BATCHES | NULL,
    "limit_test_batches": BATCHES | NULL,
    "limit_train_batches": BATCHES | NULL,
    "limit_val_batches": BATCHES | NULL,
    "log_every_n_steps": whole(0),
    "max_epochs": whole(-1) | NULL,
    "max_steps": whole(1),
    "max_time": ANY,
    "min_epochs": whole(0) | NULL,
    "min_steps": whole(0) | NULL,
    "model_registry": TEXT | NULL,
    "num_nodes": whole(1),
    "num_sanity_val_steps": whole(-1) | NULL,
    "overfit_batches": BATCHES,
    "plugins": ANY,
    "precision": PRECISION,
    "profiler": choice("simple", "advanced", "pytorch", "xla") | GROUP | NULL,
    "reload_dataloaders_every_n_epochs": whole(0),
    "strategy": GROUP | STRATEGY,
    "sync_batchnorm": TRUTH,
    "use_distributed_sampler": TRUTH,
    "val_check_interval": whole(1),
}

RULES: Mapping[str, Rule] = {
    "seed": whole(0, 2**32 - 1),
    "num_workers": whole(0) | NULL,
    "train": TRUTH,
    "test": TRUTH,
    "compile": TRUTH,
    "weights": TEXT | NULL,
    "overwrite": choice("only-missing", "never", "always"),
    "resume": TEXT | NULL,
    "eval.self_ensemble": TRUTH | choice("planes", "phase"),
    "eval.average_with": GROUP | NULL,
    "eval.split": choice("train", "val", "test"),
    "eval.checkpoint": choice("best", "last"),
    "eval.limit": whole(1) | NULL,
    "eval.precision": choice("32-true", "bf16-mixed", "16-mixed"),
    "eval.deploy": TRUTH,
    **{f"trainer.{name}": rule for name, rule in _TRAINER.items()},
    "optimizer.lr": POSITIVE,
    "optimizer.weight_decay": number(0),
    "optimizer.betas": list_of(FRACTION, 2),
    "optimizer.momentum": FRACTION,
    "optimizer.eps": POSITIVE,
    "loss.weights.*": number(),
    "model.placement": TEXT | GROUP,
    "model.basis_dim": whole(1) | list_of(whole(1), 2),
    "data.crop": EVEN | NULL,
    "data.downscale": number(1),
    "data.megapixels": POSITIVE | NULL,
    "data.train_megapixels": POSITIVE | NULL,
    "data.batch_size": whole(1),
    "data.eval_batch_size": whole(1),
    "data.black_level": number(0),
    "data.white_level": POSITIVE,
    "data.size": list_of(EVEN, 2) | NULL,
    "data.val_fraction": FRACTION,
    "data.test_fraction": FRACTION,
    "data.cfa": choice("RGGB", "GRBG", "GBRG", "BGGR"),
    "data.on_error": choice("raise", "skip"),
    "data.pack": choice("auto", "always", "never"),
    "callbacks.checkpoints.mode": choice("max", "min"),
    "callbacks.ema.decay": FRACTION,
    "metrics.scores": list_of(TEXT),
    "metrics.validation": list_of(TEXT),
    "metrics.lpips_weights": TEXT | NULL,
    "metrics.extra": GROUP,
    "metrics.dynamic": TRUTH,
    "metrics.*.height": EVEN,
    "metrics.*.width": EVEN,
    "metrics.*.repetitions": whole(1),
}

# Keys of earlier versions that a class of ispbench no longer takes, and where their values stand now.
MOVED: Mapping[str, str] = {
    "data.max_steps": "the budget is trainer.max_steps",
    "data.val_every": "the steps between validations are trainer.val_check_interval",
    "data.num_workers": "the loading processes are num_workers",
    "data.seed": "the seed is seed",
    "model.black_level": "models take the levels of the data, data.black_level",
    "model.white_level": "models take the levels of the data, data.white_level",
    "callbacks.ema": "no weights are averaged unless callbacks=ema says so",
    "trainer.callbacks": "the callbacks are the group callbacks",
    "trainer.logger": "the loggers are the group logger",
}


def validate(config: "DictConfig", shipped: "DictConfig | None" = None) -> None:
    """Checks the values of a configuration.

    Args:
        config: Of a run.
        shipped: The same choices as their files have them, to compare kinds with; None: only `RULES` are checked.

    Raises:
        UserError: for the first value that is wrong, with what its key takes.
    """
    from omegaconf import OmegaConf

    values: Any = OmegaConf.to_container(config)
    defaults: Any = {} if shipped is None else OmegaConf.to_container(shipped)
    for name in values:
        if name != "hydra":
            _check(str(name), values[name], defaults.get(name))
    _check_moved(values)
    trainer = values.get("trainer") or {}
    if trainer.get("_target_") == "pytorch_lightning.Trainer":
        _check_names("trainer", trainer, list(_TRAINER))
    _check_names("eval", values.get("eval") or {}, [key[5:] for key in RULES if key.startswith("eval.")])
    data = values.get("data") or {}
    black, white = (data.get(name, "???") for name in ("black_level", "white_level"))
    if _is_number(black) and _is_number(white) and black >= white:
        raise UserError(f"data.black_level={black} must lie below data.white_level={white}.")


def _check_names(group: str, members: Mapping[str, Any], valid: list[str]) -> None:
    """Checks that ``++`` has added no key that nobody reads."""
    for name in members:
        if not name.startswith("_") and name not in valid:
            raise UserError(f"Unknown key {name!r} in {group}. Valid keys: {', '.join(valid)}.")


def _check(key: str, value: Any, default: Any) -> None:
    """Checks a value and all below it."""
    if isinstance(value, str) and ("${" in value or value == "???"):
        return
    rule = _rule(key) or _kind(default)
    if not rule.holds(value):
        raise UserError(f"{key} must be {rule.expected}, not {_shown(value)}.")
    below = default if isinstance(default, dict | list) else {}
    if isinstance(value, dict):
        known = below if isinstance(below, dict) and below.get("_target_") == value.get("_target_") else {}
        for name, member in value.items():
            _check(f"{key}.{name}", member, known.get(name))
    elif isinstance(value, list):
        first = below[0] if isinstance(below, list) and below else None
        for index, member in enumerate(value):
            _check(f"{key}[{index}]", member, first)


def _rule(key: str) -> Rule | None:
    parts = key.split(".")
    for pattern, rule in RULES.items():
        wanted = pattern.split(".")
        if len(wanted) == len(parts) and all(a in ("*", b) for a, b in zip(wanted, parts, strict=True)):
            return rule
    return None


def _kind(default: Any) -> Rule:
    """What a key takes whose file has a value of some kind."""
    if isinstance(default, str):
        return ANY if "${" in default or default == "???" else TEXT | NULL
    if isinstance(default, bool):
        return TRUTH
    if isinstance(default, int):
        return whole()
    if isinstance(default, float):
        return number()
    if isinstance(default, list):
        return list_of(ANY) | NULL
    return GROUP | NULL if isinstance(default, dict) else ANY


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _check_moved(values: Mapping[str, Any]) -> None:
    for key, place in MOVED.items():
        group, name = key.split(".")
        members = values.get(group) or {}
        own = str(members.get("_target_", "")).startswith(("ispbench.", "pytorch_lightning."))
        if own and name in members:
            raise UserError(f"{key} has moved: {place}.")


def validate_device(config: "DictConfig") -> None:
    """Checks that this machine has what ``trainer`` asks for; imports torch.

    Raises:
        UserError: for a device that is not here, or a precision that it lacks.
    """
    import torch

    accelerator, devices, precision = (config.trainer.get(key) for key in ("accelerator", "devices", "precision"))
    cuda, mps = torch.cuda.device_count() if torch.cuda.is_available() else 0, torch.backends.mps.is_available()
    if (accelerator == "gpu" and not cuda and not mps) or (accelerator == "cuda" and not cuda):
        raise UserError(f"trainer.accelerator={accelerator}, but torch finds no GPU here; set trainer=cpu.")
    if accelerator == "mps" and not mps:
        raise UserError("trainer.accelerator=mps, but torch finds no GPU of Apple here; set trainer=cpu.")
    if accelerator in ("gpu", "cuda") and cuda and _is_whole(devices) and devices > cuda:
        raise UserError(f"trainer.devices={devices}, but this machine has {cuda}; set trainer.devices={cuda}.")
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not cuda and not mps)
    if on_cpu and precision == "16-mixed":
        raise UserError("trainer.precision=16-mixed needs a GPU; set trainer.precision=bf16-mixed on a CPU.")
