"""The export of a workspace's model as one file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tsfal_geo.errors import UserError, require_extra

if TYPE_CHECKING:
    from tsfal_geo.workspace.folder import WorkspaceFolder


def export_model(workspace: WorkspaceFolder, path: Path, *, onnx: bool = False) -> list[str]:
    """Write the last model of a workspace as a zip: weights, card, STAC item, and ONNX on request.

    Args:
        workspace: with a model.
        path: the zip.
        onnx: whether the model is included as ONNX, too.

    Returns:
        Names of the files in it.

    Raises:
        UserError: the name is not that of a zip, there is no model, or ``onnx`` is not installed.
    """
    if path.suffix.lower() != ".zip":
        raise UserError(f"{path}: expected a name that ends in .zip")
    if onnx:
        require_extra("onnx", "onnx", "--onnx")
        require_extra("onnxscript", "onnx", "--onnx")
    from tsfal_geo.mapping.outputs.model_item import write_model_item
    from tsfal_geo.mapping.outputs.products import ONNX
    from tsfal_geo.models.archive import pack_model
    from tsfal_geo.models.io import load_card
    from tsfal_geo.project.add_ons import write_onnx

    folder = workspace.current_model()
    with tempfile.TemporaryDirectory(prefix="tsfal-model-") as temporary:
        further, out = [], Path(temporary)
        if onnx:
            further.append(write_onnx(workspace, folder, out / ONNX, workspace.config.export.overlap))
        # The item lies beside the files that it names.
        item = write_model_item(
            out, out, load_card(folder), workspace.scenes, further[0] if further else None
        )
        further += [] if item is None else [item]
        return pack_model(path, folder, further)
