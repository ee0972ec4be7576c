"""The loop: train, mask, refine, query, take the answers in, train again."""

from __future__ import annotations

import shutil
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from tsfal_geo.active import inputs as inputs_file
from tsfal_geo.active.inputs import Inputs, open_scenes, prepare
from tsfal_geo.active.oracle import AUTHOR as ORACLE
from tsfal_geo.active.oracle import answer_open_queries
from tsfal_geo.active.rounds import Context, run_round
from tsfal_geo.config import Config
from tsfal_geo.errors import ConfigError, RasterError, WorkspaceError
from tsfal_geo.raster.discovery import RasterWarning
from tsfal_geo.workspace.layout import State, Workspace, scenes_changed
from tsfal_geo.workspace.lock import engine_lock

_FIXED = ("classes", "ignore_colours", "ignore_ids", "data", "model")
_INPUTS = "inputs.json"


class Reporter(Protocol):
    """How the loop talks; ``cli.options.Reporter`` is one."""

    stop: threading.Event

    def event(self, event: dict[str, Any]) -> None: ...  # noqa: D102
    def progress(self, fraction: float, stage: str) -> None: ...  # noqa: D102
    def say(self, text: str) -> None: ...  # noqa: D102
    def warning(self, text: str) -> None: ...  # noqa: D102
    def artefact(self, kind: str, path: Path) -> None: ...  # noqa: D102
    def result(self, values: dict[str, Any]) -> None: ...  # noqa: D102
    def log_to(self, runs: Path) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class Request:
    """What ``tsfal-geo train`` was asked for.

    Attributes:
        root: the workspace's folder.
        raster_dir: folder of training scenes.
        val_dir: folder of validation scenes.
        config: the whole configuration.
        store: URL of the label store; None: GeoPackages, or what the workspace already uses.
        fresh: start over; earlier rounds go to ``archive/``.
    """

    root: Path
    raster_dir: Path
    val_dir: Path | None
    config: Config
    store: str | None = None
    fresh: bool = False


def train(request: Request, reporter: Reporter) -> None:
    """Go on with a workspace until a person is needed or the budget is spent.

    Raises:
        UserError: rasters, labels, configuration or workspace cannot be used as they are.
        Cancelled: asked to stop; what was done is kept and the next call goes on from there.
    """
    _check_inputs(request)
    made = not request.root.exists()
    request.root.mkdir(parents=True, exist_ok=True)
    try:
        with _at_work(request, reporter) as note:
            if note:
                reporter.warning(note)
            if request.fresh:
                archive(request.root, reporter)
            context = _context(request, reporter)
            reporter.log_to(context.workspace.runs)
            _run(context)
    finally:
        if made and not Workspace.exists(request.root):
            shutil.rmtree(request.root, ignore_errors=True)


def _check_inputs(request: Request) -> None:
    """What cannot be had is told before rounds are archived, and before a workspace fixes the choice."""
    config = request.config
    with warnings.catch_warnings(action="ignore"):
        _, reader = open_scenes(request.raster_dir, config)
        if request.fresh or not Workspace.exists(request.root):
            from tsfal_geo.models.segmenter import build_segmenter

            any_number = 2
            build_segmenter(config.model, reader.channels, any_number, config.train.seed)


def query(request: Request, reporter: Reporter) -> None:
    """Write a round of queries from the last round's model, without training.

    Raises:
        UserError: no model yet, a training is half done, or what ``train`` raises.
    """
    with _at_work(request, reporter) as note:
        if note:
            reporter.warning(note)
        context = _context(request, reporter)
        reporter.log_to(context.workspace.runs)
        context.workspace.current_model()
        number = context.workspace.current_round + 1
        if _in_progress(context.workspace, number):
            raise WorkspaceError(
                f"{request.root}: round {number} is half trained; finish it first with "
                f"`tsfal-geo train --workspace {request.root}`"
            )
        try:
            run_round(context, number, training=False)
        finally:
            if context.workspace.current_round < number:
                # Nothing of it is worth going on with, and a round begun would be taken for a training.
                shutil.rmtree(context.workspace.round_dir(number), ignore_errors=True)
        _tell_waiting(context)


def _run(context: Context) -> None:
    workspace, config = context.workspace, context.config
    while True:
        if workspace.state.status == "waiting" and config.active.oracle:
            answer_open_queries(context.store, context.inputs, workspace.current_round)
        number = workspace.current_round + 1
        if workspace.current_round >= 0 and not _in_progress(workspace, number) and not context.news():
            _tell_waiting(context)
            return
        run_round(context, number)
        if workspace.state.status == "done" or not config.active.oracle:
            _tell_waiting(context)
            return


def _in_progress(workspace: Workspace, number: int) -> bool:
    return (workspace.round_dir(number) / "taken.gpkg").exists()


def _tell_waiting(context: Context) -> None:
    workspace, reporter = context.workspace, context.reporter
    root = workspace.root
    folder = workspace.round_dir(workspace.current_round)
    progress = workspace.state.progress
    if workspace.state.status == "waiting" and not context.store.read_queries(workspace.current_round):
        reporter.say(
            f"Round {workspace.current_round} is complete and asked nothing. "
            f"Go on with: tsfal-geo train --workspace {root}"
        )
    elif workspace.state.status == "waiting":
        count = len(context.store.open_queries(workspace.current_round))
        reporter.say(
            f"Round {workspace.current_round} is complete; {count} queries wait for labels in "
            f"{folder / 'queries.gpkg'}. Label them, then run: tsfal-geo train --workspace {root}"
        )
    else:
        more = f"; or ask for more with: tsfal-geo query --workspace {root} --budget SHARE"
        if progress["labelled_share"] >= 1:
            more = ""
        reporter.say(
            f"Round {workspace.current_round} is complete and nothing is left to ask: "
            f"{progress['labelled_share']:.2%} labelled of {progress['budget']:.2%}. "
            f"Write the map with: tsfal-geo export --workspace {root}" + more
        )
    reporter.result(
        {
            "round": workspace.current_round,
            "status": workspace.state.status,
            "workspace": str(root),
            **progress,
        }
    )


def _context(request: Request, reporter: Reporter) -> Context:
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
    from tsfal_geo.active.validation import validation_set

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
    running = _in_progress(workspace, number)
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


@contextmanager
def _at_work(request: Request, reporter: Reporter) -> Iterator[str | None]:
    """Hold the workspace's lock, stop when signalled, pass our own warnings on, each once."""
    told: set[str] = set()
    ours = str(Path(__file__).parents[1])

    def tell(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
    ) -> None:
        if str(message) not in told and (category is RasterWarning or filename.startswith(ours)):
            told.add(str(message))
            reporter.warning(str(message))

    with stop_on_signals(reporter.stop), engine_lock(request.root) as note, warnings.catch_warnings():
        warnings.simplefilter("always", RasterWarning)
        warnings.showwarning = tell
        yield note


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """Ask to stop on the first SIGINT or SIGTERM; the second one interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
