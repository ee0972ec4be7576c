"""Three steps of TSF against a plain PyTorch writing of them, which imports nothing of the package.

It follows Ma, Karakus, Rosin 2025 (equations 1 to 4) and AEL's code, on two labelled and two unlabelled chips
a step, without random augmentation and with known boxes.
"""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from tests.helpers.tiny_network import TinyNetwork
from tests.helpers.trained import CornerLabels
from tsfal_geo.errors import Cancelled
from tsfal_geo.training.adaptive_augmentation import Box
from tsfal_geo.training.banks import PresenceBank
from tsfal_geo.training.methods import adaptive

STEPS, SCHEDULE, PARTNER, COUNTS = 3, 1000, 5, (40_000, 20_000, 3_000)
BOXES = ((8, 12, 40, 36), (20, 4, 24, 48))
BEFORE = 400  # updates of the teacher before, so that its decay is the paper's 0.99


def noise(like):
    return torch.rand(like.shape, generator=torch.Generator().manual_seed(11))


def pixels(logits):
    return F.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)


def nll(log_p, labels):
    return -log_p.gather(1, labels[:, None])[:, 0]


def mixed(maps):
    base, partner = maps[:2].clone(), maps[2:]
    for i, (y, x, height, width) in enumerate(BOXES):
        base[i, ..., y : y + height, x : x + width] = partner[i, ..., y : y + height, x : x + width]
    return base


class Reference:
    def __init__(self, preset, lr):
        self.strong, self.literal, self.lr = preset == "strong", preset == "literal", lr
        self.student, self.friend = TinyNetwork(seed=1), TinyNetwork(seed=2)
        self.teacher = copy.deepcopy(self.student).eval()
        self.moments = {}
        self.bank = torch.rand(3, generator=torch.Generator().manual_seed(0))
        share = torch.tensor(COUNTS, dtype=torch.float64) + 1
        self.prior = (share / share.sum()).float()
        self.seen = self.prior.repeat(3, 1)

    def aligned(self, number, logits):
        if not self.strong:
            return logits
        self.seen[number] = 0.99 * self.seen[number] + 0.01 * logits.softmax(1).mean((0, 2, 3))
        ratio = (self.prior / self.seen[number]).clamp(0.1, 10)
        return logits + ratio.log()[:, None, None]

    def step(self, t, labelled, truth, unlabelled, manual):
        """Do step t; unlabelled images and manual labels are two base images, then their partners."""
        with torch.no_grad():
            sure, pseudo = pixels(self.aligned(0, self.teacher(unlabelled).logits)).softmax(1).max(1)
            peers = (
                [network(unlabelled).logits for network in (self.student, self.friend)] if self.strong else []
            )
            unmixed = [pixels(self.aligned(k, x)).softmax(1).max(1) for k, x in enumerate(peers, 1)]
        by_hand = manual != 255
        pseudo, sure = torch.where(by_hand, manual, pseudo), sure.masked_fill(by_hand, 1.0)
        pseudo, sure, manual, images = (mixed(x) for x in (pseudo, sure, manual, unlabelled))
        by_hand = manual != 255
        batch = torch.cat([labelled, images])
        log_s, log_f = (pixels(n(batch).logits).log_softmax(1) for n in (self.student, self.friend))
        weights = torch.ones(3)
        if self.strong:
            weights = self.prior.rsqrt() / self.prior.sqrt().sum()
        losses = {
            name: (weights[truth] * nll(log_p[:2], truth)).mean()
            for name, log_p in (("student", log_s), ("friend", log_f))
        }
        r_s, r_f = log_s[2:], log_f[2:]
        (sure_s, own_s), (sure_f, own_f) = ((r.detach().exp().max(1)) for r in (r_s, r_f))
        keep = noise(sure) < ((1 - self.bank) / (1 - self.bank).max())[own_s]
        if self.literal:
            losses["teacher"] = nll(r_s, pseudo).mean()
        else:
            trust = sure**2 * (keep | by_hand)
            worth = torch.where(by_hand, 1.0, 0.25 if self.strong else 1.0)
            losses["teacher"] = (worth * trust * nll(r_s, pseudo)).sum() / trust.sum()
        by_s, by_f, weight_s, weight_f = own_s, own_f, 1.0, 1.0
        if self.strong:
            (sure_s, by_s), (sure_f, by_f) = ((mixed(p), mixed(y)) for p, y in unmixed)
            by_s, by_f = (torch.where(by_hand, manual, y) for y in (by_s, by_f))
            weight_s, weight_f = (torch.where(by_hand, 1.0, 0.25 * p**2) for p in (sure_s, sure_f))
        losses["peers"] = (weight_f * nll(r_s, by_f)).mean() + (weight_s * nll(r_f, by_s)).mean()
        if self.strong:
            ramp = math.exp(-5 * (1 - t / SCHEDULE / 0.5) ** 2)
            losses["teacher"], losses["peers"] = ramp * losses["teacher"], ramp * losses["peers"]
        losses["total"] = sum(losses.values())
        losses["total"].backward()
        rate = self.lr * (1 - t / SCHEDULE) ** 0.9
        with torch.no_grad():
            for network in (self.student, self.friend):
                for p in network.parameters():
                    gradient = p.grad + 1e-4 * p
                    self.moments[p] = 0.9 * self.moments.get(p, 0) + gradient
                    p -= rate * self.moments[p]
                    p.grad = None
            ours, theirs = self.teacher.state_dict(), self.student.state_dict()
            for name, value in ours.items():
                value.copy_(0.99 * value + 0.01 * theirs[name] if value.is_floating_point() else theirs[name])
            known = torch.stack([log_s[:2].exp()[:, c][truth == c].mean() for c in range(3)])
            present = torch.stack([(truth == c).any() for c in range(3)])
            known = torch.where(present, known, self.bank if self.strong else 0)
            self.bank = 0.999 * self.bank + 0.001 * known
        return losses, pseudo


@pytest.mark.parametrize("preset", ["literal", "paper", "strong"])
def test_three_steps_are_those_of_the_reference(run, make_config, make_data, monkeypatch, preset):
    monkeypatch.setattr(torch, "rand_like", noise)
    monkeypatch.setattr(PresenceBank, "draw", lambda *_: PARTNER)
    monkeypatch.setattr(adaptive, "draw_boxes", lambda *_: [Box(*box) for box in BOXES])
    config = make_config(
        preset,
        augment={"scale": (1.0, 1.0), "flip": False, "rotate90": False, "colour": 0.0},
        tsf={"copy_paste": False},
        train={"steps": SCHEDULE, "val_every": SCHEDULE, "weight_decay": 1e-4},
    )
    partner = make_data(config, manual=CornerLabels()).partner(PARTNER)
    partner = {key: torch.stack([value] * 2) for key, value in partner.items()}
    notes = []

    def watch(module, stop):
        module.teacher.updates = BEFORE
        losses, unlabelled, done = module.losses, module._unlabelled, module.after_step

        def targets(*args):
            notes[-1]["targets"] = unlabelled(*args)
            return notes[-1]["targets"]

        def note(batch, rng):
            first, second = batch["labelled"], batch["unlabelled"]
            images = [module.normaliser(part) for part in (first, second, partner)]
            manual = torch.cat([second["manual"], partner["manual"]]).long()
            notes.append({"given": (images[0], first["mask"].long(), torch.cat(images[1:]), manual)})
            notes[-1]["losses"] = losses(batch, rng)
            return notes[-1]["losses"]

        def after():
            done()
            networks = {"student": module.student, "friend": module.friend, "teacher": module.teacher.model}
            notes[-1]["weights"] = {key: copy.deepcopy(n.state_dict()) for key, n in networks.items()}
            notes[-1]["bank"] = module.branch.bank
            if module.steps_done + 1 == STEPS:
                stop.set()

        module.losses, module._unlabelled, module.after_step = note, targets, after

    with pytest.raises(Cancelled):
        run(config, steps=SCHEDULE, disturb=watch, manual=CornerLabels())
    assert len(notes) == STEPS
    reference = Reference(preset, config.train.lr)
    for t, noted in enumerate(notes):
        losses, pseudo = reference.step(t, *noted["given"])
        assert set(noted["losses"]) == set(losses)
        for name, value in losses.items():
            assert noted["losses"][name].item() == pytest.approx(value.item(), rel=1e-4), (t, name)
        assert (noted["targets"].teacher == pseudo).float().mean() > 0.999
        for name, state in noted["weights"].items():
            for key, value in getattr(reference, name).state_dict().items():
                torch.testing.assert_close(
                    state[key],
                    value,
                    rtol=1e-3,
                    atol=2e-6,
                    msg=lambda text, at=(t, name, key): f"{at} {text}",
                )
    torch.testing.assert_close(notes[-1]["bank"].confidence, reference.bank)
    assert 0.1 < (noted["targets"].manual != 255).float().mean() < 0.9
