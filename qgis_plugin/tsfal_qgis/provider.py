"""The plugin's algorithms in the Processing toolbox."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algs.base import ICON
from .algs.evaluate import Evaluate
from .algs.export import Export
from .algs.export_labels import ExportLabels
from .algs.import_labels import ImportLabels
from .algs.query import Query
from .algs.train import Train


class TsfalProvider(QgsProcessingProvider):
    """The algorithms ``tsfal:…``."""

    def id(self) -> str:  # noqa: D102
        return "tsfal"

    def name(self) -> str:  # noqa: D102
        return "TSFAL"

    def icon(self) -> QIcon:  # noqa: D102
        return QIcon(ICON)

    def loadAlgorithms(self) -> None:  # noqa: D102
        for algorithm in (Train, Query, Export, Evaluate, ImportLabels, ExportLabels):
            self.addAlgorithm(algorithm())
