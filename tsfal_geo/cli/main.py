"""The ``tsfal-geo`` command: a group that imports a command's module only when it is called."""

from __future__ import annotations

import importlib
import io
import os
import sys
from contextlib import suppress

import click

from tsfal_geo.cli.process.environment import environment_fault, interrupted_by_sigterm
from tsfal_geo.cli.remote import forbid_network
from tsfal_geo.errors import Cancelled, UserError
from tsfal_geo.versions import __version__

_COMMANDS = {
    "info": "List the scenes of a folder and their problems.",
    "train": "Train a round and select queries; continue with new labels.",
    "export": "Write a map of each scene: a georeferenced GeoTIFF.",
    "assess": "Draw a reference sample; report accuracy and areas.",
    "evaluate": "Print IoU of each class and mIoU on label rasters.",
    "report": "Write accuracy, areas, effort and pictures as one HTML file.",
    "status": "Show rounds, budget and the next step.",
    "query": "Select queries with the current model, without training.",
    "live": "Follow each answer with map, queries and accuracy.",
    "labels": "Import, export, compare and restore labels.",
    "queries": "List queries and assign them to annotators.",
    "model": "Write a trained model as one file, and unpack it elsewhere.",
    "workspace": "Copy a workspace while annotators work in it.",
    "datasets": "Prepare public datasets from the files that their owners ship.",
    "plugin": "Package or install the QGIS plugin.",
    "ablation": "Run the paper's Table 4 on your data: TSF, +AL, +EMD, +PLAR, all.",
    "bench": "Run the paper's tables and compare with the published figures.",
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
    """Run the command line; an error for people is one line on stderr, a bug is a traceback."""
    forbid_network()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is shown in escapes
            stream.reconfigure(errors="backslashreplace")
    try:
        with interrupted_by_sigterm():
            sys.exit(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt, Cancelled):
        with suppress(BrokenPipeError):
            click.echo("Error: stopped; everything done so far is kept", err=True)
        # Everything is on the disk; taking the interpreter with its large libraries down takes seconds.
        os._exit(Cancelled.exit_code)
    except UserError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        line = environment_fault(error)
        if line is None:
            raise
        with suppress(OSError):  # stderr may lie on the full disk
            click.echo(f"Error: {line}", err=True)
        sys.exit(UserError.exit_code)
