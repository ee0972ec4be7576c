"""The parameters and outputs that several algorithms have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..compat import tr

WORKSPACE, RASTER = "WORKSPACE", "RASTER"


def folder_parameter(name: str, text: str, optional: bool = False) -> QgsProcessingParameterFile:
    """Make the parameter of a folder.

    Args:
        name: its name.
        text: its description for people.
        optional: True if it may have no value.

    Returns:
        The parameter.
    """
    kind = QgsProcessingParameterFile.Behavior.Folder
    return QgsProcessingParameterFile(name, text, behavior=kind, optional=optional)


def workspace_parameter() -> QgsProcessingParameterFile:
    """Make the parameter of the workspace's folder."""
    return folder_parameter(WORKSPACE, tr("Workspace"))


def share_parameter(name: str, text: str) -> QgsProcessingParameterNumber:
    """Make the optional parameter of a share from 0 to 1.

    Args:
        name: its name.
        text: its description for people.

    Returns:
        The parameter.
    """
    kind = QgsProcessingParameterNumber.Type.Double
    return QgsProcessingParameterNumber(name, text, kind, None, True, 0, 1)


def area_parameter(name: str, text: str) -> QgsProcessingParameterNumber:
    """Make the optional parameter of a number from 0.

    Args:
        name: its name.
        text: its description for people.

    Returns:
        The parameter.
    """
    kind = QgsProcessingParameterNumber.Type.Double
    return QgsProcessingParameterNumber(name, text, kind, None, True, 0)


def count_parameter(name: str, text: str) -> QgsProcessingParameterNumber:
    """Make the optional parameter of an integer from 1.

    Args:
        name: its name.
        text: its description for people.

    Returns:
        The parameter.
    """
    kind = QgsProcessingParameterNumber.Type.Integer
    return QgsProcessingParameterNumber(name, text, kind, None, True, 1)


def text_parameter(name: str, text: str, multiline: bool = False) -> QgsProcessingParameterString:
    """Make the optional parameter of a text.

    Args:
        name: its name.
        text: its description for people.
        multiline: True for a text of several lines.

    Returns:
        The parameter.
    """
    return QgsProcessingParameterString(name, text, None, multiline, True)


def choice_parameter(
    name: str, text: str, values: tuple[str, ...], several: bool = False
) -> QgsProcessingParameterEnum:
    """Make the optional parameter of an enumeration.

    Args:
        name: its name.
        text: its description for people.
        values: the values to choose from.
        several: True if several values can be chosen.

    Returns:
        The parameter.
    """
    return QgsProcessingParameterEnum(name, text, list(values), several, None, True, usesStaticStrings=True)


def add_query_outputs(algorithm: QgsProcessingAlgorithm) -> None:
    """Add the outputs of an algorithm that ends with queries: ROUND, STATUS and QUERIES.

    Args:
        algorithm: the algorithm.
    """
    algorithm.addOutput(QgsProcessingOutputNumber("ROUND", tr("Round")))
    algorithm.addOutput(QgsProcessingOutputString("STATUS", tr("Status")))
    algorithm.addOutput(QgsProcessingOutputString("QUERIES", tr("Queries (GeoPackage)")))


def query_outputs(workspace: str, result: dict[str, Any]) -> dict[str, Any]:
    """Make the outputs that `add_query_outputs` adds.

    Args:
        workspace: folder of the workspace.
        result: the values of the engine's ``result``.

    Returns:
        Name → value of each output.
    """
    number = int(result["round"])
    queries = Path(workspace) / "rounds" / f"{number:03d}" / "queries.gpkg"
    return {"ROUND": number, "STATUS": result["status"], "QUERIES": str(queries)}
