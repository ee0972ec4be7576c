"""``tsfal-geo labels``: bring labels in and out, look at them, compare and restore them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.options import json_option, workspace_option
from tsfal_geo.errors import LabelError

if TYPE_CHECKING:
    from tsfal_geo.labels.history import Difference
    from tsfal_geo.labels.model import LabelSnapshot
    from tsfal_geo.labels.store import LabelStore


@click.group("labels")
def command() -> None:
    """Import, export, compare and restore labels."""


@command.command("new")
@workspace_option
@click.option("--author", required=True, help="Who will label; any text.")
@json_option
def new_command(workspace: Path, author: str, as_json: bool) -> None:
    """Make AUTHOR's empty label file, if there is none yet, and say where it is."""
    path = _store(workspace).author_store(author)
    if as_json:
        _print_result(path=None if path is None else str(path.resolve()))
    else:
        click.echo("the database's tables" if path is None else str(path))


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@workspace_option
@click.option("--field", help="Column that holds the class.")
@click.option("--map", "pairs", multiple=True, metavar="VALUE=CLASS", help="Class of a value (empty: none).")
@click.option("--layer", help="Layer of a file with several.")
@click.option("--scene", help="The scene that all of it is about; needed where scenes have no CRS.")
@click.option("--author", help="Who made it; else the column `author`, else the file's name.")
@click.option("--crs", help="CRS of a file that does not say, such as EPSG:25832.")
@json_option
def import_command(
    file: Path,
    workspace: Path,
    field: str | None,
    pairs: tuple[str, ...],
    layer: str | None,
    scene: str | None,
    author: str | None,
    crs: str | None,
    as_json: bool,
) -> None:
    """Bring in FILE: GeoPackage, GeoJSON, Shapefile, FlatGeobuf, GeoParquet, or a GeoTIFF of classes.

    Classes are matched by --map, by id, or by name; a value that is none of these stops the import.
    """
    from tsfal_geo.labels.exchange.importing import check_mapping, import_labels
    from tsfal_geo.labels.exchange.vector import ImportOptions

    store = _store(workspace)
    mapping = _mapping(pairs)
    check_mapping(mapping, store.classes)
    done = import_labels(store, file, ImportOptions(field, mapping, layer, scene, author, crs))
    findings = {
        "rejected": [str(item) for item in done.rejected],
        "notes": [str(item) for item in done.notes],
    }
    if as_json:
        _print_result(labels=len(done.labels), left_out=done.left_out, kept=done.kept, **findings)
    else:
        _tell(findings)
        left = f", {done.left_out} left out" if done.left_out else ""
        click.echo(f"{len(done.labels)} labels brought in{left}{f': {done.kept}' if done.kept else ''}")
    if not done.labels:
        raise LabelError(f"{file}: none of its rows can be used")


@command.command("export")
@click.argument("out", type=click.Path(path_type=Path))
@workspace_option
@click.option("--round", "number", type=int, help="What this round trained on; else what holds now.")
def export_command(out: Path, workspace: Path, number: int | None) -> None:
    """Write labels to OUT: .gpkg, .parquet, .geojson, .fgb, .json (COCO), or a folder of GeoTIFFs."""
    from tsfal_geo.labels.exchange.export import export_labels

    store = _store(workspace)
    snapshot = _state(store, "now" if number is None else str(number))
    for path in export_labels(snapshot.labels, list(store.scenes.values()), store.classes, out):
        click.echo(str(path))


@command.command("status")
@workspace_option
@json_option
def status_command(workspace: Path, as_json: bool) -> None:
    """Pixels labelled per class and person, conflicts, agreement, and rows that cannot be used."""
    from tsfal_geo.labels.report import collect, lines

    report = collect(_store(workspace))
    if as_json:
        _print_result(**report)
    else:
        for line in lines(report):
            click.echo(line)


@command.command("diff")
@click.argument("earlier")
@click.argument("later", default="now")
@workspace_option
@json_option
def diff_command(earlier: str, later: str, workspace: Path, as_json: bool) -> None:
    """What changed between two rounds' labels, or a round's and those that hold NOW."""
    from tsfal_geo.labels.history import difference

    store = _store(workspace)
    changed = difference(_state(store, earlier), _state(store, later))
    if as_json:
        _print_result(added=_rows(changed.added), removed=_rows(changed.removed), kept=changed.kept)
    else:
        _print_difference(changed, store)


@command.command("restore")
@click.argument("number", type=int, metavar="ROUND")
@workspace_option
def restore_command(number: int, workspace: Path) -> None:
    """Make the labels that ROUND trained on hold again; nobody's file is touched."""
    from tsfal_geo.labels.history import restore

    store = _store(workspace)
    changed = restore(store, number)
    click.echo(
        f"The labels of round {number} hold again: {len(changed.removed)} withdrawn, "
        f"{len(changed.added)} brought back"
    )


def _store(workspace: Path) -> LabelStore:
    from tsfal_geo.workspace.folder import WorkspaceFolder

    return WorkspaceFolder.open(workspace).store()


def _state(store: LabelStore, name: str) -> LabelSnapshot:
    from tsfal_geo.labels.history import read_snapshot

    if name == "now":
        return store.snapshot()
    if not name.isdigit():
        raise LabelError(f"{name}: expected a round's number or `now`")
    return read_snapshot(store, int(name))


def _mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        value, found, target = pair.rpartition("=")
        if not found:
            raise LabelError(f"--map {pair}: expected VALUE=CLASS, or VALUE= to leave it out")
        mapping[value] = target
    return mapping


def _print_result(**values: Any) -> None:
    click.echo(json.dumps({"event": "result", **values}, ensure_ascii=False))


def _tell(findings: dict[str, list[str]]) -> None:
    for finding in findings["rejected"]:
        click.echo(f"Not used: {finding}", err=True)
    for finding in findings["notes"]:
        click.echo(f"Note: {finding}", err=True)


def _rows(labels: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [
        {"file": label.file, "fid": label.fid, "scene": label.scene, "class_id": label.class_id}
        | {"author": label.author, "created": label.created.isoformat()}
        for label in labels
    ]


def _print_difference(changed: Difference, store: LabelStore) -> None:
    names = {info.id: info.name for info in store.classes.classes}
    for sign, labels in (("-", changed.removed), ("+", changed.added)):
        for label in labels:
            click.echo(
                f"{sign} {label.scene} {names[label.class_id]} by {label.author} "
                f"{label.created:%Y-%m-%d %H:%M:%S} ({label.file} row {label.fid})"
            )
    click.echo(f"{len(changed.added)} new, {len(changed.removed)} gone, {changed.kept} as before")
