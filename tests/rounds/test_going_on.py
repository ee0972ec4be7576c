"""Rounds that only ask, ask nothing, or were stopped: what comes after them."""

import shutil

import numpy as np
import pytest
import rasterio
from shapely import Polygon

from tests.helpers.loop_case import QuietReporter, tiny_config, write_scenes
from tsfal_geo.errors import ConfigError
from tsfal_geo.labels.history import read_snapshot
from tsfal_geo.labels.model import Decision, Label, LabelSnapshot
from tsfal_geo.project.status import read_status
from tsfal_geo.rounds import round as rounds
from tsfal_geo.rounds import training
from tsfal_geo.rounds.inputs import prepare
from tsfal_geo.rounds.loop import query, train
from tsfal_geo.rounds.oracle import query_mask
from tsfal_geo.rounds.pools import label_pools, read_labels
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder


@pytest.fixture(scope="module")
def once(folder, tmp_path_factory):
    """A workspace whose first round waits for labels."""
    root = tmp_path_factory.mktemp("once")
    go(train, root, folder)
    return root


@pytest.fixture
def waiting(once, tmp_path):
    root = tmp_path / "ws"
    shutil.copytree(once, root)
    return root


def go(command, root, folder, **overrides):
    reporter = QuietReporter()
    config = tiny_config(**{"active__budget": 0.5, **overrides})
    command(Request(root, folder, None, config), reporter)
    return WorkspaceFolder.open(root), reporter


def die(*args, **kwargs):
    raise KeyboardInterrupt


def answer(workspace, number):
    question = workspace.store().read_queries(number)[0]
    label = Label(question.scene, 7, question.geometry, question.qid, number, "ann")
    workspace.store().add("ann", [label])


def test_a_query_that_was_stopped_leaves_nothing_and_can_be_asked_again(waiting, folder, monkeypatch):
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(rounds, "_complete", die)
        go(query, waiting, folder)
    assert not WorkspaceFolder.open(waiting).round_dir(1).exists()
    workspace, _ = go(query, waiting, folder)
    assert workspace.current_round == 1 and workspace.store().read_queries(1)


def killed_query(root, folder, monkeypatch):
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(rounds, "_complete", die)
        broken.setattr(WorkspaceFolder, "end_asking", lambda self: None)
        go(query, root, folder)
    killed = WorkspaceFolder.open(root)
    assert killed.round_dir(1).exists() and not read_status(killed).interrupted
    return killed


def test_after_a_query_that_was_killed_the_next_round_trains_on_labels_that_came_since(
    waiting, folder, monkeypatch
):
    before = killed_query(waiting, folder, monkeypatch)
    answer(before, 0)
    weights = (before.round_dir(0) / "model.safetensors").read_bytes()
    workspace, _ = go(train, waiting, folder)
    assert workspace.metrics(1)["steps"] > 0
    assert len(read_snapshot(workspace.store(), 1).labels) == 1
    assert (workspace.round_dir(1) / "model.safetensors").read_bytes() != weights


def test_a_query_that_was_killed_is_asked_again_with_labels_that_came_since(waiting, folder, monkeypatch):
    answer(killed_query(waiting, folder, monkeypatch), 0)
    workspace, _ = go(query, waiting, folder)
    assert workspace.current_round == 1 and len(read_snapshot(workspace.store(), 1).labels) == 1


def test_a_round_without_a_checkpoint_takes_new_settings(waiting, folder, monkeypatch):
    answer(WorkspaceFolder.open(waiting), 0)
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(rounds, "train_round", die)
        go(train, waiting, folder)
    assert read_status(WorkspaceFolder.open(waiting)).interrupted
    workspace, _ = go(train, waiting, folder, train__lr=0.001)
    assert workspace.current_round == 1 and workspace.config.train.lr == 0.001


def test_labels_that_a_query_saw_are_trained_on_afterwards(waiting, folder):
    answer(WorkspaceFolder.open(waiting), 0)
    workspace, _ = go(query, waiting, folder)
    assert len(read_snapshot(workspace.store(), 1).labels) == 1 and "steps" not in workspace.metrics(1)
    workspace, _ = go(train, waiting, folder)
    assert workspace.current_round == 2 and workspace.metrics(2)["steps"] > 0
    assert not (workspace.round_dir(0) / "resume.ckpt").exists()
    assert (workspace.round_dir(2) / "resume.ckpt").exists()
    workspace, reporter = go(train, waiting, folder)
    assert workspace.current_round == 2 and "wait for labels" in reporter.lines[-1]


def test_what_was_skipped_or_unsure_is_not_asked_again(waiting, folder):
    workspace = WorkspaceFolder.open(waiting)
    store = workspace.store()
    answered, skipped, unsure, doubted, *_ = store.read_queries(0)
    label = Label(answered.scene, 7, answered.geometry, answered.qid, 0, "ann")
    said = [(skipped, "skipped"), (unsure, "unsure"), (doubted, "skipped"), (doubted, "done")]
    store.add("ann", [label], [Decision(query.qid, 0, status, "ann") for query, status in said])
    workspace, _ = go(train, waiting, folder, active__strategy="random", active__budget=1.0, active__rounds=1)
    workspace, _ = go(query, waiting, folder, active__strategy="random", active__budget=1.0, active__rounds=1)
    drawn = {}
    for scene in workspace.scenes:
        with rasterio.open(workspace.round_dir(2) / scene.name / "queries.tif") as dataset:
            drawn[scene.name] = dataset.read(1)
    scenes = {scene.name: scene for scene in workspace.scenes}
    asked = []
    for question in (skipped, unsure, doubted):
        mask, y, x = query_mask(question, scenes[question.scene])
        ranks = drawn[question.scene][y : y + mask.shape[0], x : x + mask.shape[1]]
        asked.append((ranks[mask] > 0).any())
    assert asked == [False, False, True]


def test_answers_from_before_a_fresh_start_are_not_taken_for_answers_to_new_queries(waiting, folder):
    answer(WorkspaceFolder.open(waiting), 0)
    reporter = QuietReporter()
    train(Request(waiting, folder, None, tiny_config(active__budget=0.5), fresh=True), reporter)
    store = WorkspaceFolder.open(waiting).store()
    assert len(store.snapshot().labels) == 1
    assert len(store.open_queries(0)) == len(store.read_queries(0)) > 1


def test_a_round_that_asks_nothing_does_not_end_the_loop(folder, tmp_path):
    nothing = {"plar__confidence": 0.0, "emd__enabled": False}
    workspace, _ = go(train, tmp_path, folder, active__oracle=True, **nothing)
    assert [workspace.metrics(n)["queries"] for n in range(2)] == [0, 0]
    assert (workspace.current_round, workspace.state.status) == (1, "done")


def test_without_an_oracle_a_round_that_asks_nothing_says_how_to_go_on(folder, tmp_path):
    nothing = {"plar__confidence": 0.0, "emd__enabled": False}
    workspace, reporter = go(train, tmp_path, folder, **nothing)
    assert workspace.state.status == "waiting" and "selected no queries; go on with" in reporter.lines[-1]
    assert "go on with training" in read_status(workspace).next
    workspace, _ = go(train, tmp_path, folder, **nothing)
    assert workspace.current_round == 1


def test_when_all_rounds_are_done_more_can_be_asked_for(folder, tmp_path):
    workspace, reporter = go(train, tmp_path, folder, active__oracle=True, active__rounds=1)
    assert workspace.state.status == "done" and "ask for more with" in reporter.lines[-1]
    workspace, _ = go(query, tmp_path, folder, active__rounds=1)
    assert workspace.metrics(2)["query_pixels"] < 0.01 * workspace.metrics(2)["valid_pixels"]
    workspace, _ = go(query, tmp_path, folder, active__rounds=1, active__budget=0.7)
    values = workspace.metrics(3)
    reached = values["labelled_pixels"] + values["query_pixels"]
    assert 0.6 * values["valid_pixels"] < reached <= 0.7 * values["valid_pixels"]
    assert workspace.state.status == "waiting"


def test_a_budget_that_is_spent_from_the_start_is_said(folder, tmp_path):
    workspace, reporter = go(train, tmp_path, folder, active__budget=0.1)
    assert workspace.state.status == "done"
    assert any("active.budget: 10.00%" in line for line in reporter.warnings)


def test_with_validation_scenes_masks_and_votes_are_judged_on_them(waiting, folder, tmp_path):
    assert "error_mask" not in WorkspaceFolder.open(waiting).metrics(0)
    val = write_scenes(tmp_path / "val", shape=(100, 90))
    config = tiny_config(active__budget=0.5, plar__confidence=1.0)
    query(Request(waiting, folder, val, config), QuietReporter())
    masks = WorkspaceFolder.open(waiting).metrics(1)["error_mask"]
    # Who doubts everything finds every error.
    assert masks["confidence"]["recall"] == 1.0 and 0 < masks["confidence"]["precision"] < 1
    with rasterio.open(folder / "labels" / "s0.tif") as dataset:
        elsewhere = dataset.read(1)
    for name in ("s0", "s1"):
        with rasterio.open(val / "labels" / f"{name}.tif", "r+") as dataset:
            dataset.write(np.full(dataset.shape, elsewhere[0, 0]), 1)
    query(Request(waiting, folder, val, config), QuietReporter())
    changed = WorkspaceFolder.open(waiting).metrics(2)["error_mask"]
    assert changed["confidence"]["precision"] != masks["confidence"]["precision"]


def test_an_oracle_with_nothing_to_answer_is_a_mistake(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"--oracle: all labels .* --labelled 0\.15"):
        go(train, tmp_path / "ws", folder, active__oracle=True, data__labelled=None)
    assert not (tmp_path / "ws").exists()


def test_first_queries_keep_to_the_budget_and_are_drawn(tmp_path):
    folder = write_scenes(tmp_path / "bare", labels=False)
    workspace, _ = go(train, tmp_path / "ws", folder, data__labelled=None, active__budget=0.1)
    values = workspace.metrics(0)
    assert 0 < values["query_pixels"] <= 0.1 * values["valid_pixels"] and values["budget"] == 0.1
    for scene in workspace.scenes:
        with rasterio.open(workspace.round_dir(0) / scene.name / "queries.tif") as dataset:
            drawn = dict(zip(*np.unique(dataset.read(1), return_counts=True), strict=True))
        queries = [q for q in workspace.store().read_queries(0) if q.scene == scene.name]
        asked = {q.rank: q.pixels for q in queries}
        # No model has looked, so that nothing is suggested.
        assert {q.suggested for q in queries} <= {None}
        drawn.pop(0, None)
        assert drawn == asked
    with pytest.raises(ConfigError, match="raise --budget"):
        go(train, tmp_path / "less", folder, data__labelled=None, active__budget=0.01)
    workspace, _ = go(train, tmp_path / "less", folder, data__labelled=None, active__budget=0.1)
    assert workspace.store().read_queries(0)


def test_networks_that_never_learnt_do_not_refine(tmp_path, monkeypatch):
    folder = write_scenes(tmp_path / "bare", labels=False)
    built = []
    original = training.ActiveRefiner

    def build(*args, refining, **options):
        built.append(refining)
        return original(*args, refining=refining, **options)

    monkeypatch.setattr(training, "ActiveRefiner", build)
    options = {"data__labelled": None, "active__strategy": "random"}
    for number in range(2):
        workspace, _ = go(train, tmp_path / "ws", folder, **options)
        answer(workspace, number)
    go(train, tmp_path / "ws", folder, **options)
    assert built == [False, True]


def test_chips_held_out_for_the_decoder_are_hidden_from_the_segmenter(folder):
    config = tiny_config(active__budget=0.9, emd__hold_out=0.4, data__labelled=0.5)
    inputs = prepare(folder, config)
    labels = read_labels(inputs, LabelSnapshot((), ()))
    # Chips may be open and labelled at once.
    labels.by_chip[list(inputs.labelled)] = 0.9
    pools = label_pools(inputs, labels, config, 0)
    assert pools.held_out
    assert not set(pools.held_out) & ({*pools.labelled} | {*pools.unlabelled})


def test_where_nothing_was_flown_nothing_is_missing(tmp_path):
    """What people label of a chip is a share of its valid pixels: a chip at a strip of nodata can be full."""
    config = tiny_config(data__labelled=None)
    inputs = prepare(write_scenes(tmp_path / "bare", labels=False), config)
    at = next(i for i, chip in enumerate(inputs.chips) if (chip.scene, chip.y, chip.x) == (1, 0, 0))
    to_map = inputs.scenes[1].grid.transform
    corners = [(-5, -5), (42, -5), (42, 64), (-5, 64)]
    half = Label(inputs.scenes[1].name, 7, Polygon([to_map * corner for corner in corners]))
    labels = read_labels(inputs, LabelSnapshot((half,), ()))
    assert (labels.by_chip[at], labels.by_hand[at]) == (0.5, 0.5)
    assert labels.spent == 64 * 22
    corners = [(0, 0), (64, 0), (64, 64), (0, 64)]
    everything = Label(inputs.scenes[1].name, 7, Polygon([to_map * corner for corner in corners]))
    labels = read_labels(inputs, LabelSnapshot((everything,), ()))
    assert labels.by_chip[at] == 1
    pools = label_pools(inputs, labels, config, 0)
    assert (pools.labelled, pools.shares) == ((at,), None)
    assert at not in pools.unlabelled
