"""The page of the export: its widgets are options of the command, which the real command knows."""

import subprocess
from pathlib import Path

import pytest
from qgis.PyQt.QtWidgets import QAbstractButton

from tsfal_qgis.panel.export_page import ExportPage

ENGINE = Path(__file__).parents[3] / ".venv" / "bin" / "tsfal-geo"


@pytest.fixture
def page(qtbot):
    found = ExportPage()
    qtbot.addWidget(found)
    return found


def test_an_untouched_page_exports_as_the_command_does(page):
    assert page.arguments() == []


def test_each_widget_is_an_option(page, tmp_path, qtbot):
    page.folder.setFilePath("/maps")
    page.rasters.setFilePath("/other")
    page.area.setFilePath("/x/area.gpkg")
    page.polygons.setCurrentIndex(page.polygons.findData("fgb"))
    page.smallest.setValue(12.5)
    page.mosaic.setCurrentIndex(page.mosaic.findData("cog"))
    page.layers["confidence"].setChecked(True)
    page.layers["error-mask"].setChecked(True)
    page.preview.setChecked(True)
    expected = [
        "--out", "/maps", "--raster", "/other", "--aoi", "/x/area.gpkg", "--polygons", "fgb",
        "--mosaic", "cog", "--min-area", "12.5", "--confidence", "--error-mask", "--preview",
    ]  # fmt: skip
    with qtbot.waitSignal(page.export_requested) as heard:
        page.findChild(QAbstractButton, "export").click()
    assert heard.args == [expected]


def test_the_smallest_polygon_counts_with_polygons_alone(page):
    page.smallest.setValue(5)
    assert page.arguments() == []


def test_the_command_knows_every_option(page):
    help_text = subprocess.run(
        [str(ENGINE), "export", "--help"],
        capture_output=True, text=True, check=True, env={"COLUMNS": "200", "LC_ALL": "C.UTF-8"},
    ).stdout  # fmt: skip
    options = [
        "--out",
        "--raster",
        "--aoi",
        "--min-area",
        "--preview",
        *(f"--{kind}" for kind in page.layers),
    ]
    for option in options:
        assert option in help_text
    for name, box in (("polygons", page.polygons), ("mosaic", page.mosaic)):
        line = next(line for line in help_text.splitlines() if f"--{name} [" in line)
        for index in range(1, box.count()):
            assert box.itemData(index) in line
