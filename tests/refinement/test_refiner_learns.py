"""The refiner in a training's step: what it learns, and what of that lasts."""

import pytest
import torch
from torch import nn

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


def pupil(**options):
    """A refiner and the optimiser of what it learns."""
    refiner = make_refiner(**options)
    return refiner, torch.optim.AdamW(refiner.parameters_to_train())


def teach(refiner, optimiser, teacher, target, steps):
    for _ in range(steps):
        loss = refiner.training_loss(teacher, target, 0.5)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def without_labels(refiner, teacher):
    """Error masks and votes of images without manual labels."""
    nothing = torch.full_like(pixels(teacher.logits[:, 0]), 255).to(torch.uint8)
    conf = pixels(teacher.logits.softmax(1).amax(1))
    return refiner.mask_and_vote(teacher, nothing == 255, nothing, conf, refiner.decode(teacher))


def test_the_decoder_learns_from_known_labels_where_the_teacher_errs(make_town):
    """The teacher predicts class 2 for cells of class 1 with features of their own; half is labelled."""
    town = make_town(CLASSES + 1, channels=256, spread=0.02)
    unlike = (town.truth == CLASSES)[None]
    truth = torch.where(unlike, 1, town.truth[None]).to(torch.uint8)
    teacher = teacher_of([town], torch.where(unlike, 2, truth), torch.full(truth.shape, SURE))
    target = pixels(truth)
    target[..., 64:] = 255
    learner = pupil(plar={"lambda_mode": "fixed"})
    teach(*learner, teacher, target, 19)
    refiner, _ = learner
    assert not without_labels(refiner, teacher).mask.any()
    teach(*learner, teacher, target, 1)
    output = without_labels(refiner, teacher)
    right = output.mask == unlike
    assert right[..., :16].float().mean() > 0.95 and right[..., 16:].float().mean() > 0.95
    assert (output.pixel_mask == pixels(unlike)).float().mean() > 0.95


def test_what_is_not_known_teaches_the_decoder_nothing(make_town):
    """It finds every error in the half that is known, and sees nothing but errors in the other."""
    town = make_town(CLASSES, channels=256)
    truth = town.truth[None].long()
    wrong = draw(0.3, *truth.shape, seed=0)
    target = pixels(town.truth[None])
    target[..., 64:] = 255
    refiner = make_refiner(plar={"lambda_mode": "fixed"})
    finds = torch.where(wrong, 20.0, -20.0)
    finds[..., 16:] = 20.0
    refiner.emd = FixedDecoder(finds[:, None])
    predicted = torch.where(wrong, (truth + 1) % CLASSES, truth)
    teacher = teacher_of([town], predicted, torch.full(predicted.shape, SURE))
    assert float(refiner.training_loss(teacher, target, 0.5)) < 1e-6


def test_decoding_leaves_no_trace(towns):
    refiner = make_refiner().train()
    refiner.trained.fill_(20)
    before = {name: value.clone() for name, value in refiner.state_dict().items()}
    refiner.decode(knowing(*towns))
    assert refiner.emd.training
    assert all(torch.equal(value, before[name]) for name, value in refiner.state_dict().items())


def truth_of(*towns):
    return pixels(torch.stack([town.truth for town in towns]))


def knowing(*towns):
    """A teacher that is right."""
    cells = torch.stack([town.truth for town in towns])
    return teacher_of(towns, cells, torch.full(cells.shape, SURE))


def test_nothing_is_learnt_before_the_start(towns):
    refiner = make_refiner(emd={"start": 0.3})
    before = {name: value.clone() for name, value in refiner.state_dict().items()}
    assert refiner.training_loss(knowing(*towns), truth_of(*towns), 0.29) is None
    assert all(torch.equal(value, before[name]) for name, value in refiner.state_dict().items())
    assert refiner.training_loss(knowing(*towns), truth_of(*towns), 0.3) is not None
    assert int(refiner.trained) == 1 and refiner.bank.seen.all()


def noisy(town, level):
    """A town of which one level of features says nothing."""
    noise = torch.Generator().manual_seed(0)
    features = {name: getattr(town, name) for name in ("f1", "f2")}
    features[level] = torch.randn(features[level].shape, generator=noise)
    return type(town)(**features, truth=town.truth, classes=town.classes)


@pytest.mark.parametrize("level", ["f1", "f2"])
def test_the_distances_weights_turn_away_from_features_that_say_nothing(make_town, level):
    town = noisy(make_town(CLASSES, channels=256), level)
    torch.manual_seed(0)
    learner = pupil(emd={"enabled": False}, plar={"lambda_init": 0.3})
    teach(*learner, knowing(town), truth_of(town), 10)
    refiner, _ = learner
    lambdas = refiner.weighting(town.f1.mean((1, 2))[None], town.f2.mean((1, 2))[None])
    assert (lambdas < 0.29).all() if level == "f1" else (lambdas > 0.31).all()


def test_fixed_weights_are_not_learnt(towns):
    refiner = make_refiner(emd={"enabled": False}, plar={"lambda_mode": "fixed"})
    assert refiner.parameters_to_train() == []
    assert refiner.training_loss(knowing(*towns), truth_of(*towns), 0.5) is None


def doubting(*towns):
    """A teacher that doubts a third of its cells, where it is wrong."""
    cells = torch.stack([town.truth for town in towns]).long()
    doubted = draw(0.3, *cells.shape, seed=0)
    predicted = torch.where(doubted, (cells + 1) % CLASSES, cells)
    return teacher_of(towns, predicted, torch.where(doubted, DOUBTFUL, SURE))


class Weighs(nn.Module):
    """Weights by one level alone, image by image."""

    def forward(self, pooled1, pooled2):
        return torch.tensor([[0.0, 0.0], [1.0, 1.0]])


def test_votes_are_cast_with_each_image_s_weights(make_town):
    town = noisy(make_town(CLASSES, channels=256), "f2")
    refiner = make_refiner()
    refiner.weighting = Weighs()
    output = without_labels(refiner, doubting(town, town))
    right = output.votes.refined == town.truth
    assert right[0][output.mask[0]].float().mean() < 0.4 and right[1][output.mask[1]].float().mean() > 0.8


def test_what_labelled_images_taught_votes_where_an_image_is_doubted_throughout(make_town):
    town = make_town(CLASSES, channels=256, spread=0.02)
    wrong = (town.truth[None].long() + 1) % CLASSES
    lost = teacher_of([town], wrong, torch.full(wrong.shape, DOUBTFUL))
    pseudo, manual = pixels(wrong), torch.full(pixels(wrong).shape, 255, dtype=torch.uint8)
    refiner = make_refiner()
    for taught, labels in ((False, pseudo), (True, pixels(town.truth[None]).long())):
        if taught:
            refiner.training_loss(knowing(town), truth_of(town), 0.5)
        found, *_ = refiner.refine(lost, pseudo, torch.full(pseudo.shape, DOUBTFUL), manual, 0.5)
        assert (found == labels).float().mean() > 0.95


@pytest.mark.parametrize("decodes", [True, False])
def test_the_bank_takes_in_every_tenth_step_also_after_a_stop(make_town, decodes):
    town = make_town(CLASSES, size=16, channels=256)
    options = {"emd": {"enabled": decodes}, "plar": {"lambda_mode": "fixed"}}
    refiner, means, changed = make_refiner(**options), torch.zeros(()), []
    for step in range(21):
        if step == 7:
            state, refiner = refiner.state_dict(), make_refiner(**options)
            refiner.load_state_dict(state)
        teacher = knowing(town)
        refiner.training_loss(teacher._replace(f2=teacher.f2 + step), truth_of(town), 0.5)
        if not torch.equal(means, refiner.bank.means[1]):
            means = refiner.bank.means[1].clone()
            changed.append(step)
    assert changed == [0, 10, 20]
    assert int(refiner.trained) == (21 if decodes else 0)


def test_what_is_learnt_is_kept_and_what_is_configured_holds(towns):
    teacher = knowing(*towns)
    learnt = make_refiner(emd={"threshold": 0.5})
    for values in (*learnt.parameters(), *learnt.bank.buffers()):
        values.data.copy_(torch.rand(values.shape) > 0.5)
    learnt.trained.fill_(20)
    state = learnt.state_dict()
    again = make_refiner(emd={"threshold": 0.7})
    again.load_state_dict(state)
    assert torch.equal(again.decode(teacher), learnt.decode(teacher))
    assert again.state_dict().keys() == state.keys()
    for name, value in again.state_dict().items():
        assert torch.equal(value, torch.tensor(0.7) if name == "threshold" else state[name])


def test_a_state_without_a_count_of_steps_without_the_decoder_loads():
    state = make_refiner(emd={"threshold": 0.5}).state_dict()
    del state["without_decoder"]
    state["trained"].fill_(13)
    again = make_refiner(emd={"threshold": 0.7})
    again.load_state_dict(state)
    assert (int(again.trained), int(again.without_decoder)) == (13, 0)
