"""The loop: train, mask, refine, select queries, read the answers, train again."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tsfal_geo.errors import WorkspaceError
from tsfal_geo.figures import figure
from tsfal_geo.labels.effort import measure_effort
from tsfal_geo.labels.history import difference, read_snapshot
from tsfal_geo.labels.model import LabelSnapshot, Query
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.discovery import RasterWarning
from tsfal_geo.reporting import Reporter, SilentReporter, stop_on_signals
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.open_workspace import OpenWorkspace, open_workspace
from tsfal_geo.rounds.oracle import Allowance, Oracle, answer_queries
from tsfal_geo.rounds.request import Request
from tsfal_geo.rounds.result import RoundResult
from tsfal_geo.rounds.round import run_round
from tsfal_geo.workspace.folder import WorkspaceFolder
from tsfal_geo.workspace.lock import engine_lock
from tsfal_geo.workspace.next_step import limiting_option, next_step

REACHED = 0.97
"""Part of a goal from which on it counts as reached: a drawn answer counts several times."""


def create(request: Request, reporter: Reporter | None = None) -> OpenWorkspace:
    """Make a workspace, or open the one that is there; train nothing.

    Args:
        request: the folder, the rasters and the configuration.
        reporter: takes lines and warnings; None: nobody does.

    Returns:
        The workspace, which `train` can go on with.

    Raises:
        UserError: rasters, labels, configuration or workspace cannot be used as they are.
    """
    reporter = reporter or SilentReporter()
    with _at_work(request.root, reporter):
        return open_workspace(request, reporter)


def train(
    request: Request, reporter: Reporter | None = None, opened: OpenWorkspace | None = None
) -> RoundResult:
    """Go on with a workspace until a person is needed or the budget is spent.

    Args:
        request: the workspace, which is made where there is none.
        reporter: takes lines, warnings and progress; None: nobody does.
        opened: the workspace as `create` has just given it back, so that nothing is read twice.

    Returns:
        The last complete round.

    Raises:
        UserError: rasters, labels, configuration or workspace cannot be used as they are.
        Cancelled: asked to stop; what was done is kept and the next call goes on from there.
    """
    reporter = reporter or SilentReporter()
    with _at_work(request.root, reporter):
        opened = opened or open_workspace(request, reporter)
        reporter.log_to(opened.context.workspace.runs)
        return _run(opened)


Answering = Callable[[RoundContext, Sequence[Query], LabelSnapshot], None]
"""The answering of a round: the workspace, the round's queries, and what the store holds."""


def simulate(
    request: Request,
    answers: Sequence[int],
    reporter: Reporter | None = None,
    answering: Answering | None = None,
) -> RoundResult:
    """Play rounds that end at given numbers of an oracle's answers, for curves over a person's effort.

    Args:
        request: the workspace, which is made where there is none; its oracle answers.
        answers: of the annotators after each round, rising.
        reporter: takes lines, warnings and progress; None: nobody does.
        answering: answers a round's queries, as far as its answers go; None: the oracle does, by rank.

    Returns:
        The last round, which has learnt all answers and asks nothing.

    Raises:
        UserError: as `train` raises.
        Cancelled: asked to stop; the next call goes on from there.
    """
    reporter = reporter or SilentReporter()
    with _at_work(request.root, reporter):
        context = open_workspace(request, reporter).context
        workspace = context.workspace
        while True:
            snapshot, number = context.store.snapshot(), workspace.current_round + 1
            if number:
                # Without effect where the answers were given before a stop.
                asked = context.store.read_queries(number - 1)
                (answering or _let_oracle_answer)(context, asked, snapshot)
                snapshot = context.store.snapshot() if asked else snapshot
            given = measure_effort(snapshot, context.store.scenes).answers
            goal = next((goal for goal in answers if given < REACHED * goal), None)
            if number and not asked and goal is None:
                return _finish(context, 0)
            run_round(_up_to(context, goal or 1), number, snapshot=snapshot)
            if goal is not None and not context.store.read_queries(number):
                context.reporter.warning(f"{workspace.root}: nothing is left to ask after {given} answers")
                return _finish(context, 0)


def _up_to(context: RoundContext, goal: int) -> RoundContext:
    """Return the workspace with a budget that the next round takes to the end."""
    workspace = context.workspace
    trained = sum("steps" in workspace.metrics(earlier) for earlier in range(workspace.current_round + 1))
    limits = {"answers": goal, "rounds": trained + 1 if workspace.current_round >= 0 else 0}
    active = context.config.active.model_copy(update=limits)
    return replace(context, config=context.config.model_copy(update={"active": active}))


def query(request: Request, reporter: Reporter | None = None) -> RoundResult:
    """Write a round of queries from the last round's model, without training.

    Args:
        request: the workspace, with a model.
        reporter: takes lines, warnings and progress; None: nobody does.

    Returns:
        The new round.

    Raises:
        UserError: no model yet, a training is half done, or as `train` raises.
    """
    reporter = reporter or SilentReporter()
    with _at_work(request.root, reporter):
        context = open_workspace(request, reporter).context
        workspace = context.workspace
        reporter.log_to(workspace.runs)
        workspace.current_model()
        number = workspace.current_round + 1
        if workspace.in_progress(number):
            raise WorkspaceError(
                f"{request.root}: round {number} is half trained; finish it first with "
                f"`tsfal-geo train --workspace {request.root}`"
            )
        workspace.begin_asking(number)
        try:
            run_round(context, number, training=False)
        finally:
            workspace.end_asking()
        return _finish(context, len(context.store.read_queries(number)))


def _run(opened: OpenWorkspace) -> RoundResult:
    context, network = opened.context, opened.network
    workspace, config = context.workspace, context.config
    rasterised: PolygonLabels | None = None
    previous: LabelSnapshot | None = None
    snapshot = context.store.snapshot()
    if workspace.state.status == "waiting" and config.active.oracle:
        # Either a run was stopped between a round and its answers, or a simulation ends a person's work.
        _let_oracle_answer(context, context.store.read_queries(workspace.current_round), snapshot)
        snapshot = context.store.snapshot()
    while True:
        number = workspace.current_round + 1
        if workspace.current_round >= 0 and not workspace.in_progress(number):
            unanswered = _open_queries(context, snapshot)
            if not _has_news(context, previous, snapshot, len(unanswered)):
                return _finish(context, len(unanswered))
        done = run_round(
            context,
            number,
            snapshot=snapshot,
            previous=previous,
            rasterised=rasterised,
            network=network,
        )
        previous, rasterised, network = done.snapshot, done.rasterised, None
        if workspace.state.status == "done" or not config.active.oracle:
            return _finish(context, len(done.queries))
        _let_oracle_answer(context, done.queries, done.snapshot)
        snapshot = context.store.snapshot()


def _let_oracle_answer(context: RoundContext, queries: Sequence[Query], snapshot: LabelSnapshot) -> None:
    """Answer the last round's queries, as far as the round's answers and seconds go."""
    figures = context.workspace.metrics(context.workspace.current_round)
    allowance = Allowance(figures.get("round_answers"), figures.get("round_seconds"))
    oracle = Oracle(context.inputs, context.config.active, context.config.train.seed)
    answer_queries(context.store, oracle, queries, allowance, snapshot)


def _open_queries(context: RoundContext, snapshot: LabelSnapshot) -> list[Query]:
    answered = snapshot.answered
    queries = context.store.read_queries(context.workspace.current_round)
    return [query for query in queries if query.qid not in answered]


def _has_news(
    context: RoundContext, previous: LabelSnapshot | None, snapshot: LabelSnapshot, open_queries: int
) -> bool:
    """Return whether there is reason to train: another method, other labels than before, or no query."""
    workspace = context.workspace
    method = workspace.metrics(_last_training(workspace)).get("method")
    if method is not None and method != context.config.train.method:
        return True
    if workspace.state.status == "waiting" and not context.store.read_queries(workspace.current_round):
        return True
    before = read_snapshot(context.store, _last_training(workspace)) if previous is None else previous
    change = difference(before, snapshot)
    if change.added or change.removed:
        return True
    new_decisions = {item.key for item in snapshot.decisions} - {item.key for item in before.decisions}
    # The oracle leaves queries open that are beyond the effort of the round.
    return bool(new_decisions) and (context.config.active.oracle or not open_queries)


def _last_training(workspace: WorkspaceFolder) -> int:
    """Return the last round that trained: the networks have not learnt what later rounds read.

    Without a training it is the last round.
    """
    current = workspace.current_round
    trained = (n for n in range(current, -1, -1) if "steps" in workspace.metrics(n))
    return next(trained, current)


def _finish(context: RoundContext, open_queries: int) -> RoundResult:
    """Say what the user does next, and return the last round."""
    workspace = context.workspace
    result = RoundResult.of(
        workspace.root, workspace.state.status, open_queries, workspace.metrics(workspace.current_round)
    )
    step = next_step(
        workspace.root,
        round_number=result.number,
        status=result.status,
        queries=result.queries or 0,
        open_queries=open_queries,
        labelled_share=result.labelled_share,
        limit=limiting_option(context.config.active),
    )
    share = f" ({result.labelled_share:.2%} labelled of {figure(result.budget, '.2%')})"
    spent = share if result.status == "done" else ""
    context.reporter.say(f"Round {result.number} is complete{spent}; {step}")
    return result


@contextmanager
def _at_work(root: Path, reporter: Reporter) -> Iterator[None]:
    """Hold the workspace's lock, stop when signalled, and pass each of our warnings on once.

    A folder that was made for a workspace goes again where no workspace came of it.
    """
    passed_on: set[str] = set()
    ours = str(Path(__file__).parents[1])

    def pass_on(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
    ) -> None:
        if str(message) not in passed_on and (category is RasterWarning or filename.startswith(ours)):
            passed_on.add(str(message))
            reporter.warning(str(message))

    made = not root.exists()
    root.mkdir(parents=True, exist_ok=True)
    try:
        with stop_on_signals(reporter.stop), engine_lock(root) as note, warnings.catch_warnings():
            warnings.simplefilter("always", RasterWarning)
            warnings.showwarning = pass_on
            if note:
                reporter.warning(note)
            yield
    finally:
        if made and not WorkspaceFolder.exists(root):
            shutil.rmtree(root, ignore_errors=True)
