"""The training of one round, from the last round's networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsfal_geo.config import Config
from tsfal_geo.data.module import TsfDataModule
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.models.io import CARD_NAME, load_model, save_model
from tsfal_geo.refinement.refiner import PART_NAME, ActiveRefiner
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.instant.start import InstantStart, begin_from, choose_network, fit_start
from tsfal_geo.rounds.model_record import model_card
from tsfal_geo.rounds.open_workspace import FirstNetwork
from tsfal_geo.rounds.pools import Pools, RoundLabels
from tsfal_geo.rounds.timing import LongTraining, limit_steps
from tsfal_geo.training.callbacks import RESUME_NAME
from tsfal_geo.training.fit import fit, warm_start
from tsfal_geo.training.methods import method_named
from tsfal_geo.training.methods.build import build_module
from tsfal_geo.training.module import SegmentationModule

_ROUND_SEEDS = 7919


@dataclass(frozen=True)
class TrainedRound:
    """A round's networks.

    Attributes:
        module: teacher, student, friend and refiner.
        refiner: the module's refiner; None in supervised training.
        metrics: ``miou`` and the like; empty without validation scenes.
        earlier: the resume state that this round began from; it is deleted once the round has its own.
        steps: of this round's training, done or skipped.
    """

    module: SegmentationModule
    refiner: ActiveRefiner | None
    metrics: dict[str, Any]
    earlier: Path | None
    steps: int

    def forget_earlier(self) -> None:
        """Delete the resume state of the training before."""
        if self.earlier is not None:
            self.earlier.unlink(missing_ok=True)


def train_round(
    context: RoundContext,
    number: int,
    labels: RoundLabels,
    pools: Pools,
    network: FirstNetwork | None = None,
) -> TrainedRound:
    """Train a round, or go on with its training, and save its model.

    Args:
        context: the workspace.
        number: of the round.
        labels: of the round.
        pools: the chips by their part in training.
        network: built with the workspace, for its first training.

    Raises:
        UserError: as the training raises.
        Cancelled: asked to stop; the next call goes on from there.
    """
    earlier = _earlier(context, number)
    going_on = earlier is not None and context.config.active.retrain == "continue"
    config = _round_config(context.config, number, going_on)
    folder = context.workspace.round_dir(number)

    def build() -> tuple[SegmentationModule, TsfDataModule]:
        return _build(context, config, number, labels, pools, 1)[:2]

    config = limit_steps(config, folder, build, context.reporter, going_on=going_on)
    steps = _steps(config, going_on)
    module, datamodule, refiner = _build(context, config, number, labels, pools, steps, network)
    start = None
    if config.model.architecture == "instant":
        start = fit_start(context, number, labels, pools, len(module.learners()))
        if not going_on:
            begin_from(module, start)
    # A round that was stopped goes on from its own state.
    begins_from = earlier if going_on and not (folder / RESUME_NAME).exists() else None
    if config.active.retrain == "continue" and config.active.descent == "whole":
        before = _steps_before(context, number) if going_on else 0
        module.continue_schedule(max(_planned(config), before + steps), before, begins_from)
    if begins_from is not None:
        warm_start(module, begins_from)
    result = fit(
        module,
        datamodule,
        folder=folder,
        steps=steps,
        train=config.train,
        on_event=LongTraining(context.reporter),
        stop=context.reporter.stop,
    )
    metrics = _metrics(result.metrics, result.miou)
    metrics |= {"steps": result.steps, "precision": result.precision, "held_out_chips": len(pools.held_out)}
    if start is not None:
        metrics |= _choose(context, number, labels, pools, module, start)
    _save(context, config, number, module, refiner, metrics)
    return TrainedRound(module, refiner, metrics, earlier, steps)


def load_round(context: RoundContext, number: int, labels: RoundLabels, pools: Pools) -> TrainedRound:
    """Take the last round's networks as this round's, without training.

    Args:
        context: the workspace.
        number: of the round.
        labels: of the round.
        pools: the chips by their part in training.

    Raises:
        WorkspaceError: no earlier round's training is there.
    """
    earlier = _earlier(context, number)
    config = _round_config(context.config, number, going_on=True)
    if earlier is None:
        raise WorkspaceError(
            f"{context.workspace.root / 'rounds'}: found no {RESUME_NAME} of a training, which queries are "
            "made with; restore it from a copy of the workspace, or start over with `train --fresh`"
        )
    module, _, refiner = _build(context, config, number, labels, pools, 1)
    warm_start(module, earlier)
    if config.model.architecture == "instant":
        # The round may have chosen another network than the trained one.
        module.predictor.load_state_dict(load_model(earlier.parent)[0].state_dict())
    _save(context, config, number, module, refiner, {})
    return TrainedRound(module, refiner, {}, earlier, _steps(config, config.active.retrain == "continue"))


def _choose(
    context: RoundContext,
    number: int,
    labels: RoundLabels,
    pools: Pools,
    module: SegmentationModule,
    start: InstantStart,
) -> dict[str, Any]:
    """Choose the network that makes the map; the metrics tell which, and what decided."""
    found = choose_network(context, labels, pools, module, start)
    if not found:
        context.reporter.warning(
            f"round {number}: nothing tells whether the training improved the instant model that it began "
            "with, as there are no validation scenes (--val) and too few labels to hold some out; the "
            "trained network makes the map"
        )
        return {}
    scores = ", ".join(f"{name} {score:.4f}" for name, score in found["network_miou"].items())
    context.reporter.say(f"The map is made by: {found['network']} (mIoU of {scores})")
    return found


def _steps_before(context: RoundContext, number: int) -> int:
    """Return the steps of the trainings before a round; fits of the instant model are none."""
    before = (context.workspace.metrics(earlier) for earlier in range(number))
    return sum(values.get("steps", 0) for values in before if values.get("method") != "instant")


def _steps(config: Config, going_on: bool) -> int:
    return max(1, round(config.train.steps * (config.active.round_steps if going_on else 1)))


def _planned(config: Config) -> int:
    """Return the steps of all planned rounds; rounds beyond the plan lengthen the last descent."""
    return _steps(config, False) + config.active.rounds * _steps(config, True)


def _round_config(config: Config, number: int, going_on: bool) -> Config:
    """Return the configuration with the round's own seed, so that rounds do not repeat each other's draws."""
    train: dict[str, Any] = {"seed": config.train.seed + _ROUND_SEEDS * number}
    update: dict[str, Any] = {}
    if going_on:
        update["model"] = config.model.model_copy(update={"weights": None, "start": None})
        if config.active.descent != "whole":
            # Networks that know the classes already need no time before they may teach each other.
            update["tsf"] = config.tsf.model_copy(update={"warmup_steps": 0, "ramp": 0.0})
    update["train"] = config.train.model_copy(update=train)
    return config.model_copy(update=update)


def _earlier(context: RoundContext, number: int) -> Path | None:
    """Return the resume state of the last round that trained: rounds without training have none."""
    paths = (context.workspace.round_dir(before) / RESUME_NAME for before in reversed(range(number)))
    return next((path for path in paths if path.is_file()), None)


def _generation(context: RoundContext, number: int) -> int:
    workspace = context.workspace
    return sum(
        (workspace.round_dir(earlier) / CARD_NAME).is_file()
        and workspace.metrics(earlier).get("method") != "instant"
        for earlier in range(number)
    )


def _build(
    context: RoundContext,
    config: Config,
    number: int,
    labels: RoundLabels,
    pools: Pools,
    steps: int,
    network: FirstNetwork | None = None,
) -> tuple[SegmentationModule, TsfDataModule, ActiveRefiner | None]:
    inputs, val = context.inputs, context.validation
    chips = inputs.chips
    datamodule = TsfDataModule(
        inputs.reader,
        labels.every,
        [chips[i] for i in pools.labelled],
        [chips[i] for i in pools.unlabelled] if method_named(config.train.method).uses_unlabelled else (),
        [chips[i] for i in pools.held_out],
        shares=pools.shares,
        manual=labels.every,
        val_reader=val.reader if val else None,
        val_labels=val.labels if val else None,
        val_chips=val.chips if val else (),
        config=config.train,
        steps=steps,
    )
    refiner = None
    learns = config.emd.enabled or config.plar.enabled
    if config.train.method == "tsf" and config.active.rounds and learns:
        refiner = ActiveRefiner(
            config.emd,
            config.plar,
            len(inputs.classes),
            refining=_generation(context, number) > 0,
            squared_weights=config.tsf.teacher_weighting == "ael",
            seed=config.train.seed,
        )
    module = build_module(
        config,
        datamodule,
        inputs.normalisation,
        inputs.classes.names,
        pools.counts.tolist(),
        bands=inputs.reader.bands,
        refiner=refiner,
        generation=_generation(context, number),
        first=network.segmenter if network is not None and network.seed == 2 * config.train.seed else None,
    )
    module.total_steps = steps
    return module, datamodule, refiner


def _save(
    context: RoundContext,
    config: Config,
    number: int,
    module: SegmentationModule,
    refiner: ActiveRefiner | None,
    metrics: dict[str, Any],
) -> None:
    parts = {} if refiner is None else {PART_NAME: refiner}
    card = model_card(context, config.model, number, metrics)
    save_model(context.workspace.round_dir(number), module.predictor, card, parts)


def _metrics(values: dict[str, float], miou: float | None) -> dict[str, Any]:
    if miou is None:
        return {"miou": None}
    classes = {k.removeprefix("iou_"): v for k, v in values.items() if k.startswith("iou_")}
    networks = {k: v for k, v in values.items() if k.startswith("miou_")}
    return {"miou": miou, "class_iou": classes, **networks}
