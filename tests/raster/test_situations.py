"""Generated folders: every one is read, or refused in one line that names a file; none ends in another "
"error."""

import warnings

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from tsfal_geo.config import parse_label_values
from tsfal_geo.errors import UserError
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.folder_report import inspect_folder
from tsfal_geo.raster.reader import SceneReader

TYPES = ["uint8", "uint8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
KINDS = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha, ColorInterp.gray]
PLACES = [
    ("EPSG:25832", from_origin(5e5, 5.4e6, 0.5, 0.5)),
    ("EPSG:4326", from_origin(-179.9999, 10, 1e-3, 1e-3)),
    ("EPSG:2263", Affine(0.3, 0.2, 1e6, 0.2, -0.3, 2e5)),
    (None, from_origin(5e5, 5.4e6, 0.5, 0.5)),
    (None, Affine.identity()),
]
LABELS = [[0, 255], [0, 1, 2], [1], [255], [0, 1, 255], list(range(120)), [-1, 0, 1], [0, 300]]
VALUES = [{}, {"255": "b", "0": "a"}, {"0-127": "a", "128-255": "b"}, {"1-1000": "x"}, {"-1": "ignore"}]


def write(path, array, rng, place, **options):
    """Write an array with random declarations."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = array.shape
    nodata = rng.choice([0, 1, 100])
    profile = {"count": count, "height": height, "width": width, "dtype": array.dtype, "transform": place[1]}
    profile |= {"crs": place[0], "nodata": nodata if rng.random() < 0.4 else None}
    with rasterio.open(path, "w", driver="GTiff", **profile) as dataset:
        for name, value in options.items():
            if rng.random() < 0.3:
                setattr(dataset, name, value)
        dataset.write(array)
        if rng.random() < 0.2:
            dataset.write_mask(rng.random((height, width)) > 0.5)


def make_folder(folder, rng):
    """Write one or two scenes, most of them with labels, some with heights."""
    for name in ("a", "b")[: rng.integers(1, 3)]:
        place = PLACES[rng.integers(len(PLACES))]
        shape = tuple(rng.integers(1, 40, 2))
        bands = int(rng.integers(1, 6))
        image = (rng.random((bands, *shape)) * 200).astype(rng.choice(TYPES))
        write(
            folder / "images" / f"{name}.tif",
            image,
            rng,
            place,
            scales=(rng.choice([0.1, 1e-4]),) * bands,
            offsets=(rng.choice([-0.1, 1000.0]),) * bands,
            units=(str(rng.choice(["m", "K"])),) * bands,
            colorinterp=[KINDS[i] for i in rng.integers(0, len(KINDS), bands)],
        )
        if rng.random() < 0.8:
            values = LABELS[rng.integers(len(LABELS))]
            labels = rng.choice(values, (int(rng.choice([1, 1, 1, 2, 3, 4])), *shape))
            labels = labels.astype(
                rng.choice([t for t in TYPES if np.can_cast(np.min_scalar_type(labels.min()), t)])
            )
            write(folder / "labels" / f"{name}.tif", labels, rng, place)
        if rng.random() < 0.3:
            heights = (rng.random((1, *shape)) * rng.choice([100, 1e5])).astype("float32")
            write(
                folder / "dsm" / f"{name}.tif",
                heights,
                rng,
                place,
                units=(str(rng.choice(["ft", "parsec"])),),
            )


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.filterwarnings("ignore")
def test_a_generated_folder_is_read_or_refused_in_one_line(tmp_path, seed):
    rng = np.random.default_rng(seed)
    make_folder(tmp_path, rng)
    values = parse_label_values(VALUES[rng.integers(len(VALUES))])
    try:
        report = inspect_folder(tmp_path, values=values)
    except UserError as error:
        assert str(tmp_path) in str(error) and "\n" not in str(error)
        return
    for problem in report.problems:
        assert str(tmp_path) in problem and "\n" not in problem
    if report.problems:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scenes = discover(tmp_path)
    for scene in scenes:
        reader = SceneReader([scene], None, use_dsm=scene.dsm is not None)
        patch = reader.read(Window(0, -2, -2, scene.height + 4, scene.width + 4))
        with rasterio.open(scene.path) as dataset:
            expected = dataset.read(list(scene.spectral))
        assert np.array_equal(patch.image[:, 2:-2, 2:-2], expected)
        assert not patch.valid[:2].any() and not patch.valid[:, -2:].any()
        reader.close()
