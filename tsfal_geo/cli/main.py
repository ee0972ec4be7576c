"""The ``tsfal-geo`` command: a group that imports a command's module only when it is called."""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import suppress

import click

from tsfal_geo.errors import Cancelled, UserError
from tsfal_geo.versions import __version__

_COMMANDS = {
    "info": "List the scenes of a folder and what is wrong with them.",
    "train": "Train a round; query labels; go on with the answers.",
    "export": "Write the map: one georeferenced GeoTIFF a scene.",
    "assess": "Reference sample, accuracy and areas with confidence intervals.",
    "evaluate": "Per-class IoU and mIoU against labels.",
    "status": "Rounds, budget, and what is waited for.",
    "query": "Write queries from the current model, without training.",
    "labels": "Import, export, compare and restore labels.",
    "queries": "List queries and hand them out.",
    "workspace": "Copy a workspace safely.",
    "datasets": "Prepare public datasets from the files that their owners ship.",
    "plugin": "Package or install the QGIS plugin.",
    "ablation": "TSF, +AL, +EMD, +PLAR, all: a table and a curve.",
    "bench": "The paper's tables, re-run: ours beside what was published.",
    "demo": "Train on the sample town and map it.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"tsfal_geo.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tsfal-geo")
def cli() -> None:
    """Label less, map everything: from a folder of orthophotos to a georeferenced map."""


def main() -> None:
    """Run the command line; errors for people on one line, tracebacks only for our own bugs."""
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt, Cancelled):
        with suppress(BrokenPipeError):
            _tell(Cancelled.code, "stopped; everything done so far is kept")
        # Everything is on the disk; taking the interpreter with its large libraries down takes seconds.
        os._exit(Cancelled.exit_code)
    except UserError as error:
        _tell(error.code, str(error))
        sys.exit(error.exit_code)


def _tell(code: str, message: str) -> None:
    if "--json" in sys.argv:
        click.echo(json.dumps({"event": "error", "code": code, "message": message}, ensure_ascii=False))
    click.echo(f"Error: {message}", err=True)
