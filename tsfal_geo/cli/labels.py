"""``tsfal-geo labels``: import, export, compare and restore labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.command import ReportedGroup
from tsfal_geo.cli.options import workspace_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.errors import LabelError

if TYPE_CHECKING:
    from tsfal_geo.classes import ClassMap
    from tsfal_geo.labels.history import Difference
    from tsfal_geo.labels.store import LabelStore


@click.group("labels", cls=ReportedGroup)
def command() -> None:
    """Import, export, compare and restore labels."""


@command.command("new")
@workspace_option
@click.option("--author", required=True, help="Name of the annotator; any text.")
def new_command(workspace: Path, author: str, reporter: CommandReporter) -> dict[str, Any]:
    """Create AUTHOR's empty label file, if there is none yet, and print its path."""
    path = _store(workspace).author_store(author)
    reporter.output("the database's tables" if path is None else str(path))
    return {"path": None if path is None else str(path.resolve())}


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@workspace_option
@click.option("--field", help="Column that holds the class.")
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="VALUE=CLASS",
    help="Class of a value; VALUE= leaves its rows out.",
)
@click.option("--layer", help="Layer of a file with several layers.")
@click.option("--scene", help="Scene of all labels; required where scenes have no CRS.")
@click.option(
    "--scene-field", metavar="COLUMN|none", help="Column that names the scene; `none`: no column does."
)
@click.option(
    "--radius",
    type=click.FloatRange(0, min_open=True),
    help="Metres around a point that it labels; default: the pixel that contains it.",
)
@click.option("--author", help="Author of the labels; default: the column `author`, else the file's name.")
@click.option("--crs", help="CRS of a file that declares none, such as EPSG:25832.")
def import_command(
    file: Path,
    workspace: Path,
    field: str | None,
    pairs: tuple[str, ...],
    layer: str | None,
    scene: str | None,
    scene_field: str | None,
    radius: float | None,
    author: str | None,
    crs: str | None,
    reporter: CommandReporter,
) -> dict[str, Any]:
    """Import FILE: GeoPackage, GeoJSON, Shapefile, FlatGeobuf, GeoParquet, Geodatabase, OSM, COCO or GeoTIFF.

    Polygons, lines and points are labels. Classes are matched by --map, by name, or by id; a value without a
    class, and numbers and names that contradict the project, stop the import.
    """
    from tsfal_geo.labels.exchange.class_columns import check_mapping
    from tsfal_geo.labels.exchange.importing import import_labels
    from tsfal_geo.labels.exchange.options import ImportOptions

    store = _store(workspace)
    mapping = _mapping(pairs)
    check_mapping(mapping, store.classes)
    options = ImportOptions(field, mapping, layer, scene, author, crs, scene_field, radius)
    done = import_labels(store, file, options)
    for issue in done.rejected:
        reporter.warning(f"not used: {issue}")
    for issue in done.notes:
        reporter.say(f"Note: {issue}")
    left = f", {done.left_out} left out" if done.left_out else ""
    left += f", {done.known} were there from an earlier import" if done.known else ""
    reporter.output(f"{len(done.labels)} labels imported{left}{f': {done.kept}' if done.kept else ''}")
    result = {
        "labels": len(done.labels),
        "left_out": done.left_out,
        "known": done.known,
        "kept": done.kept,
        "rejected": [str(issue) for issue in done.rejected],
        "notes": [str(issue) for issue in done.notes],
    }
    if not done.labels and not done.known:
        reporter.result(result)
        raise LabelError(f"{file}: none of its rows can be used")
    return result


@command.command("export")
@click.argument("out", type=click.Path(path_type=Path))
@workspace_option
@click.option(
    "--round",
    "number",
    type=int,
    help="Write the labels that this round trained on; default: the current labels.",
)
def export_command(
    out: Path, workspace: Path, number: int | None, reporter: CommandReporter
) -> dict[str, Any]:
    """Write labels to OUT: .gpkg, .parquet, .geojson, .fgb, .json (COCO), or a folder of GeoTIFFs."""
    from tsfal_geo.labels.exchange.export import export_labels
    from tsfal_geo.labels.history import read_state

    store = _store(workspace)
    snapshot = read_state(store, "now" if number is None else str(number))
    paths = export_labels(snapshot.labels, list(store.scenes.values()), store.classes, out)
    files = [str(path) for path in paths]
    reporter.output(*files)
    return {"files": files}


@command.command("status")
@workspace_option
def status_command(workspace: Path, reporter: CommandReporter) -> dict[str, Any]:
    """Count labelled pixels by class and annotator; list conflicts, agreement and unusable rows."""
    from tsfal_geo.labels.report import collect, lines

    report = collect(_store(workspace))
    reporter.output(*lines(report))
    return report


@command.command("diff")
@click.argument("earlier")
@click.argument("later", default="now")
@workspace_option
def diff_command(earlier: str, later: str, workspace: Path, reporter: CommandReporter) -> dict[str, Any]:
    """Compare the labels of two rounds; `now` stands for the current labels."""
    from tsfal_geo.labels.history import difference, read_state

    store = _store(workspace)
    changed = difference(read_state(store, earlier), read_state(store, later))
    reporter.output(*_difference_lines(changed, store.classes))
    return changed.to_json()


@command.command("restore")
@click.argument("number", type=int, metavar="ROUND")
@workspace_option
def restore_command(number: int, workspace: Path, reporter: CommandReporter) -> dict[str, Any]:
    """Make the labels that ROUND trained on the current ones; no annotator's file changes."""
    from tsfal_geo.labels.history import restore

    changed = restore(_store(workspace), number)
    reporter.output(
        f"The labels of round {number} hold again: {len(changed.removed)} withdrawn, "
        f"{len(changed.added)} restored"
    )
    return {"round": number, "withdrawn": len(changed.removed), "restored": len(changed.added)}


def _store(workspace: Path) -> LabelStore:
    from tsfal_geo.workspace.folder import WorkspaceFolder

    return WorkspaceFolder.open(workspace).store()


def _mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        value, found, target = pair.rpartition("=")
        if not found:
            raise LabelError(f"--map {pair}: expected VALUE=CLASS, or VALUE= to leave it out")
        mapping[value] = target
    return mapping


def _difference_lines(changed: Difference, classes: ClassMap) -> list[str]:
    names = {info.id: info.name for info in classes.classes}
    lines = [
        f"{sign} {label.scene} {names[label.class_id]} by {label.author} "
        f"{label.created:%Y-%m-%d %H:%M:%S} ({label.file} row {label.fid})"
        for sign, labels in (("-", changed.removed), ("+", changed.added))
        for label in labels
    ]
    return [
        *lines,
        f"{len(changed.added)} new, {len(changed.removed)} removed, {changed.kept} unchanged",
    ]
