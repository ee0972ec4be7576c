"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)

raster_option = click.option(
    "--raster",
    type=FOLDER,
    help="Folder of orthophotos (in it or in images/), with dsm/ and labels/ beside them.",
)
workspace_option = click.option(
    "--workspace", required=True, type=FOLDER, help="Folder of the project, which `train` creates."
)
bands_option = click.option("--bands", help="Band numbers from 1, in the order of use, such as 4,1,2.")
aoi_option = click.option(
    "--aoi",
    type=FILE,
    help="Vector file with the area of interest; pixels outside have no data.",
)
crs_option = click.option(
    "--crs", help="CRS of rasters that have a place but declare no CRS, such as EPSG:25832."
)


def _label_values(
    _context: click.Context, _parameter: click.Parameter, items: tuple[str, ...]
) -> dict[str, str]:
    from tsfal_geo.config import parse_map_options

    return parse_map_options(items)


map_option = click.option(
    "--map",
    "label_values",
    multiple=True,
    metavar="VALUE=CLASS",
    callback=_label_values,
    help="Class that a value of the label files means: 255=building, 1-9=tree, 255,0,0=road, 7=ignore. "
    "Repeatable.",
)


def config_options[F: Callable[..., Any]](function: F) -> F:
    """Add ``--config FILE`` and ``--set key=value`` to a command.

    Args:
        function: the command's function; takes ``config_path`` and ``settings``.
    """
    function = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set a configuration key, such as train.lr=0.0005. Repeatable.",
    )(function)
    return click.option(
        "--config", "config_path", type=FILE, help="Configuration file (YAML); configs/ has examples."
    )(function)


def duration(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """Read a duration such as ``90s``, ``20m`` or ``1h30m``.

    Returns:
        Seconds.

    Raises:
        click.BadParameter: the text is no duration.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?", text.replace(" ", ""))
    try:
        parts = [float(part or 0) for part in found.groups()] if found else [0.0]
    except ValueError:
        parts = [0.0]
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not 0 < seconds < float("inf"):
        raise click.BadParameter(f"found {text}, expected a duration such as 90s, 20m or 1h30m")
    return seconds


def budget_options[F: Callable[..., Any]](function: F) -> F:
    """Add ``--budget``, ``--answers`` and ``--minutes`` to a command; what binds first ends the loop.

    Args:
        function: the command's function; takes them in its keyword arguments.
    """
    options = (
        click.option(
            "--budget",
            type=float,
            help="Labelled share at the end, 0 to 1; default: 0.09 more than at the start.",
        ),
        click.option("--answers", type=int, help="Annotators' answers at the end; default: no limit."),
        click.option(
            "--minutes", type=float, help="Minutes of annotators' time at the end; default: no limit."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def budget_overrides(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration changes of `budget_options`.

    Args:
        options: values by name; None where an option is not given.
    """
    values = {f"active.{name}": options[name] for name in ("budget", "answers", "minutes")}
    return {key: value for key, value in values.items() if value is not None}
