"""A workspace made for a folder of scenes, or opened again where it still fits folder and configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsfal_geo.atomic import remove_folder
from tsfal_geo.config import Config
from tsfal_geo.errors import ConfigError, RasterError
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.models.start import build_network
from tsfal_geo.raster.scene import scenes_changed
from tsfal_geo.reporting import Reporter
from tsfal_geo.rounds import inputs as inputs_file
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.inputs import INPUTS_NAME, Inputs, open_scenes, prepare
from tsfal_geo.rounds.oracle import AUTHOR as ORACLE
from tsfal_geo.rounds.request import Request
from tsfal_geo.rounds.validation import validation_set
from tsfal_geo.training.callbacks import RESUME_NAME
from tsfal_geo.workspace.folder import WorkspaceFolder
from tsfal_geo.workspace.state import State

_FIXED = ("classes", "ignore_colours", "ignore_ids", "label_values", "data", "model")


@dataclass(frozen=True)
class FirstNetwork:
    """A network that was built before the workspace, to learn whether it can be.

    Attributes:
        seed: of its head, and of its encoder where that has no pretrained weights.
        segmenter: the network.
    """

    seed: int
    segmenter: Segmenter


@dataclass(frozen=True)
class OpenWorkspace:
    """A workspace at work, and what was built on the way.

    Attributes:
        context: the workspace.
        network: the first network of a new workspace; None where the workspace was there.
    """

    context: RoundContext
    network: FirstNetwork | None = None


def open_workspace(request: Request, reporter: Reporter) -> OpenWorkspace:
    """Make the workspace of a request, or go on with the one that is there.

    A new workspace appears only when everything that it needs was found to be usable; with ``fresh``, earlier
    rounds are archived only then.

    Args:
        request: the folder, the rasters and the configuration.
        reporter: takes lines and warnings.

    Raises:
        UserError: rasters, labels, configuration or workspace cannot be used as they are.
    """
    _check_strategy(request.config)
    if WorkspaceFolder.exists(request.root) and not request.fresh:
        return OpenWorkspace(_reopen(WorkspaceFolder.open(request.root), request, reporter))
    return _create(request, reporter)


INSTANT_STRATEGIES = ("random", "entropy", "coreset")
"""Strategies that the instant model can follow instead of its own."""


def _check_strategy(config: Config) -> None:
    """Refuse strategies that the method does not follow.

    DEAL's need something that learns difficulty; the instant model has questions of its own, which
    ``plar``, the default, stands for.
    """
    method, strategy = config.train.method, config.active.strategy
    if method == "instant" and strategy not in ("plar", *INSTANT_STRATEGIES):
        raise ConfigError(
            f"active.strategy {strategy}: train.method instant chooses its questions itself; leave "
            f"--strategy out, or say one of {', '.join(INSTANT_STRATEGIES)}"
        )
    decoder = method == "tsf" and config.emd.enabled
    if strategy.startswith("deal") and config.active.rounds and method != "deal" and not decoder:
        raise ConfigError(
            f"active.strategy {strategy}: with train.method {method} nothing learns what is difficult; "
            "train with --method deal, or with tsf and emd.enabled"
        )


def _create(request: Request, reporter: Reporter) -> OpenWorkspace:
    config, active, data = request.config, request.config.active, request.config.data
    if active.oracle and active.rounds and data.labelled is None and data.labelled_list is None:
        raise ConfigError(
            f"--oracle: all labels of {request.raster_dir} are in use from the start, so that nothing is "
            "left to ask; say how many to begin with, such as --labelled 0.15"
        )
    reporter.say(f"Reading {request.raster_dir} …")
    inputs = prepare(request.raster_dir, config)
    validation = None if request.val_dir is None else validation_set(request.val_dir, inputs, config)
    network = _first_network(request, inputs)
    state = State(
        raster_dir=request.raster_dir.resolve(),
        val_dir=request.val_dir.resolve() if request.val_dir else None,
        classes=inputs.classes,
        scenes=inputs.scenes,
        store=request.store,
    )
    workspace = _write(request.root.resolve(), state, config, inputs, reporter)
    reporter.say(
        f"{len(inputs.scenes)} scenes, {len(inputs.chips)} chips, {len(inputs.labelled)} of them labelled; "
        f"classes: {', '.join(inputs.classes.names)}"
    )
    return OpenWorkspace(
        RoundContext(workspace, inputs, validation, workspace.store(), config, reporter), network
    )


def _write(root: Path, state: State, config: Config, inputs: Inputs, reporter: Reporter) -> WorkspaceFolder:
    """Write the workspace; rounds of an earlier one go to ``archive/``, and the oracle's labels with them."""
    if not WorkspaceFolder.exists(root) and not any((root / "rounds").glob("*")):
        inputs_file.save(inputs, root / INPUTS_NAME, config)
        return WorkspaceFolder.create(root, state, config)
    text = inputs_file.to_text(inputs, config)
    workspace, archive = WorkspaceFolder.renew(root, state, config, (INPUTS_NAME, text), f"{ORACLE}.gpkg*")
    reporter.say(f"Starting over: the earlier rounds are in {archive}; people's labels stay in use")
    return workspace


def _first_network(request: Request, inputs: Inputs) -> FirstNetwork:
    """Build the network that the first round begins with.

    With labels the first round trains, and its networks have the seeds 2s and 2s + 1; without, the encoder of
    seed s tells the chips apart.
    """
    trains = bool(inputs.labelled) or any((request.root / "labels").glob("*.gpkg"))
    seed = request.config.train.seed * (2 if trains else 1)
    model = request.config.model
    return FirstNetwork(seed, build_network(model, inputs.reader.channels, inputs.classes.names, seed))


def _reopen(workspace: WorkspaceFolder, request: Request, reporter: Reporter) -> RoundContext:
    workspace.end_asking()
    _accept_config(workspace, request)
    # What the workspace keeps of an area of interest holds, whatever becomes of its file.
    areas = {scene.name: scene.area for scene in workspace.scenes if scene.area is not None}
    scenes, reader = open_scenes(request.raster_dir, request.config, areas=areas)
    trained = {scene.name for scene in workspace.scenes}
    changed = scenes_changed(workspace.scenes, scenes)
    gone_or_other = [name for name in changed if name in trained]
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
    inputs = inputs_file.load(
        workspace.root / INPUTS_NAME,
        ordered,
        workspace.classes,
        request.config,
        reader,
    )
    folder = workspace.state.val_dir
    validation = None if folder is None else validation_set(folder, inputs, request.config)
    return RoundContext(workspace, inputs, validation, workspace.store(), request.config, reporter)


def _accept_config(workspace: WorkspaceFolder, request: Request) -> None:
    stored, wanted = workspace.config, request.config
    if stored == wanted:
        return
    number = workspace.current_round + 1
    running = (workspace.round_dir(number) / RESUME_NAME).exists()
    for section in type(wanted).model_fields:
        before, after = getattr(stored, section), getattr(wanted, section)
        if before != after and (section in _FIXED or running):
            when = f"round {number} began" if running else "the workspace was made"
            raise ConfigError(
                f"{workspace.root}: {_difference(section, before, after)} since {when}; "
                "leave the option out to go on, or start over with --fresh"
            )
    if not running:
        # A round without a checkpoint has only read its labels, and its first steps may have failed on these
        # very settings: it begins anew with the new ones.
        remove_folder(workspace.round_dir(number))
    workspace.write_config(wanted)


def _difference(section: str, before: Any, after: Any) -> str:
    fields = getattr(type(after), "model_fields", {})
    for key in fields:
        if getattr(before, key) != getattr(after, key):
            return f"{section}.{key} changed from {getattr(before, key)} to {getattr(after, key)}"
    return f"{section} changed"
