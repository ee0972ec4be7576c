"""Steps of a training by measured speed, where its time is limited."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsfal_geo.atomic import write_text
from tsfal_geo.config import Config
from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.data.module import TsfDataModule
from tsfal_geo.reporting import Reporter
from tsfal_geo.training.fit import fit
from tsfal_geo.training.module import SegmentationModule

_NAME = "steps.json"
_FEW, _MORE = 2, 8
_CHIPS = 8
_LEAST = 10
_SETTLED, _LONG = 5, 3600.0

Build = Callable[[], tuple[SegmentationModule, TsfDataModule]]


@dataclass(frozen=True)
class Speed:
    """Measured times.

    Attributes:
        step: seconds of an optimisation step.
        validation: seconds of the validation after the last step, of all networks.
    """

    step: float
    validation: float

    def steps(self, seconds: float) -> int:
        """Return the steps that fit into a time, with the validation after them; ten at least.

        Args:
            seconds: of the training.
        """
        return max(_LEAST, int((seconds - self.validation) / self.step))


def limit_steps(config: Config, folder: Path, build: Build, reporter: Reporter, *, going_on: bool) -> Config:
    """Set the steps of a round by ``train.seconds``, if that is given.

    The number is kept in the round's folder: a training that was stopped goes on to the same number.

    Args:
        config: of the round.
        folder: of the round.
        build: builds the round's networks and data; they are thrown away.
        reporter: takes a line.
        going_on: whether the round continues with earlier networks, so that its steps are a share.

    Returns:
        The configuration, with these steps and one validation after the last.
    """
    seconds = config.train.seconds
    if seconds is None:
        return config
    path = folder / _NAME
    if path.is_file():
        steps = int(json.loads(path.read_text(encoding="utf-8"))["steps"])
    else:
        speed = measure_speed(build, config, reporter.stop)
        steps = speed.steps(seconds)
        reporter.say(
            f"{steps} steps fit into {seconds / 60:.3g} minutes: a step takes {speed.step:.3g} s, the "
            f"validation {speed.validation:.3g} s"
        )
        write_text(path, json.dumps({"steps": steps}))
    update = {"train": config.train.model_copy(update={"steps": steps, "val_every": steps})}
    if going_on:
        return config.model_copy(
            update={**update, "active": config.active.model_copy(update={"round_steps": 1.0})}
        )
    return config.model_copy(update=update)


class LongTraining:
    """Passes events on, and says once where a training will take hours.

    Args:
        reporter: takes the events and the warning.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._first: int | None = None
        self._told = False

    def __call__(self, event: dict[str, Any]) -> None:
        """Pass an event on.

        Args:
            event: of the training.
        """
        self._reporter.event(event)
        if self._told or event.get("event") != "progress" or "eta_s" not in event:
            return
        step = int(event["step"])
        self._first = step if self._first is None else self._first
        # The first steps are slower than all others.
        if step - self._first >= _SETTLED:
            self._told = True
            if event["eta_s"] > _LONG:
                self._reporter.warning(
                    f"this training will take about {event['eta_s'] / 3600:.1f} hours here; stop it with "
                    "Ctrl-C and it goes on later. `--time 30m` chooses fewer steps, `--method instant` maps "
                    "in seconds"
                )


def measure_speed(build: Build, config: Config, stop: threading.Event) -> Speed:
    """Measure a few real steps, and the validation of a few chips.

    Two trainings of different lengths differ by steps alone: what they have in common cancels.

    Args:
        build: builds networks and data; they are thrown away.
        config: of the round.
        stop: ends the measurement.
    """
    plain = [_seconds(build, config, stop, steps, 0) for steps in (_FEW, _MORE)]
    step = max(1e-6, (plain[1] - plain[0]) / (_MORE - _FEW))
    chips = _chips(build)
    some = min(_CHIPS, chips)
    if not some:
        return Speed(step, 0.0)
    extra = _seconds(build, config, stop, _FEW, some) - plain[0]
    return Speed(step, max(0.0, extra) * chips / some)


def _seconds(build: Build, config: Config, stop: threading.Event, steps: int, chips: int) -> float:
    module, data = build()
    if data.val is not None:
        data.val = OrthoDataset(data.val.reader, data.val.labels, data.val.chips[:chips]) if chips else None
    train = config.train.model_copy(update={"val_every": steps})
    with tempfile.TemporaryDirectory(prefix="tsfal-speed-") as folder:
        return fit(module, data, folder=Path(folder), steps=steps, train=train, stop=stop).seconds


def _chips(build: Build) -> int:
    _, data = build()
    return 0 if data.val is None else len(data.val.chips)
