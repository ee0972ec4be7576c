"""Import and export: exported labels come back to the pixel, and every row that is dropped is reported."""

import json
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from tests.labels.conftest import CLASSES, make_label, make_scene, square
from tests.labels.test_rasterise import blobs
from tsfal_geo.errors import LabelError, UserError
from tsfal_geo.labels.exchange.class_columns import check_mapping
from tsfal_geo.labels.exchange.coco import coco
from tsfal_geo.labels.exchange.export import export_labels
from tsfal_geo.labels.exchange.importing import import_labels
from tsfal_geo.labels.exchange.options import ImportOptions
from tsfal_geo.labels.model import Label
from tsfal_geo.labels.opening import open_store
from tsfal_geo.labels.polygonise import class_polygons
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.chips import Window


@pytest.fixture
def scenes():
    east = Affine(0.2, 0, 300_000, 0, -0.2, 5_000_000)
    return [make_scene("town", (90, 70)), make_scene("east", (50, 60), east, "EPSG:32633")]


@pytest.fixture
def store(tmp_path, scenes):
    return open_store(tmp_path / "ws", CLASSES, scenes)


@pytest.fixture
def truth(scenes):
    return [blobs(scene.shape, seed) for seed, scene in enumerate(scenes)]


@pytest.fixture
def labels(scenes, truth):
    return [
        Label(scene.name, int(CLASSES.ids[index]), polygon, author="anna")
        for scene, array in zip(scenes, truth, strict=True)
        for index, polygon in class_polygons(array, scene.grid)
    ]


def rasters(labels, scenes):
    reader = PolygonLabels(labels, scenes, CLASSES)
    return [reader.read(Window(position, 0, 0, *scene.shape)) for position, scene in enumerate(scenes)]


pytestmark = [
    pytest.mark.filterwarnings("ignore:'crs' was not provided"),
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]


def frame(scene, column="class_id", values=(3, 7)):
    shapes = [square(scene, 0, 0), square(scene, 20, 20)][: len(values)]
    return geopandas.GeoDataFrame({column: list(values)}, geometry=shapes, crs=str(scene.grid.crs))


@pytest.mark.parametrize("name", ["out.gpkg", "out.parquet", "out.fgb", "out.geojson", "out.json", "out"])
def test_exported_labels_are_imported_to_the_same_pixels(tmp_path, store, scenes, labels, truth, name):
    paths = export_labels(labels, scenes, CLASSES, tmp_path / name)
    for path in paths:
        for layer in ("labels", "labels_epsg_32633") if path.suffix == ".gpkg" else (None,):
            done = import_labels(store, path, ImportOptions(layer=layer))
            assert not done.rejected
    for found, expected in zip(rasters(store.snapshot().labels, scenes), truth, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_geotiff_holds_class_ids_on_the_scenes_grid(tmp_path, scenes, labels, truth):
    paths = export_labels(labels, scenes, CLASSES, tmp_path / "out")
    for path, scene, expected in zip(paths, scenes, truth, strict=True):
        with rasterio.open(path) as dataset:
            assert dataset.transform == scene.grid.affine
            assert dataset.nodata == 255
            np.testing.assert_array_equal(dataset.read(1), CLASSES.lut_index_to_ids()[expected])


def test_coco_has_every_pixel_of_every_label(scenes, labels):
    dataset = coco(labels, scenes, CLASSES)
    assert json.loads(json.dumps(dataset)) == dataset
    assert {item["name"] for item in dataset["categories"]} == set(CLASSES.names)
    kinds = set()
    for label, item in zip(labels, dataset["annotations"], strict=True):
        scene = scenes[item["image_id"] - 1]
        expected = rasters([label], [scene])[0] != 255
        shape = item["segmentation"]
        if isinstance(shape, dict):
            values = np.arange(len(shape["counts"])) % 2
            found = np.repeat(values, shape["counts"]).reshape(shape["size"], order="F") == 1
        else:
            corners = [shapely.Polygon(np.reshape(ring, (-1, 2))) for ring in shape]
            found = rasterio.features.rasterize(corners, scene.shape) == 1
        kinds.add(type(shape))
        np.testing.assert_array_equal(found, expected)
        assert item["area"] == pytest.approx(expected.sum())
        rows, columns = np.nonzero(expected)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert item["bbox"] == pytest.approx(box)
    assert kinds == {list, dict}


def test_an_unknown_suffix_is_refused(tmp_path, scenes):
    with pytest.raises(LabelError, match=r"\.docx"):
        export_labels([], scenes, CLASSES, tmp_path / "out.docx")


def test_geoparquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch, store, scenes, labels):
    path = tmp_path / "labels.parquet"
    export_labels(labels, scenes, CLASSES, path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    remedy = r"labels\.parquet: GeoParquet needs pyarrow; `pip install 'tsfal-geo\[parquet\]'`$"
    with pytest.raises(UserError, match=remedy):
        import_labels(store, path, ImportOptions())
    with pytest.raises(UserError, match=remedy):
        export_labels(labels, scenes, CLASSES, path)


def test_nothing_is_exported_as_an_empty_layer(tmp_path, scenes):
    (path,) = export_labels([], scenes, CLASSES, tmp_path / "out.gpkg")
    assert len(geopandas.read_file(path, layer="labels")) == 0


@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".geojson", ".fgb", ".parquet"])
def test_classes_are_found_by_id_or_name_in_every_format(tmp_path, store, scenes, suffix):
    path = tmp_path / f"some labels{suffix}"
    data = frame(scenes[0], "class", ["WATER", "7"])
    data.to_parquet(path) if suffix == ".parquet" else data.to_file(path)
    done = import_labels(store, path, ImportOptions())
    assert sorted(label.class_id for label in done.labels) == [3, 7]
    assert {label.source for label in store.snapshot().labels} == {"imported"}
    assert {label.author for label in store.snapshot().labels} == {"some labels"}


def rename_layer(path, name, new):
    """OGR refuses to make a layer of such a name; other programs do not."""
    with closing(sqlite3.connect(path)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (trigger,) in triggers:
            connection.execute(f'DROP TRIGGER "{trigger}"')
        connection.execute("DELETE FROM gpkg_extensions")
        quoted = new.replace('"', '""')
        connection.execute(f'ALTER TABLE "{name}" RENAME TO "{quoted}"')
        for table in ("gpkg_contents", "gpkg_geometry_columns", "gpkg_ogr_contents"):
            connection.execute(f"UPDATE {table} SET table_name = ?", (new,))
        connection.commit()


def test_names_that_look_like_sql_or_html_are_names(tmp_path, store, scenes):
    path = tmp_path / "x.gpkg"
    layer = '"; DROP TABLE labels; --'
    frame(scenes[0], "<b>field</b>", ['"; DROP TABLE labels; --', "<b>x</b>"]).to_file(path)
    rename_layer(path, "x", layer)
    done = import_labels(store, path, ImportOptions(field="<b>field</b>", layer=layer, author="../x"))
    assert [label.class_id for label in done.labels] == [0, 7]
    assert {label.author for label in store.snapshot().labels} == {"../x"}


def test_values_of_no_class_stop_the_import_and_are_all_listed(tmp_path, store, scenes):
    path = tmp_path / "x.geojson"
    frame(scenes[0], "class", ["Eau", "Forêt"]).to_file(path)
    with pytest.raises(LabelError, match=r"'Eau' \(1\), 'Forêt' \(1\).*--map"):
        import_labels(store, path, ImportOptions())
    assert not store.folder.exists()
    done = import_labels(store, path, ImportOptions(mapping={"Eau": "water", "Forêt": ""}))
    assert ([label.class_id for label in done.labels], done.left_out) == ([3], 1)


def test_a_mapping_goes_before_ids_and_names(tmp_path, store, scenes):
    path = tmp_path / "x.geojson"
    frame(scenes[0], "code", [3, 7]).to_file(path)
    done = import_labels(store, path, ImportOptions(mapping={"3": "7", "7": "3"}))
    assert [label.class_id for label in done.labels] == [7, 3]
    with pytest.raises(LabelError, match="no such class"):
        check_mapping({"3": "fire"}, CLASSES)


def test_an_ambiguous_class_column_is_refused(tmp_path, store, scenes):
    path = tmp_path / "x.geojson"
    data = frame(scenes[0], "kind")
    data["other"] = "a"
    data.to_file(path)
    with pytest.raises(
        LabelError, match=r"columns kind, other, expected one that holds the class; name it with --field"
    ):
        import_labels(store, path, ImportOptions())
    with pytest.raises(LabelError, match=r"no column 'colour'"):
        import_labels(store, path, ImportOptions(field="colour"))
    assert len(import_labels(store, path, ImportOptions(field="kind")).labels) == 2


def test_a_file_without_crs_needs_one(tmp_path, store, scenes):
    path = tmp_path / "x.shp"
    frame(scenes[0], "class_id").set_crs(None, allow_override=True).to_file(path)
    with pytest.raises(LabelError, match="--crs"):
        import_labels(store, path, ImportOptions())
    assert len(import_labels(store, path, ImportOptions(crs="EPSG:25832")).labels) == 2


def test_every_row_comes_in_when_ogrs_count_is_wrong(tmp_path, store, scenes):
    path = tmp_path / "x.gpkg"
    frame(scenes[0]).to_file(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE gpkg_ogr_contents SET feature_count = 1")
        connection.commit()
    assert len(geopandas.read_file(path)) == 1  # the trap
    assert len(import_labels(store, path, ImportOptions()).labels) == 2


def test_unusable_rows_are_reported_and_the_others_imported(tmp_path, store, scenes):
    path = tmp_path / "x.gpkg"
    data = frame(scenes[0])
    data.loc[2] = [3, shapely.box(0, 0, 5, 5)]
    data.loc[3] = [3, None]
    data.to_file(path)
    done = import_labels(store, path, ImportOptions())
    assert len(done.labels) == 2
    assert {issue.reason for issue in done.rejected} == {
        "outside every scene",
        "no geometry, or an empty one",
    }
    assert {issue.fids for issue in done.rejected} == {(3,), (4,)}


@pytest.mark.parametrize("name", ["missing.gpkg", "text.gpkg", "text.docx", "text.parquet", "text.tif"])
def test_unreadable_files_are_named(tmp_path, store, name):
    if name != "missing.gpkg":
        (tmp_path / name).write_text("hello")
    with pytest.raises(LabelError, match=name.replace(".", r"\.")):
        import_labels(store, tmp_path / name, ImportOptions())


def test_scenes_without_georeference(tmp_path):
    flat = [make_scene(name, (40, 50), Affine.identity(), None) for name in ("one", "two")]
    store = open_store(tmp_path / "ws", CLASSES, flat)
    truth = blobs((40, 50), seed=5)
    labels = [Label("two", int(CLASSES.ids[i]), shape) for i, shape in class_polygons(truth, flat[1].grid)]
    by_name, gpkg = tmp_path / "rasters", tmp_path / "two.gpkg"
    export_labels(labels, flat, CLASSES, by_name)
    export_labels(labels, flat, CLASSES, gpkg)
    import_labels(store, by_name / "two.tif", ImportOptions())
    np.testing.assert_array_equal(rasters(store.snapshot().labels, flat)[1], truth)
    again = open_store(tmp_path / "again", CLASSES, flat)
    import_labels(again, gpkg, ImportOptions(scene="two"))
    np.testing.assert_array_equal(rasters(again.snapshot().labels, flat)[1], truth)
    with pytest.raises(LabelError, match="expected one of one, two"):
        import_labels(store, gpkg, ImportOptions(scene="three"))


def test_a_raster_with_other_values_needs_a_mapping(tmp_path, store, scenes):
    path = tmp_path / "classes.tif"
    scene = scenes[0]
    ids = np.zeros(scene.shape, np.uint8)
    ids[:30], ids[60:] = 200, 9
    profile = {"driver": "GTiff", "height": 90, "width": 70, "count": 1, "dtype": "uint8", "nodata": 9}
    with rasterio.open(path, "w", **profile, crs="EPSG:25832", transform=scene.grid.affine) as dataset:
        dataset.write(ids, 1)
    with pytest.raises(LabelError, match="'200'"):
        import_labels(store, path, ImportOptions())
    import_labels(store, path, ImportOptions(mapping={"200": "<b>x</b>"}))
    found = rasters(store.snapshot().labels, scenes)[0]
    expected = np.full(scene.shape, 1, np.uint8)
    expected[:30], expected[60:] = 2, 255
    np.testing.assert_array_equal(found, expected)


def test_several_authors_in_one_file_stay_apart(tmp_path, store, scenes):
    path = tmp_path / "merged.gpkg"
    data = frame(scenes[0])
    data["author"] = ["anna", None]
    data.to_file(path)
    import_labels(store, path, ImportOptions())
    assert [label.author for label in store.snapshot().labels] == ["anna", "merged"]


def test_labels_of_a_store_export_with_their_authors(tmp_path, store, scenes):
    store.add("anna", [make_label(scenes[0], 0, 0, qid="q1")])
    (path,) = export_labels(store.snapshot().labels, scenes, CLASSES, tmp_path / "out.gpkg")
    row = geopandas.read_file(path, layer="labels").iloc[0]
    assert (row["author"], row["qid"], row["class_name"], row["scene"]) == ("anna", "q1", "water", "town")


@pytest.mark.parametrize("name", ["labels.gpkg", "labels.geojson"])
def test_the_same_file_again_brings_nothing_and_a_longer_one_what_is_new(
    tmp_path, store, scenes, labels, name
):
    def written(some):
        done = []
        for path in export_labels(some, scenes, store.classes, tmp_path / name):
            layers = ("labels", "labels_epsg_32633") if path.suffix == ".gpkg" else (None,)
            done += [import_labels(store, path, ImportOptions(layer=layer)) for layer in layers]
        return done

    first = written(labels[:-1])
    assert sum(len(done.labels) for done in first) == len(labels) - 1
    before = store.snapshot()
    for done in written(labels[:-1]):
        assert done.labels == () and done.kept == "" and done.known > 0
    assert store.snapshot() == before
    assert sum(len(done.labels) for done in written(labels)) == 1
    # Another class of the same ground is another label.
    other = next(int(number) for number in store.classes.ids if number != labels[0].class_id)
    assert sum(len(done.labels) for done in written([replace(labels[0], class_id=other), *labels[1:]])) == 1
