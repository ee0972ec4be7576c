"""The compared systems' protocols in the round loop: whole chips, from scratch, own trainers."""

import ast
import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tests.helpers.loop_case import QuietReporter, tiny_config, write_scenes
from tsfal_geo.config import QueryStrategy, load_config
from tsfal_geo.errors import Cancelled, ConfigError
from tsfal_geo.labels.history import read_snapshot
from tsfal_geo.labels.model import Label
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.queries.strategies import vaal_networks
from tsfal_geo.rounds import round as rounds
from tsfal_geo.rounds import training
from tsfal_geo.rounds.loop import query, train
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder

BUDGET = 0.6  # the labels to begin with are 0.417 of the pixels
HOME = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(vaal_networks, "SIDE", 32)
    monkeypatch.setattr(vaal_networks, "WIDTH", 4)


@pytest.fixture
def built(monkeypatch):
    """The configurations that networks were built from, and how long they were to train."""
    seen = []
    original = training.build_module

    def build(config, datamodule, *args, **kwargs):
        module = original(config, datamodule, *args, **kwargs)
        seen.append((config, datamodule, kwargs["generation"]))
        return module

    monkeypatch.setattr(training, "build_module", build)
    return seen


def run(root, folder, reporter=None, **overrides):
    overrides = {"active__oracle": True, "active__budget": BUDGET, "active__rounds": 1, **overrides}
    reporter = reporter or QuietReporter()
    train(Request(root, folder, None, tiny_config(**overrides)), reporter)
    return WorkspaceFolder.open(root)


def asked(workspace, number):
    return [(q.chip, q.scene, q.pixels, q.score) for q in workspace.store().read_queries(number)]


IMAGE_LEVEL = {"active__granularity": "chips", "active__retrain": "scratch", "train__method": "supervised"}
CHIPS = {**IMAGE_LEVEL, "active__strategy": "random"}
S4AL = {"active__strategy": "s4al", "train__method": "s4al", "active__retrain": "scratch"}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({**IMAGE_LEVEL, "active__strategy": "coreset"}, id="coreset"),
        pytest.param({**IMAGE_LEVEL, "active__strategy": "deal_de", "train__method": "deal"}, id="deal"),
        pytest.param({"active__strategy": "deal_ds", "active__budget": 0.45}, id="tsf"),
    ],
)
def test_a_system_goes_to_its_budget(options, folder, tmp_path):
    workspace = run(tmp_path, folder, **options)
    before, after = (workspace.metrics(number) for number in range(2))
    assert after["labelled_pixels"] == before["labelled_pixels"] + before["query_pixels"]
    assert before["labelled_share"] < after["labelled_share"] <= options.get("active__budget", BUDGET)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({**IMAGE_LEVEL, "active__strategy": "vaal", "active__budget": 0.5}, id="vaal"),
        pytest.param({**S4AL, "active__budget": 0.45}, id="s4al"),
    ],
)
def test_an_interrupted_system_asks_the_same(options, folder, tmp_path, monkeypatch):
    whole = run(tmp_path / "whole", folder, **options)
    with pytest.raises(Cancelled):
        run(tmp_path / "cut", folder, QuietReporter(stop_after=2), **options)
    complete = rounds._complete
    monkeypatch.setattr(rounds, "_complete", lambda *args, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", folder, **options)
    monkeypatch.setattr(rounds, "_complete", complete)
    again = run(tmp_path / "cut", folder, **options)
    assert asked(whole, 0) and whole.current_round == again.current_round == 1
    assert asked(again, 0) == asked(whole, 0)
    models = [(w.round_dir(1) / "model.safetensors").read_bytes() for w in (whole, again)]
    assert models[0] == models[1]


def test_whole_chips_are_asked_and_then_supervise(folder, tmp_path, built):
    workspace = run(tmp_path, folder, **CHIPS)
    inputs = json.loads((workspace.root / "inputs.json").read_text())
    start = len(inputs["labelled_chips"])
    questions = asked(workspace, 0)
    before, after = (datamodule.labelled.chips for _, datamodule, _ in built)
    names = {(workspace.scenes[chip.scene].name, f"{chip.row}-{chip.col}") for chip in after}
    assert len(before) == start and set(before) < set(after)
    assert {(scene, chip) for chip, scene, _, _ in questions} <= names
    assert all(datamodule.unlabelled is None for _, datamodule, _ in built)
    taken = read_snapshot(workspace.store(), 1)
    manual = PolygonLabels(taken.labels, workspace.scenes, workspace.classes)
    assert int(manual.pixels().sum()) == sum(pixels for _, _, pixels, _ in questions)


def test_from_scratch_every_round_begins_with_the_pretrained_weights(folder, tmp_path, built, monkeypatch):
    monkeypatch.setattr(training, "warm_start", lambda *args: pytest.fail("it went on"))
    options = {**CHIPS, "model__weights": "imagenet", "model__allow_random_init": True}
    monkeypatch.setattr("tsfal_geo.models.segmenter.load_encoder_weights", lambda *args, **kwargs: None)
    workspace = run(tmp_path, folder, **options)
    assert [config.model.weights for config, _, _ in built] == ["imagenet"] * 2
    assert [workspace.metrics(number)["steps"] for number in range(2)] == [3, 3]
    assert [generation for _, _, generation in built] == [0, 1]


@pytest.fixture
def rates(monkeypatch):
    """The rates of each training's first and last step, in those of the configuration."""
    seen, original = [], training.fit

    def fit(module, *args, steps, **kwargs):
        result = original(module, *args, steps=steps, **kwargs)
        train = module.config.train
        ends = []
        for module._step in (0, steps - 1, steps):
            ends.append((module.learning_rate() / train.lr) ** (1 / train.poly_power))
        seen.append(pytest.approx(ends))
        return result

    monkeypatch.setattr(training, "fit", fit)
    return seen


def test_going_on_has_its_own_length_and_no_pretrained_weights(folder, tmp_path, built, monkeypatch):
    monkeypatch.setattr("tsfal_geo.models.segmenter.load_encoder_weights", lambda *args, **kwargs: None)
    options = {"active__strategy": "random", "active__budget": 0.45, "train__steps": 4}
    workspace = run(tmp_path, folder, model__weights="imagenet", **options)
    assert [config.model.weights for config, _, _ in built] == ["imagenet", None]
    assert [workspace.metrics(number)["steps"] for number in range(2)] == [4, 2]


def test_the_rate_descends_in_each_round(folder, tmp_path, rates):
    run(tmp_path, folder, active__strategy="random", active__budget=0.45, train__steps=4)
    assert rates == [[1, 1 / 4, 0], [1, 1 / 2, 0]]


def test_or_once_over_all_rounds_and_further_ones_are_its_tail(folder, tmp_path, rates):
    options = {"active__strategy": "random", "active__budget": 0.45, "train__steps": 4}
    options["active__descent"] = "whole"
    run(tmp_path, folder, **options)
    assert rates == [[1, 3 / 6, 2 / 6], [2 / 6, 1 / 6, 0]]
    options["active__budget"] = 0.6
    more = Request(tmp_path, folder, None, tiny_config(**options, active__oracle=True, active__rounds=1))
    query(more, QuietReporter())
    train(more, QuietReporter())
    assert rates[2:] == [[2 / 8, 1 / 8, 0]]


def test_from_scratch_every_round_descends_by_itself(folder, tmp_path, rates):
    run(tmp_path, folder, **CHIPS, active__descent="whole")
    assert rates == [[1, 1 / 3, 0]] * 2


def test_the_first_training_after_queries_alone_begins_with_the_pretrained_weights(
    tmp_path, built, monkeypatch
):
    monkeypatch.setattr("tsfal_geo.models.segmenter.load_encoder_weights", lambda *args, **kwargs: None)
    folder = write_scenes(tmp_path / "bare", labels=False)
    options = {"data__labelled": None, "active__oracle": False, "model__weights": "imagenet"}
    workspace = run(tmp_path / "ws", folder, **options)
    first = workspace.store().read_queries(0)
    workspace.store().add("bob", [Label(q.scene, 3, q.geometry, q.qid, 0, "bob") for q in first])
    run(tmp_path / "ws", folder, **options)
    assert [(config.model.weights, generation) for config, _, generation in built] == [("imagenet", 0)]


def test_regions_that_people_labelled_supervise_where_nothing_else_would_use_them(folder, tmp_path, built):
    workspace = run(
        tmp_path, folder, train__method="supervised", active__strategy="entropy", active__budget=0.45
    )
    inputs = json.loads((workspace.root / "inputs.json").read_text())
    chips = {(q[1], q[0]) for q in asked(workspace, 0)}
    assert len(built[-1][1].labelled.chips) == len(inputs["labelled_chips"]) + len(chips)


@pytest.mark.parametrize("preset", ["strong", "paper"])
def test_chips_labelled_in_part_supervise_as_often_as_they_have_labels(preset, folder, tmp_path, built):
    options = {"active__strategy": "entropy", "active__budget": 0.45, "preset": preset}
    workspace = run(tmp_path, folder, **options)
    inputs = json.loads((workspace.root / "inputs.json").read_text())
    start = {tuple(name) for name in inputs["labelled_chips"]}
    (_, first, _), (_, second, _) = built
    assert first.shares is None
    if preset == "paper":
        assert second.shares is None and second.labelled.chips == first.labelled.chips
        return
    read = PolygonLabels(read_snapshot(workspace.store(), 1).labels, workspace.scenes, workspace.classes)
    own = {(q[1], q[0]) for q in asked(workspace, 0)}
    assert len(second.labelled.chips) == len(start) + len(own)
    for chip, share in zip(second.labelled.chips, second.shares, strict=True):
        if chip in first.labelled.chips:
            assert share == 1
        else:
            said = read.read(chip.window) != 255
            assert 0 < said.mean() <= share < 0.99


def test_s4al_asks_four_squares_of_each_unlabelled_chip(folder, tmp_path):
    workspace = run(tmp_path, folder, active__budget=0.43, **S4AL)
    queries = asked(workspace, 0)
    counts = np.unique([f"{scene}/{chip}" for chip, scene, _, _ in queries], return_counts=True)[1]
    assert queries and counts.max() <= 4 and max(pixels for *_, pixels, _ in queries) <= 16


def test_difficulty_that_nobody_learns_is_refused_before_training(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"deal_ds.*supervised.*--method deal"):
        run(tmp_path, folder, train__method="supervised", active__strategy="deal_ds")


def test_a_budget_below_one_chip_is_told(folder, tmp_path):
    reporter = QuietReporter()
    run(tmp_path, folder, reporter, active__budget=0.42, **CHIPS)
    assert any("smallest query has" in line for line in reporter.warnings)


def test_the_shipped_protocol_is_the_image_level_one():
    config = load_config(HOME / "configs" / "al_image_level.yaml")
    active = config.active
    assert (active.granularity, active.retrain, config.train.method) == ("chips", "scratch", "supervised")
    steps = (active.budget - config.data.labelled) / active.rounds
    assert (config.data.labelled, active.budget) == (0.10, 0.40) and steps == pytest.approx(0.05)


def test_the_plugin_offers_the_same_strategies():
    path = HOME / "qgis_plugin" / "tsfal_qgis" / "algs" / "query.py"
    (offered,) = [
        ast.literal_eval(node.value)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "_STRATEGIES"
    ]
    assert offered == get_args(QueryStrategy)


def test_a_network_that_doubts_too_little_for_the_budget_says_so(folder, tmp_path):
    reporter = QuietReporter()
    options = {"active__budget": 0.45, "plar__confidence": 0.0, "emd__enabled": False}
    workspace = run(tmp_path, folder, reporter, **options)
    assert not asked(workspace, 0)
    assert any("finds only 0 to ask about" in line for line in reporter.warnings)
