"""The round loop on a tiny folder: budget, resume, people, no labels at all."""

import itertools
import json

import numpy as np
import pytest
import rasterio
import shapely

from tests.helpers.loop_case import IDS, QuietReporter, tiny_config, write_scenes
from tsfal_geo.classes import IGNORE
from tsfal_geo.errors import Cancelled, ConfigError, LabelError, RasterError, WeightsError
from tsfal_geo.labels.history import read_snapshot
from tsfal_geo.labels.model import Decision, Label
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.chips import Window
from tsfal_geo.rounds import inspection, training
from tsfal_geo.rounds import round as rounds
from tsfal_geo.rounds.loop import query, train
from tsfal_geo.rounds.oracle import query_mask
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder


def run(root, folder, reporter=None, **overrides):
    fresh = overrides.pop("fresh", False)
    reporter = reporter or QuietReporter()
    train(Request(root, folder, None, tiny_config(**overrides), fresh=fresh), reporter)
    return WorkspaceFolder.open(root)


def asked(workspace, number):
    queries = workspace.store().read_queries(number)
    return [(q.qid, q.scene, q.pixels, shapely.to_wkb(q.geometry)) for q in queries]


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """An oracle run without interruption."""
    return run(tmp_path_factory.mktemp("whole"), folder, active__oracle=True, active__budget=0.5)


def test_the_oracle_loop_goes_to_the_budget_and_not_beyond(whole):
    assert (whole.current_round, whole.state.status) == (2, "done")
    steps = [whole.metrics(n) for n in range(3)]
    shares = [m["labelled_share"] for m in steps]
    assert shares[0] < shares[1] < shares[2] <= 0.5
    assert shares[2] > 0.49
    for before, after in itertools.pairwise(steps):
        assert after["labelled_pixels"] == before["labelled_pixels"] + before["query_pixels"]
    assert steps[2]["queries"] == 0
    assert steps[1]["votes"]["coverage"] is not None
    assert set(steps[1]["error_mask"]) == {"confidence", "emd", "either"}


def test_spent_pixels_are_the_labelled_valid_pixels_counted_by_hand(whole, folder):
    taken = read_snapshot(whole.store(), 2)
    manual = PolygonLabels(taken.labels, whole.scenes, whole.classes)
    inputs = json.loads((whole.root / "inputs.json").read_text())
    spent = total = 0
    for index, scene in enumerate(whole.scenes):
        with rasterio.open(scene.path) as dataset:
            valid = (dataset.read() != 0).any(0)
        labelled = manual.read(Window(index, 0, 0, *scene.shape)) != IGNORE
        for chip_scene, row, col in inputs["labelled_chips"]:
            if chip_scene == index:
                y, x = min(64 * row, scene.height - 64), min(64 * col, scene.width - 64)
                labelled[y : y + 64, x : x + 64] = True
        spent += np.count_nonzero(labelled & valid)
        total += np.count_nonzero(valid)
    assert (whole.metrics(2)["labelled_pixels"], whole.metrics(2)["valid_pixels"]) == (spent, total)


def test_the_oracle_says_the_truth_on_exactly_the_queries(whole):
    taken = read_snapshot(whole.store(), 2)
    for index, scene in enumerate(whole.scenes):
        with rasterio.open(scene.labels) as dataset:
            truth = dataset.read(1)
        said = PolygonLabels(taken.labels, whole.scenes, whole.classes).read(
            Window(index, 0, 0, *scene.shape)
        )
        expected = np.zeros(scene.shape, bool)
        for number in range(2):
            for question in whole.store().read_queries(number):
                if question.scene == scene.name:
                    mask, y, x = query_mask(question, scene)
                    assert np.count_nonzero(mask) == question.pixels
                    here = expected[y : y + mask.shape[0], x : x + mask.shape[1]]
                    assert not (here & mask).any()
                    here |= mask
        assert np.array_equal(said != IGNORE, expected)
        assert np.array_equal(IDS[said[expected]], truth[expected])


def test_every_round_leaves_its_rasters_on_the_scenes_grid(whole):
    for number in range(3):
        for scene in whole.scenes:
            folder = whole.round_dir(number) / scene.name
            with rasterio.open(scene.path) as source:
                valid = (source.read() != 0).any(0)
                frame = (source.transform, source.crs, source.shape)
            for name in ("prediction", "confidence", "error_mask", "refined", "queries"):
                with rasterio.open(folder / f"{name}.tif") as dataset:
                    assert (dataset.transform, dataset.crs, dataset.shape) == frame
                    values = dataset.read(1)
                if name == "prediction":
                    assert set(np.unique(values[valid])) <= {3, 7, 9}
                    assert (values[~valid] == 255).all()
                if name == "confidence":
                    assert values[valid].max() <= 100
            with rasterio.open(folder / "queries.tif") as dataset:
                ranks = dataset.read(1)
            queries = [q for q in whole.store().read_queries(number) if q.scene == scene.name]
            assert {q.rank: q.pixels for q in queries} == {
                int(r): int(n) for r, n in zip(*np.unique(ranks[ranks > 0], return_counts=True), strict=True)
            }


def test_a_run_stopped_again_and_again_asks_and_spends_the_same(whole, folder, tmp_path, monkeypatch):
    options = {"active__oracle": True, "active__budget": 0.5}
    for events in (2, 5):
        with pytest.raises(Cancelled):
            run(tmp_path, folder, QuietReporter(stop_after=events), **options)
    complete = rounds._complete

    def dies(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(rounds, "_complete", dies)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, folder, **options)
    monkeypatch.setattr(rounds, "_complete", complete)
    again = run(tmp_path, folder, **options)
    assert again.current_round == whole.current_round
    for number in range(3):
        assert asked(again, number) == asked(whole, number)
        assert again.metrics(number)["labelled_pixels"] == whole.metrics(number)["labelled_pixels"]


def test_without_an_oracle_it_waits_and_takes_labels_in_once(folder, tmp_path):
    reporter = QuietReporter()
    workspace = run(tmp_path, folder, reporter, active__budget=0.5)
    assert (workspace.current_round, workspace.state.status) == (0, "waiting")
    assert "queries wait for labels" in reporter.lines[-1]
    # Only people know the truth: nothing can be said about masks and votes.
    assert not {"error_mask", "votes", "map_miou"} & set(workspace.metrics(0))
    before = workspace.metrics(0)["labelled_pixels"]
    reporter = QuietReporter()
    assert run(tmp_path, folder, reporter).current_round == 0
    assert "wait for labels" in reporter.lines[-1]

    store = workspace.store()
    answered, skipped = store.read_queries(0)[:2]
    scene = workspace.scenes[0]
    beyond = shapely.box(*_corner(scene, 4, 4), *_corner(scene, 9, 11))
    store.add(
        "ann",
        [
            Label(answered.scene, 7, answered.geometry, answered.qid, 0, "ann", source="filled"),
            Label(scene.name, 9, beyond, author="ann"),
        ],
        [Decision(answered.qid, 0, "done", "ann"), Decision(skipped.qid, 0, "skipped", "ann")],
    )
    workspace = run(tmp_path, folder)
    assert workspace.current_round == 1
    manual = PolygonLabels(read_snapshot(workspace.store(), 1).labels, workspace.scenes, workspace.classes)
    assert int(manual.pixels().sum()) == answered.pixels + 35
    gained = workspace.metrics(1)["labelled_pixels"] - before
    assert answered.pixels <= gained <= answered.pixels + 35
    assert run(tmp_path, folder).current_round == 1


def _corner(scene, row, col):
    return scene.grid.affine @ (col, row)


def test_a_folder_without_labels_starts_with_queries_and_then_trains(tmp_path):
    folder = write_scenes(tmp_path / "bare", labels=False)
    reporter = QuietReporter()
    workspace = run(tmp_path / "ws", folder, reporter, data__labelled=None)
    first = workspace.store().read_queries(0)
    assert workspace.state.status == "waiting"
    assert any("no labels" in line for line in reporter.lines)
    assert first
    labels = [Label(q.scene, int(IDS[i % 3]), q.geometry, q.qid, 0, "bob") for i, q in enumerate(first)]
    workspace.store().add("bob", labels)
    workspace = run(tmp_path / "ws", folder, data__labelled=None, active__strategy="random")
    assert workspace.current_round == 1
    assert workspace.metrics(1)["labelled_pixels"] == sum(q.pixels for q in first)
    assert (workspace.current_model() / "model.safetensors").is_file()
    assert workspace.metrics(1)["queries"] > 0


def test_starting_over_keeps_what_people_labelled(folder, tmp_path):
    workspace = run(tmp_path, folder, active__budget=0.5)
    question = workspace.store().read_queries(0)[0]
    workspace.store().add("ann", [Label(question.scene, 3, question.geometry, question.qid, 0, "ann")])
    again = run(tmp_path, folder, fresh=True, active__budget=0.5)
    assert again.current_round == 0
    assert len(read_snapshot(again.store(), 0).labels) == 1
    assert list((tmp_path / "archive").glob("*/rounds/000/metrics.json"))


def test_other_settings_or_rasters_need_a_fresh_start(folder, tmp_path):
    workspace = run(tmp_path / "ws", folder, active__budget=0.5)
    with pytest.raises(ConfigError, match=r"data\.chip_size changed from 64 to 128"):
        run(tmp_path / "ws", folder, data__chip_size=128)
    assert workspace.current_round == 0
    other = write_scenes(tmp_path / "other", shape=(128, 128))
    with pytest.raises(RasterError, match="another grid"):
        run(tmp_path / "ws", other)


def test_labels_that_do_not_fit_leave_no_workspace_behind(tmp_path):
    folder = write_scenes(tmp_path / "rasters")
    with rasterio.open(folder / "labels" / "s0.tif", "r+") as dataset:
        dataset.write(np.full((1, 5, 5), 77, np.uint8), window=((0, 5), (0, 5)))
    with pytest.raises(LabelError, match=r"s0\.tif.*77.*25 pixels"):
        run(tmp_path / "ws", folder)
    assert not (tmp_path / "ws").exists()


def test_weights_that_cannot_be_had_can_be_mended_as_the_message_says(folder, tmp_path):
    missing = {"model__weights": str(tmp_path / "missing.safetensors")}
    with pytest.raises(WeightsError, match=r"missing\.safetensors"):
        run(tmp_path / "ws", folder, **missing)
    assert not (tmp_path / "ws").exists()
    assert run(tmp_path / "ws", folder).current_round == 0
    with pytest.raises(WeightsError, match=r"missing\.safetensors"):
        run(tmp_path / "ws", folder, fresh=True, **missing)
    assert WorkspaceFolder.open(tmp_path / "ws").current_round == 0
    assert not (tmp_path / "ws" / "archive").exists()


def test_query_asks_anew_without_training(folder, tmp_path):
    workspace = run(tmp_path, folder, active__budget=0.5)
    weights = (workspace.current_model() / "model.safetensors").read_bytes()
    config = tiny_config(active__budget=0.5, active__strategy="entropy")
    query(Request(tmp_path, folder, None, config), QuietReporter())
    workspace = WorkspaceFolder.open(tmp_path)
    assert workspace.current_round == 1
    assert workspace.metrics(1)["strategy"] == "entropy"
    assert (workspace.current_model() / "model.safetensors").read_bytes() == weights
    assert asked(workspace, 1) != asked(workspace, 0)


def test_a_model_that_was_trained_without_rounds_can_be_asked_for_queries(folder, tmp_path):
    workspace = run(tmp_path, folder, active__rounds=0)
    query(Request(tmp_path, folder, None, tiny_config(active__budget=0.5)), QuietReporter())
    workspace = WorkspaceFolder.open(tmp_path)
    assert workspace.state.status == "waiting" and asked(workspace, 1)
    run(tmp_path, folder, active__oracle=True, active__budget=0.5)
    assert WorkspaceFolder.open(tmp_path).metrics(2)["steps"] > 0
    without = {"active__strategy": "random", "emd__enabled": False, "plar__enabled": False}
    query(
        Request(tmp_path, folder, None, tiny_config(active__budget=0.7, active__rounds=3, **without)),
        QuietReporter(),
    )
    # Two trainings with answers, as the round that only asked spent no share of the budget.
    assert WorkspaceFolder.open(tmp_path).current_round == 4


@pytest.mark.parametrize("strategy", ["random", "margin", "coreset", "qbc", "emd"])
def test_every_strategy_spends_the_same_share(strategy, folder, tmp_path):
    workspace = run(tmp_path, folder, active__strategy=strategy, active__budget=0.5, active__rounds=1)
    values = workspace.metrics(0)
    after = values["labelled_pixels"] + values["query_pixels"]
    assert 0.49 * values["valid_pixels"] < after <= 0.5 * values["valid_pixels"]


def test_a_committee_is_asked_only_while_there_is_budget(folder, tmp_path, monkeypatch):
    calls = []
    original = inspection.committee_votes
    monkeypatch.setattr(inspection, "committee_votes", lambda *args: calls.append(1) or original(*args))
    settings = {"active__strategy": "qbc", "active__budget": 0.5, "active__rounds": 1}
    run(tmp_path, folder, **settings)
    first = len(calls)
    workspace = run(tmp_path, folder, active__oracle=True, **settings)
    assert (workspace.current_round, workspace.metrics(1)["queries"]) == (1, 0)
    assert len(calls) == first > 0


def test_without_rounds_nothing_is_asked(folder, tmp_path):
    workspace = run(tmp_path, folder, active__rounds=0, train__method="supervised")
    assert (workspace.state.status, workspace.metrics(0)["queries"]) == ("done", 0)


@pytest.mark.parametrize(("descent", "ramps"), [("round", [0.5, 0.0]), ("whole", [0.5, 0.5])])
def test_only_the_first_training_waits_before_unlabelled_images_count(
    folder, tmp_path, monkeypatch, descent, ramps
):
    """As one descent over all rounds, the ramp goes over all of them too."""
    built = []
    original = training.build_module
    monkeypatch.setattr(
        training,
        "build_module",
        lambda config, *args, **kw: built.append(config) or original(config, *args, **kw),
    )
    settings = {"active__budget": 0.5, "active__rounds": 1, "active__descent": descent, "tsf__ramp": 0.5}
    run(tmp_path, folder, active__oracle=True, **settings)
    assert [config.tsf.ramp for config in built] == ramps
