"""The report's page, and the function that writes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from tsfal_geo.atomic import write_text
from tsfal_geo.figures import figure
from tsfal_geo.project.report.chart import HEIGHT, WIDTH, Chart, line_chart
from tsfal_geo.project.report.facts import ReportFacts, collect_facts
from tsfal_geo.project.report.thumbnails import scene_thumbnails
from tsfal_geo.reporting import Reporter
from tsfal_geo.versions import package_versions
from tsfal_geo.workspace.folder import WorkspaceFolder

_STAGES = ("training", "asking", "writing")
_KINDS = {
    "key": "a key on a region",
    "point": "a point",
    "stroke": "a stroke of the brush",
    "polygon": "a polygon",
    "skip": "a query skipped",
    "unsure": "a query left as unsure",
    "batch": "a suggestion accepted with others",
}


def write_report(
    workspace: WorkspaceFolder,
    path: Path,
    reporter: Reporter,
    *,
    raster: Path | None = None,
    compare: Sequence[Path] = (),
    scenes: int = 6,
) -> Path:
    """Write the report of a workspace as one HTML file, which needs no other file and no network.

    Args:
        workspace: with a complete round.
        path: of the file.
        reporter: takes warnings, progress and the file.
        raster: folder of scenes with label rasters for the confusion matrix; None: the validation scenes.
        compare: other workspaces whose mIoU is drawn beside; one with a single round is a level line.
        scenes: number of scenes with pictures, at most.

    Returns:
        The path of the file.

    Raises:
        WorkspaceError: no round is complete yet.
        UserError: ``raster`` cannot be compared with the model's prediction.
    """
    facts = collect_facts(workspace, raster, compare, reporter)
    environment = Environment(
        loader=PackageLoader("tsfal_geo.project.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "figure": figure}
    shown = workspace.scenes[:scenes]
    pictures = {scene.name: scene_thumbnails(workspace, scene) for scene in shown}
    page = environment.get_template("page.html.j2").render(
        name=workspace.root.resolve().name,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        facts=facts,
        charts=_charts(workspace, facts),
        chart_size=(WIDTH, HEIGHT),
        effort=_effort(facts),
        stages=_STAGES,
        pictures={scene: found for scene, found in pictures.items() if found},
        scenes=len(workspace.scenes),
        settings=yaml.safe_dump(
            workspace.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True
        ),
        config=workspace.config,
        versions=package_versions(),
    )
    write_text(path, page)
    reporter.artefact("report", path)
    return path


def _charts(workspace: WorkspaceFolder, facts: ReportFacts) -> list[Chart]:
    rounds = {workspace.root.resolve().name: facts.status.rounds, **facts.compared}
    charts = [
        line_chart(
            label,
            {
                name: [
                    (float(item[key]), float(item["miou"]))
                    for item in items
                    if item[key] is not None and item.get("miou") is not None
                ]
                for name, items in rounds.items()
            },
        )
        for key, label in (("answers", "answers of annotators"), ("minutes", "minutes of annotators"))
    ]
    return [chart for chart in charts if chart is not None]


def _effort(facts: ReportFacts) -> list[dict[str, Any]]:
    effort = facts.status.effort
    return [
        {
            "kind": _KINDS[name],
            "answers": kind.answers,
            "minutes": kind.seconds / 60,
            "share": kind.seconds / max(effort.seconds, 1e-9),
        }
        for name, kind in effort.by_kind.items()
    ]


def _percent(value: float | None) -> str:
    return figure(value, ".1%")
