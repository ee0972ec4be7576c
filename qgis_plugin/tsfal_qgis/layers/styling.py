"""How layers look. Everything is built from ``workspace.json``, nothing from styles in files."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
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

from ..answering.query_queue import DONE, OPEN, SKIPPED, UNSURE
from ..store.workspace import ClassInfo

STATUS_FIELD = "tsfal_status"
OPACITY = {"prediction": 0.5, "refined": 0.8, "confidence": 0.7, "error_mask": 0.5}

SCENE_VARIABLE = "tsfal_scene"
_ON_TOP = f"coalesce(@{SCENE_VARIABLE}, \"scene\", '') = coalesce(\"scene\", @{SCENE_VARIABLE}, '')"

_STATUS = f"coalesce(\"{STATUS_FIELD}\", '{OPEN}')"
_QUERY_LINES = (
    (OPEN, "255,0,200,255", "0.6", "solid"),
    (DONE, "40,200,90,255", "0.4", "solid"),
    (SKIPPED, "150,150,150,255", "0.4", "dash"),
    (UNSURE, "255,150,0,255", "0.5", "dot"),
)


def raster(layer: QgsRasterLayer, kind: str, classes: Sequence[ClassInfo]) -> None:
    """Dress a raster of a round."""
    provider = layer.dataProvider()
    if kind in ("prediction", "refined"):
        values = [QgsPalettedRasterRenderer.Class(info.id, colour(info), info.name) for info in classes]
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


def labels(layer: QgsVectorLayer, classes: Sequence[ClassInfo]) -> None:
    """Dress labels by class: outlines, and so little fill that the pixels stay visible."""
    categories = []
    for info in classes:
        red, green, blue = info.colour
        symbol = _fill(f"{red},{green},{blue},60", f"{red},{green},{blue},255", "0.5", "solid")
        categories.append(QgsRendererCategory(info.id, symbol, info.name))
    has_scene = "scene" in layer.fields().names()
    value = f'if({_ON_TOP}, "class_id", NULL)' if has_scene else "class_id"
    layer.setRenderer(QgsCategorizedSymbolRenderer(value, categories))


def queries(layer: QgsVectorLayer) -> None:
    """Dress queries by status, with the rank of those that are open."""
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
    settings.fitInPolygonOnly = True  # seen from afar the ranks would hide everything
    text = QgsTextFormat()
    text.setSize(8)
    text.setColor(QColor(120, 0, 90))
    halo = QgsTextBufferSettings()
    halo.setEnabled(True)
    halo.setSize(0.8)
    text.setBuffer(halo)
    settings.setFormat(text)
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    layer.setLabelsEnabled(True)


def chips(layer: QgsVectorLayer) -> None:
    """Dress the outlines of chips."""
    root = QgsRuleBasedRenderer.Rule(None)
    rule = QgsRuleBasedRenderer.Rule(_fill("0,0,0,0", "255,255,255,150", "0.2", "dot"))
    rule.setFilterExpression(_ON_TOP)
    root.appendChild(rule)
    layer.setRenderer(QgsRuleBasedRenderer(root))


def show_only(layer: QgsVectorLayer, scene: str) -> None:
    """Show nothing but one scene's features in a layer of pictures that lie on one another."""
    QgsExpressionContextUtils.setLayerVariable(layer, SCENE_VARIABLE, scene)
    layer.triggerRepaint()


def colour(info: ClassInfo) -> QColor:
    """A class's colour."""
    return QColor(*info.colour)


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
