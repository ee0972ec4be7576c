"""The page of the export: the options of ``tsfal-geo export`` that people use most."""

from __future__ import annotations

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QGridLayout, QVBoxLayout, QWidget

from ..compat import tr
from .widgets import folder_field, form, push_button, text_label

_LAYERS = ("confidence", "entropy", "error-mask", "source", "probabilities")
_POLYGONS = ("gpkg", "fgb", "parquet")
_MOSAICS = ("cog", "vrt")
_LARGEST = 1e9


class ExportPage(QWidget):
    """The export of the map."""

    export_requested = pyqtSignal(list)

    def __init__(self) -> None:
        super().__init__()
        self.folder = folder_field("export_folder")
        self.rasters = folder_field("export_rasters")
        self.area = QgsFileWidget()
        self.area.setObjectName("export_area")
        self.polygons = _choice("export_polygons", _POLYGONS)
        self.mosaic = _choice("export_mosaic", _MOSAICS)
        self.smallest = QDoubleSpinBox()
        self.smallest.setObjectName("export_smallest")
        self.smallest.setRange(0, _LARGEST)
        self.smallest.setSuffix(" m²")
        self.smallest.setSpecialValueText(tr("25 pixels"))
        self.layers = {kind: QCheckBox(text) for kind, text in zip(_LAYERS, _layer_texts())}
        self.preview = QCheckBox(tr("Picture with legend"))
        export = push_button(tr("Export the map"), "export")
        export.clicked.connect(lambda: self.export_requested.emit(self.arguments()))
        fields = form()
        fields.addRow(tr("Folder"), self.folder)
        fields.addRow(tr("Other orthophotos"), self.rasters)
        fields.addRow(tr("Area of interest"), self.area)
        fields.addRow(tr("Polygons"), self.polygons)
        fields.addRow(tr("Smallest polygon"), self.smallest)
        fields.addRow(tr("One map of all"), self.mosaic)
        boxes = QGridLayout()
        for number, box in enumerate((*self.layers.values(), self.preview)):
            boxes.addWidget(box, number // 2, number % 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 4, 2, 2)
        note = tr("If empty: the folder maps/ of the workspace, its own orthophotos, and all of them.")
        for part in (fields, boxes):
            column.addLayout(part)
        column.addWidget(text_label(note))
        column.addWidget(export)
        column.addStretch()

    def arguments(self) -> list[str]:
        """Return the options of the command that the page states."""
        words = []
        for option, text in (
            ("--out", self.folder.filePath()),
            ("--raster", self.rasters.filePath()),
            ("--aoi", self.area.filePath()),
            ("--polygons", self.polygons.currentData()),
            ("--mosaic", self.mosaic.currentData()),
        ):
            words += [option, text.strip()] if text and text.strip() else []
        if self.polygons.currentData() and self.smallest.value():
            words += ["--min-area", f"{self.smallest.value():g}"]
        words += [f"--{kind}" for kind, box in self.layers.items() if box.isChecked()]
        return words + (["--preview"] if self.preview.isChecked() else [])


def _layer_texts() -> tuple[str, ...]:
    return (
        tr("Confidence"),
        tr("Entropy"),
        tr("Error mask"),
        tr("Source of each class"),
        tr("Probabilities"),
    )


def _choice(name: str, values: tuple[str, ...]) -> QComboBox:
    box = QComboBox()
    box.setObjectName(name)
    box.addItem(tr("none"), "")
    for value in values:
        box.addItem(value, value)
    return box
