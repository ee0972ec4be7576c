"""A workspace made for a folder, or taken up again where it still fits folder and configuration."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tsfal_geo.config import Config
from tsfal_geo.errors import ConfigError, RasterError
from tsfal_geo.raster.scene import scenes_changed
from tsfal_geo.reporting import Reporter
from tsfal_geo.rounds import inputs as inputs_file
from tsfal_geo.rounds.context import Context, Request
from tsfal_geo.rounds.inputs import Inputs, open_scenes, prepare
from tsfal_geo.rounds.oracle import AUTHOR as ORACLE
from tsfal_geo.workspace.state import State
from tsfal_geo.workspace.workspace import Workspace

_FIXED = ("classes", "ignore_colours", "ignore_ids", "data", "model")
_INPUTS = "inputs.json"


def check_inputs(request: Request) -> None:
    """What cannot be had is told before rounds are archived, and before a workspace fixes the choice.

    Raises:
        UserError: rasters that cannot be used, or a network that cannot be built for them.
    """
    config = request.config
    with warnings.catch_warnings(action="ignore"):
        _, reader = open_scenes(request.raster_dir, config)
        if request.fresh or not Workspace.exists(request.root):
            from tsfal_geo.models.segmenter import build_segmenter

            any_number = 2
            build_segmenter(config.model, reader.channels, any_number, config.train.seed)


def open_context(request: Request, reporter: Reporter) -> Context:
    """Make the workspace that is asked for, or go on with the one that is there.

    Raises:
        UserError: rasters, labels, configuration or workspace cannot be used as they are.
    """
    _check_strategy(request.config)
    if Workspace.exists(request.root):
        workspace = Workspace.open(request.root)
        inputs = _reopen(workspace, request, reporter)
    else:
        workspace, inputs = _create(request, reporter)
    return Context(workspace, inputs, workspace.store(), request.config, reporter)


def _check_strategy(config: Config) -> None:
    """DEAL asks what is difficult: something must learn that."""
    method, strategy = config.train.method, config.active.strategy
    decoder = method == "tsf" and config.emd.enabled
    if strategy.startswith("deal") and config.active.rounds and method != "deal" and not decoder:
        raise ConfigError(
            f"active.strategy {strategy}: with train.method {method} nothing learns what is difficult; "
            "train with --method deal, or with tsf and emd.enabled"
        )


def _create(request: Request, reporter: Reporter) -> tuple[Workspace, Inputs]:
    active, data = request.config.active, request.config.data
    if active.oracle and active.rounds and data.labelled is None and data.labelled_list is None:
        raise ConfigError(
            f"--oracle: all labels of {request.raster_dir} are in use from the start, so that nothing is "
            "left to ask; say how many to begin with, such as --labelled 0.15"
        )
    reporter.say(f"Looking through {request.raster_dir} …")
    inputs = prepare(request.raster_dir, request.config)
    _check_val(request, inputs)
    inputs_file.save(inputs, request.root / _INPUTS, request.config)
    state = State(
        raster_dir=request.raster_dir.resolve(),
        val_dir=request.val_dir.resolve() if request.val_dir else None,
        classes=inputs.classes,
        scenes=inputs.scenes,
        store=request.store,
    )
    workspace = Workspace.create(request.root.resolve(), state, request.config)
    reporter.say(
        f"{len(inputs.scenes)} scenes, {len(inputs.chips)} chips, {len(inputs.labelled)} of them labelled; "
        f"classes: {', '.join(inputs.classes.names)}"
    )
    return workspace, inputs


def _check_val(request: Request, inputs: Inputs) -> None:
    if request.val_dir is None:
        return
    from tsfal_geo.rounds.validation import validation_set

    validation_set(request.val_dir, inputs, request.config)


def _reopen(workspace: Workspace, request: Request, reporter: Reporter) -> Inputs:
    _accept_config(workspace, request)
    scenes, _ = open_scenes(request.raster_dir, request.config)
    known = {scene.name for scene in workspace.scenes}
    changed = scenes_changed(workspace.scenes, scenes)
    gone_or_other = [name for name in changed if name in known]
    if gone_or_other:
        raise RasterError(
            f"{request.raster_dir}: scene {gone_or_other[0]} is gone or has another grid than when "
            f"{workspace.root} was made; bring it back, or start over with --fresh"
        )
    if changed:
        reporter.warning(
            f"{request.raster_dir}: {', '.join(changed)} came after the workspace was made and is not "
            "trained on; start over with --fresh to take it in"
        )
    found = {scene.name: scene for scene in scenes}
    ordered = tuple(found[scene.name] for scene in workspace.scenes)
    if request.val_dir is not None or request.store is not None:
        workspace.update(
            val_dir=request.val_dir.resolve() if request.val_dir else workspace.state.val_dir,
            store=request.store or workspace.state.store,
        )
    workspace.update(raster_dir=request.raster_dir.resolve(), scenes=ordered)
    return inputs_file.load(workspace.root / _INPUTS, ordered, workspace.classes, request.config)


def _accept_config(workspace: Workspace, request: Request) -> None:
    stored, wanted = workspace.config, request.config
    if stored == wanted:
        return
    number = workspace.current_round + 1
    running = in_progress(workspace, number)
    for section in type(wanted).model_fields:
        before, after = getattr(stored, section), getattr(wanted, section)
        if before != after and (section in _FIXED or running):
            when = f"round {number} began" if running else "the workspace was made"
            raise ConfigError(
                f"{workspace.root}: {_difference(section, before, after)} since {when}; "
                "leave the option out to go on, or start over with --fresh"
            )
    workspace.write_config(wanted)


def _difference(section: str, before: Any, after: Any) -> str:
    fields = getattr(type(after), "model_fields", {})
    for key in fields:
        if getattr(before, key) != getattr(after, key):
            return f"{section}.{key} changed from {getattr(before, key)} to {getattr(after, key)}"
    return f"{section} changed"


def archive(root: Path, reporter: Reporter) -> None:
    """Put a workspace's rounds aside to start over. People's labels stay; the oracle's go with the rounds."""
    if not Workspace.exists(root):
        return
    target = root / "archive" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    target.mkdir(parents=True)
    (root / "workspace.json").replace(target / "workspace.json")
    for name in ("rounds", "tsfal.yaml", _INPUTS):
        if (root / name).exists():
            (root / name).replace(target / name)
    for path in (root / "labels").glob(f"{ORACLE}.gpkg*"):
        path.replace(target / path.name)
    reporter.say(f"Starting over; what was there is in {target}, people's labels stay in use")


def in_progress(workspace: Workspace, number: int) -> bool:
    """Whether a round has begun: its labels are taken in."""
    return (workspace.round_dir(number) / "taken.gpkg").exists()
