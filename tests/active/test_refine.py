"""The refiner in a training's step: what it mends and learns, and what it leaves as it is."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from tsfal_geo.active.refine import ActiveRefiner
from tsfal_geo.config import Config
from tsfal_geo.models.segmenter import SegmenterOutput
from tsfal_geo.ssl.losses import teacher_loss

CLASSES = 4
SURE, DOUBTFUL = 0.95, 0.5


def make_refiner(refining=True, preset="strong", **sections):
    """Votes are by F2 unless said otherwise, since F1 is blurred where classes meet."""
    sections["plar"] = {"lambda_init": 0.001, "min_margin": 0.0, **sections.get("plar", {})}
    config = Config.model_validate({"preset": preset, **sections})
    return ActiveRefiner(config, CLASSES, refining=refining)


def teacher_of(towns, said, sure):
    """The output of a teacher that gives the classes ``said`` the probability ``sure``, on cells."""
    probs = ((1 - sure) / (CLASSES - 1))[:, None].repeat(1, CLASSES, 1, 1)
    probs.scatter_(1, said[:, None].long(), sure[:, None])
    return SegmenterOutput(
        probs.log(), torch.stack([town.f1 for town in towns]), torch.stack([town.f2 for town in towns])
    )


def pixels(cells):
    return cells.repeat_interleave(4, -2).repeat_interleave(4, -1)


def holds(pixels):
    """Whether cells hold any of the pixels."""
    return torch.nn.functional.max_pool2d(pixels.float(), 4) > 0


def draw(share, *shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share


@dataclass(frozen=True)
class Scene:
    """Two images whose teacher errs where it doubts, pixel by pixel not quite as cell by cell.

    Attributes:
        voted: pixels of doubt, in doubted cells where no person spoke.
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
        return refiner.refine(self.teacher, self.pseudo, self.conf, self.manual, 0.5)


@pytest.fixture
def towns(make_town):
    return [make_town(CLASSES, channels=256, spread=0.02, seed=seed) for seed in (0, 1)]


@pytest.fixture
def scene(towns):
    cells = torch.stack([town.truth for town in towns]).long()
    doubted = draw(0.3, *cells.shape, seed=0)
    said = torch.where(doubted, (cells + 1) % CLASSES, cells)
    truth = pixels(cells)
    pseudo = torch.where(draw(0.1, *truth.shape, seed=1), (truth + 2) % CLASSES, pixels(said))
    doubt = draw(0.5, *truth.shape, seed=2)
    conf = torch.where(doubt, 0.6, 0.8)
    spoken = draw(0.01, *truth.shape, seed=3)
    image = torch.ones_like(doubt)
    image[1, -16:] = False
    pseudo, conf, spoken = pseudo.masked_fill(~image, 255), conf.masked_fill(~image, 0), spoken & image
    asked = pixels(doubted & ~holds(spoken)) & image
    doubt &= image & ~spoken
    return Scene(
        teacher_of(towns, said, torch.where(doubted, DOUBTFUL, SURE)),
        truth,
        pseudo,
        conf,
        torch.where(spoken, (truth + 3) % CLASSES, 255).to(torch.uint8),
        doubt & asked,
        doubt & ~asked,
        image & ~doubt & ~spoken,
    )


@pytest.mark.parametrize("preset", ["paper", "strong"])
def test_people_overrule_votes_and_votes_overrule_the_teacher_in_the_mask_alone(scene, preset):
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


def test_the_mask_is_doubt_within_the_image_where_no_person_spoke(scene):
    image = scene.pseudo != 255
    look = make_refiner().look(scene.teacher, image, scene.manual, scene.conf, None)
    assert torch.equal(look.pixel_mask, scene.voted | scene.kept)
    doubted = scene.teacher.logits.softmax(1).amax(1) < 0.7
    assert torch.equal(look.mask, doubted & holds(image) & ~holds(scene.by_hand))


def counted(labels, weight, by_hand, weighting):
    """How much each label counts in the teacher's loss, in those of people."""
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
    """Which pixels votes are written into, and how clear those are."""
    look = refiner.look(scene.teacher, scene.pseudo != 255, scene.manual, scene.conf, None)
    voted = scene.voted & pixels(look.votes.refined != 255)
    margin = pixels(look.votes.margin)[voted]
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


def test_a_refiner_that_does_not_mend_yet_lets_people_override(scene):
    labels, weight = scene.refined_by(make_refiner(refining=False))
    assert torch.equal(labels, torch.where(scene.by_hand, scene.manual.long(), scene.pseudo))
    assert torch.equal(weight, torch.where(scene.by_hand, 1.0, scene.conf))


def test_without_plar_nobody_votes(scene):
    labels, _ = scene.refined_by(make_refiner(plar={"enabled": False}))
    assert torch.equal(labels, torch.where(scene.by_hand, scene.manual.long(), scene.pseudo))


class Says(nn.Module):
    """A decoder that says the same of every image."""

    def __init__(self, logit):
        super().__init__()
        self.logit = logit

    def forward(self, f1, f2, probs):
        return self.logit.expand(len(f2), 1, -1, -1)


@pytest.mark.parametrize(
    ("trained", "emd", "heard"),
    [
        (20, {"threshold": 0.5}, True),
        (20, {"threshold": 0.7}, False),
        (19, {"threshold": 0.5}, False),
        (20, {"threshold": 0.5, "enabled": False}, False),
    ],
)
def test_a_trained_decoder_adds_to_the_mask_what_it_finds_likelier_wrong_than_its_threshold(
    towns, trained, emd, heard
):
    """The teacher is sure and wrong in a strip, and doubts some cells elsewhere."""
    truth = torch.stack([town.truth for town in towns]).long()
    strip, doubted = torch.zeros_like(truth).bool(), draw(0.1, *truth.shape, seed=0)
    strip[..., :8] = True
    doubted &= ~strip
    said = torch.where(strip | doubted, (truth + 1) % CLASSES, truth)
    sure = torch.where(doubted, DOUBTFUL, SURE)
    refiner = make_refiner(emd=emd)
    refiner.emd = Says(torch.where(strip[:1, None], 0.4, -0.4))  # 0.6 and 0.4
    refiner.trained.fill_(trained)
    nothing = torch.full_like(pixels(truth), 255, dtype=torch.uint8)
    teacher = teacher_of(towns, said, sure)
    labels, weight = refiner.refine(teacher, pixels(said), pixels(sure), nothing, 0.5)
    mended = pixels(doubted | strip if heard else doubted)
    assert torch.equal(labels, pixels(torch.where(strip & ~mended[..., ::4, ::4], said, truth)))
    assert torch.equal(weight[~mended], pixels(sure)[~mended])


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


def seen_by(refiner, teacher):
    """A look at images of which no person said anything."""
    nothing = torch.full_like(pixels(teacher.logits[:, 0]), 255).to(torch.uint8)
    conf = pixels(teacher.logits.softmax(1).amax(1))
    return refiner.look(teacher, nothing == 255, nothing, conf, refiner.decode(teacher))


def test_the_decoder_learns_from_known_labels_where_the_teacher_errs(make_town):
    """What it takes for class 2 is class 1, and looks like nothing else; half of the image is known."""
    town = make_town(CLASSES + 1, channels=256, spread=0.02)
    unlike = (town.truth == CLASSES)[None]
    truth = torch.where(unlike, 1, town.truth[None]).to(torch.uint8)
    teacher = teacher_of([town], torch.where(unlike, 2, truth), torch.full(truth.shape, SURE))
    target = pixels(truth)
    target[..., 64:] = 255
    learner = pupil(plar={"lambda_mode": "fixed"})
    teach(*learner, teacher, target, 19)
    refiner, _ = learner
    assert not seen_by(refiner, teacher).mask.any()
    teach(*learner, teacher, target, 1)
    look = seen_by(refiner, teacher)
    right = look.mask == unlike
    assert right[..., :16].float().mean() > 0.95 and right[..., 16:].float().mean() > 0.95
    assert (look.pixel_mask == pixels(unlike)).float().mean() > 0.95


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
    refiner.emd = Says(finds[:, None])
    said = torch.where(wrong, (truth + 1) % CLASSES, truth)
    teacher = teacher_of([town], said, torch.full(said.shape, SURE))
    assert float(refiner.training_loss(teacher, target, 0.5)) < 1e-6


def test_decoding_leaves_no_trace(scene):
    refiner = make_refiner().train()
    refiner.trained.fill_(20)
    before = {name: value.clone() for name, value in refiner.state_dict().items()}
    refiner.decode(scene.teacher)
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
    said = torch.where(doubted, (cells + 1) % CLASSES, cells)
    return teacher_of(towns, said, torch.where(doubted, DOUBTFUL, SURE))


class Weighs(nn.Module):
    """Weights by one level alone, image by image."""

    def forward(self, pooled1, pooled2):
        return torch.tensor([[0.0, 0.0], [1.0, 1.0]])


def test_votes_are_cast_with_each_image_s_weights(make_town):
    town = noisy(make_town(CLASSES, channels=256), "f2")
    refiner = make_refiner()
    refiner.weighting = Weighs()
    look = seen_by(refiner, doubting(town, town))
    right = look.votes.refined == town.truth
    assert right[0][look.mask[0]].float().mean() < 0.4 and right[1][look.mask[1]].float().mean() > 0.8


def test_what_labelled_images_taught_votes_where_an_image_is_doubted_throughout(make_town):
    town = make_town(CLASSES, channels=256, spread=0.02)
    wrong = (town.truth[None].long() + 1) % CLASSES
    lost = teacher_of([town], wrong, torch.full(wrong.shape, DOUBTFUL))
    pseudo, manual = pixels(wrong), torch.full(pixels(wrong).shape, 255, dtype=torch.uint8)
    refiner = make_refiner()
    for taught, labels in ((False, pseudo), (True, pixels(town.truth[None]).long())):
        if taught:
            refiner.training_loss(knowing(town), truth_of(town), 0.5)
        found, _ = refiner.refine(lost, pseudo, torch.full(pseudo.shape, DOUBTFUL), manual, 0.5)
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


def test_what_is_learnt_is_kept_and_what_is_configured_holds(scene):
    learnt = make_refiner(emd={"threshold": 0.5})
    for values in (*learnt.parameters(), *learnt.bank.buffers()):
        values.data.copy_(torch.rand(values.shape) > 0.5)
    learnt.trained.fill_(20)
    state = learnt.state_dict()
    again = make_refiner(emd={"threshold": 0.7})
    again.load_state_dict(state)
    assert torch.equal(again.decode(scene.teacher), learnt.decode(scene.teacher))
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
