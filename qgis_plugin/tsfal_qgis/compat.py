"""One name for each thing that QGIS 3.22 to 4 name differently."""

from __future__ import annotations

from qgis.core import Qgis, QgsProject, QgsSnappingConfig, QgsVectorLayerUtils, QgsWkbTypes
from qgis.gui import QgsMapToolCapture
from qgis.PyQt import QtGui, QtWidgets
from qgis.PyQt.QtCore import QCoreApplication

QAction = getattr(QtGui, "QAction", None) or QtWidgets.QAction

POLYGON = (
    Qgis.GeometryType.Polygon if hasattr(Qgis, "GeometryType") else QgsWkbTypes.GeometryType.PolygonGeometry
)
CAPTURE_POLYGON = QgsMapToolCapture.CaptureMode.CapturePolygon
_AVOID = getattr(Qgis, "AvoidIntersectionsMode", None) or QgsProject.AvoidIntersectionsMode
AVOID_LAYERS = _AVOID.AvoidIntersectionsLayers
_SNAP_MODE = getattr(Qgis, "SnappingMode", None) or QgsSnappingConfig.SnappingMode
_SNAP_TYPE = getattr(Qgis, "SnappingType", None) or QgsSnappingConfig.SnappingTypes
SNAP_TO_ALL = _SNAP_MODE.AllLayers
SNAP_TO_CORNERS = getattr(_SNAP_TYPE, "Vertex", None) or _SNAP_TYPE.VertexFlag
create_feature = QgsVectorLayerUtils.createFeature


def tr(text: str) -> str:
    """Translate a text into the user's language.

    Args:
        text: a literal, since the translators' file is made from the source.

    Returns:
        The translation, or the text itself where there is none.
    """
    return QCoreApplication.translate("Tsfal", text)
