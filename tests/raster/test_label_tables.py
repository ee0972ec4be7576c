import numpy as np
import pytest

from tsfal_geo.classes import VAIHINGEN, ClassInfo, ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.raster.header import read_scene
from tsfal_geo.raster.label_reader import check_labels
from tsfal_geo.raster.label_tables import infer_class_map
from tsfal_geo.raster.write import write_classes

PALETTE = {1: (60, 16, 152, 255), 2: (132, 41, 246, 255)}


@pytest.fixture
def scene_with(tmp_path, write_tif):
    def make(labels, name="a", **options):
        image = write_tif(tmp_path / f"{name}.tif", np.ones((3, *labels.shape[-2:]), np.uint8))
        return read_scene(image, labels=write_tif(tmp_path / "labels" / f"{name}.tif", labels, **options))

    return make


def test_tags_and_palette_name_the_classes(scene_with):
    labels = np.array([[1, 2, 255]], np.uint8)
    scene = scene_with(labels, colormap=PALETTE, tags={"class_1": "building", "class_2": "land"}, nodata=255)
    assert infer_class_map([scene]) == ClassMap(
        (ClassInfo(1, "building", (60, 16, 152)), ClassInfo(2, "land", (132, 41, 246)))
    )


def test_a_palette_without_names_gives_the_ids_that_occur(scene_with):
    classes = infer_class_map([scene_with(np.array([[2, 0, 255]], np.uint8), colormap=PALETTE, nodata=0)])
    assert classes == ClassMap((ClassInfo(2, "class 2", (132, 41, 246)),))


def test_plain_ids_give_the_ids_that_occur_in_any_file(scene_with):
    scenes = [scene_with(np.array([[0, 4]], np.uint8), "a"), scene_with(np.array([[7, 255]], np.uint8), "b")]
    classes = infer_class_map(scenes)
    assert classes.ids.tolist() == [0, 4, 7]
    assert classes.names == ("class 0", "class 4", "class 7")


def test_named_classes_are_all_there_are(scene_with):
    scene = scene_with(np.array([[1, 5]], np.uint8), tags={"class_1": "building", "class_2": "land"})
    classes = infer_class_map([scene])
    assert classes.names == ("building", "land")
    with pytest.raises(LabelError, match="id 5 on 1 pixel is not"):
        check_labels(scene, classes)


def test_gdals_category_names_are_read(scene_with):
    scene = scene_with(np.array([[0, 2]], np.uint8))
    sidecar = scene.labels.with_name("a.tif.aux.xml")
    sidecar.write_text(
        "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category>roof</Category><Category/>"
        "<Category>gräss</Category></CategoryNames></PAMRasterBand></PAMDataset>",
        encoding="utf-8",
    )
    classes = infer_class_map([scene])
    assert list(zip(classes.ids.tolist(), classes.names, strict=True)) == [(0, "roof"), (2, "gräss")]


def test_our_own_maps_bring_their_classes_along(scene_with):
    scene = scene_with(np.zeros((30, 40), np.uint8))
    odd = ClassMap((ClassInfo(9, "roof & <wall>", (1, 2, 3)), ClassInfo(4, "road", (4, 5, 6))))
    for classes in (odd, ClassMap(VAIHINGEN.classes)):
        write_classes(scene.labels, scene.grid, classes, np.zeros((30, 40), np.uint8))
        found = infer_class_map([scene])
        assert set(found.classes) == set(classes.classes)
        check_labels(scene, found)


def test_the_attribute_table_alone_is_enough(scene_with):
    scene = scene_with(np.zeros((30, 40), np.uint8))
    classes = ClassMap((ClassInfo(4, "road", (4, 5, 6)),))
    write_classes(scene.labels, scene.grid, classes, np.zeros((30, 40), np.uint8))
    table = scene.labels.with_name("a.tif.aux.xml").read_text()
    again = scene_with(np.full((30, 41), 4, np.uint8))
    start, end = table.index("<CategoryNames>"), table.index("</CategoryNames>") + len("</CategoryNames>")
    again.labels.with_name("a.tif.aux.xml").write_text(table[:start] + table[end:])
    assert infer_class_map([again]) == classes


def test_rgb_labels_have_no_table(scene_with):
    assert infer_class_map([scene_with(np.zeros((3, 4, 5), np.uint8))]) is None
    assert infer_class_map([]) is None


def test_files_that_contradict_each_other_are_refused(scene_with):
    scenes = [
        scene_with(np.array([[1]], np.uint8), "a", tags={"class_1": "road"}),
        scene_with(np.array([[1]], np.uint8), "b", tags={"class_1": "roof"}),
    ]
    with pytest.raises(LabelError, match=r"b\.tif calls id 1 'roof', .*a\.tif calls it 'road'"):
        infer_class_map(scenes)
