"""``tsfal-geo assess``: how good a map is, by a probability sample that training never sees."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.options import json_option, workspace_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.errors import ConfigError

if TYPE_CHECKING:
    from tsfal_geo.classes import ClassMap
    from tsfal_geo.raster.scene import Scene
    from tsfal_geo.workspace.folder import WorkspaceFolder

map_option = click.option(
    "--map",
    "maps",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A class map; once for each. Default: those of the workspace's maps/ (not a mosaic).",
)


@click.group("assess")
def command() -> None:
    """Draw a reference sample; report accuracy and areas with confidence intervals."""


@command.command("design")
@workspace_option
@map_option
@click.option(
    "--standard-error",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.01,
    show_default=True,
    help="Wanted, of overall accuracy.",
)
@click.option(
    "--expect",
    multiple=True,
    metavar="[CLASS=]SHARE",
    help="User's accuracy that is expected, of all classes or of one.  [default: 0.8]",
)
@click.option(
    "--minimum",
    type=click.IntRange(2),
    default=50,
    show_default=True,
    help="Samples of each mapped class, at least.",
)
@click.option("--to", "authors", multiple=True, help="Make this person's empty answer file; once for each.")
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
def design_command(
    workspace: Path,
    maps: tuple[Path, ...],
    standard_error: float,
    expect: tuple[str, ...],
    minimum: int,
    authors: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Draw pixels at random from each mapped class into reference/design.gpkg, to be labelled in QGIS.

    The size follows from the wanted standard error (Olofsson et al. 2014). The order is random: any first
    part is a sample too. Answers go to reference/NAME.gpkg; training reads none of it.
    """
    from tsfal_geo.assess.design import draw, overlapping
    from tsfal_geo.assess.reference import Reference
    from tsfal_geo.workspace.folder import WorkspaceFolder

    opened = WorkspaceFolder.open(workspace)
    scenes = _maps(opened, maps)
    reporter = CommandReporter(as_json)
    reference = Reference(opened.root / "reference", opened.classes, scenes)
    if not (reference.design_path.exists() and authors):
        if overlapping(scenes):
            reporter.warning(
                "maps overlap, so that ground below several is sampled more than once; export a mosaic "
                "(--mosaic vrt) and name it with --map"
            )
        general, special = _expected(expect, opened.classes)
        drawn = draw(
            scenes,
            opened.classes,
            standard_error=standard_error,
            expected=general,
            expected_of=special,
            minimum=minimum,
            seed=seed,
        )
        reporter.artefact("sample", reference.write(drawn))
    design = reference.read()
    for author in authors:
        reporter.artefact("answers", reference.author_file(author))
    counts = {name: 0 for name in opened.classes.names}
    for point in design.points:
        counts[opened.classes.names[point.stratum]] += 1
    reporter.say(f"{len(design.points)} samples: " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    reporter.result({"samples": len(design.points), "strata": counts})


@command.command("report")
@workspace_option
@map_option
@click.option(
    "--raster",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of scenes with label rasters: IoU, F1 and boundary F1 of their maps too.",
)
@click.option(
    "--tolerance",
    type=click.IntRange(0, 50),
    default=3,
    show_default=True,
    help="Pixels that outlines may be apart, for boundary F1.",
)
@json_option
def report_command(
    workspace: Path, maps: tuple[Path, ...], raster: Path | None, tolerance: int, as_json: bool
) -> None:
    """Error matrix, user's and producer's accuracy, areas with 95 % intervals; kept in maps/ too."""
    from rich.console import Console

    from tsfal_geo.atomic import write_text
    from tsfal_geo.workspace.folder import WorkspaceFolder

    opened = WorkspaceFolder.open(workspace)
    reporter = CommandReporter(as_json)
    scenes = _maps(opened, maps)
    values: dict[str, Any] = {"maps": [scene.name for scene in scenes]}
    tables = []
    sampled = raster is None or (opened.root / "reference" / "design.gpkg").is_file()
    if sampled:
        tables += _sample(opened, scenes, values, reporter)
    if raster is not None:
        tables.append(_rasters(opened, scenes, raster, tolerance, values, reporter))
    page = Console(record=True, width=140, file=io.StringIO())
    for table in tables:
        page.print(table)
        if not as_json:
            Console().print(table)
    for name, text in (
        ("accuracy.json", json.dumps(values, ensure_ascii=False, indent=1)),
        ("accuracy.html", page.export_html()),
    ):
        write_text(opened.maps / name, text)
        reporter.artefact("report", opened.maps / name)
    reporter.result(values)


def _sample(
    opened: WorkspaceFolder, maps: list[Scene], values: dict[str, Any], reporter: CommandReporter
) -> list[Any]:
    from tsfal_geo.assess.reference import Reference
    from tsfal_geo.assess.report import assess_sample, sample_tables

    reference = Reference(opened.root / "reference", opened.classes, maps)
    design = reference.read()
    answers = reference.answers(design)
    for finding in answers.findings:
        reporter.warning(str(finding))
    result = assess_sample(design, answers, maps, opened.classes)
    answered, drawn = int(result.counts.sum()), len(design.points)
    values["sample"] = {
        **result.to_json(),
        "drawn": drawn,
        "unsure": answers.unsure,
        "area_ha": float(design.pixels.sum()) * design.pixel_area / 10_000,
    }
    if answered < drawn:
        reporter.warning(f"{answered} of {drawn} samples are answered ({answers.unsure} skipped or unsure)")
    if answers.agreement.queries:
        reporter.say(
            f"{answers.agreement.queries} samples by several people, {answers.agreement.share:.1%} agree"
        )
    return list(sample_tables(result, design))


def _rasters(
    opened: WorkspaceFolder,
    maps: list[Scene],
    raster: Path,
    tolerance: int,
    values: dict[str, Any],
    reporter: CommandReporter,
) -> Any:
    from tsfal_geo.assess.report import assess_rasters
    from tsfal_geo.project.evaluate import labelled_scenes
    from tsfal_geo.raster.label_reader import FolderLabels

    scenes = labelled_scenes(raster, opened, reporter)
    found = assess_rasters(maps, scenes, FolderLabels(scenes, opened.classes), opened.classes, tolerance)
    values["rasters"] = found.to_json()
    return found.table()


def _maps(opened: WorkspaceFolder, named: tuple[Path, ...]) -> list[Scene]:
    from tsfal_geo.assess.design import open_maps

    return open_maps(named or sorted(path for path in opened.maps.glob("*.tif") if _is_class_map(path)))


def _is_class_map(path: Path) -> bool:
    """Class maps of scenes have a style with a palette beside them; confidence and the like have none."""
    style = path.with_suffix(".qml")
    return (
        path.stem != "mosaic" and style.is_file() and 'type="paletted"' in style.read_text(encoding="utf-8")
    )


def _expected(items: tuple[str, ...], classes: ClassMap) -> tuple[float, dict[int, float]]:
    general, special = 0.8, {}
    for item in items:
        name, found, text = item.rpartition("=")
        try:
            share = float(text)
            if not 0 < share < 1:
                raise ValueError
            if found:
                special[classes.index_of_name(name)] = share
            else:
                general = share
        except ValueError:
            raise ConfigError(
                f"--expect {item}: expected a share between 0 and 1, such as 0.9 or tree=0.9"
            ) from None
        except KeyError as error:
            raise ConfigError(f"--expect {item}: {error.args[0]}") from None
    return general, special
