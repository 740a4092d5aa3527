import copy
from functools import partial

import pytest
import torch
from torch import nn

from ispbench.losses.adversarial import AdversarialLoss, PatchGAN
from ispbench.losses.terms import WeightedSum
from ispbench.training.module import ISPModule
from ispbench.training.schedules import piecewise
from tests.training.toys import L1, Toy, ToyData, toy_trainer

ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3}
GAN = {
    "_target_": "ispbench.losses.adversarial.AdversarialLoss",
    "discriminator": {"_target_": "ispbench.losses.adversarial.PatchGAN", "width": 4, "layers": 1},
    "optimizer": ADAM,
}


def small(**options):
    torch.manual_seed(0)
    return AdversarialLoss(PatchGAN(width=4, layers=1), partial(torch.optim.Adam, lr=1e-3), **options)


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
def test_a_call_is_one_step_of_the_discriminator_and_the_generators_loss(pair, mean_logit, share):
    loss = small(mean_logit=mean_logit, share=share)
    judge = copy.deepcopy(loss.discriminator)
    optimizer = torch.optim.SGD(judge.parameters(), lr=0.1)
    loss.optimizer = torch.optim.SGD(loss.discriminator.parameters(), lr=0.1)
    image, target = pair[0].clone().requires_grad_(), pair[1]
    value = loss(image, target)

    def squares(x, label):
        logits = judge(x).mean() if mean_logit else judge(x)
        return nn.functional.mse_loss(logits, torch.full_like(logits, label))

    (share * (squares(target, 1.0) + squares(pair[0], 0.0))).backward()
    optimizer.step()
    torch.testing.assert_close(value, squares(pair[0], 1.0))
    for mine, theirs in zip(loss.discriminator.parameters(), judge.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    value.backward()
    assert image.grad.abs().sum() > 0


def test_the_generators_gradient_stays_out_of_the_discriminator(pair):
    loss = small()
    image = pair[0].clone().requires_grad_()
    value = loss(image, pair[1])
    taught = [value.grad.clone() for value in loss.discriminator.parameters()]
    value.backward()
    for before, parameter in zip(taught, loss.discriminator.parameters(), strict=True):
        assert torch.equal(before, parameter.grad)


def test_it_learns_to_tell_images_from_targets(pair):
    loss = small()
    loss.optimizer = torch.optim.Adam(loss.discriminator.parameters(), lr=1e-2)
    for _ in range(150):
        loss(0.3 * pair[0], pair[1])
    with torch.no_grad():
        assert loss.discriminator(pair[1]).mean() > loss.discriminator(0.3 * pair[0]).mean() + 0.5


def test_its_rate_follows_its_schedule(pair):
    loss = small(scheduler=partial(piecewise, total=4, starts=[0.5], factors=[1.0, 0.1]))
    rates = []
    for _ in range(4):
        rates.append(loss.optimizer.param_groups[0]["lr"])
        loss(*pair)
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])


def test_its_state_is_saved_with_the_run_and_taken_up_again(pair):
    first = WeightedSum({"l1": 1.0, "gan": 0.1}, {**L1, "gan": GAN})
    for _ in range(3):
        first([pair[0]], pair[1])
    second = WeightedSum({"l1": 1.0, "gan": 0.1}, {**L1, "gan": GAN})
    second.load_state_dict(first.state_dict())
    assert second.terms["gan"].steps == 3
    for _ in range(2):
        a, b = (loss([pair[0]], pair[1])["gan"] for loss in (first, second))
        assert torch.equal(a, b)


def test_a_training_against_it_resumes_where_it_was(tmp_path):
    def module():
        torch.manual_seed(0)
        loss = WeightedSum({"l1": 1.0, "gan": 1.0}, {**L1, "gan": GAN})
        return ISPModule(Toy(), loss, partial(torch.optim.SGD, lr=0.1))

    whole, part, rest = module(), module(), module()
    toy_trainer(6).fit(whole, datamodule=ToyData(batch_size=12))
    trainer = toy_trainer(3)
    trainer.fit(part, datamodule=ToyData(batch_size=12))
    trainer.save_checkpoint(tmp_path / "part.ckpt")
    assert torch.load(tmp_path / "part.ckpt", weights_only=True)["global_step"] == 3
    assert trainer.global_step == 3  # the discriminator's steps do not count
    toy_trainer(6).fit(rest, datamodule=ToyData(batch_size=12), ckpt_path=tmp_path / "part.ckpt")
    for a, b in zip(whole.parameters(), rest.parameters(), strict=True):
        torch.testing.assert_close(a, b)
