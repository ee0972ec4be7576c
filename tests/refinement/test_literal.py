"""The preset ``literal``: the paper's equations 5 to 9 as printed, against plain writings of them."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import nn

from tests.helpers.refiner_case import CLASSES, draw, make_refiner, pixels, teacher_of
from tsfal_geo.config import Config, PlarConfig
from tsfal_geo.refinement.plar import plar

LITERAL = Config(preset="literal").plar


def vote(town, mask, manual, config=LITERAL, pseudo=None):
    pseudo = town.truth if pseudo is None else pseudo
    return plar(
        town.f1, town.f2, pseudo, torch.ones(town.truth.shape), mask, manual,
        torch.tensor([0.5, 0.5]), config, town.classes,
    )  # fmt: skip


def some_cells(town, share, seed):
    """Labels of some cells, and the mask of the others."""
    labelled = draw(share, *town.truth.shape, seed=seed)
    return torch.where(labelled, town.truth, 255).to(torch.uint8), ~labelled


def test_votes_are_those_of_the_labelled_cells_alone_with_levels_as_they_are(make_town):
    """Level 1 is a hundred times as large as level 2, and stays so: it decides alone."""
    town = make_town(size=32, channels=12, spread=3.0, seed=4)
    town.f1.mul_(100)
    manual, mask = some_cells(town, 0.4, seed=1)
    coarse = nn.functional.interpolate(town.f1[None], town.truth.shape, mode="bilinear", align_corners=False)
    euclid, mahalanobis = 0, 0
    for level in (coarse[0], town.f2):
        x = level.flatten(1).T.double().numpy()
        labels, asked = manual.flatten().numpy(), mask.flatten().numpy()
        for_e, for_m = [], []
        for c in range(town.classes):
            own = x[labels == c]
            mean = own.mean(0)
            inverse = np.linalg.pinv((own - mean).T @ (own - mean) / len(own), rcond=1e-5, hermitian=True)
            for_e.append(cdist(x[asked], mean[None]))
            for_m.append(cdist(x[asked], mean[None], "mahalanobis", VI=inverse))
        euclid = euclid + 0.5 * np.concatenate(for_e, 1)
        mahalanobis = mahalanobis + 0.5 * np.concatenate(for_m, 1)
    by_e, by_m = euclid.argmin(1), mahalanobis.argmin(1)
    found = vote(town, mask, manual)
    assert 0.1 < (by_e == by_m).mean() < 0.95
    assert (found.refined[mask].numpy() == np.where(by_e == by_m, by_e, 255)).mean() > 0.998
    scaled = vote(town, mask, manual, LITERAL.model_copy(update={"scale_levels": True}))
    assert (scaled.euclid != found.euclid)[mask].float().mean() > 0.02


def test_a_lone_class_wins_every_vote_and_no_labels_give_none(make_town):
    town = make_town(seed=2)
    mask = town.truth != 1
    manual = torch.where(mask, 255, town.truth).to(torch.uint8)
    assert (vote(town, mask, manual).refined[mask] == 1).all()
    own = torch.ones_like(town.truth)
    guarded = vote(town, mask, manual, LITERAL.model_copy(update={"every_vote": False}), own)
    assert (guarded.refined[mask] == 255).all() and guarded.disagree[mask].all()
    nothing = vote(town, mask, town.empty())
    assert (nothing.refined == 255).all() and torch.equal(nothing.disagree, mask)


def test_votes_also_go_against_pseudo_labels_without_support(make_town):
    town = make_town(spread=0.01, seed=3)
    manual, mask = some_cells(town, 0.5, seed=2)
    manual[town.truth == 0] = 255
    pseudo = torch.zeros_like(town.truth)
    assert (vote(town, mask, manual, pseudo=pseudo).refined[mask] != 255).float().mean() > 0.5
    guarded = LITERAL.model_copy(update={"every_vote": False})
    assert (vote(town, mask, manual, guarded, pseudo).refined[mask] == 255).all()


def test_one_labelled_pixel_makes_a_labelled_cell():
    assert LITERAL.purity == 0 and PlarConfig().purity == 0.75


def test_the_decoder_learns_equation_5_on_all_labelled_pixels(towns):
    """Cells of two classes count, and right and wrong pixels count alike."""
    predicted = torch.stack([(town.truth + draw(0.3, *town.truth.shape, seed=5)) % CLASSES for town in towns])
    teacher = teacher_of(towns, predicted, torch.full(predicted.shape, 0.9))
    target = pixels(torch.stack([town.truth for town in towns])).to(torch.uint8)
    target = torch.where(draw(0.3, *target.shape, seed=6), (target + 1) % CLASSES, target)
    target[0, :40] = 255
    refiner = make_refiner(preset="literal")
    found = refiner.training_loss(teacher, target, 0.0)
    refiner = make_refiner(preset="literal")

    def fine(maps):
        return nn.functional.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=False)

    f1 = nn.functional.interpolate(teacher.f1, teacher.f2.shape[-2:], mode="bilinear", align_corners=False)
    values = torch.cat([f1, teacher.f2, teacher.logits.softmax(1)], 1)
    assert refiner.emd.first.kernel_size == (3, 3)
    x = fine(refiner.emd.rest(refiner.emd.first(values)))[:, 0].sigmoid()
    y = (fine(teacher.logits).argmax(1) != target).float()
    terms = -(y * x.log() + (1 - y) * (1 - x).log())
    assert found.item() == pytest.approx(terms[target != 255].mean().item(), rel=1e-4)
    balanced = make_refiner(preset="literal", emd={"loss": "cells"}).training_loss(teacher, target, 0.0)
    assert abs(balanced.item() - found.item()) > 1e-3
