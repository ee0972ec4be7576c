"""The styles of layers. They are built from ``workspace.json``, never from styles in files."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsBilinearRasterResampler,
    QgsCategorizedSymbolRenderer,
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsExpressionContextUtils,
    QgsFillSymbol,
    QgsPalettedRasterRenderer,
    QgsPalLayerSettings,
    QgsRasterLayer,
    QgsRasterShader,
    QgsRendererCategory,
    QgsRuleBasedRenderer,
    QgsSingleBandGrayRenderer,
    QgsSingleBandPseudoColorRenderer,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtGui import QColor

from ..store.queries import DONE, OPEN, SETTLED, SKIPPED, UNSURE
from ..store.workspace import ClassInfo

STATUS_FIELD = "tsfal_status"
OPACITY = {"prediction": 0.5, "refined": 0.8, "confidence": 0.7, "error_mask": 0.5}

# A layer of overlapping pictures has this variable: the name of the scene on top. Without the variable every
# feature is shown, and so is a feature without scene.
SCENE_VARIABLE = "tsfal_scene"
_ON_TOP = f"coalesce(@{SCENE_VARIABLE}, \"scene\", '') = coalesce(\"scene\", @{SCENE_VARIABLE}, '')"

_STATUS = f"coalesce(\"{STATUS_FIELD}\", '{OPEN}')"
_QUERY_LINES = (
    (OPEN, "255,0,200,255", "0.6", "solid"),
    (DONE, "40,200,90,255", "0.4", "solid"),
    (SKIPPED, "150,150,150,255", "0.4", "dash"),
    (UNSURE, "255,150,0,255", "0.5", "dot"),
    (SETTLED, "255,0,200,70", "0.3", "dot"),
)


def smooth(layer: QgsRasterLayer) -> None:
    """Draw an orthophoto by bilinear resampling; people see shapes in it rather than squares.

    Args:
        layer: the layer.
    """
    resampler = layer.resampleFilter()
    if resampler is not None:  # a layer that cannot be read has none
        resampler.setZoomedInResampler(QgsBilinearRasterResampler())
        resampler.setZoomedOutResampler(QgsBilinearRasterResampler())


def style_raster(layer: QgsRasterLayer, kind: str, classes: Sequence[ClassInfo]) -> None:
    """Style a raster of a round.

    Args:
        layer: the layer.
        kind: ``prediction``, ``refined``, ``confidence`` or ``error_mask``.
        classes: the class map.
    """
    provider = layer.dataProvider()
    if kind in ("prediction", "refined"):
        values = [
            QgsPalettedRasterRenderer.Class(info.id, QColor(*info.colour), info.name) for info in classes
        ]
        layer.setRenderer(QgsPalettedRasterRenderer(provider, 1, values))
    elif kind == "confidence":
        renderer = QgsSingleBandGrayRenderer(provider, 1)
        stretch = QgsContrastEnhancement(provider.dataType(1))
        stretch.setContrastEnhancementAlgorithm(
            QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
        )
        stretch.setMinimumValue(0)
        stretch.setMaximumValue(100)
        renderer.setContrastEnhancement(stretch)
        layer.setRenderer(renderer)
    else:
        layer.setRenderer(_error_colours(layer))
    layer.setOpacity(OPACITY[kind])


def style_labels(layer: QgsVectorLayer, classes: Sequence[ClassInfo]) -> None:
    """Style labels by class: outlines, and so little fill that the pixels stay visible.

    Args:
        layer: the layer.
        classes: the class map.
    """
    categories = []
    for info in classes:
        red, green, blue = info.colour
        symbol = _fill(f"{red},{green},{blue},60", f"{red},{green},{blue},255", "0.5", "solid")
        categories.append(QgsRendererCategory(info.id, symbol, info.name))
    has_scene = "scene" in layer.fields().names()
    value = f'if({_ON_TOP}, "class_id", NULL)' if has_scene else "class_id"
    layer.setRenderer(QgsCategorizedSymbolRenderer(value, categories))


def style_queries(layer: QgsVectorLayer) -> None:
    """Style queries by status, and label the open ones with their ranks.

    Args:
        layer: the layer, joined with the table of statuses.
    """
    root = QgsRuleBasedRenderer.Rule(None)
    for status, outline, width, style in _QUERY_LINES:
        rule = QgsRuleBasedRenderer.Rule(_fill("0,0,0,0", outline, width, style))
        rule.setFilterExpression(f"{_STATUS} = '{status}' AND {_ON_TOP}")
        rule.setLabel(status)
        root.appendChild(rule)
    layer.setRenderer(QgsRuleBasedRenderer(root))
    settings = QgsPalLayerSettings()
    settings.isExpression = True
    settings.fieldName = f"if({_STATUS} = '{OPEN}' AND {_ON_TOP}, \"rank\", '')"
    settings.fitInPolygonOnly = True  # on a small scale the ranks would cover the image
    text = QgsTextFormat()
    text.setSize(8)
    text.setColor(QColor(120, 0, 90))
    buffer = QgsTextBufferSettings()
    buffer.setEnabled(True)
    buffer.setSize(0.8)
    text.setBuffer(buffer)
    settings.setFormat(text)
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    layer.setLabelsEnabled(True)


def style_chips(layer: QgsVectorLayer) -> None:
    """Style the outlines of chips.

    Args:
        layer: the layer.
    """
    root = QgsRuleBasedRenderer.Rule(None)
    rule = QgsRuleBasedRenderer.Rule(_fill("0,0,0,0", "255,255,255,150", "0.2", "dot"))
    rule.setFilterExpression(_ON_TOP)
    root.appendChild(rule)
    layer.setRenderer(QgsRuleBasedRenderer(root))


def show_only(layer: QgsVectorLayer, scene: str) -> None:
    """Show only one scene's features in a layer of overlapping pictures.

    Args:
        layer: the layer.
        scene: name of the scene.
    """
    QgsExpressionContextUtils.setLayerVariable(layer, SCENE_VARIABLE, scene)
    layer.triggerRepaint()


def _fill(inside: str, outline: str, width: str, style: str) -> QgsFillSymbol:
    return QgsFillSymbol.createSimple(
        {
            "color": inside,
            "style": "solid" if not inside.endswith(",0") else "no",
            "outline_color": outline,
            "outline_width": width,
            "outline_style": style,
        }
    )


def _error_colours(layer: QgsRasterLayer) -> QgsSingleBandPseudoColorRenderer:
    item = QgsColorRampShader.ColorRampItem
    ramp = QgsColorRampShader(0, 100)
    ramp.setColorRampType(QgsColorRampShader.Type.Interpolated)
    ramp.setColorRampItemList(
        [
            item(0, QColor(255, 235, 60, 0), "no error"),
            item(0.9, QColor(255, 235, 60, 0), ""),
            item(1, QColor(255, 235, 60), "1 %"),
            item(100, QColor(215, 25, 28), "100 %"),
        ]
    )
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(ramp)
    return QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
