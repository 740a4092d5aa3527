import struct
import sys
import time

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint

from ispbench.errors import UserError
from ispbench.training import loggers as tracking


@pytest.fixture
def no_account(monkeypatch, tmp_path):
    """W&B as on a machine where nobody has logged in."""
    import wandb

    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    wandb.teardown()
    yield
    wandb.teardown()


def wandb_logger(folder, **changes):
    options = {"project": "ispbench", "entity": None, "group": "bases", "name": "metaisp", "mode": "auto"}
    options |= {"tags": ["metaisp", "mini", None], "log_model": False, "folder": str(folder)}
    return tracking.wandb_logger(**options | changes)


def wandb_records(folder):
    """What W&B would upload: the records of its log, which is in the format of LevelDB's."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    data, at, record = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (rest := 32768 - at % 32768) < 7:
            at += rest
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or its last part
            yield Record.FromString(record)
            record = b""


@pytest.fixture
def checkpoints(tmp_path):
    """The callback after a training, with two checkpoints."""
    callback = ModelCheckpoint(dirpath=tmp_path / "checkpoints", monitor="val/psnr", mode="max")
    (tmp_path / "checkpoints").mkdir()
    for name in ("best", "last"):
        (tmp_path / "checkpoints" / f"{name}.ckpt").write_bytes(name.encode())
    callback.best_model_path = str(tmp_path / "checkpoints" / "best.ckpt")
    callback.last_model_path = str(tmp_path / "checkpoints" / "last.ckpt")
    callback.best_model_score = torch.tensor(20.0)
    return callback


def test_a_run_without_an_account_is_kept_offline_and_whole(no_account, tmp_path, checkpoints):
    logger = wandb_logger(tmp_path, log_model=True)
    logger.log_hyperparams({"model": {"width": 8}, "commit": "abc"})
    for step, psnr in enumerate((10.0, 20.0, 15.0)):
        logger.log_metrics({"val/psnr": psnr, "train/loss": 1 / psnr}, step=step)
    logger.log_image("val/images", [np.zeros((8, 8, 3), np.uint8)], step=2)
    logger.after_save_checkpoint(checkpoints)
    logger.finalize("success")
    tracking.finish([logger], "finished", {"psnr": 19.0})

    for _ in range(100):  # W&B's own process may still be writing
        records = list(wandb_records(tmp_path))
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            break
        time.sleep(0.2)
    (run,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert (run.run_group, list(run.tags), run.display_name) == ("bases", ["metaisp", "mini"], "metaisp")
    config = {item.key for record in records for item in record.config.update}
    assert {"model", "commit"} <= config
    last = {
        (item.key or "/".join(item.nested_key)): item.value_json for record in records for item in record.summary.update
    }
    assert last["val/psnr"] == '{"max":20}'
    assert last["train/loss"] == '{"min":0.05}'
    assert (last["psnr"], last["status"]) == ("19.0", '"finished"')
    (artifact,) = [record.artifact for record in records if record.WhichOneof("record_type") == "artifact"]
    assert [item.local_path for item in artifact.manifest.contents] == [checkpoints.best_model_path]
    assert list(tmp_path.glob("wandb/offline-run-*/files/media/images/val/*.png"))


def test_wandb_modes(no_account, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="auto, online or offline, not 'on'"):
        wandb_logger(tmp_path, mode="on")
    with pytest.raises(UserError, match=r"`wandb login` once, or set logger\.wandb\.mode=offline"):
        wandb_logger(tmp_path, mode="online")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_logger(tmp_path)._wandb_init["mode"] == "disabled"


@pytest.mark.parametrize("ablation", ["bases", None])
@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_groups_and_tags_follow_from_the_choices(ablation, name):
    overrides = ["data=mini", f"logger={name}", *([f"ablation={ablation}"] if ablation else [])]
    with initialize_config_module("ispbench.conf", version_base="1.3"):
        config = compose("config", overrides=[*overrides, "paths.run=x"], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    options = OmegaConf.to_container(config.logger[name], resolve=True)
    if name == "wandb":
        assert options["group"] == ablation
        assert options["tags"] == ["metaisp", "mini", ablation]
        assert options["name"] == "metaisp-mini-s0"
    else:
        assert options["tags"] == {"model": "metaisp", "data": "mini", "ablation": ablation}
        assert options["tracking_uri"] == "sqlite:///outputs/mlflow.db"


def test_mlflow_keeps_scores_images_and_state(tmp_path):
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    logger = tracking.mlflow_logger(
        "ispbench", f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "mlflow"), {"model": "metaisp", "ablation": None}
    )
    logger.log_hyperparams({"model": {"width": 8}})
    logger.log_metrics({"val/psnr": 20.0}, step=3)
    logger.log_image("val/images", [np.zeros((8, 8, 3), np.uint8)], step=3, caption=["black"])
    tracking.finish([logger], "interrupted", {"psnr": 19.0, "why": "text"})
    run = logger.experiment.get_run(logger.run_id)
    assert run.data.metrics == {"val/psnr": 20.0, "psnr": 19.0}
    assert run.data.params == {"model/width": "8"}
    assert run.data.tags["model"] == "metaisp"
    assert run.info.status == "KILLED"
    assert list(tmp_path.glob("mlflow/*/artifacts/images/*.png"))


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    def missing(**_):
        raise ModuleNotFoundError

    monkeypatch.setattr(tracking, "TensorBoardLogger", missing)
    with pytest.raises(UserError, match="pip install tensorboard"):
        tracking.tensorboard_logger(save_dir=str(tmp_path))
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match=r'pip install "ispbench\[mlflow\]"'):
        tracking.mlflow_logger("ispbench", "sqlite:///mlflow.db", str(tmp_path), {})
