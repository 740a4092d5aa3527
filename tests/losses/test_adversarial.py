import copy
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from ispbench.errors import UserError
from ispbench.losses.adversarial import AdversarialLoss, PatchGAN
from ispbench.losses.weighted_sum import WeightedSum
from ispbench.training.callbacks.ema import EMA
from ispbench.training.discriminator import DiscriminatorTraining
from ispbench.training.module import ISPModule
from ispbench.training.schedules import piecewise
from tests.toys import L1, ToyData, ToyPyramid, toy_trainer

ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3}
GAN = {
    "_target_": "ispbench.losses.adversarial.AdversarialLoss",
    "discriminator": {"_target_": "ispbench.losses.adversarial.PatchGAN", "width": 4, "layers": 1},
    "optimizer": ADAM,
}


def small(optimizer=None, **options):
    torch.manual_seed(0)
    return AdversarialLoss(PatchGAN(width=4, layers=1), optimizer or partial(torch.optim.Adam, lr=1e-3), **options)


@pytest.fixture
def pair():
    torch.manual_seed(1)
    return torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)


def test_the_discriminator_is_that_of_liteispgan():
    discriminator = PatchGAN()
    assert sum(value.numel() for value in discriminator.parameters()) == 2_765_633
    with torch.no_grad():
        assert discriminator(torch.rand(1, 3, 64, 64)).shape == (1, 1, 6, 6)
    field, jump = 1, 1
    for layer in discriminator:
        if isinstance(layer, nn.Conv2d):
            field, jump = field + (layer.kernel_size[0] - 1) * jump, jump * layer.stride[0]
    assert field == 70


@pytest.mark.parametrize("mean_logit", [False, True])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_step_of_the_discriminator_and_the_generators_loss(pair, mean_logit, share):
    loss = small(partial(torch.optim.SGD, lr=0.1), mean_logit=mean_logit, share=share)
    reference = copy.deepcopy(loss.discriminator).requires_grad_(True)
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.1)
    image, target = pair[0].clone().requires_grad_(), pair[1]
    taught = DiscriminatorTraining(loss).step(image, target)
    assert image.grad is None
    value = loss(image, target)

    def squares(x, label):
        logits = reference(x).mean() if mean_logit else reference(x)
        return nn.functional.mse_loss(logits, torch.full_like(logits, label))

    expected = share * (squares(target, 1.0) + squares(pair[0], 0.0))
    torch.testing.assert_close(taught, expected.detach())
    expected.backward()
    optimizer.step()
    torch.testing.assert_close(value, squares(pair[0], 1.0))
    for mine, theirs in zip(loss.discriminator.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, check_stride=False)
    value.backward()
    assert image.grad.abs().sum() > 0


def test_the_loss_alone_trains_nothing(pair):
    loss = small()
    before = [parameter.clone() for parameter in loss.parameters()]
    image = pair[0].clone().requires_grad_()
    loss(image, pair[1]).backward()
    assert all(map(torch.equal, loss.parameters(), before))
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_the_generators_gradient_stays_out_of_the_discriminator(pair):
    loss = small()
    image = pair[0].clone().requires_grad_()
    DiscriminatorTraining(loss).step(image, pair[1])
    taught = [parameter.grad.clone() for parameter in loss.discriminator.parameters()]
    loss(image, pair[1]).backward()
    for before, parameter in zip(taught, loss.discriminator.parameters(), strict=True):
        assert torch.equal(before, parameter.grad)


def test_it_learns_to_tell_images_from_targets(pair):
    loss = small(partial(torch.optim.Adam, lr=1e-2))
    training = DiscriminatorTraining(loss)
    for _ in range(150):
        training.step(0.3 * pair[0], pair[1])
    with torch.no_grad():
        assert loss.discriminator(pair[1]).mean() > loss.discriminator(0.3 * pair[0]).mean() + 0.5


def test_its_rate_follows_its_schedule(pair):
    training = DiscriminatorTraining(small(scheduler=partial(piecewise, total=4, starts=[0.5], factors=[1.0, 0.1])))
    rates = []
    for _ in range(4):
        rates.append(training.optimizer.param_groups[0]["lr"])
        training.step(*pair)
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])


def test_side_outputs_have_no_adversary():
    with pytest.raises(UserError, match=r"side_weights cannot weigh gan"):
        WeightedSum({"l1": 1.0, "gan": 0.1}, {**L1, "gan": GAN}, [{"gan": 0.1}])


def training_module():
    torch.manual_seed(0)
    loss = WeightedSum({"l1": 1.0, "gan": 1.0}, {**L1, "gan": GAN})
    return ISPModule(ToyPyramid(), loss, partial(torch.optim.SGD, lr=0.1))


class Save(pl.Callback):
    """Saves a checkpoint in the middle of a training."""

    def __init__(self, path):
        self.path = path

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 3:
            trainer.save_checkpoint(self.path)


@pytest.mark.parametrize("callbacks", [[], [EMA]])
def test_a_training_against_it_resumes_where_it_was(callbacks, tmp_path):
    whole, rest = training_module(), training_module()
    path = tmp_path / "part.ckpt"
    for module, more in ((whole, {}), (rest, {"ckpt_path": path})):
        trainer = toy_trainer(6, Save(path), *(callback() for callback in callbacks))
        trainer.fit(module, datamodule=ToyData(batch_size=12), **more)
        assert trainer.global_step == 6  # the discriminator's steps do not count
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["discriminators"]["gan"]["steps"] == 3
    for a, b in zip(whole.parameters(), rest.parameters(), strict=True):
        assert torch.equal(a, b)


def test_without_the_discriminators_optimizer_another_training_goes_on(tmp_path, monkeypatch):
    whole, rest = training_module(), training_module()
    toy_trainer(6, Save(tmp_path / "part.ckpt")).fit(whole, datamodule=ToyData(batch_size=12))
    monkeypatch.setattr(DiscriminatorTraining, "load_state_dict", lambda *_: None)
    toy_trainer(6).fit(rest, datamodule=ToyData(batch_size=12), ckpt_path=tmp_path / "part.ckpt")
    assert not torch.equal(whole.model.net.bias, rest.model.net.bias)


def test_a_level_without_the_term_leaves_the_discriminator_alone():
    module = training_module()
    module.loss.reweigh({"l1": 1.0})
    before = [parameter.clone() for parameter in module.loss.parameters()]
    toy_trainer(2).fit(module, datamodule=ToyData())
    assert all(map(torch.equal, module.loss.parameters(), before))
