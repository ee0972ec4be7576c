"""Budget of a round: its part of the pixels, answers and minutes that the configuration allows."""

from __future__ import annotations

import math
from typing import Any

from tsfal_geo.config import ActiveConfig
from tsfal_geo.errors import ConfigError
from tsfal_geo.labels.effort import SECONDS, Effort
from tsfal_geo.queries.budget import Budget
from tsfal_geo.rounds.context import RoundContext

DEFAULT_GAIN = 0.09
FIRST_SHARE = 0.05
_ENOUGH_QUERIES = 10
_TOLERANCE = 1e-6  # of shares that were rounded


def first_budget(context: RoundContext, number: int, effort: Effort) -> Budget:
    """Return the budget of the first labels.

    Args:
        context: the workspace.
        number: of the round; rounds before it brought no label, where annotators skipped all their queries.
        effort: of annotators until now.

    Returns:
        All pixels that may be labelled, or a twentieth of the pixels without a limit. Of answers and minutes
        it is the part of one round; the first labels count as one round more.

    Raises:
        ConfigError: the answers or minutes are spent.
    """
    total, active = context.inputs.total, context.config.active
    goal = FIRST_SHARE if active.budget is None else active.budget
    if is_spent(active, effort):
        raise ConfigError(
            f"{context.workspace.root}: all answers or minutes are spent ({effort.answers} answers), and "
            "none of them labels a pixel; raise --answers or --minutes, or label in QGIS"
        )
    parts = active.rounds + 1
    answers, seconds = _effort_left(active, effort, (0, 0.0), min(number + 1, parts), parts)
    # The part of one round may be less than one answer; one is left at least.
    answers = None if answers is None else max(answers, 1)
    seconds = None if seconds is None else max(seconds, 1.0)
    return Budget(total, 0, goal, int(goal * total + _TOLERANCE), False, answers, seconds)


def round_budget(
    context: RoundContext,
    number: int,
    spent: int,
    effort: Effort,
    answered: int,
    *,
    training: bool,
) -> Budget:
    """Share what is left evenly over the trainings; labels beyond the queries count.

    A round without training may select the same share again.

    Args:
        context: the workspace.
        number: of the round.
        spent: labelled pixels.
        effort: of annotators until now.
        answered: number of queries with an answer until now.
        training: whether the round trains.
    """
    active, total = context.config.active, context.inputs.total
    before = [context.workspace.metrics(earlier) for earlier in range(number)]
    begun = next((values for values in before if values["labelled_share"] > 0), None)
    start = spent / total if begun is None else begun["labelled_share"]
    limited = active.answers is not None or active.minutes is not None
    goal = active.budget
    if goal is None:
        goal = 1.0 if limited else min(1.0, start + DEFAULT_GAIN)
    asking = sum("steps" in values for values in before) + training
    part, parts = min(asking, active.rounds), max(active.rounds, 1)
    # Whoever selects queries without training after the last round wants more than was planned.
    over = training and asking > active.rounds
    over |= context.config.train.method == "supervised" and active.budget is None and not limited
    target = int((start + (goal - start) * part / parts) * total + _TOLERANCE)
    remaining = 0 if over else max(0, target - spent)
    answers, seconds = _effort_left(active, effort, _effort_at(begun, effort), part, parts)
    pixels_spent = spent >= int(goal * total + _TOLERANCE)
    last = over or pixels_spent or is_spent(active, effort) or asking >= active.rounds
    per_query = _per_query(active, effort, answered)
    return Budget(total, spent, goal, remaining, last, answers, seconds, *per_query)


def is_spent(active: ActiveConfig, effort: Effort) -> bool:
    """Tell whether annotators have given all answers, or spent all minutes.

    Args:
        active: the limits.
        effort: of annotators until now.
    """
    answers = active.answers is not None and effort.answers >= active.answers
    return answers or (active.minutes is not None and effort.minutes >= active.minutes)


def _effort_at(begun: dict[str, Any] | None, now: Effort) -> tuple[int, float]:
    """Return answers and minutes before the first training; rounds of earlier versions do not know them."""
    if begun is None or begun["answers"] is None:
        return now.answers, now.minutes
    return begun["answers"], begun["minutes"]


def _effort_left(
    active: ActiveConfig, effort: Effort, start: tuple[int, float], part: int, parts: int
) -> tuple[int | None, float | None]:
    """Return the answers and seconds that are left of the first ``part`` of ``parts`` even parts."""
    answers = seconds = None
    if active.answers is not None:
        target = start[0] + (active.answers - start[0]) * part / parts
        answers = max(0, math.floor(target + _TOLERANCE) - effort.answers)
    if active.minutes is not None:
        target = start[1] + (active.minutes - start[1]) * part / parts
        seconds = max(0.0, 60 * target - effort.seconds)
    return answers, seconds


def _per_query(active: ActiveConfig, effort: Effort, queries: int) -> tuple[float, float]:
    """Return the answers and seconds that a query has taken until now; a key's or point's at the start."""
    if queries < _ENOUGH_QUERIES:
        return 1.0, SECONDS["point" if active.granularity == "pixels" else "key"]
    return max(1.0, effort.answers / queries), effort.seconds / queries
