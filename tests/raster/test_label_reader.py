import pickle

import numpy as np
import pytest
from rasterio.transform import Affine, from_origin

from tsfal_geo.classes import VAIHINGEN, ClassInfo, ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.header import read_scene
from tsfal_geo.raster.label_reader import FolderLabels, check_labels

MAP = ClassMap((ClassInfo(3, "road", (10, 20, 30)), ClassInfo(9, "roof", (40, 50, 60))))


@pytest.fixture
def scene_with(tmp_path, write_tif):
    """A scene of the size of ``labels`` (or of ``shape``) with them as its label file."""

    def make(labels, shape=None, name="labels.tif", **options):
        height, width = shape or labels.shape[-2:]
        image = write_tif(tmp_path / "image.tif", np.ones((3, height, width), np.uint8))
        return read_scene(image, labels=write_tif(tmp_path / name, labels, **options))

    return make


def read_all(scene, classes=MAP):
    return FolderLabels([scene], classes).read(Window(0, 0, 0, scene.height, scene.width))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32"])
def test_ids_become_indices(scene_with, dtype):
    ids = np.array([[3, 9, 255], [9, 3, 3]], dtype)
    assert read_all(scene_with(ids)).tolist() == [[0, 1, 255], [1, 0, 0]]


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 0), ("int16", -1), ("uint16", 65535)])
def test_nodata_is_ignored(scene_with, dtype, nodata):
    ids = np.array([[3, nodata, 9]], dtype)
    assert read_all(scene_with(ids, nodata=nodata)).tolist() == [[0, 255, 1]]


def test_ids_that_mean_no_class_are_ignored_and_others_stay_unknown(scene_with):
    void = ClassMap(MAP.classes, ignore_ids=(11,))
    assert read_all(scene_with(np.array([[3, 11, 9]], np.uint8)), void).tolist() == [[0, 255, 1]]
    with pytest.raises(LabelError, match="id 12 on 1 pixel"):
        check_labels(scene_with(np.array([[3, 11, 12]], np.uint8)), void)


def vaihingen_colours(labels):
    colours = np.concatenate([VAIHINGEN.colours, np.zeros((1, 3), np.uint8)])
    return colours[np.where(labels == 255, 6, labels)].transpose(2, 0, 1)


def test_colours_become_indices_and_black_is_ignored(scene_with):
    labels = np.random.default_rng(0).integers(0, 7, (50, 60)).astype(np.uint8)
    labels[labels == 6] = 255
    scene = scene_with(vaihingen_colours(labels))
    assert np.array_equal(read_all(scene, VAIHINGEN), labels)
    check_labels(scene, VAIHINGEN)


def test_transparent_labels_are_ignored(scene_with):
    labels = np.array([[0, 1, 2]], np.uint8)
    alpha = np.array([[[255, 0, 255]]], np.uint8)
    scene = scene_with(np.concatenate([vaihingen_colours(labels), alpha]))
    assert read_all(scene, VAIHINGEN).tolist() == [[0, 255, 2]]


def test_an_unknown_colour_is_an_error_with_file_value_and_count(scene_with):
    labels = np.zeros((40, 50), np.uint8)
    image = vaihingen_colours(labels)
    image[:, 3, :7] = np.array([[1], [2], [3]])
    image[:, 9, :2] = np.array([[9], [9], [9]])
    scene = scene_with(image)
    with pytest.raises(LabelError, match=r"labels\.tif: colour \(1, 2, 3\) on 7 pixels \(and 1 more"):
        check_labels(scene, VAIHINGEN)
    with pytest.raises(LabelError, match=r"colour \(1, 2, 3\)"):
        read_all(scene, VAIHINGEN)


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 4), ("uint8", 254), ("int16", -5), ("uint16", 300)])
def test_an_unknown_id_is_an_error_and_never_a_class(scene_with, dtype, value):
    ids = np.full((40, 50), 3, dtype)
    ids[:2, :5] = value
    scene = scene_with(ids)
    with pytest.raises(LabelError, match=rf"labels\.tif: id {value} on 10 pixels is not in the class map"):
        check_labels(scene, MAP)
    with pytest.raises(LabelError, match=f"id {value}"):
        read_all(scene)
    assert (FolderLabels([scene], MAP).read(Window(0, 2, 0, 38, 50)) == 0).all()


@pytest.mark.parametrize(("dtype", "value"), [("int16", -5), ("uint16", 256), ("int32", 65536 + 1)])
def test_ids_beyond_8_bits_are_not_wrapped_into_classes(scene_with, dtype, value):
    with pytest.raises(LabelError, match=f"id {value} on 1 pixel "):
        check_labels(scene_with(np.array([[0, 1, value]], dtype)), VAIHINGEN)


def test_unknown_pixels_are_counted_over_the_entire_file(scene_with):
    ids = np.full((2500, 3), 9, np.uint8)
    ids[[0, 1200, 2499], 1] = 77
    with pytest.raises(LabelError, match="id 77 on 3 pixels is not"):
        check_labels(scene_with(ids), MAP)


def test_lossy_compression_is_named_as_the_cause(scene_with, random_image):
    blocks = np.kron(random_image((3, 5, 5)), np.ones((1, 8, 8), np.uint8))
    scene = scene_with(blocks, compress="jpeg", photometric="ycbcr", name="smeared.tif")
    with pytest.raises(LabelError, match="compressed with loss"):
        check_labels(scene, VAIHINGEN)


def test_labels_of_another_size_are_refused(scene_with):
    scene = scene_with(np.full((40, 50), 3, np.uint8), shape=(40, 51))
    with pytest.raises(LabelError, match=r"50x40 pixels, its scene image\.tif has 51x40"):
        check_labels(scene, MAP)
    with pytest.raises(LabelError):
        read_all(scene)


@pytest.mark.parametrize(("shift", "refused"), [(0.045, True), (0.03, False), (-9.0, True)])
def test_labels_of_another_place_are_refused(scene_with, shift, refused):
    ids = np.full((40, 50), 3, np.uint8)
    scene = scene_with(ids, transform=from_origin(497_000.0 + shift, 5_420_000.0, 0.09, 0.09))
    if refused:
        with pytest.raises(LabelError, match="pixels off its scene"):
            check_labels(scene, MAP)
    else:
        check_labels(scene, MAP)


def test_labels_in_another_zone_are_refused(scene_with):
    scene = scene_with(np.full((40, 50), 3, np.uint8), crs="EPSG:25833")
    with pytest.raises(LabelError, match=r"in EPSG:25833, its scene image\.tif in EPSG:25832"):
        check_labels(scene, MAP)


def test_labels_in_the_scene_s_zone_with_heights_are_read(scene_with):
    check_labels(scene_with(np.full((40, 50), 3, np.uint8), crs="EPSG:25832+7837"), MAP)


def test_labels_upside_down_are_refused(scene_with):
    flipped = Affine(0.09, 0, 497_000, 0, 0.09, 5_420_000 - 40 * 0.09)
    scene = scene_with(np.full((40, 50), 3, np.uint8), transform=flipped)
    with pytest.raises(LabelError, match="pixels off"):
        check_labels(scene, MAP)


def test_labels_without_georeference_lie_on_the_scene(scene_with):
    scene = scene_with(np.full((40, 50), 9, np.uint8), transform=None, crs=None, name="l.png", driver="PNG")
    assert (read_all(scene) == 1).all()


@pytest.mark.parametrize("bands", [2, 5])
def test_float_and_many_band_labels_are_refused(scene_with, bands):
    labels = np.ones((bands, 4, 4), np.float32)
    with pytest.raises(LabelError):
        check_labels(scene_with(labels), MAP)


def test_a_palette_made_from_colours_goes_by_them(scene_with):
    palette = {0: (0, 0, 0, 255), 1: (255, 255, 255, 255), 2: (0, 0, 255, 255), 3: (0, 255, 255, 255),
               4: (0, 255, 0, 255), 5: (255, 255, 0, 255), 6: (255, 0, 0, 255)}  # fmt: skip
    scene = scene_with(np.arange(7, dtype=np.uint8)[None], colormap=palette)
    assert read_all(scene, VAIHINGEN).tolist() == [[255, 0, 1, 2, 3, 4, 5]]


def test_a_palette_of_other_colours_goes_by_ids(scene_with):
    scene = scene_with(np.array([[3, 9]], np.uint8), colormap={3: (200, 0, 0, 255), 9: (0, 200, 0, 255)})
    assert read_all(scene).tolist() == [[0, 1]]


def test_windows_over_the_edge_and_scenes_without_labels_are_ignore(scene_with):
    scene = scene_with(np.full((40, 50), 9, np.uint8))
    window = FolderLabels([scene], MAP).read(Window(0, -5, 45, 20, 20))
    assert (window[5:, :5] == 1).all()
    assert (window == 255).sum() == 400 - 75
    bare = read_scene(scene.path)
    assert (FolderLabels([bare], MAP).read(Window(0, 0, 0, 8, 8)) == 255).all()


def test_label_readers_travel(scene_with):
    labels = FolderLabels([scene_with(np.full((4, 5), 9, np.uint8))], MAP)
    before = labels.read(Window(0, 0, 0, 4, 5))
    assert np.array_equal(pickle.loads(pickle.dumps(labels)).read(Window(0, 0, 0, 4, 5)), before)


def test_real_masks(real_data):
    folder = real_data / "cir_aerial"
    scene = read_scene(folder / "001_img.jpg", labels=folder / "001_gt.bmp")
    five = ClassMap(tuple(ClassInfo(i, f"c{i}", (i, 0, 0)) for i in range(5)))
    labels = read_all(scene, five)
    assert np.bincount(labels.ravel()).tolist() == [171559, 4379, 594721, 99609, 129732]
    with pytest.raises(LabelError, match=r"001_gt\.bmp: id 4 on 129732 pixels"):
        check_labels(scene, ClassMap(five.classes[:4]))
