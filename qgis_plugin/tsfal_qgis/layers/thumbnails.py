"""Small pictures of the ground around regions, drawn from the orthophotos."""

from __future__ import annotations

from qgis.core import QgsMapRendererCustomPainterJob, QgsMapSettings, QgsRasterLayer
from qgis.PyQt.QtCore import QPointF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPen, QPolygonF

from ..store.workspace import Scene
from .query_layers import Region

SIDE = 112
"""Side of a thumbnail in pixels of the screen."""

_CONTEXT = 2.0  # side of the view, as a multiple of the region's longer side
_LOOK_SIDE = 4


class Thumbnails:
    """Draws thumbnails; each orthophoto is opened once."""

    def __init__(self) -> None:
        self._layers: dict[str, QgsRasterLayer] = {}

    def draw(self, region: Region, scene: Scene) -> QImage:
        """Draw the ground around a region.

        Args:
            region: the region.
            scene: its scene.

        Returns:
            `SIDE` × `SIDE` pixels, without an outline.
        """
        image = QImage(SIDE, SIDE, QImage.Format.Format_RGB32)
        image.fill(QColor(0, 0, 0))
        painter = QPainter(image)
        QgsMapRendererCustomPainterJob(self._view(region, scene), painter).renderSynchronously()
        painter.end()
        return image

    def outline(self, image: QImage, region: Region, scene: Scene) -> QImage:
        """Draw the outline of a region, light on dark, over its thumbnail.

        Args:
            image: the thumbnail.
            region: the region.
            scene: its scene.

        Returns:
            A copy with the outline.
        """
        outlined = QImage(image)
        to_pixel = self._view(region, scene).mapToPixel()
        painter = QPainter(outlined)
        for colour, width in ((QColor(0, 0, 0), 4), (QColor(0, 255, 255), 2)):
            painter.setPen(QPen(colour, width))
            for part in region.geometry.asGeometryCollection():
                for ring in part.asPolygon():
                    corners = [to_pixel.transform(point) for point in ring]
                    painter.drawPolyline(QPolygonF([QPointF(each.x(), each.y()) for each in corners]))
        painter.end()
        return outlined

    def _view(self, region: Region, scene: Scene) -> QgsMapSettings:
        if scene.name not in self._layers:
            options = QgsRasterLayer.LayerOptions()
            options.loadDefaultStyle = False
            self._layers[scene.name] = QgsRasterLayer(str(scene.path), scene.name, "gdal", options)
        box = region.geometry.boundingBox()
        reach = _CONTEXT * max(box.width(), box.height()) / 2
        centre = box.center()
        box.set(centre.x() - reach, centre.y() - reach, centre.x() + reach, centre.y() + reach)
        view = QgsMapSettings()
        view.setLayers([self._layers[scene.name]])
        view.setDestinationCrs(region.crs)
        view.setOutputSize(QSize(SIDE, SIDE))
        view.setExtent(box)
        return view


def look_of(image: QImage) -> tuple[float, ...]:
    """Describe a thumbnail: mean and spread of the colours in its middle, where the region lies.

    Args:
        image: a thumbnail without an outline.

    Returns:
        Six numbers, near each other for pictures that look alike.
    """
    side = round(image.width() / _CONTEXT)
    left = (image.width() - side) // 2
    small = image.copy(left, left, side, side).scaled(
        _LOOK_SIDE,
        _LOOK_SIDE,
        Qt.AspectRatioMode.IgnoreAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
    colours = [small.pixelColor(x, y) for x in range(_LOOK_SIDE) for y in range(_LOOK_SIDE)]
    channels = [[each.red() for each in colours], [each.green() for each in colours]]
    channels.append([each.blue() for each in colours])
    means = [sum(values) / len(values) for values in channels]
    spreads = [
        (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
        for values, mean in zip(channels, means, strict=True)
    ]
    return (*means, *spreads)
