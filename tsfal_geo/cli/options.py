"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

raster_option = click.option(
    "--raster",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of orthophotos (in it or in images/), with dsm/ and labels/ beside.",
)
workspace_option = click.option(
    "--workspace",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The project's folder.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a line on stdout; stops when stdin closes."
)


def config_options[F: Callable[..., Any]](function: F) -> F:
    """``--config FILE`` and ``--set key=value``."""
    function = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="A configuration key, such as train.lr=0.0005.",
    )(function)
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A YAML file; see configs/.",
    )(function)
