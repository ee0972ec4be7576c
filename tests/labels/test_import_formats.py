"""Imports of the formats that people hold, and refusals of files that only pretend to be one."""

import json
import socket
import sqlite3
import threading
from contextlib import closing

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from tests.labels.conftest import CLASSES, make_label, make_scene, on_ground, square
from tests.labels.test_exchange import frame, rasters
from tsfal_geo.classes import IGNORE, ClassInfo, ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.labels.datum import shift_accuracy
from tsfal_geo.labels.exchange.coco import coco
from tsfal_geo.labels.exchange.importing import import_labels
from tsfal_geo.labels.exchange.options import ImportOptions
from tsfal_geo.labels.model import Label
from tsfal_geo.labels.opening import open_store

SUFFIXES = [".geojson", ".json", ".shp", ".fgb", ".osm", ".pbf", ".gpkg", ".parquet", ".tif"]
BESSEL = "+proj=tmerc +lat_0=0 +lon_0=9 +x_0=3500000 +ellps=bessel"


@pytest.fixture
def store(tmp_path, town):
    return open_store(tmp_path / "ws", CLASSES, [town])


@pytest.fixture
def listener():
    """A socket on loopback that counts who calls."""
    calls = []
    server = socket.create_server(("127.0.0.1", 0))

    def answer():
        try:
            while True:
                connection, _ = server.accept()
                calls.append(connection)
                connection.close()
        except OSError:
            return

    threading.Thread(target=answer, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/x.geojson", calls
    server.close()


def ogr_vrt(source, layer="other"):
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="{layer}"><SrcDataSource>{source}</SrcDataSource>'
        f"<SrcLayer>{layer}</SrcLayer></OGRVRTLayer></OGRVRTDataSource>"
    )


def raster_vrt(source):
    return (
        '<VRTDataset rasterXSize="80" rasterYSize="60"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        "</VRTDataset>"
    )


@pytest.mark.parametrize(
    "suffix", [".geojson", ".json", ".shp", ".fgb", ".osm", ".pbf", ".gpkg", ".parquet", ".tif"]
)
@pytest.mark.parametrize("trick", ["plain", "spaces", "comment", "json", "raster", "url"])
def test_a_virtual_file_behind_any_suffix_is_refused(tmp_path, town, store, listener, suffix, trick):
    url, calls = listener
    other = tmp_path / "other.geojson"
    frame(town).to_file(other)
    text = {
        "plain": ogr_vrt(other),
        "spaces": "\ufeff \n" + ogr_vrt(url),
        "comment": "<!-- { -->" + ogr_vrt(url).replace("OGRVRT", "ogrvrt", 1),
        "json": '{"type": "' + ogr_vrt(url).replace('"', "'") + '"}',
        "raster": raster_vrt(f"/vsicurl/{url}"),
        "url": url,
    }[trick]
    path = tmp_path / f"evil{suffix}"
    path.write_text(text)
    with pytest.raises(LabelError) as refused:
        import_labels(store, path, ImportOptions())
    assert path.name in str(refused.value) and "\n" not in str(refused.value)
    assert not calls
    assert not store.folder.exists()


@pytest.mark.parametrize("module", ["VirtualOGR", "VirtualShape", "VirtualText"])
def test_a_table_that_reads_other_files_is_refused(tmp_path, town, store, module):
    path = tmp_path / "x.gpkg"
    frame(town).to_file(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        statement = f"CREATE VIRTUAL TABLE x USING {module}('/etc/passwd')"
        connection.execute("UPDATE sqlite_master SET sql = ?, rootpage = 0 WHERE name = 'x'", (statement,))
    with pytest.raises(LabelError, match=r"x\.gpkg"):
        import_labels(store, path, ImportOptions())


def test_a_geodatabase_is_imported(tmp_path, town, store):
    path = tmp_path / "parcels.gdb"
    frame(town, "class", ["water", "<b>x</b>"]).to_file(path, driver="OpenFileGDB", layer="parcels")
    assert [label.class_id for label in import_labels(store, path, ImportOptions()).labels] == [3, 7]
    (tmp_path / "empty.gdb").mkdir()
    with pytest.raises(LabelError, match="expected a file geodatabase"):
        import_labels(store, tmp_path / "empty.gdb", ImportOptions())
    (tmp_path / "folder.gpkg").mkdir()
    with pytest.raises(LabelError, match="found a folder"):
        import_labels(store, tmp_path / "folder.gpkg", ImportOptions())


def test_openstreetmap_is_imported_by_layer_and_field(tmp_path, town, store):
    corners = shapely.get_coordinates(square(town, 10, 10, 8))
    to_degrees = pyproj.Transformer.from_crs(25832, 4326, always_xy=True)
    lon, lat = to_degrees.transform(*corners[:-1].T)
    nodes = "".join(
        f'<node id="{n}" lat="{b:.9f}" lon="{a:.9f}"/>'
        for n, (a, b) in enumerate(zip(lon, lat, strict=True), 1)
    )
    way = "".join(f'<nd ref="{n}"/>' for n in (1, 2, 3, 4, 1))
    path = tmp_path / "town.osm"
    path.write_text(
        f"<?xml version='1.0'?>\n<osm version='0.6'>{nodes}<way id='9'>{way}"
        "<tag k='building' v='yes'/></way></osm>"
    )
    options = ImportOptions(layer="multipolygons", field="building", mapping={"yes": "water"})
    (label,) = import_labels(store, path, options).labels
    assert label.geometry.area == pytest.approx(square(town, 10, 10, 8).area, rel=0.1)
    with pytest.raises(LabelError, match=r"multipolygons.*--layer"):
        import_labels(store, path, ImportOptions())


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".fgb", ".parquet"])
def test_points_and_lines_of_every_format_are_labels(tmp_path, town, store, suffix):
    path = tmp_path / f"x{suffix}"
    shapes = [on_ground(town, shapely.Point(3.5, 4.5)), on_ground(town, shapely.Point(9.5, 4.5))]
    data = geopandas.GeoDataFrame({"class_id": [3, 7]}, geometry=shapes, crs=25832)
    data.to_parquet(path) if suffix == ".parquet" else data.to_file(path)
    assert len(import_labels(store, path, ImportOptions()).labels) == 2
    (read,) = rasters(store.snapshot().labels, [town])
    assert np.argwhere(read != IGNORE).tolist() == [[4, 3], [4, 9]]
    discs = open_store(tmp_path / "discs", CLASSES, [town])
    import_labels(discs, path, ImportOptions(radius=0.25))
    (read,) = rasters(discs.snapshot().labels, [town])
    assert (read != IGNORE).sum() == pytest.approx(2 * np.pi * (0.25 / 0.09) ** 2, rel=0.15)


def other_project(numbers):
    """The classes of a project that numbers the same names in another way."""
    return ClassMap(
        tuple(ClassInfo(n, info.name, info.colour) for n, info in zip(numbers, CLASSES.classes, strict=True))
    )


@pytest.mark.parametrize("name", ["class_name", "class"])
@pytest.mark.parametrize("words", [["<b>x</b>", "water"], ["forest", "meadow"], ["WATER", "water"]])
def test_numbers_and_names_that_contradict_the_project_are_both_shown(tmp_path, town, store, name, words):
    data = frame(town)  # classes 3 and 7
    data[name] = words
    data.to_file(tmp_path / "x.geojson")
    with pytest.raises(LabelError, match=rf"contradict.*7 is '{words[1]}'.*3=water.*--field {name}"):
        import_labels(store, tmp_path / "x.geojson", ImportOptions())
    assert len(import_labels(store, tmp_path / "x.geojson", ImportOptions(field="class_id")).labels) == 2


def test_a_label_file_of_another_project_is_refused_by_its_own_names(tmp_path, town, store):
    other = open_store(tmp_path / "other", other_project((7, 0, 3)), [town])
    other.add("anna", [make_label(town, 0, 0)])  # class 3, which is '<b>x</b>' there
    path = other.author_store("anna")
    with pytest.raises(LabelError, match=r"contradict.*3 is '<b>x</b>'.*3=water"):
        import_labels(store, path, ImportOptions())
    assert import_labels(store, path, ImportOptions(mapping={"3": "<b>x</b>"})).labels[0].class_id == 7


def test_names_that_agree_hold_where_a_number_is_missing(tmp_path, town, store):
    data = frame(town)
    data["class_name"] = ["Water", None]
    data["class_id"] = [None, 7]
    data.to_file(tmp_path / "x.geojson")
    assert [
        label.class_id for label in import_labels(store, tmp_path / "x.geojson", ImportOptions()).labels
    ] == [3, 7]


def test_a_remark_beside_the_number_is_no_contradiction(tmp_path, town, store):
    data = frame(town)
    data["label"] = ["tree 17", "checked"]
    data.to_file(tmp_path / "x.geojson")
    assert len(import_labels(store, tmp_path / "x.geojson", ImportOptions()).labels) == 2


def test_text_is_a_name_before_it_is_a_number(tmp_path, town):
    classes = ClassMap((ClassInfo(1, "2", (0, 0, 0)), ClassInfo(2, "1", (9, 9, 9))))
    store = open_store(tmp_path / "ws", classes, [town])
    for values, expected in ((["1", "2"], [2, 1]), ([1, 2], [1, 2])):
        frame(town, "class", values).to_parquet(tmp_path / "x.parquet")
        done = import_labels(store, tmp_path / "x.parquet", ImportOptions())
        assert [label.class_id for label in done.labels] == expected


def test_a_foreign_column_of_scenes_can_be_set_aside_or_named(tmp_path, town, store):
    data = frame(town)
    data["scene"], data["tile"] = ["summer", "winter"], ["town", "town"]
    data.to_file(tmp_path / "x.gpkg")
    assert not import_labels(store, tmp_path / "x.gpkg", ImportOptions()).labels
    for field in ("none", "tile", "TILE"):
        options = ImportOptions(scene_field=field, author=f"by {field}")
        assert len(import_labels(store, tmp_path / "x.gpkg", options).labels) == 2
    with pytest.raises(LabelError, match="no column 'sheet'"):
        import_labels(store, tmp_path / "x.gpkg", ImportOptions(scene_field="sheet"))


def test_unusable_annotations_are_reported_and_the_others_imported(tmp_path, town, store):
    data = coco([make_label(town, 0, 0), make_label(town, 20, 20, class_id=7)], [town], CLASSES)
    broken = [None, "text", [], [[1, 2]], [["a"]], {"counts": "abc", "size": [60, 80]},
              {"counts": [1, 2], "size": [60, 80]}, {"size": [60, 80]}, [[0, 0, 1e400, 1, 1, 1]]]  # fmt: skip
    for number, segmentation in enumerate(broken, 10):
        data["annotations"].append(
            {"id": number, "image_id": 1, "category_id": 4, "segmentation": segmentation}
        )
    data["images"].append({"id": 2, "file_name": "elsewhere/village.tif", "height": 1, "width": 1})
    data["annotations"].append(
        {"id": 99, "image_id": 2, "category_id": 4, "segmentation": [[0, 0, 1, 0, 1, 1]]}
    )
    (tmp_path / "x.json").write_text(json.dumps(data))
    done = import_labels(store, tmp_path / "x.json", ImportOptions())
    assert [label.class_id for label in done.labels] == [3, 7]
    assert sorted(fid for issue in done.rejected for fid in issue.fids) == list(range(3, 13))
    assert any("village.tif" in issue.reason for issue in done.rejected)


def test_the_names_of_coco_hold_in_a_project_of_other_numbers(tmp_path, town):
    classes = other_project((30, 10, 20))
    (tmp_path / "x.json").write_text(json.dumps(coco([make_label(town, 0, 0)], [town], CLASSES)))
    store = open_store(tmp_path / "ws", classes, [town])
    assert [
        label.class_id for label in import_labels(store, tmp_path / "x.json", ImportOptions()).labels
    ] == [30]


def test_an_image_of_another_size_is_reported(tmp_path, store, town):
    data = coco([make_label(town, 0, 0)], [town], CLASSES)
    data["images"][0]["width"] = 81
    (tmp_path / "x.json").write_text(json.dumps(data))
    done = import_labels(store, tmp_path / "x.json", ImportOptions())
    assert not done.labels and "81 x 60 pixels" in done.rejected[0].reason


@pytest.mark.parametrize(
    ("source", "target", "place", "told"),
    [
        ("EPSG:25833", "EPSG:25832", (497_000, 5_419_000), ""),
        ("EPSG:4258", "EPSG:25832", (497_000, 5_419_000), ""),
        ("EPSG:4326", "EPSG:25832", (497_000, 5_419_000), "1 m"),
        ("EPSG:5683", "EPSG:25832", (497_000, 5_419_000), "0 m"),
        ("EPSG:31467", "EPSG:25832", (497_000, 5_419_000), " m ("),
        ("EPSG:27700", "EPSG:25830", (700_000, 5_700_000), "grid uk_os_"),
        ("EPSG:4267", "EPSG:26915", (500_000, 4_500_000), "grid us_noaa_"),
        (
            "+proj=tmerc +lat_0=0 +lon_0=9 +x_0=3500000 +ellps=bessel",
            "EPSG:25832",
            (497_000, 5_419_000),
            "unknown",
        ),
    ],
)
def test_the_accuracy_of_a_change_of_datum_is_told(source, target, place, told):
    scene = make_scene(affine=Affine(0.5, 0, place[0], 0, -0.5, place[1]), crs=target)
    found = shift_accuracy(pyproj.CRS(source), scene)
    assert (told in found) if told else found == ""
    assert not found or "accuracy" in found


def test_a_row_from_another_datum_is_noted_with_the_accuracy(tmp_path, town, store):
    shape = square(town, 10, 10, 20)
    data = geopandas.GeoDataFrame({"class_id": [3]}, geometry=[shape], crs=25832).to_crs(31467)
    data.to_file(tmp_path / "x.gpkg")
    (note,) = import_labels(store, tmp_path / "x.gpkg", ImportOptions()).notes
    assert "reprojected to an accuracy of" in note.reason and "pixels" in note.reason


def test_exported_points_come_back(tmp_path, town, store):
    store.add("anna", [Label("town", 3, on_ground(town, shapely.Point(3.5, 4.5)))])
    assert store.snapshot().labels[0].geometry.geom_type == "Polygon"
