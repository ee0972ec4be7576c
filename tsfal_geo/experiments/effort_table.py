"""Table and curves of the mIoU over answers and minutes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from tsfal_geo.atomic import replace_file, write_text
from tsfal_geo.experiments.curves import CurvePoint, write_curve
from tsfal_geo.experiments.formats import csv_text, markdown, spread

FULL = "full supervision"
"""The row whose model has all labels of the training scenes."""

_NEAR = 0.05
"""A drawn answer counts several times, so that a round may end a little beyond its answers."""


def write_effort(points: Sequence[CurvePoint], answers: Sequence[int], out: Path) -> None:
    """Write ``curve.csv``, ``curve.png``, ``table.csv`` and ``table.md``.

    Args:
        points: the fitted rounds of all runs so far, at least one.
        answers: numbers of answers that the table compares.
        out: folder of the files.
    """
    write_curve(points, out)
    header, rows = effort_table(points, answers)
    write_text(out / "table.csv", csv_text(header, rows))
    write_text(out / "table.md", markdown(header, rows))
    _plot(points, out / "curve.png")


def effort_table(points: Sequence[CurvePoint], answers: Sequence[int]) -> tuple[list[str], list[list[str]]]:
    """Summarise each row at each number of answers as mean ± standard deviation over the seeds.

    Args:
        points: the fitted rounds of all runs.
        answers: numbers of answers.

    Returns:
        The header and the rows of the table. The column ``of full`` is the mean mIoU in per cent of full
        supervision's; ``ahead of random points`` counts the seeds with a higher mIoU, and a better map.
    """
    header = ["row", "answers", "minutes", "mIoU", "of full", "map", "ahead of random points", "seeds"]
    full = [100 * p.miou for p in points if p.mode == FULL]
    rows = [[FULL, "", "", spread(full), "100.0 %", "", "", str(len(full))]] if full else []
    for name in dict.fromkeys(p.mode for p in points if p.mode != FULL):
        for goal in answers:
            found = _at(points, name, goal)
            if not found:
                continue
            values = [100 * p.miou for p in found.values()]
            maps = [100 * p.map_miou for p in found.values() if p.map_miou is not None]
            rows.append(
                [
                    name,
                    str(goal),
                    f"{mean(p.minutes or 0.0 for p in found.values()):.1f}",
                    spread(values),
                    f"{100 * mean(values) / mean(full):.1f} %" if full else "",
                    spread(maps) if len(maps) == len(values) else "",
                    "" if name == "random points" else _ahead(found, _at(points, "random points", goal)),
                    str(len(found)),
                ]
            )
    return header, rows


def _at(points: Sequence[CurvePoint], name: str, goal: int) -> dict[int, CurvePoint]:
    """Return each seed's round that is nearest to a number of answers, if it is near."""
    found: dict[int, CurvePoint] = {}
    for point in points:
        if point.mode != name or point.answers is None or abs(point.answers - goal) > _NEAR * goal:
            continue
        best = found.get(point.seed)
        # Of two rounds with the same answers the later one has learnt them all.
        if best is None or abs(point.answers - goal) <= abs((best.answers or 0) - goal):
            found[point.seed] = point
    return found


def _ahead(ours: dict[int, CurvePoint], theirs: dict[int, CurvePoint]) -> str:
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        return ""
    test = sum(ours[seed].miou > theirs[seed].miou for seed in both)
    maps = sum((ours[seed].map_miou or 0.0) > (theirs[seed].map_miou or 0.0) for seed in both)
    return f"{test}, {maps} of {len(both)}"


def _plot(points: Sequence[CurvePoint], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    full = [100 * p.miou for p in points if p.mode == FULL]
    for axes, text in zip(panels, ("answers", "minutes of a person"), strict=True):
        for name in dict.fromkeys(p.mode for p in points if p.mode != FULL):
            own = [p for p in points if p.mode == name]
            groups = [[p for p in own if p.round == number] for number in sorted({p.round for p in own})]
            places = [mean((p.answers if text == "answers" else p.minutes) or 0 for p in g) for g in groups]
            scores = [100 * mean(p.miou for p in group) for group in groups]
            errors = [100 * stdev(p.miou for p in group) if len(group) > 1 else 0.0 for group in groups]
            axes.errorbar(places, scores, yerr=errors, marker="o", markersize=3, capsize=2, label=name)
        if full:
            axes.axhline(mean(full), linestyle=":", color="grey", label=FULL)
        axes.set_xscale("log")
        axes.set_xlabel(text)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("mIoU, %")
    panels[0].legend()
    with replace_file(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
