"""Labels that would be taken for something else: masks, instances, smeared or hidden ids."""

import warnings

import numpy as np
import pytest
import rasterio
from PIL import Image

from tsfal_geo.classes import VAIHINGEN, ClassInfo, ClassMap
from tsfal_geo.config import parse_label_values
from tsfal_geo.errors import ConfigError, LabelError
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.folder_report import inspect_folder
from tsfal_geo.raster.header import read_scene
from tsfal_geo.raster.label_judgement import judge_labels
from tsfal_geo.raster.label_reader import FolderLabels
from tsfal_geo.raster.label_tables import infer_class_map

MASK = np.repeat([[0, 0, 255]], 20, 0).astype(np.uint8)
IDS = np.repeat([[0, 1, 2, 3]], 20, 0).astype(np.uint8)


@pytest.fixture
def scene_with(tmp_path, write_tif):
    """A scene of the size of ``labels`` with them as its label file."""

    def make(labels, name="a", **options):
        image = write_tif(tmp_path / "images" / f"{name}.tif", np.ones((3, *labels.shape[-2:]), np.uint8))
        return read_scene(image, labels=write_tif(tmp_path / "labels" / f"{name}.tif", labels, **options))

    return make


def judged(scene, values=None, declared=None):
    """Infer the class map as training does, and judge it; returns map, lines and decoded ids."""
    said = parse_label_values(values or {})
    classes = infer_class_map([scene], said) or VAIHINGEN
    lines = judge_labels(
        scene.path.parent, [scene], classes, declared=bool(said) if declared is None else declared
    )
    labels = FolderLabels([scene], classes).read(Window(0, 0, 0, *scene.shape))
    return classes, lines, classes.lut_index_to_ids()[labels]


def red_on_black(mask):
    return np.stack([mask, 0 * mask, 0 * mask])


@pytest.mark.parametrize(
    ("labels", "options", "said"),
    [
        (MASK, {}, "--map 255=CLASS"),
        (MASK.astype(np.uint16), {"nodata": 0}, "255"),
        (MASK // 255, {"nodata": 0}, "--map 0=CLASS"),
        (MASK // 255 * 7, {"nodata": 7}, "--map 7=CLASS"),
        (red_on_black(MASK), {}, "--map 0,0,0=CLASS"),
    ],
    ids=["0-255", "16 bits with nodata", "nodata is the background", "nodata is the class", "red on black"],
)
def test_a_mask_whose_other_half_would_mean_no_class_is_refused(scene_with, labels, options, said):
    scene = scene_with(labels, **options)
    with pytest.raises(LabelError, match="expected two or more") as error:
        judged(scene)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("labels", "options", "values"),
    [
        (MASK, {}, {"255": "building", "0": "background"}),
        (MASK.astype(np.int16) - 1, {}, {"254": "building", "-1": "background"}),
        (MASK // 255, {"nodata": 0}, {"1": "building", "0": "background"}),
        (MASK.astype(np.uint16) * 100, {}, {"25500": "building", "0": "background"}),
        (red_on_black(MASK), {"nodata": 0}, {"255,0,0": "building", "0,0,0": "background"}),
    ],
    ids=["0-255", "negative", "nodata is the background", "beyond 8 bits", "red on black"],
)
def test_values_that_are_said_become_two_classes(scene_with, labels, options, values):
    classes, lines, ids = judged(scene_with(labels, **options), values)
    building = classes.id_of("building")
    assert set(classes.names) == {"building", "background"}
    assert lines == []
    assert np.array_equal(ids == building, MASK == 255)
    assert not (ids == 255).any()


def test_a_class_that_a_value_means_is_not_found_by_its_own_id_too(scene_with):
    classes = infer_class_map([scene_with(MASK)], parse_label_values({"0": "background", "255": "building"}))
    assert classes.id_of("building") == 1
    with pytest.raises(LabelError, match="id 1 on 20 pixels is not in the class map"):
        judge_labels("folder", [scene_with(IDS[:, :2], "b")], classes, declared=True)


def test_masks_of_instances_are_classes_by_a_range(scene_with):
    instances = np.arange(400).reshape(20, 20).astype(np.uint16)
    scene = scene_with(instances)
    with pytest.raises(LabelError, match=r"399 different ids .* --map 1-399=building"):
        infer_class_map([scene])
    _, lines, ids = judged(scene, {"0": "background", "1-399": "building"})
    assert lines == []
    assert np.array_equal(ids == ids[0, 0], instances == 0)


@pytest.mark.parametrize(("dtype", "value"), [("int16", -1), ("uint16", 300), ("int32", 70_000)])
def test_ids_that_no_map_can_hold_are_named_with_the_mend(scene_with, dtype, value):
    with pytest.raises(LabelError, match=rf"id {value} on 20 pixels.*--map {value}=ignore"):
        infer_class_map([scene_with(np.repeat([[3, 9, value]], 20, 0).astype(dtype))])


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_ids_smeared_by_compression_are_refused_and_cut_by_ranges(scene_with, tmp_path, suffix):
    mask = np.kron(np.eye(4, dtype=np.uint8), np.full((20, 24), 255, np.uint8))
    scene = scene_with(mask, compress="jpeg" if suffix == "tif" else None)
    if suffix == "jpg":
        path = scene.labels.with_name("b.jpg")
        Image.fromarray(mask).save(path, quality=60)
        scene = read_scene(scene.path, labels=path)
    with pytest.raises(LabelError, match=r"compressed with loss.*--map 0-127=background"):
        infer_class_map([scene])
    _, _, ids = judged(scene, {"0-127": "background", "128-255": "building"})
    assert np.array_equal(ids == ids[-1, -1], mask == 255)


@pytest.mark.parametrize("bands", [2, 4])
def test_a_last_band_that_is_no_alpha_is_refused(scene_with, bands):
    labels = np.repeat(IDS[None], bands, 0)
    scene = scene_with(labels, photometric="minisblack", alpha="unspecified")
    with pytest.raises(LabelError, match=f"band {bands} is not declared alpha"):
        judged(scene)


def test_pixels_that_the_files_own_mask_hides_have_no_label(tmp_path, write_tif, scene_with):
    import rasterio

    scene = scene_with(IDS)
    hidden = IDS == 2
    with rasterio.open(scene.labels, "r+") as dataset:
        dataset.write_mask(~hidden)
    classes, _, ids = judged(scene)
    assert classes.ids.tolist() == [0, 1, 3]
    assert np.array_equal(ids == 255, hidden)


@pytest.mark.parametrize("options", [{}, {"nodata": 0}], ids=["255", "nodata"])
def test_a_large_share_without_class_is_told_where_nobody_said_so(scene_with, options):
    labels = IDS.copy()
    labels[labels == 0] = options.get("nodata", 255)
    scene = scene_with(labels, **options)
    value = options.get("nodata", 255)
    _, lines, _ = judged(scene)
    assert len(lines) == 1
    assert f"id {value} covers 25% of the labels" in lines[0]
    _, lines, ids = judged(scene, {str(value): "ignore"})
    assert lines == []
    assert (ids == 255).sum() == 20


def test_one_class_of_a_declared_map_is_told_and_not_refused(scene_with):
    two = ClassMap((ClassInfo(0, "background", (1, 1, 1)), ClassInfo(1, "building", (2, 2, 2))))
    lines = judge_labels("folder", [scene_with(MASK)], two, declared=True)
    assert len(lines) == 1
    assert "one class only, background" in lines[0]
    assert "--map 255=CLASS" in lines[0]


def test_info_reports_a_mask_and_accepts_it_with_its_values(scene_with):
    folder = scene_with(MASK).path.parent.parent
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused = inspect_folder(folder)
        said = inspect_folder(folder, values=parse_label_values({"255": "building", "0": "background"}))
    assert "one class only" in refused.label_problem
    assert said.problems == []
    assert said.classes.names == ("background", "building")


@pytest.mark.parametrize(
    "values",
    [{"x": "road"}, {"5-1": "road"}, {"1,2,300": "road"}, {"1": ""}, {"1-9": "a", "4": "b"}, {"1.5": "a"}],
)
def test_values_that_are_no_values_are_one_line(values):
    with pytest.raises(ConfigError, match="label_values"):
        parse_label_values(values)


def test_a_value_of_a_class_that_is_not_there_is_one_line():
    with pytest.raises(ConfigError, match="255=barn names no class, expected one of impervious surfaces"):
        VAIHINGEN.with_label_values(parse_label_values({"255": "barn"}))


def test_an_id_that_files_name_takes_no_class_that_they_lack(scene_with):
    scene = scene_with(IDS)
    with rasterio.open(scene.labels, "r+") as target:
        target.update_tags(1, class_0="land", class_1="tree", class_2="road")
    with pytest.raises(LabelError, match="call 1 'tree' and have no class 'tre', expected one of land"):
        judged(scene, {"1": "tre"})
    with pytest.raises(LabelError, match="call 1 'tree'"):
        judged(scene, {"1-3": "zebra"})
    assert judged(scene, {"3": "zebra"})[0].names == ("land", "tree", "road", "zebra")
    assert judged(scene, {"1": "road", "2": "road", "3": "ignore"})[2][0].tolist() == [0, 2, 2, 255]
