import numpy as np
import rasterio
from PIL import Image

from tests.mapping.test_export import write
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.mapping.outputs.pictures import save_preview
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.label_reader import FolderLabels
from tsfal_geo.raster.write import write_classes


def quarters(height, width):
    """Class 1 top left, 2 top right, 3 bottom left, nothing bottom right."""
    index = np.full((height, width), 255, np.uint8)
    index[: height // 2, : width // 2] = 1
    index[: height // 2, width // 2 :] = 2
    index[height // 2 :, : width // 2] = 3
    return index


def make(folder, height=600, width=400, side=200):
    ramp = np.linspace(0, 255, width).astype(np.uint8)
    image = np.stack([np.tile(ramp, (height, 1)), np.full((height, width), 7, np.uint8)] * 2)[:3]
    write(folder / "images" / "town.tif", image)
    scenes = discover(folder)
    index = quarters(height, width)
    write_classes(folder / "labels" / "town.tif", scenes[0].grid, VAIHINGEN, index)
    write_classes(folder / "maps" / "town.tif", scenes[0].grid, VAIHINGEN, index[::-1].copy())
    scenes = discover(folder)
    path = folder / "town.png"
    labels = FolderLabels(scenes, VAIHINGEN)
    save_preview(path, scenes, 0, folder / "maps" / "town.tif", VAIHINGEN, labels=labels, side=side)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_panels_show_image_truth_and_prediction_side_by_side(tmp_path):
    panels = make(tmp_path)[24:224]
    building, grass = (0, 0, 255), (0, 255, 255)
    truth, prediction = panels[:, 157:290], panels[:, 302:435]
    for colour, half in ((building, slice(0, 65)), (grass, slice(68, 133))):
        assert (truth[:99, half] == colour).all() and (prediction[101:, half] == colour).all()
        assert not (truth[101:] == colour).all(2).any() and not (prediction[:99] == colour).all(2).any()
    assert (truth[101:, 68:] == 0).all()


def test_the_image_is_stretched(tmp_path):
    picture = make(tmp_path)
    panel = picture[30:220, 12:145]
    assert panel[..., 0].min() == 0 and panel[..., 0].max() == 255
    assert (np.diff(panel[100, :, 0]) >= 0).all()


def test_the_legend_holds_every_colour(tmp_path):
    picture = make(tmp_path)
    foot = picture[-80:].reshape(-1, 3)
    for colour in VAIHINGEN.colours:
        assert (foot == colour).all(1).sum() > 100


def test_small_scenes_are_not_upsampled_and_maps_beyond_the_side_are_reduced(tmp_path):
    small, large = make(tmp_path / "a", 60, 40), make(tmp_path / "b", 3000, 40)
    assert small.shape[0] < 200
    assert 200 < large.shape[0] < 320


def test_one_band_without_truth(tmp_path):
    folder = tmp_path
    write(folder / "grey.tif", np.arange(64 * 48, dtype=np.uint16).reshape(1, 64, 48))
    scenes = discover(folder)
    write_classes(folder / "maps" / "grey.tif", scenes[0].grid, VAIHINGEN, np.full((64, 48), 4, np.uint8))
    save_preview(folder / "grey.png", scenes, 0, folder / "maps" / "grey.tif", VAIHINGEN)
    picture = np.asarray(Image.open(folder / "grey.png").convert("RGB"))
    with rasterio.open(folder / "grey.tif") as file:
        assert file.count == 1
    assert ((picture == (255, 255, 0)).all(2)).sum() >= 64 * 48
