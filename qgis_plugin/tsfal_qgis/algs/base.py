"""What the algorithms share: one command of the engine, run and waited for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtGui import QIcon

from ..compat import tr
from ..engine.engine import EngineError, run_engine

ICON = str(Path(__file__).parents[1] / "icon.svg")
WORKSPACE, RASTER = "WORKSPACE", "RASTER"


class EngineAlgorithm(QgsProcessingAlgorithm):
    """One command of the engine; a subclass says which, with what, and what comes out.

    Attributes:
        NAME: the algorithm's id, without the provider's.
    """

    NAME = ""

    def title(self) -> str:
        """Its name for people."""
        raise NotImplementedError

    def help(self) -> str:
        """What it does, in a few lines."""
        raise NotImplementedError

    def arguments(self, given: Given) -> list[str]:
        """The engine's command and options for the given values."""
        raise NotImplementedError

    def outputs(self, given: Given, result: dict[str, Any]) -> dict[str, Any]:
        """The algorithm's outputs, from the values of the engine's ``result``."""
        raise NotImplementedError

    def name(self) -> str:  # noqa: D102
        return self.NAME

    def displayName(self) -> str:  # noqa: D102
        return self.title()

    def shortHelpString(self) -> str:  # noqa: D102
        return self.help()

    def icon(self) -> QIcon:  # noqa: D102
        return QIcon(ICON)

    def createInstance(self) -> EngineAlgorithm:  # noqa: D102
        return type(self)()

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the engine in a process of its own.

        Raises:
            QgsProcessingException: it was not found, failed, or was stopped.
        """
        given = Given(self, parameters, context)
        try:
            result = run_engine(self.arguments(given), feedback)
        except EngineError as error:
            raise QgsProcessingException(str(error)) from None
        return self.outputs(given, result)

    def add(self, definition: QgsProcessingParameterDefinition, advanced: bool = False) -> None:
        """Add a parameter; ``advanced`` ones are folded away."""
        if advanced:
            flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
            definition.setFlags(definition.flags() | flag)
        self.addParameter(definition)


class Given:
    """The values that a run was given."""

    def __init__(
        self, algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> None:
        self._algorithm = algorithm
        self._parameters = parameters
        self.context = context

    def text(self, name: str) -> str:
        """A string; empty if not given."""
        return self._algorithm.parameterAsString(self._parameters, name, self.context).strip()

    def path(self, name: str) -> str:
        """An absolute path; empty if not given."""
        text = self.text(name)
        return str(Path(text).absolute()) if text else ""

    def yes(self, name: str) -> bool:
        """A tick."""
        return self._algorithm.parameterAsBoolean(self._parameters, name, self.context)

    def choices(self, name: str) -> list[str]:
        """Those of several values that were ticked."""
        ticked = self._algorithm.parameterAsEnumStrings(self._parameters, name, self.context)
        return [value for value in ticked if value]

    def destination(self, name: str) -> str:
        """A file or folder to write; empty if not asked for."""
        if self._parameters.get(name) is None:
            return ""
        return self._algorithm.parameterAsFileOutput(self._parameters, name, self.context)

    def folder(self, name: str) -> str:
        """A folder to write."""
        return self._algorithm.parameterAsString(self._parameters, name, self.context)

    def number(self, name: str) -> str:
        """A number as the command line writes it; empty if not given."""
        value = self._parameters.get(name)
        return "" if value is None else f"{float(value):g}"

    def lines(self, name: str) -> list[str]:
        """The lines of a longer text."""
        return [line.strip() for line in self.text(name).splitlines() if line.strip()]


def option(name: str, value: str) -> list[str]:
    """``--name=value``; nothing for an empty value."""
    return [f"--{name}={value}"] if value else []


def folder_parameter(name: str, text: str, optional: bool = False) -> QgsProcessingParameterFile:
    """A folder that is read, or that the engine makes."""
    kind = QgsProcessingParameterFile.Behavior.Folder
    return QgsProcessingParameterFile(name, text, behavior=kind, optional=optional)


def workspace_parameter() -> QgsProcessingParameterFile:
    """The workspace's folder."""
    return folder_parameter(WORKSPACE, tr("Workspace"))


def share_parameter(name: str, text: str) -> QgsProcessingParameterNumber:
    """A share of 0 to 1, which may be left out."""
    kind = QgsProcessingParameterNumber.Type.Double
    return QgsProcessingParameterNumber(name, text, kind, None, True, 0, 1)


def area_parameter(name: str, text: str) -> QgsProcessingParameterNumber:
    """A number from 0, which may be left out."""
    kind = QgsProcessingParameterNumber.Type.Double
    return QgsProcessingParameterNumber(name, text, kind, None, True, 0)


def count_parameter(name: str, text: str) -> QgsProcessingParameterNumber:
    """A whole number from 1, which may be left out."""
    kind = QgsProcessingParameterNumber.Type.Integer
    return QgsProcessingParameterNumber(name, text, kind, None, True, 1)


def text_parameter(name: str, text: str, lines: bool = False) -> QgsProcessingParameterString:
    """A text that may be left out."""
    return QgsProcessingParameterString(name, text, None, lines, True)


def queries_file(workspace: str, number: int) -> str:
    """The queries of a round."""
    return str(Path(workspace) / "rounds" / f"{number:03d}" / "queries.gpkg")
