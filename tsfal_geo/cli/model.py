"""``tsfal-geo model``: a trained model as one file, out of a workspace and into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tsfal_geo.cli.command import ReportedGroup
from tsfal_geo.cli.options import FOLDER, workspace_option
from tsfal_geo.cli.reporter import CommandReporter


@click.group("model", cls=ReportedGroup)
def command() -> None:
    """Write a trained model as one file, and unpack it elsewhere."""


@command.command("export")
@click.argument("out", metavar="OUT.zip", type=click.Path(path_type=Path))
@workspace_option
@click.option("--onnx", is_flag=True, help="Also include the model as ONNX.")
def export_command(out: Path, workspace: Path, onnx: bool, reporter: CommandReporter) -> dict[str, Any]:
    """Write the last model to OUT.zip: weights, card, STAC item, and ONNX on request.

    `tsfal-geo train --from OUT.zip` starts from it.
    """
    from tsfal_geo.project.model_archive import export_model
    from tsfal_geo.workspace.folder import WorkspaceFolder

    names = export_model(WorkspaceFolder.open(workspace), out, onnx=onnx)
    reporter.output(f"{out}: {', '.join(names)}")
    return {"path": str(out.resolve()), "files": names}


@command.command("import")
@click.argument("file", metavar="FILE.zip", type=click.Path(path_type=Path))
@click.option("--out", type=FOLDER, required=True, help="Folder of the model; must not hold one.")
def import_command(file: Path, out: Path, reporter: CommandReporter) -> dict[str, Any]:
    """Unpack FILE.zip into a folder, and check that its weights and card belong together."""
    from tsfal_geo.models.archive import unpack_model

    names = unpack_model(file, out)
    reporter.output(f"{out}: {', '.join(names)}")
    return {"folder": str(out.resolve()), "files": names}
