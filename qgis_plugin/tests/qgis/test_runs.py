"""Runs as the panel shows them, with a stand-in for the engine."""

from pathlib import Path

import pytest

from tsfal_qgis.engine.engine import EngineConfig
from tsfal_qgis.panel.dock import TsfalDock
from tsfal_qgis.panel.runs import EngineRuns

FAKE = f"/usr/bin/python3 {Path(__file__).parents[1] / 'fake_engine.py'}"


@pytest.fixture
def runs(qtbot):
    dock = TsfalDock("anna")
    qtbot.addWidget(dock)
    before = EngineConfig().chosen
    EngineConfig().chosen = FAKE
    made = EngineRuns(dock)
    made.dock = dock
    yield made
    made.shut_down()
    EngineConfig().chosen = before


def test_a_run_shows_progress_and_log_and_ends_with_its_result(runs, qtbot):
    results = []
    assert runs.start(["train"], results.append)
    page = runs.dock.train
    assert (page.train.isEnabled(), page.cancel.isEnabled()) == (False, True)
    qtbot.waitUntil(lambda: not runs.running)
    assert results == [{"round": 0, "status": "waiting"}]
    assert page.bar.value() == 1000
    assert "Grüße" in page.log.toPlainText()
    assert "! a file is not used" in page.log.toPlainText()
    assert (page.train.isEnabled(), page.cancel.isEnabled()) == (True, False)


def test_one_long_run_at_a_time_and_short_commands_beside_it(runs, qtbot):
    assert runs.start(["wait"], lambda _: None)
    time_left = runs.dock.train.time_left
    qtbot.waitUntil(lambda: time_left.text() == "about 4 min left")
    assert not runs.start(["train"], lambda _: None)
    answers = []
    runs.run_beside(["train"], answers.append, answers.append)
    qtbot.waitUntil(lambda: len(answers) == 1)
    assert answers[0]["status"] == "waiting"
    runs.cancel()
    qtbot.waitUntil(lambda: not runs.running)
    assert "kept" in runs.dock.message.text()
    assert time_left.text() == ""


def test_a_mistake_is_reported_in_the_engine_s_words(runs, qtbot):
    results = []
    runs.start(["mistake"], results.append)
    qtbot.waitUntil(lambda: not runs.running)
    assert results == []
    assert "found 1 band, expected 3" in runs.dock.message.text()
    problems = []
    runs.run_beside(["mistake"], results.append, problems.append)
    qtbot.waitUntil(lambda: bool(problems))
    assert "found 1 band" in problems[0]


def test_without_an_engine_the_panel_shows_how_to_install_one(runs, monkeypatch):
    EngineConfig().chosen = ""
    monkeypatch.setattr(EngineConfig, "installed", lambda self: [])
    assert not runs.start(["train"], lambda _: None)
    assert "uv tool install" in runs.dock.message.text()
    assert not runs.running
