from pathlib import Path

import pytest
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QLabel

from tsfal_qgis.engine.engine import INSTALL, SETTING, EngineConfig
from tsfal_qgis.panel.options import TsfalOptionsFactory


@pytest.fixture
def engine(tmp_path, monkeypatch):
    QgsSettings().remove("tsfal")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    program = tmp_path / ".venv" / "bin" / "tsfal-geo"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho tsfal-geo, version 0.9\n")
    program.chmod(0o755)
    yield program
    QgsSettings().remove("tsfal")


@pytest.fixture
def page(engine, qtbot):
    made = TsfalOptionsFactory().createWidget(None)
    qtbot.addWidget(made)
    return made


def test_the_page_offers_what_is_found_and_leaves_the_choice_open(page, engine):
    assert page.command.currentText() == ""
    assert [page.command.itemText(i) for i in range(page.command.count())] == [str(engine)]
    assert any(INSTALL in label.text() for label in page.findChildren(QLabel))


def test_test_asks_what_is_found_and_shows_the_version(page, engine):
    QTest.mouseClick(page.test_button, Qt.MouseButton.LeftButton)
    assert page.answer.text() == f"tsfal-geo 0.9 answers: {engine}"


def test_test_shows_what_is_wrong_as_plain_text(page, tmp_path):
    page.command.setCurrentText(str(tmp_path / "<b>none</b>"))
    QTest.mouseClick(page.test_button, Qt.MouseButton.LeftButton)
    assert "<b>none</b>" in page.answer.text()
    assert INSTALL in page.answer.text()
    assert page.answer.textFormat() == Qt.TextFormat.PlainText


def test_test_without_a_choice_does_not_ask_an_earlier_one(page, engine):
    EngineConfig().chosen = "/nowhere"
    QTest.mouseClick(page.test_button, Qt.MouseButton.LeftButton)
    assert "0.9 answers" in page.answer.text()


def test_the_choice_is_kept_on_ok_alone(page, engine):
    page.command.setCurrentText(f" {engine} ")
    assert EngineConfig().chosen == ""
    page.apply()
    assert QgsSettings().value(SETTING) == str(engine)
    assert EngineConfig().command() == [str(engine)]
