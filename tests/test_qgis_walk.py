"""The analyst's walk in the real QGIS desktop with the real engine; pictures in build/qgis-screenshots/."""

import shutil
import sys
from pathlib import Path

import pytest
import rasterio
from rasterio.windows import Window

ROOT = Path(__file__).parents[1]
DESKTOP = ROOT / "qgis_plugin" / "tests" / "desktop"
PICTURES = ROOT / "build" / "qgis-screenshots"
SIDE = 256


@pytest.fixture
def rasters(tmp_path):
    """Corners of two sample tiles and their labels."""
    for kind in ("images", "labels"):
        for name in ("town_1", "town_2"):
            _cut(ROOT / "sample_tiles" / kind / f"{name}.tif", tmp_path / "tiles" / kind / f"{name}.tif")
    return tmp_path / "tiles"


def test_an_analyst_walks_from_rasters_to_the_map(rasters, monkeypatch):
    if not (shutil.which("qgis") and shutil.which("Xvfb")):
        pytest.skip(
            "NOT COVERED: the plugin in the real QGIS desktop; apt-get install qgis python3-qgis xvfb"
        )
    monkeypatch.syspath_prepend(str(DESKTOP))
    from run import run

    engine = Path(sys.executable).with_name("tsfal-geo")
    outcome = run(DESKTOP / "walk.py", PICTURES, workspace=str(rasters), engine=str(engine), seconds=280)
    assert outcome.ok, str(outcome)
    assert len(list(PICTURES.glob("*.png"))) >= 12


def _cut(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    window = Window(0, 0, SIDE, SIDE)
    with rasterio.open(source) as tile:
        profile = tile.profile | {"width": SIDE, "height": SIDE, "transform": tile.window_transform(window)}
        with rasterio.open(target, "w", **profile) as cut:
            cut.write(tile.read(window=window))
            if tile.count == 1:
                cut.write_colormap(1, tile.colormap(1))
                cut.update_tags(1, **tile.tags(1))
