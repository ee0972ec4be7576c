"""One round: read the labels, train, inspect every chip, select queries."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from tsfal_geo.atomic import remove_folder, write_text
from tsfal_geo.errors import ConfigError
from tsfal_geo.figures import json_text
from tsfal_geo.labels.effort import Effort, measure_effort
from tsfal_geo.labels.history import RoundSnapshot, take_snapshot
from tsfal_geo.labels.model import LabelSnapshot, Query
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.queries.budget import Budget
from tsfal_geo.rounds.asking import select_queries
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.first_queries import first_queries
from tsfal_geo.rounds.instant.asking import ask_instant
from tsfal_geo.rounds.instant.model import fit_instant
from tsfal_geo.rounds.open_workspace import FirstNetwork
from tsfal_geo.rounds.pools import FULL, RoundLabels, label_pools, read_labels
from tsfal_geo.rounds.query_writer import QuerySelection
from tsfal_geo.rounds.round_budget import first_budget, round_budget
from tsfal_geo.rounds.training import load_round, train_round


@dataclass(frozen=True)
class RoundOutcome:
    """Values that a round hands on to the next one of the same run.

    Attributes:
        queries: that the round selected, by rank.
        snapshot: the labels that the round trained on.
        rasterised: people's labels as the round rasterised them.
    """

    queries: tuple[Query, ...]
    snapshot: LabelSnapshot
    rasterised: PolygonLabels


@dataclass
class Clock:
    """Seconds of a round's stages."""

    seconds: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.monotonic)

    def stage(self, name: str) -> None:
        """Close a stage."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 3)
        self._last = now

    def total(self) -> dict[str, float]:
        """Return all stages and their sum."""
        return {**self.seconds, "total": round(sum(self.seconds.values()), 3)}


def run_round(
    context: RoundContext,
    number: int,
    *,
    training: bool = True,
    snapshot: LabelSnapshot | None = None,
    previous: LabelSnapshot | None = None,
    rasterised: PolygonLabels | None = None,
    network: FirstNetwork | None = None,
) -> RoundOutcome:
    """Run a round to its end; a round that was stopped goes on where it was.

    Args:
        context: the workspace.
        number: of the round.
        training: False writes queries from the last round's model without training.
        snapshot: the labels that are committed now; None: the round reads them.
        previous: the labels that the round before trained on; None: the round reads them.
        rasterised: people's labels as the round before rasterised them: blocks without a change are reused.
        network: built with the workspace, for its first round.

    Returns:
        The queries, and what the next round of this run can reuse.

    Raises:
        UserError: labels or configuration cannot be used as they are.
        Cancelled: asked to stop; the next call goes on from there.
    """
    workspace, reporter = context.workspace, context.reporter
    folder = workspace.round_dir(number)
    folder.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    round_snapshot = take_snapshot(context.store, number, snapshot, previous)
    labels = _read_labels(context, round_snapshot, rasterised)
    effort = measure_effort(round_snapshot.snapshot, context.store.scenes)
    instant = context.config.train.method == "instant"
    if labels.spent == 0:
        try:
            first = first_budget(context, number, effort)
            if context.config.model.architecture == "instant":
                model, _ = fit_instant(context, number, labels)
                selection = ask_instant(context, number, model, labels, first, round_snapshot.snapshot)
            else:
                selection = first_queries(context, number, first, network)
        except ConfigError:
            # A round that has begun would hold on to the very option that is to be changed.
            remove_folder(folder)
            raise
        _complete(context, number, effort, labels, None, selection, clock, first)
        return RoundOutcome(tuple(selection.queries), round_snapshot.snapshot, labels.manual)
    answered = len(round_snapshot.snapshot.answered)
    if instant:
        model, metrics = fit_instant(context, number, labels)
        clock.stage("training")
        budget = round_budget(context, number, labels.spent, effort, answered, training=training)
        selection = ask_instant(context, number, model, labels, budget, round_snapshot.snapshot)
        clock.stage("asking")
        _complete(context, number, effort, labels, metrics, selection, clock, budget)
        return RoundOutcome(tuple(selection.queries), round_snapshot.snapshot, labels.manual)
    judged = context.config.model.architecture == "instant" and context.validation is None
    pools = label_pools(context.inputs, labels, context.config, number, judged=judged)
    in_part = sum(share < FULL for share in pools.shares or ())
    reporter.say(
        f"Round {number}: {labels.spent / context.inputs.total:.2%} of the pixels labelled; "
        f"{len(pools.labelled)} chips supervise{f', {in_part} of them in part' if in_part else ''}; "
        f"{len(pools.unlabelled)} are unlabelled"
    )
    if training:
        workspace.update(status="training")
        trained = train_round(context, number, labels, pools, network)
    else:
        trained = load_round(context, number, labels, pools)
    clock.stage("training")
    budget = round_budget(context, number, labels.spent, effort, answered, training=training)
    if number == 0 and context.config.active.rounds and context.config.active.budget and not budget.remaining:
        reporter.warning(
            f"active.budget: {budget.goal:.2%} of the pixels, but {budget.spent / budget.total:.2%} are "
            "labelled from the start; no query is selected unless --budget is raised"
        )
    selection = select_queries(context, number, trained, labels, budget)
    clock.stage("asking")
    _complete(context, number, effort, labels, trained.metrics, selection, clock, budget)
    if training:
        trained.forget_earlier()
    return RoundOutcome(tuple(selection.queries), round_snapshot.snapshot, labels.manual)


def _read_labels(
    context: RoundContext, snapshot: RoundSnapshot, rasterised: PolygonLabels | None
) -> RoundLabels:
    """Read what the round trains on: its own snapshot where it has begun, else what is committed now."""
    if snapshot.snapshot.labels or snapshot.rejected:
        for line in snapshot.lines():
            tell = context.reporter.warning if line.startswith("not used") else context.reporter.say
            tell(line)
    skipped = context.store.skipped_queries(snapshot.snapshot)
    return read_labels(context.inputs, snapshot.snapshot, skipped, rasterised)


def _complete(
    context: RoundContext,
    number: int,
    effort: Effort,
    labels: RoundLabels,
    training: dict[str, Any] | None,
    selection: QuerySelection,
    clock: Clock,
    budget: Budget,
) -> None:
    """Write queries and metrics, then let ``workspace.json`` name the round: from here on nothing changes."""
    workspace = context.workspace
    folder = workspace.round_dir(number)
    context.store.write_queries(number, selection.queries)
    clock.stage("writing")
    share = labels.spent / context.inputs.total
    metrics: dict[str, Any] = {
        "round": number,
        "method": context.config.train.method,
        "strategy": selection.strategy,
        "labelled_share": share,
        "labelled_pixels": labels.spent,
        "valid_pixels": context.inputs.total,
        "budget": budget.goal,
        "queries": len(selection.queries),
        "query_pixels": sum(query.pixels for query in selection.queries),
        **effort.to_json(),
        "round_answers": budget.answers,
        "round_seconds": budget.seconds,
        **(training or {}),
        **selection.diagnostics,
        "seconds": clock.total(),
    }
    write_text(folder / "metrics.json", json_text(metrics, indent=1))
    shown = ("labelled_share", "budget", "queries", "query_pixels", "answers", "minutes", "miou")
    workspace.update(
        round=number,
        status="waiting" if selection.queries or not budget.last else "done",
        progress={key: metrics.get(key) for key in shown},
    )
    note = "" if metrics.get("miou") is None else f", mIoU {metrics['miou']:.4f}"
    context.reporter.say(f"Round {number}: {len(selection.queries)} queries{note}")
