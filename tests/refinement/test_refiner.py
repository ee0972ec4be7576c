"""The refiner in a training's step: what it mends, and what it leaves as it is."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from tests.helpers.refiner_case import (
    CLASSES,
    DOUBTFUL,
    SURE,
    FixedDecoder,
    draw,
    make_refiner,
    pixels,
    teacher_of,
)
from tsfal_geo.models.segmenter import SegmenterOutput
from tsfal_geo.training.losses import teacher_loss


def holds(pixels):
    """Mark the cells that hold any of the pixels."""
    return torch.nn.functional.max_pool2d(pixels.float(), 4) > 0


@dataclass(frozen=True)
class Scene:
    """Two images whose teacher errs where it doubts, pixel by pixel not quite as cell by cell.

    Attributes:
        voted: pixels of doubt, in doubted cells without manual labels.
        kept: other pixels of doubt.
        outside: pixels of the image without doubt.
    """

    teacher: SegmenterOutput
    truth: Tensor
    pseudo: Tensor
    conf: Tensor
    manual: Tensor
    voted: Tensor
    kept: Tensor
    outside: Tensor

    @property
    def by_hand(self):
        return self.manual != 255

    def refined_by(self, refiner):
        return refiner.refine(self.teacher, self.pseudo, self.conf, self.manual, 0.5)[:2]


@pytest.fixture
def scene(towns):
    cells = torch.stack([town.truth for town in towns]).long()
    doubted = draw(0.3, *cells.shape, seed=0)
    predicted = torch.where(doubted, (cells + 1) % CLASSES, cells)
    truth = pixels(cells)
    pseudo = torch.where(draw(0.1, *truth.shape, seed=1), (truth + 2) % CLASSES, pixels(predicted))
    doubt = draw(0.5, *truth.shape, seed=2)
    conf = torch.where(doubt, 0.6, 0.8)
    by_hand = draw(0.01, *truth.shape, seed=3)
    image = torch.ones_like(doubt)
    image[1, -16:] = False
    pseudo, conf, by_hand = (
        pseudo.masked_fill(~image, 255),
        conf.masked_fill(~image, 0),
        by_hand & image,
    )
    voting = pixels(doubted & ~holds(by_hand)) & image
    doubt &= image & ~by_hand
    return Scene(
        teacher_of(towns, predicted, torch.where(doubted, DOUBTFUL, SURE)),
        truth,
        pseudo,
        conf,
        torch.where(by_hand, (truth + 3) % CLASSES, 255).to(torch.uint8),
        doubt & voting,
        doubt & ~voting,
        image & ~doubt & ~by_hand,
    )


@pytest.mark.parametrize("preset", ["paper", "strong"])
def test_manual_labels_overrule_votes_and_votes_overrule_the_teacher_in_the_mask_alone(scene, preset):
    labels, weight = scene.refined_by(make_refiner(preset=preset, plar={"refined_weight": "one"}))
    assert labels.dtype == torch.int64
    assert torch.equal(labels[scene.by_hand], scene.manual[scene.by_hand].long())
    assert torch.equal(labels[scene.voted], scene.truth[scene.voted])
    assert (weight[scene.by_hand] == 1).all() and (weight[scene.voted] == 1).all()
    rest = ~scene.by_hand & ~scene.voted
    assert torch.equal(labels[rest], scene.pseudo[rest])
    assert torch.equal(weight[rest & ~scene.kept], scene.conf[rest & ~scene.kept])
    undecided = scene.conf if preset == "paper" else scene.conf.square()
    assert torch.equal(weight[scene.kept], undecided[scene.kept])
    for part in (scene.by_hand, scene.voted, scene.kept, scene.outside):
        assert (scene.pseudo != scene.truth)[part].any()


def test_refine_marks_the_votes_that_rest_on_labels_of_the_image(scene):
    manual = torch.full_like(scene.manual, 255)
    manual[0, :24, :24] = scene.truth[0, :24, :24].to(torch.uint8)

    def voted(**options):
        refiner = make_refiner(**options)
        labels, _, voted = refiner.refine(scene.teacher, scene.pseudo, scene.conf, manual, 0.5)
        mended = (labels != scene.pseudo) & (manual == 255)
        return voted, mended

    found, mended = voted()
    assert mended[0].any() and mended[1].any()
    assert found[0][mended[0]].all() and not found[1].any()
    assert not (found & (manual != 255)).any()
    assert not voted(plar={"support": "reliable"})[0].any()
    assert not voted(plar={"min_manual_cells": 37})[0].any()
    assert not voted(refining=False)[0].any()


def test_the_mask_is_doubt_within_the_image_without_manual_labels(scene):
    image = scene.pseudo != 255
    output = make_refiner().mask_and_vote(scene.teacher, image, scene.manual, scene.conf, None)
    assert torch.equal(output.pixel_mask, scene.voted | scene.kept)
    doubted = scene.teacher.logits.softmax(1).amax(1) < 0.7
    assert torch.equal(output.mask, doubted & holds(image) & ~holds(scene.by_hand))


def counted(labels, weight, by_hand, weighting):
    """Return the weight of each label in the teacher's loss, relative to manual labels."""
    log_p = torch.zeros(len(labels), CLASSES, *labels.shape[1:], requires_grad=True)
    keep = torch.ones_like(by_hand)
    teacher_loss(log_p, labels, weight, keep, weighting, 0.95, by_hand).backward()
    share = -log_p.grad.sum(1)
    return share / share[by_hand].mean()


@pytest.fixture
def vague(scene):
    """The scene in features of which some are more typical than others."""
    f2, generator = scene.teacher.f2, torch.Generator().manual_seed(0)
    noise = torch.randn(f2.shape, generator=generator) * torch.rand(f2[:, :1].shape, generator=generator)
    return replace(scene, teacher=scene.teacher._replace(f2=f2 + 2 * noise))


def margins(refiner, scene):
    """Return the pixels whose label is a vote, and the margins of these votes."""
    output = refiner.mask_and_vote(scene.teacher, scene.pseudo != 255, scene.manual, scene.conf, None)
    voted = scene.voted & pixels(output.votes.refined != 255)
    margin = pixels(output.votes.margin)[voted]
    assert len(margin) > 1000 and margin.std() > 0.05
    return voted, margin


def test_a_vote_counts_by_its_margin_in_the_loss_and_a_pseudo_label_by_the_square_of_its_confidence(vague):
    refiner = make_refiner(tsf={"teacher_weighting": "ael"})
    count = counted(*vague.refined_by(refiner), vague.by_hand, "ael")
    voted, margin = margins(refiner, vague)
    torch.testing.assert_close(count[voted], margin)
    torch.testing.assert_close(count[vague.outside], vague.conf[vague.outside].square())
    torch.testing.assert_close(count[vague.by_hand], torch.ones(int(vague.by_hand.sum())))


@pytest.mark.parametrize("weighting", ["none", "threshold"])
def test_a_loss_that_does_not_square_gets_the_margin_itself(vague, weighting):
    refiner = make_refiner(tsf={"teacher_weighting": weighting})
    _, weight = vague.refined_by(refiner)
    voted, margin = margins(refiner, vague)
    assert torch.equal(weight[voted], margin)


def test_a_refiner_that_does_not_refine_yet_lets_manual_labels_override(scene):
    labels, weight = scene.refined_by(make_refiner(refining=False))
    assert torch.equal(labels, torch.where(scene.by_hand, scene.manual.long(), scene.pseudo))
    assert torch.equal(weight, torch.where(scene.by_hand, 1.0, scene.conf))


def test_without_plar_nobody_votes(scene):
    labels, _ = scene.refined_by(make_refiner(plar={"enabled": False}))
    assert torch.equal(labels, torch.where(scene.by_hand, scene.manual.long(), scene.pseudo))


@pytest.mark.parametrize(
    ("trained", "emd", "adds"),
    [
        (20, {"threshold": 0.5}, True),
        (20, {"threshold": 0.7}, False),
        (19, {"threshold": 0.5}, False),
        (20, {"threshold": 0.5, "enabled": False}, False),
    ],
)
def test_a_trained_decoder_adds_to_the_mask_what_it_finds_likelier_wrong_than_its_threshold(
    towns, trained, emd, adds
):
    """The teacher is sure and wrong in a strip, and doubts some cells elsewhere."""
    truth = torch.stack([town.truth for town in towns]).long()
    strip, doubted = torch.zeros_like(truth).bool(), draw(0.1, *truth.shape, seed=0)
    strip[..., :8] = True
    doubted &= ~strip
    predicted = torch.where(strip | doubted, (truth + 1) % CLASSES, truth)
    sure = torch.where(doubted, DOUBTFUL, SURE)
    refiner = make_refiner(emd=emd)
    refiner.emd = FixedDecoder(torch.where(strip[:1, None], 0.4, -0.4))  # 0.6 and 0.4
    refiner.trained.fill_(trained)
    nothing = torch.full_like(pixels(truth), 255, dtype=torch.uint8)
    teacher = teacher_of(towns, predicted, sure)
    labels, weight, _ = refiner.refine(teacher, pixels(predicted), pixels(sure), nothing, 0.5)
    mended = pixels(doubted | strip if adds else doubted)
    assert torch.equal(labels, pixels(torch.where(strip & ~mended[..., ::4, ::4], predicted, truth)))
    assert torch.equal(weight[~mended], pixels(sure)[~mended])
