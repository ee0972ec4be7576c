"""A round whose queries a live session chooses, one after the other, while the oracle answers."""

from __future__ import annotations

from collections.abc import Sequence

from tsfal_geo.labels.effort import measure_effort
from tsfal_geo.labels.model import LabelSnapshot, Query
from tsfal_geo.live.session import LiveSession
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.oracle import AUTHOR, Oracle

AT_A_TIME = 5
"""Queries that the session chooses before it looks at the answers."""


def answer_live(context: RoundContext, queries: Sequence[Query], snapshot: LabelSnapshot) -> None:
    """Answer as many queries as the round may, each chosen for the model that knows the answers before it.

    The round's own queries, which were chosen together, are left aside where the session has better ones. At
    a cold start there is no model to choose by, and they are answered.

    Args:
        context: the workspace.
        queries: of the round.
        snapshot: of the store.
    """
    metrics = context.workspace.metrics(context.workspace.current_round)
    allowed = metrics.get("round_answers") or len(queries)
    oracle = Oracle(context.inputs, context.config.active, context.config.train.seed)
    names = {query.qid for query in queries}
    given = _answers(context, names)
    cold = "steps" not in metrics
    with LiveSession(context.workspace.root) as session:
        left = [query for query in queries if query.qid not in snapshot.answered] if cold else []
        while given < allowed:
            some, left = left[:AT_A_TIME], left[AT_A_TIME:]
            if not some:
                some = [] if cold else session.ask(min(AT_A_TIME, allowed - given))
            if not some:
                return
            answers = list(oracle.answers(some))
            labels = [label for own, _ in answers for label in own]
            session.add(AUTHOR, labels, [decision for _, decision in answers])
            names |= {query.qid for query in some}
            given = _answers(context, names)


def _answers(context: RoundContext, names: set[str]) -> int:
    """Return the answers to some queries."""
    snapshot = context.store.snapshot()
    labels = tuple(label for label in snapshot.labels if label.qid in names)
    decisions = tuple(decision for decision in snapshot.decisions if decision.qid in names)
    return measure_effort(LabelSnapshot(labels, decisions), context.store.scenes).answers
