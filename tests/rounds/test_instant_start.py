"""Trainings that start from the instant model, and the network that makes the map."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from tests.helpers.loop_case import CLASSES, QuietReporter, write_scenes
from tests.rounds.test_instant import SETTINGS
from tsfal_geo.config import load_config
from tsfal_geo.instant import fitting
from tsfal_geo.models.io import load_model
from tsfal_geo.rounds import pools, training
from tsfal_geo.rounds.instant import start as starts
from tsfal_geo.rounds.instant.start import INSTANT, mean_weights
from tsfal_geo.rounds.loop import query, train
from tsfal_geo.rounds.request import Request

TSF = {
    "train.method": "tsf",
    "train.steps": 2,
    "train.precision": "32-true",
    "tsf.warmup_steps": 0,
    "active.strategy": "entropy",
}


class Lines(QuietReporter):
    def __init__(self):
        super().__init__()
        self.told = []

    def say(self, text):
        self.told.append(text)

    warning = say


@pytest.fixture(autouse=True, scope="module")
def short_fits():
    """Heads are fitted in fewer steps, which these few cells need no more of."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fitting, "STEPS", 80)
        patched.setattr(fitting, "_FOLD_STEPS", 10)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory, short_fits):
    root = tmp_path_factory.mktemp("made")
    folder = write_scenes(root / "scenes")
    config = load_config(None, {**SETTINGS, "classes": CLASSES, "model.scales": (1,)})
    train(Request(root / "ws", folder, folder, config), QuietReporter())
    return root, config


@pytest.fixture
def asked(made, tmp_path):
    """A workspace whose answers are given, and its configuration for TSF."""
    root, config = made
    shutil.copytree(root / "ws", tmp_path / "ws")
    return tmp_path / "ws", root / "scenes", load_config(None, TSF, config)


def metrics(root, number):
    return json.loads((root / "rounds" / f"{number:03d}" / "metrics.json").read_text())


def test_a_training_starts_from_the_head_and_never_falls_behind_it(asked, monkeypatch):
    root, folder, config = asked
    begun = {}
    fit = training.fit

    def spy(module, *rest, **named):
        begun["teacher"] = {name: value.clone() for name, value in module.predictor.state_dict().items()}
        begun["heads"] = [net.state_dict()["head.bias"].clone() for net in module.learners().values()]
        return fit(module, *rest, **named)

    monkeypatch.setattr(training, "fit", spy)
    reporter = Lines()
    result = train(Request(root, folder, folder, config), reporter)
    instant, trained = metrics(root, result.number - 1), metrics(root, result.number)
    assert (instant["method"], trained["method"]) == ("instant", "tsf")
    # The first learner and the teacher are the instant model; the second has a head of its own.
    before, _ = load_model(root / "rounds" / f"{result.number - 1:03d}")
    same_encoder = all(
        torch.equal(value, before.state_dict()[name])
        for name, value in begun["teacher"].items()
        if name.startswith("encoder.")
    )
    assert same_encoder and not torch.equal(*begun["heads"])
    scores = trained["network_miou"]
    assert set(scores) == {"instant", "teacher", "student", "friend", "mean"}
    assert scores[trained["network"]] == max(scores.values()) >= scores[INSTANT] > 0.5
    assert trained["miou"] == pytest.approx(scores[trained["network"]])
    assert any(line.startswith(f"The map is made by: {trained['network']} (") for line in reporter.told)


@pytest.mark.parametrize("ruined", [True, False])
def test_the_better_network_makes_the_map_also_after_a_query_without_training(asked, monkeypatch, ruined):
    root, folder, config = asked
    fit = training.fit

    def ruin(module, *rest, **named):
        result = fit(module, *rest, **named)
        with torch.no_grad():
            for network in (*module.learners().values(), module.predictor):
                network.head.classifier.weight.mul_(-1)
        return result

    judged = starts._Judge.scores

    def reversed_scores(self, segmenter, windows):
        found = judged(self, segmenter, windows)
        return found if ruined else type(found)(**{**found.__dict__, "miou": 1 - (found.miou or 0.0)})

    monkeypatch.setattr(training, "fit", ruin)
    monkeypatch.setattr(starts._Judge, "scores", reversed_scores)
    result = train(Request(root, folder, folder, config), QuietReporter())
    chosen = metrics(root, result.number)["network"]
    assert (chosen == INSTANT) == ruined
    saved = load_model(root / "rounds" / f"{result.number:03d}")[0].state_dict()
    more = load_config(None, {"active.answers": 60, "active.rounds": 4, "active.oracle": False}, config)
    asked_again = query(Request(root, folder, folder, more), QuietReporter())
    again = load_model(root / "rounds" / f"{asked_again.number:03d}")[0].state_dict()
    assert all(torch.equal(value, again[name]) for name, value in saved.items())


@pytest.mark.parametrize("enough", [1, 1000])
def test_without_validation_held_out_labels_decide_or_it_is_said(asked, monkeypatch, enough):
    root, folder, config = asked
    monkeypatch.setattr(pools, "_ENOUGH_CHIPS", enough)
    index = json.loads((root / "workspace.json").read_text())
    (root / "workspace.json").write_text(json.dumps({**index, "val_dir": None}))
    reporter = Lines()
    result = train(Request(root, folder, None, config), reporter)
    found = metrics(root, result.number)
    assert bool(found["held_out_chips"]) == (enough == 1)
    if found["held_out_chips"]:
        assert found["network"] in found["network_miou"] and found["miou"] is None
    else:
        assert any("nothing tells whether the training improved" in line for line in reporter.told)


def test_weights_are_averaged_and_counters_are_not():
    first = {"weight": torch.tensor([1.0, 3.0]), "steps": torch.tensor(4)}
    second = {"weight": torch.tensor([3.0, 5.0]), "steps": torch.tensor(7)}
    mean = mean_weights(first, second)
    assert np.array_equal(mean["weight"], [2, 4]) and int(mean["steps"]) == 7
