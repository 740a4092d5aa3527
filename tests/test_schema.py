"""Wrong kinds and ranges are one sentence, at once, and leave nothing behind."""

import inspect
import subprocess
import sys
from typing import get_args

import pytest

from ispbench.cli.main import main
from ispbench.config import choices, compose, compose_all, require_values
from ispbench.config.schema import MOVED, RULES, validate_device
from ispbench.errors import UserError
from tests.conftest import ispbench

WHOLE_SEED = "seed must be a whole number from 0 to 4294967295"
MISTAKES = {
    "optimizer.lr=abc": "optimizer.lr must be a number above 0, not 'abc'",
    "optimizer.lr=-1": "optimizer.lr must be a number above 0, not -1",
    "optimizer.lr=.nan": "optimizer.lr must be a number above 0",
    "optimizer.lr=nan": "optimizer.lr must be a number above 0, not nan",
    "optimizer.lr=inf": "optimizer.lr must be a number above 0, not inf",
    "optimizer.weight_decay=-0.1": "optimizer.weight_decay must be a number of at least 0",
    "optimizer.betas=[0.9]": "optimizer.betas must be a list of 2: each a number from 0 to below 1, not [0.9]",
    "seed=abc": WHOLE_SEED,
    "seed=-1": WHOLE_SEED,
    "seed=0.5": WHOLE_SEED,
    "seed=null": f"{WHOLE_SEED}, not null",
    "seed=99999999999": WHOLE_SEED,
    "trainer.max_steps=0": "trainer.max_steps must be a whole number of at least 1, not 0",
    "trainer.max_steps=-1": "trainer.max_steps must be a whole number of at least 1",
    "trainer.max_steps=null": "trainer.max_steps must be a whole number of at least 1",
    "trainer.max_steps=minus": "trainer.max_steps must be a whole number of at least 1",
    "trainer.val_check_interval=0": "trainer.val_check_interval must be a whole number of at least 1",
    "trainer.precision=foo": "trainer.precision must be one of 32-true, 16-mixed, bf16-mixed",
    "trainer.accelerator=gppu": "trainer.accelerator must be one of auto, cpu, gpu",
    "trainer.strategy=ddpp": "trainer.strategy must be a group of keys or one of auto",
    "trainer.devices=0": "trainer.devices must be one of auto or a number of devices (-1: all)",
    "trainer.limit_val_batches=1.5": "a share from 0.0 to 1.0 or a whole number of batches",
    "trainer.gradient_clip_val=-1": "trainer.gradient_clip_val must be a number of at least 0 or null",
    "+trainer.max_step=3": "Unknown key 'max_step' in trainer. Valid keys: accelerator",
    "+trainer.callbacks=[]": "trainer.callbacks has moved: the callbacks are the group callbacks",
    "data.crop=abc": "data.crop must be an even whole number of at least 2 or null, not 'abc'",
    "data.crop=31": "data.crop must be an even whole number",
    "data.batch_size=0": "data.batch_size must be a whole number of at least 1",
    "data.white_level=abc": "data.white_level must be a number above 0, not 'abc'",
    "data.black_level=65535": "data.black_level=65535 must lie below data.white_level=65535",
    "num_workers=-1": "num_workers must be a whole number of at least 0 or null",
    "overwrite=sometimes": "overwrite must be one of only-missing, never, always, not 'sometimes'",
    "compile=2": "compile must be true or false, not 2",
    "train=maybe": "train must be true or false",
    "callbacks.checkpoints.mode=median": "callbacks.checkpoints.mode must be one of max, min",
    "callbacks.images=5": "callbacks.images must be a group of keys or null, not 5",
    "loss.weights.l1=much": "loss.weights.l1 must be a number, not 'much'",
    "model.width=wide": "model.width must be a whole number, not 'wide'",
    "model.width=4.5": "model.width must be a whole number, not 4.5",
    "model.width=null": "model.width must be a whole number, not null",
    "model.resampling=3": "model.resampling must be text or null, not 3",
    "scheduler.lr_min=low": "scheduler.lr_min must be a number, not 'low'",
    "paths.outputs=2025": "paths.outputs must be text or null",
    "model=null": "model=null leaves a run without what it needs; choose one of awnet_demosaic",
    "data=null": "data=null leaves a run without what it needs; choose one of camera, folder",
    "callbacks=null": (
        "callbacks=null leaves a run without what it needs; choose one of channels_last, default, ema, none"
    ),
    "logger=null": "choose one of csv, mlflow, none",
    "data.val_every=0": "Unknown key 'val_every' in data: the steps between validations are trainer.val_check_interval",
    "data.max_steps=5": "Unknown key 'max_steps' in data: the budget is trainer.max_steps",
    "data.num_workers=-1": "Unknown key 'num_workers' in data: the loading processes are num_workers",
    "data.seed=1": "Unknown key 'seed' in data: the seed is seed",
    "+data.seed=1": "data.seed has moved: the seed is seed",
    "model.black_level=3": "Unknown key 'black_level' in model: models take the levels of the data, data.black_level",
    "callbacks.ema=null": "Unknown key 'ema' in callbacks: no weights are averaged unless callbacks=ema says so",
}


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Exit status and message of the command line, in this process and an empty folder."""

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["ispbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not list(tmp_path.iterdir()), "neither a run's folder nor a record"
        return stop.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("override", MISTAKES)
def test_a_wrong_value_is_one_sentence_and_leaves_nothing(override, command):
    status, told = command(override)
    assert status
    assert MISTAKES[override] in told
    assert told.startswith("ispbench: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["-m", "model.width=16,wide"], ["ablation=bases", "seed=0,x"], ["ablation=width", "data.crop=3"]]
)
def test_a_grid_with_one_wrong_cell_does_not_begin(arguments, command):
    status, told = command(*arguments)
    assert status == 1
    assert " must be " in told
    assert "Cell" not in told


def test_neither_torch_nor_lightning_is_imported_for_the_answer():
    program = (
        "import sys; from ispbench.cli.main import main;"
        "sys.argv = ['ispbench', 'optimizer.lr=abc'];"
        "import contextlib;\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'pytorch_lightning', 'cv2', 'pandas')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "optimizer.lr must be" in done.stderr
    assert done.stdout.strip() == "[]"


def test_a_process_ends_with_the_sentence_and_its_status(tmp_path):
    done = ispbench("trainer.max_steps=0", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "ispbench: trainer.max_steps must be a whole number of at least 1, not 0.\n"


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.gradient_clip_val=null", "trainer.deterministic=true", "trainer.devices=[0,1]"],
        ["trainer.limit_val_batches=0.5", "trainer.limit_test_batches=3", "+trainer.fast_dev_run=true"],
        ["data.crop=null", "model.input_gamma=1", "loss.weights.l1=2", "optimizer.weight_decay=1"],
        ["metrics.latency=null", "callbacks.images=null", "weights=best.ckpt", "resume=a/run"],
        ["data=zrr", "data.split_list=null", "data.size=null", "data.version=mine", "data.black_level=63.5"],
        ["model=awnet_raw", "model.depths=[1,1,1,1,1]", "loss=awnet_raw", "loss.side_weights=[{charbonnier: 1}]"],
        ["trainer=fsdp", "callbacks=none", "num_workers=4"],
    ],
)
def test_right_values_pass(overrides):
    require_values(compose(overrides))


def test_members_of_lists_are_compared_too():
    with pytest.raises(UserError, match=r"model\.depths\[1\] must be a whole number, not 2\.5"):
        compose(["model=awnet_raw", "model.depths=[1,2.5,1,1,1]"])


def test_a_recipe_is_checked_like_an_override(tmp_path):
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "mine.yaml").write_text("# @package _global_\nmodel: {width: wide}\n")
    with pytest.raises(UserError, match=r"model\.width must be a whole number"):
        compose_all(["experiment=mine", "--config-dir", str(tmp_path)])


def test_a_users_own_class_names_its_keys_itself(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "mine.yaml").write_text("_target_: mine.Data\nseed: 3\nmax_steps: few\nblack_level: 0\n")
    (config,) = compose_all(["data=mine", "--config-dir", str(tmp_path)])
    assert (config.data.seed, config.data.max_steps) == (3, "few")
    assert config.trainer.max_steps == 20000
    with pytest.raises(UserError, match=r"data\.seed must be a whole number"):
        compose_all(["data=mine", "data.seed=x", "--config-dir", str(tmp_path)])


def test_a_grid_is_all_its_cells():
    cells = compose_all(["ablation=bases", "seed=0,1", "data=zrr"])
    assert [(cell.model.num_bases, cell.seed) for cell in cells[:3]] == [(1, 0), (1, 1), (3, 0)]
    assert len(cells) == 10
    assert {cell.trainer.max_steps for cell in cells} == {230000}


@pytest.mark.parametrize("flag", ["--cfg=job", "--hydra-help"])
def test_what_only_shows_something_is_not_checked(flag):
    assert compose_all([flag, "seed=abc"]) == []


def test_the_rules_know_every_key_of_lightnings_trainer_and_its_names():
    import pytorch_lightning as pl
    from lightning_fabric.plugins.precision.precision import _PRECISION_INPUT_STR
    from pytorch_lightning.accelerators import AcceleratorRegistry
    from pytorch_lightning.strategies import StrategyRegistry

    keys = {f"trainer.{name}" for name in inspect.signature(pl.Trainer.__init__).parameters} - {"trainer.self"}
    assert keys == {key for key in [*RULES, *MOVED] if key.startswith("trainer.")}
    for name in get_args(_PRECISION_INPUT_STR):
        assert RULES["trainer.precision"].holds(name)
    for name in StrategyRegistry.available_strategies():
        assert RULES["trainer.strategy"].holds(name)
    for name in AcceleratorRegistry.available_accelerators():
        assert RULES["trainer.accelerator"].holds(name)


def test_every_rule_is_of_a_key_that_some_choice_has():
    there = set(compose())
    for group in ("optimizer", "data", "callbacks", "eval", "model"):
        for name in choices(group) or [None]:
            there |= {f"{group}.{key}" for key in compose([f"{group}={name}"] if name else [])[group]}
    there |= {"callbacks.checkpoints.mode", "callbacks.ema.decay"} & {
        f"callbacks.{name}.{key}" for name, node in compose(["callbacks=ema"]).callbacks.items() for key in node
    }
    elsewhere = {"optimizer.eps", "eval.split", "eval.precision", "eval.checkpoint"}  # left to torch and the evaluation
    assert {key for key in RULES if not key.startswith(("trainer.", "metrics.", "loss."))} - elsewhere <= there


@pytest.mark.parametrize(
    "overrides, sentence",
    [
        (["trainer=gpu"], "torch finds no GPU here; set trainer=cpu"),
        (["trainer.accelerator=cuda"], "torch finds no GPU here; set trainer=cpu"),
        (["trainer.accelerator=mps"], "torch finds no GPU of Apple here"),
        (["trainer.precision=16-mixed"], "set trainer.precision=bf16-mixed on a CPU"),
        (["trainer=cpu", "trainer.precision=16-mixed"], "set trainer.precision=bf16-mixed on a CPU"),
    ],
)
def test_a_device_that_is_not_here_is_one_sentence(overrides, sentence, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(UserError, match=sentence):
        validate_device(compose(overrides))


def test_more_devices_than_there_are(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    validate_device(compose(["trainer=gpu", "trainer.devices=2", "trainer.precision=16-mixed"]))
    validate_device(compose(["trainer=ddp"]))
    with pytest.raises(UserError, match=r"trainer\.devices=3, but this machine has 2"):
        validate_device(compose(["trainer=gpu", "trainer.devices=3"]))
