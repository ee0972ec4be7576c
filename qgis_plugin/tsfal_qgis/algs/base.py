"""The base of the algorithms: one command of the engine, run and waited for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
)
from qgis.PyQt.QtGui import QIcon

from ..engine.engine import EngineError
from ..engine.job import run_engine

ICON = str(Path(__file__).parents[1] / "icon.svg")


class EngineAlgorithm(QgsProcessingAlgorithm):
    """One command of the engine; a subclass names the command, its options and its outputs.

    Attributes:
        NAME: the algorithm's id, without the provider's.
    """

    NAME = ""

    def title(self) -> str:
        """Return the algorithm's name for people."""
        raise NotImplementedError

    def help(self) -> str:
        """Return the description that QGIS shows beside the parameters."""
        raise NotImplementedError

    def arguments(self, values: ParameterValues) -> list[str]:
        """Write the command line.

        Args:
            values: the values of the parameters.

        Returns:
            The engine's command and its options.
        """
        raise NotImplementedError

    def outputs(self, values: ParameterValues, result: dict[str, Any]) -> dict[str, Any]:
        """Make the algorithm's outputs.

        Args:
            values: the values of the parameters.
            result: the values of the engine's ``result``.

        Returns:
            Name → value of each output.
        """
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

        Args:
            parameters: the values of the parameters.
            context: Processing's context.
            feedback: shows the progress and can cancel the run.

        Returns:
            Name → value of each output.

        Raises:
            QgsProcessingException: the engine was not found, failed, or was stopped.
        """
        values = ParameterValues(self, parameters, context)
        try:
            result = run_engine(self.arguments(values), feedback)
        except EngineError as error:
            raise QgsProcessingException(str(error)) from None
        return self.outputs(values, result)

    def add(self, definition: QgsProcessingParameterDefinition, advanced: bool = False) -> None:
        """Add a parameter.

        Args:
            definition: the parameter.
            advanced: True to fold it away.
        """
        if advanced:
            flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
            definition.setFlags(definition.flags() | flag)
        self.addParameter(definition)


class ParameterValues:
    """The values of an algorithm's parameters in one run.

    Args:
        algorithm: the algorithm.
        parameters: the values as Processing passes them.
        context: Processing's context.
    """

    def __init__(
        self, algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> None:
        self._algorithm = algorithm
        self._parameters = parameters
        self.context = context

    def text(self, name: str) -> str:
        """Read a string.

        Args:
            name: name of the parameter.

        Returns:
            The string without surrounding spaces; empty if the parameter has no value.
        """
        return self._algorithm.parameterAsString(self._parameters, name, self.context).strip()

    def path(self, name: str) -> str:
        """Read a path.

        Args:
            name: name of the parameter.

        Returns:
            The absolute path; empty if the parameter has no value.
        """
        text = self.text(name)
        return str(Path(text).absolute()) if text else ""

    def flag(self, name: str) -> bool:
        """Read a tick.

        Args:
            name: name of the parameter.

        Returns:
            True if the box is ticked.
        """
        return self._algorithm.parameterAsBoolean(self._parameters, name, self.context)

    def choices(self, name: str) -> list[str]:
        """Read an enumeration of which several values can be chosen.

        Args:
            name: name of the parameter.

        Returns:
            The chosen values.
        """
        chosen = self._algorithm.parameterAsEnumStrings(self._parameters, name, self.context)
        return [value for value in chosen if value]

    def destination(self, name: str) -> str:
        """Read the path of a file to write.

        Args:
            name: name of the parameter.

        Returns:
            The path; empty if the parameter has no value.
        """
        if self._parameters.get(name) is None:
            return ""
        return self._algorithm.parameterAsFileOutput(self._parameters, name, self.context)

    def folder(self, name: str) -> str:
        """Read the path of a folder to write.

        Args:
            name: name of the parameter.

        Returns:
            The path, which may be that of a temporary folder.
        """
        return self._algorithm.parameterAsString(self._parameters, name, self.context)

    def number(self, name: str) -> str:
        """Read a number.

        Args:
            name: name of the parameter.

        Returns:
            The number as the command line writes it; empty if the parameter has no value.
        """
        value = self._parameters.get(name)
        return "" if value is None else f"{float(value):g}"

    def lines(self, name: str) -> list[str]:
        """Read a text of several lines.

        Args:
            name: name of the parameter.

        Returns:
            The lines, without empty ones.
        """
        return [line.strip() for line in self.text(name).splitlines() if line.strip()]


def option(name: str, value: str) -> list[str]:
    """Write ``--name=value``.

    Args:
        name: name of the option.
        value: its value.

    Returns:
        The option as a list of one; an empty list for an empty value.
    """
    return [f"--{name}={value}"] if value else []
