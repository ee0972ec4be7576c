"""A live session on real scenes: answers, other people, rounds, new queries, maps."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch

from tests.helpers.loop_case import CLASSES, QuietReporter, tiny_config, write_scenes
from tests.live.conftest import SETTINGS
from tsfal_geo.classes import IGNORE
from tsfal_geo.config import load_config
from tsfal_geo.errors import ConfigError, WorkspaceError
from tsfal_geo.geopackage.connection import writing
from tsfal_geo.geopackage.layers import layer_names
from tsfal_geo.labels.model import Label
from tsfal_geo.live import judgement
from tsfal_geo.live.candidates import Candidates
from tsfal_geo.live.live_round import open_round
from tsfal_geo.live.session import LiveSession
from tsfal_geo.raster.chips import Window
from tsfal_geo.rounds.loop import create, train
from tsfal_geo.rounds.oracle import Oracle
from tsfal_geo.rounds.request import Request

NAMES = [each["name"] for each in CLASSES]


@pytest.fixture
def root(begun, tmp_path):
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    return tmp_path / "ws"


def answer_all(session, author="oracle", most=1000):
    """Answer the best open queries from the truth, in one commit."""
    context = session._round.context
    config = load_config(None, {"active.oracle_answers": "key"}, context.config)
    queries = session.next(min(most, len(session.ranking.order)))
    answers = list(Oracle(context.inputs, config.active, 0).answers(queries))
    session.add(author, [label for own, _ in answers for label in own], [given for _, given in answers])
    return len(answers)


def test_after_a_refit_the_map_is_the_one_that_the_next_round_writes(root):
    with LiveSession(root) as session:
        with pytest.raises(WorkspaceError, match="no label yet"):
            session.map("s0")
        assert answer_all(session) > 5
        session.refit()
        live = {name: session.map(name) for name in ("s0", "s1")}
        head, rule = session.model.last.classifier, session.model.judgement.rule
        labels = session.model.labels.every
        known = {name: labels.read(Window(i, 0, 0, 160, 200)) for i, name in enumerate(("s0", "s1"))}
    folder = root.parent / "scenes"
    train(Request(root, folder, None, load_config(None, SETTINGS)), QuietReporter())
    assert rule == "head"
    for name, found in live.items():
        for layer, values in (("prediction", found.classes), ("confidence", found.confidence)):
            with rasterio.open(root / "rounds" / "001" / name / f"{layer}.tif") as source:
                expected = source.read(1)
                assert source.transform == found.grid.affine
            free = known[name] == IGNORE
            assert np.array_equal(values[free], expected[free])
        inside = (known[name] != IGNORE) & (found.classes != IGNORE)
        assert inside.any()
        ids = np.array([3, 7, 9])
        assert np.array_equal(found.classes[inside], ids[known[name][inside]])
    assert (live["s1"].classes[:, :16] == IGNORE).all()
    assert torch.isfinite(head.hidden).all()


def test_an_answer_shows_at_once_and_its_undo_takes_it_back(root):
    with LiveSession(root, every=1000) as session:
        query = session.next(1)[0]
        first = session.answer("anna", query, "dark")
        assert first.labels and first.answered
        assert query.qid not in session.ranking.order
        assert (
            session.map(query.scene).classes[session.map(query.scene).classes != IGNORE] == 3
        ).mean() > 0.9
        second = session.next(1)[0]
        session.answer("anna", second, "bright")
        before = session.model.statistics.counts.copy()
        # The plugin's undo removes the row from the person's own file.
        store = session._round.context.store
        path = store.author_store("anna")
        with writing(path) as connection:
            for layer in [*layer_names(connection, "labels"), "decisions"]:
                connection.execute(f'DELETE FROM "{layer}" WHERE qid = ?', (second.qid,))
        undone = session.sync()
        assert undone.labels
        assert second.qid in session.ranking.order
        assert session.model.statistics.counts.sum() < before.sum()


def test_two_sessions_see_each_others_answers(root):
    with LiveSession(root) as anna, LiveSession(root) as ben:
        query = anna.next(1)[0]
        anna.answer("anna", query, "middle")
        update = ben.sync()
        assert update.labels and query.qid not in ben.ranking.order
        assert np.array_equal(anna.model.statistics.sums, ben.model.statistics.sums)
        assert ben.sync() == type(update)()
        # A skip is no label, but nobody is asked again.
        skipped = ben.next(1)[0]
        ben.skip("ben", skipped)
        again = anna.sync()
        assert again.answered and not again.labels
        assert skipped.qid not in anna.ranking.order


def test_new_queries_lie_on_open_ground_and_are_asked_once(root):
    with LiveSession(root) as session, LiveSession(root) as other:
        answer_all(session)
        context = session._round.context
        number = len(context.store.read_queries(0))
        new = session.next(4)
        assert 0 < len(new) <= 4
        # Another session numbers on from there, and asks elsewhere.
        other.sync()
        more = other.ask(4)
        every = context.store.read_queries(0)
        assert len(every) == number + len(new) + len(more)
        assert len({query.qid for query in every}) == len({query.rank for query in every}) == len(every)
        for query in [*new, *more]:
            assert query.suggested in (3, 7, 9)
            others = [each.geometry for each in every if each.qid != query.qid and each.scene == query.scene]
            assert all(query.geometry.intersection(shape).area < 1e-6 for shape in others)
        near = session.next(3, ("s0", Window(0, 0, 0, 80, 200)))
        assert {query.scene for query in near} <= {"s0"}
    # A round takes answers to them as to its own.
    with LiveSession(root) as session:
        assert {query.qid for query in new} <= set(session._round.queue.queries)


def test_settled_queries_come_back_when_the_answers_contradict_them(root, monkeypatch):
    monkeypatch.setattr(judgement, "RIGHT", 0.6)
    with LiveSession(root, every=15) as session:
        while session.progress().answers < 40 and session.next(15):
            answer_all(session, most=15)
        session.refit()
        progress = session.progress()
        assert progress.score is not None and 0.5 < progress.score.accuracy <= 1
        assert set(progress.score.class_accuracy) <= set(NAMES)
        session.ask(20)
        settled = session.ranking.settled
        assert session.model.judgement.settled is not None
        assert settled and not settled & set(session.ranking.order)
        # Someone contradicts the answers: nothing is settled any more, and all are asked again.
        queries = session._round.queue.queries.values()
        contrary = [
            Label(query.scene, (3, 7, 9)[i % 3], query.geometry)
            for i, query in enumerate(queries)
            if query.qid not in settled
        ]
        update = session.add("ben", contrary).joined(session.refit())
        gone = settled - session.ranking.settled
        assert gone, (settled, session.model.judgement, session.progress().score)
        assert gone <= set(update.returned) & set(session.ranking.order)


def test_a_session_goes_on_with_a_round_that_a_training_completes(root):
    with LiveSession(root) as session:
        answer_all(session)
        train(Request(root, root.parent / "scenes", None, load_config(None, SETTINGS)), QuietReporter())
        update = session.poll()
        assert update.round == 1 == session.round
        assert session.ranking.order
        assert session.map("s0").classes.shape == (160, 200)


@pytest.mark.parametrize("network", ["mean", "instant"])
def test_the_features_of_a_trained_network_move_over_without_a_jump(root, network):
    with LiveSession(root) as session:
        answer_all(session)
    train(Request(root, root.parent / "scenes", None, load_config(None, SETTINGS)), QuietReporter())
    path = root / "rounds" / "001" / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "network": network}))
    with LiveSession(root) as session:
        # The encoder is the frozen one in truth: its features, computed anew, are the same.
        assert (root / "features" / "tuned" / "s0.npy").is_file() == (network == "mean")
        queries = {query.qid for query in session._round.context.store.open_queries(1)}
        assert set(session.ranking.order) | session.ranking.settled == queries
        found = session.map("s0")
    with rasterio.open(root / "rounds" / "001" / "s0" / "prediction.tif") as source:
        assert (source.read(1) == found.classes).mean() > 0.9


def test_in_the_background_the_fit_comes_with_a_poll(root):
    with LiveSession(root, background=True) as session:
        answer_all(session, most=4)
        for _ in range(600):
            if session.poll().fitted:
                break
            time.sleep(0.05)
        assert session.model.last is not None
        assert session.model.last.number <= session.model.labels.number


def test_a_large_window_is_mapped_by_every_nth_cell(root, monkeypatch):
    with LiveSession(root) as session:
        answer_all(session)
        whole = session.map("s0")
        monkeypatch.setattr("tsfal_geo.live.view.MOST_PIXELS", 500)
        coarse = session.map("s0")
        assert coarse.step == 32 and coarse.classes.shape == (5, 7)
        # The middle cell stands for all: cell (4, 4) of each 8 × 8, as far as the scene goes.
        middle = whole.classes[16:160:32, 16:200:32][:5, :6]
        assert (coarse.classes[:, :6] == middle).mean() > 0.7
        left, top = coarse.grid.affine * (0, 0)
        assert (left, top) == whole.grid.affine * (0, 0)
        assert coarse.grid.affine.a == 32 * whole.grid.affine.a


def test_the_file_of_a_view_lies_where_it_belongs(root):
    with LiveSession(root) as session:
        answer_all(session, most=6)
        view = session.map("s1", Window(0, 40, 60, 50, 70))
        path = session.write(view)
        with rasterio.open(path) as source:
            assert source.descriptions == ("prediction", "confidence", "error_mask")
            assert source.crs == session.scene("s1").grid.crs
            assert source.transform * (0, 0) == pytest.approx(session.scene("s1").grid.affine * (60, 40))
            assert np.array_equal(source.read(1), view.classes)
        for _ in range(20):
            session.write(view)
        folder = path.parent
        assert len(list(folder.glob("*.tif"))) == 12
    assert not folder.exists()


def test_a_session_says_what_it_lacks(tmp_path):
    folder = write_scenes(tmp_path / "scenes")
    create(Request(tmp_path / "deeplab", folder, None, tiny_config()), QuietReporter())
    with pytest.raises(ConfigError, match="expected instant"):
        LiveSession(tmp_path / "deeplab")
    create(Request(tmp_path / "new", folder, None, load_config(None, SETTINGS)), QuietReporter())
    with pytest.raises(WorkspaceError, match="no round is complete"):
        LiveSession(tmp_path / "new")


def test_a_view_beyond_the_scene_is_a_mistake_of_the_caller(root):
    with LiveSession(root) as session:
        answer_all(session, most=2)
        with pytest.raises(ValueError, match="outside"):
            session.map("s0", Window(0, 500, 0, 10, 10))
        with pytest.raises(WorkspaceError, match="no scene 's7'"):
            session.map("s7")


def test_a_fit_for_the_features_of_before_is_dropped(root):
    """A head of the frozen features on those of a trained encoder would map nonsense, without a word."""
    with LiveSession(root) as session:
        answer_all(session)
        session.refit()
        head, candidates = session.model.last, session._round.candidates
        before = open_round(root, QuietReporter())
        session._worker.give("fit", before, lambda: replace(head, answers=head.answers + 1))
        made = Candidates(before.context, before._cells, None, before.model.labels, lambda: False)
        session._worker.give("segment", before, lambda: made)
        assert not session.poll().fitted
        assert session.model.last is head and session._round.candidates is candidates
        session._worker.give("fit", session._round, lambda: replace(head, answers=head.answers + 1))
        assert session.poll().fitted
        assert session.model.last is not head


def test_what_the_machine_lacks_in_the_background_is_told_and_the_session_goes_on(root):
    reporter = QuietReporter()
    with LiveSession(root, reporter, background=True) as session:

        def full():
            raise WorkspaceError("features/tuned: need 3.1 GB, 0.2 GB are free; free some")

        session._worker.give("move", session._round, full)
        for _ in range(200):
            session.poll()
            if reporter.warnings:
                break
            time.sleep(0.05)
        assert "3.1 GB" in reporter.warnings[0]
        assert session.next(1)


def test_a_session_without_a_thread_does_not_wait_for_itself(root):
    with LiveSession(root, every=1) as session, session.first():
        query = session.next(1)[0]
        assert session.answer("anna", query, "dark").fitted


def test_the_change_of_the_map_is_told_over_fifty_answers_and_older_fits_are_forgotten(root):
    with LiveSession(root) as session:
        answer_all(session)
        session.refit()
        model, fit = session.model, session.model.last
        shown = [np.full_like(fit.predicted, value) for value in range(3)]
        for answers, value in ((10, 0), (30, 0), (60, 1), (61, 2), (85, 2), (115, 1)):
            model.take_fit(replace(fit, answers=answers, predicted=shown[value]))
        # 115 − 50 = 65: the newest fit up to there has 61 answers.
        assert model._past[0][0] == 61
        assert model.changed_lately() == 1.0
        model.take_fit(replace(fit, answers=116, predicted=shown[2]))
        assert model.changed_lately() == 0.0
