"""DEAL's branch: attention, balanced loss, what it teaches."""

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from tests.helpers.method_tester import MethodTester
from tsfal_geo.training.losses import log_probabilities
from tsfal_geo.training.methods.deal import Deal, DifficultyBranch


class TestDeal(MethodTester):
    method = "deal"
    test_in_the_warm_up_only_labels_teach = None  # it has a start of its own, or none

    def test_manual_labels_on_unlabelled_images_are_learnt(self):
        """Chips with manual labels are labelled chips to this method; the tests of rounds cover them."""
        assert not Deal.uses_unlabelled


def numpy_branch(logits, gamma, weight, bias):
    """One image: halved, gathered by likeness of probabilities, scored."""
    classes, height, width = logits.shape
    halves = logits.reshape(classes, height // 2, 2, width // 2, 2).mean((2, 4))
    p = softmax(halves, axis=0).reshape(classes, -1)
    gathered = p @ softmax(p.T @ p, axis=1).T
    return ((gamma * gathered + p).T @ weight + bias).reshape(height // 2, width // 2)


@pytest.mark.parametrize("gamma", [0.0, 0.7])
def test_probability_attention(gamma):
    branch = DifficultyBranch(3)
    assert branch.gamma == 0
    branch.gamma.data.fill_(gamma)
    logits = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0)) * 3
    found = branch(logits).detach().numpy()
    weight, bias = branch.score.weight.detach().numpy()[0, :, 0, 0], branch.score.bias.item()
    for image, expected in zip(logits.numpy(), found[:, 0], strict=True):
        np.testing.assert_allclose(numpy_branch(image, gamma, weight, bias), expected, rtol=1e-4, atol=1e-5)


def test_joint_loss_balances_right_and_wrong(make_config, make_data, make_module, batch_of):
    config = make_config(train={"method": "deal"}, tsf={"copy_paste": False})
    data = make_data(config)
    module = make_module(config, data).train()
    batch = batch_of(data)
    losses = module.losses(batch, np.random.default_rng(0))
    views = module.branch.views(batch["labelled"])
    output = module.network(views.images)
    log_p = log_probabilities(output.logits, views.size)
    hard = torch.nn.functional.interpolate(module.hard(output.logits), views.size, mode="bilinear")
    score = expit(hard[:, 0].detach().numpy())
    labels = views.labels.numpy()
    valid = labels != 255
    wrong = log_p.argmax(1).numpy() != labels
    terms = [-np.log(1 - score[valid & ~wrong]), -np.log(score[valid & wrong])]
    weights = np.array([1 / np.sqrt(len(term) + 1) for term in terms])
    expected = sum(w * term.mean() for w, term in zip(weights / weights.sum(), terms, strict=True))
    assert losses["labelled_difficulty"].item() == pytest.approx(expected, rel=1e-4)
    assert losses["total"].item() == pytest.approx(losses["labelled"].item() + expected, rel=1e-4)


def test_the_branch_learns_at_the_heads_rate_and_teaches_the_segmenter(
    make_config, make_data, make_module, batch_of
):
    config = make_config(train={"method": "deal", "head_lr_mult": 10, "lr": 0.01})
    data = make_data(config)
    module = make_module(config, data).train()
    (optimiser,) = module.configure_optimizers()
    hard = {id(parameter) for parameter in module.hard.parameters()}
    (group,) = [g for g in optimiser.param_groups if hard & {id(p) for p in g["params"]}]
    assert len(group["params"]) == len(hard) and group["factor"] == 10
    module.losses(batch_of(data), np.random.default_rng(0))["labelled_difficulty"].backward()
    assert all(parameter.grad is not None for parameter in module.hard.parameters())
    assert module.network.head.classifier.weight.grad.abs().sum() > 0


def test_difficulty_lies_on_the_logits_cells(make_config, make_module):
    module = make_module(make_config(train={"method": "deal"})).eval()
    logits = torch.randn(2, 3, 17, 16)
    found = module.difficulty(logits)
    assert found.shape == (2, 17, 16) and found.min() > 0 and found.max() < 1
