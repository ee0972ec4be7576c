"""``tsfal-geo assess``: the accuracy of maps, estimated from a random sample that training never reads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.command import ReportedGroup
from tsfal_geo.cli.options import FILE, FOLDER, workspace_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.errors import ConfigError

if TYPE_CHECKING:
    from tsfal_geo.classes import ClassMap

_EXPECTED = 0.8

map_option = click.option(
    "--map",
    "maps",
    multiple=True,
    type=FILE,
    help="Class map to assess. Repeatable; default: the maps of scenes in the workspace's maps/.",
)


@click.group("assess", cls=ReportedGroup)
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
    help="Standard error of the overall accuracy that the sample aims at.",
)
@click.option(
    "--expect",
    multiple=True,
    metavar="[CLASS=]SHARE",
    help=f"Expected user's accuracy of all classes, or of one. Repeatable.  [default: {_EXPECTED}]",
)
@click.option(
    "--minimum",
    type=click.IntRange(2),
    default=50,
    show_default=True,
    help="Smallest number of samples of each mapped class.",
)
@click.option(
    "--to", "authors", multiple=True, help="Create the empty answer file of this annotator. Repeatable."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sample.")
def design_command(
    workspace: Path,
    maps: tuple[Path, ...],
    standard_error: float,
    expect: tuple[str, ...],
    minimum: int,
    authors: tuple[str, ...],
    seed: int,
    reporter: CommandReporter,
) -> dict[str, Any]:
    """Draw pixels at random from each mapped class into reference/design.gpkg, for labelling in QGIS.

    The size of the sample follows from the standard error (Olofsson et al. 2014). The order is random, so
    that the first samples are a random sample, too. Answers go to reference/NAME.gpkg; training never reads
    them.
    """
    from tsfal_geo.project.assessment import draw_sample
    from tsfal_geo.workspace.folder import WorkspaceFolder

    opened = WorkspaceFolder.open(workspace)
    expected, expected_of = _expected(expect, opened.classes)
    design = draw_sample(
        opened,
        maps,
        standard_error=standard_error,
        expected=expected,
        expected_of=expected_of,
        minimum=minimum,
        authors=authors,
        seed=seed,
        reporter=reporter,
    )
    drawn = Counter(point.stratum for point in design.points)
    counts = {name: drawn[index] for index, name in enumerate(opened.classes.names)}
    reporter.say(f"{len(design.points)} samples: " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    return {"samples": len(design.points), "strata": counts}


@command.command("report")
@workspace_option
@map_option
@click.option(
    "--raster",
    type=FOLDER,
    help="Folder of scenes with label rasters; adds IoU, F1 and boundary F1 of their maps to the report.",
)
@click.option(
    "--tolerance",
    type=click.IntRange(0, 50),
    default=3,
    show_default=True,
    help="Pixels that two outlines may be apart, for the boundary F1.",
)
def report_command(
    workspace: Path,
    maps: tuple[Path, ...],
    raster: Path | None,
    tolerance: int,
    reporter: CommandReporter,
) -> dict[str, Any]:
    """Report the error matrix, user's and producer's accuracy, and areas with 95 % intervals.

    The report is also written to maps/accuracy.json and maps/accuracy.html.
    """
    from tsfal_geo.project.assessment import report_accuracy
    from tsfal_geo.workspace.folder import WorkspaceFolder

    report = report_accuracy(WorkspaceFolder.open(workspace), maps, raster, tolerance, reporter)
    reporter.output(*report.tables)
    return report.values


def _expected(items: tuple[str, ...], classes: ClassMap) -> tuple[float, dict[int, float]]:
    expected, expected_of = _EXPECTED, {}
    for item in items:
        name, found, text = item.rpartition("=")
        try:
            share = float(text)
            if not 0 < share < 1:
                raise ValueError
            if found:
                expected_of[classes.index_of_name(name)] = share
            else:
                expected = share
        except ValueError:
            raise ConfigError(
                f"--expect {item}: expected a share between 0 and 1, such as 0.9 or tree=0.9"
            ) from None
        except KeyError as error:
            raise ConfigError(f"--expect {item}: {error.args[0]}") from None
    return expected, expected_of
