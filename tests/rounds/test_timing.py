"""Steps by measured speed, and a word where a training takes hours."""

from __future__ import annotations

import json
from types import SimpleNamespace

import click
import pytest

from tests.helpers.loop_case import QuietReporter, tiny_config, write_scenes
from tsfal_geo.cli.options import duration
from tsfal_geo.errors import Cancelled
from tsfal_geo.rounds import timing
from tsfal_geo.rounds.loop import train
from tsfal_geo.rounds.request import Request
from tsfal_geo.rounds.timing import LongTraining, Speed, measure_speed


class Lines(QuietReporter):
    def __init__(self):
        super().__init__()
        self.told, self.events = [], []

    def event(self, event):
        self.events.append(event)

    def say(self, text):
        self.told.append(text)

    warning = say


def test_steps_fit_into_the_time_with_the_validation_after_them():
    assert Speed(step=0.5, validation=20.0).steps(60) == 80
    assert Speed(step=5.0, validation=20.0).steps(30) == 10


def test_what_two_trainings_have_in_common_is_not_a_step(monkeypatch):
    val = SimpleNamespace(reader=None, labels=None, chips=tuple(range(32)))
    built = []

    def build():
        built.append(SimpleNamespace(val=val))
        return None, built[-1]

    def fit(module, data, *, steps, **_):
        # 7 s to start, 0.25 s a step, 0.5 s a validated chip.
        chips = 0 if data.val is None else len(data.val.chips)
        return SimpleNamespace(seconds=7 + 0.25 * steps + 0.5 * chips)

    monkeypatch.setattr(timing, "fit", fit)
    monkeypatch.setattr(timing, "OrthoDataset", lambda reader, labels, chips: SimpleNamespace(chips=chips))
    speed = measure_speed(build, tiny_config(), QuietReporter().stop)
    assert speed.step == pytest.approx(0.25) and speed.validation == pytest.approx(0.5 * 32)


def test_a_stopped_training_goes_on_to_the_same_number_of_steps(tmp_path, monkeypatch):
    folder = write_scenes(tmp_path / "scenes")
    measured = []
    monkeypatch.setattr(timing, "measure_speed", lambda *_: measured.append(1) or Speed(0.5, 1.0))
    config = tiny_config(train__seconds=8.0, active__rounds=0)
    reporter = Lines()

    def stop_at_six(event):
        if event.get("step") == 6:
            reporter.stop.set()

    reporter.event = stop_at_six
    monkeypatch.setattr("tsfal_geo.training.callbacks._PROGRESS_SECONDS", 0.0)
    with pytest.raises(Cancelled):
        train(Request(tmp_path / "ws", folder, None, config), reporter)
    assert any(line.startswith("14 steps fit into 0.133 minutes") for line in reporter.told)
    result = train(Request(tmp_path / "ws", folder, None, config), QuietReporter())
    values = json.loads((tmp_path / "ws" / "rounds" / f"{result.number:03d}" / "metrics.json").read_text())
    assert values["steps"] == 14 and measured == [1]


def test_real_steps_are_measured(tmp_path):
    folder = write_scenes(tmp_path / "scenes")
    config = tiny_config(train__seconds=0.01, active__rounds=0)
    result = train(Request(tmp_path / "ws", folder, folder, config), QuietReporter())
    values = json.loads((tmp_path / "ws" / "rounds" / f"{result.number:03d}" / "metrics.json").read_text())
    assert values["steps"] == 10 and values["miou"] is not None


@pytest.mark.parametrize(("left", "told"), [(7200.0, True), (1800.0, False)])
def test_hours_are_said_once_after_the_first_steps(left, told):
    reporter = Lines()
    listen = LongTraining(reporter)
    for step in range(1, 20):
        listen({"event": "progress", "stage": "training", "step": step, "eta_s": left})
        if step < 6:
            assert not reporter.told
    assert len(reporter.events) == 19
    assert [("2.0 hours" in line, "--time" in line) for line in reporter.told] == [(True, True)] * told


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("0.5h", 1800), (None, None)]
)
def test_durations(text, seconds):
    assert duration(None, None, text) == seconds


@pytest.mark.parametrize("text", ["", "20", "m", "0s", "1d", "-5m", "1.2.3h"])
def test_other_texts_are_no_durations(text):
    with pytest.raises(click.BadParameter, match="such as 90s, 20m or 1h30m"):
        duration(None, None, text)
