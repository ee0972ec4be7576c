import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from rio_cogeo.cogeo import cog_validate

from tests.helpers.mapping_fakes import Identity
from tsfal_geo.classes import VAIHINGEN, ClassInfo, ClassMap
from tsfal_geo.inference.network import Network
from tsfal_geo.mapping import windowed as predict
from tsfal_geo.mapping.outputs.rasters import Settings, export_scene
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.reader import SceneReader

NORTH_UP = Affine(0.09, 0, 497_000.123456789, 0, -0.09, 5_420_000.987654321)
SOUTH_UP = Affine(0.09, 0, 497_000.123456789, 0, 0.09, 5_420_000.987654321)
ROTATED = Affine.translation(497_000.3, 5_420_000.7) @ Affine.rotation(33) @ Affine.scale(0.09, -0.09)


def write(path, image, transform=NORTH_UP, crs="EPSG:25832", nodata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = image.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype=image.dtype, count=count, height=height, width=width,
        transform=transform, crs=crs, nodata=nodata, tiled=True, blockxsize=64, blockysize=64,
    ) as file:  # fmt: skip
        file.write(image)
    return path


def picture(height, width, dtype=np.uint8):
    return np.random.default_rng(3).integers(0, 6, (3, height, width)).astype(dtype)


def export(folder, network, classes=VAIHINGEN, **options):
    reader = SceneReader(discover(folder), None, False)
    settings = Settings(**{"window": 64, "batch": 3, **options})
    return export_scene(reader, 0, Network(network, None, classes), folder / "maps", settings)


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP, ROTATED])
@pytest.mark.parametrize("size", [(33, 45), (517, 1029), (129, 64)])
def test_identity_lies_on_the_scenes_grid_byte_for_byte(tmp_path, transform, size):
    image = picture(*size)
    source = write(tmp_path / "town.tif", image, transform)
    files = export(tmp_path, Identity())
    assert files.classes == tmp_path / "maps" / "town.tif"
    with rasterio.open(files.classes) as made, rasterio.open(source) as scene:
        assert np.array_equal(made.read(1), image[0])
        assert made.transform == scene.transform
        assert made.crs == scene.crs
        assert made.nodata == 255 and made.dtypes == ("uint8",)
        assert made.colormap(1)[1] == (0, 0, 255, 255)
    if max(size) > 512:
        valid, errors, warnings = cog_validate(files.classes, strict=True)
        assert valid, (errors, warnings)


def test_strips_and_16_bit_give_the_same_map(tmp_path, monkeypatch):
    image = picture(300, 1400, np.uint16)
    write(tmp_path / "town.tif", image)
    monkeypatch.setattr(predict, "_WIDEST", 512)
    with rasterio.open(export(tmp_path, Identity()).classes) as made:
        assert np.array_equal(made.read(1), image[0])


def test_ids_nodata_and_confidence(tmp_path):
    image = picture(150, 90)
    image[:, 20:60, 5:80] = 9
    write(tmp_path / "town.tif", image, nodata=9)
    classes = ClassMap(tuple(ClassInfo(10 * i + 7, f"c{i}", (i, 9, 9)) for i in range(6)))
    files = export(tmp_path, Identity(), classes, layers=("confidence",))
    valid = np.ones((150, 90), bool)
    valid[20:60, 5:80] = False
    with rasterio.open(files.classes) as made:
        assert np.array_equal(made.read(1), np.where(valid, image[0] * 10 + 7, 255))
    with rasterio.open(files.layers["confidence"]) as made:
        assert np.array_equal(made.read(1), np.where(valid, 100, 255))
        assert made.nodata == 255


def test_confidence_is_the_chosen_classs_probability(tmp_path):
    write(tmp_path / "town.tif", picture(70, 80))

    def network(batch):
        shares = np.array([0.1, 0.2, 0.005, 0.43, 0.2, 0.065], np.float32)
        return {
            "probabilities": torch.from_numpy(shares)[None, :, None, None].expand(
                len(batch["image"]), -1, 16, 16
            )
        }

    files = export(tmp_path, network, layers=("confidence",))
    with rasterio.open(files.classes) as made, rasterio.open(files.layers["confidence"]) as shares:
        assert (made.read(1) == 3).all()
        assert (shares.read(1) == 43).all()


def test_a_scene_of_nodata_alone_gives_a_map_of_nodata(tmp_path):
    write(tmp_path / "town.tif", np.full((3, 100, 70), 9, np.uint8), nodata=9)
    with rasterio.open(export(tmp_path, Identity()).classes) as made:
        assert (made.read(1) == 255).all()


def test_a_failure_leaves_nothing_and_keeps_the_map_before(tmp_path):
    write(tmp_path / "town.tif", picture(300, 90))
    before = export(tmp_path, Identity()).classes
    content = before.read_bytes()
    calls = []

    def broken(batch):
        calls.append(1)
        if len(calls) > 3:
            raise RuntimeError("no power")
        return Identity()(batch)

    with pytest.raises(RuntimeError, match="no power"):
        export(tmp_path, broken, layers=("confidence",))
    assert before.read_bytes() == content
    assert {path.name for path in before.parent.iterdir()} == {"town.tif", "town.tif.aux.xml", "town.qml"}
