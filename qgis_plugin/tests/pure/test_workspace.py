import json
import os
import socket

import pytest

from tsfal_qgis.store.workspace import Scene, Workspace, WorkspaceProblem

INDEX = {
    "schema": 1,
    "round": 0,
    "status": "waiting",
    "store": None,
    "classes": [{"id": 3, "name": "<b>x</b>", "colour": [1, 2, 3]}],
    "scenes": [
        {
            "name": "town",
            "path": "../data/town.tif",
            "height": 4,
            "width": 6,
            "transform": [0.5, 0, 100, 0, -0.5, 200],
            "crs": "EPSG:25832",
        }
    ],
}


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "ws"
    (root / "rounds" / "000").mkdir(parents=True)
    (root / "labels").mkdir()
    (root / "rounds" / "000" / "metrics.json").write_text('{"round": 0, "miou": 0.5}')
    write(root, **INDEX)
    return root


def write(root, **values):
    (root / "workspace.json").write_text(json.dumps(values))


def test_it_reads_what_the_engine_writes(root):
    workspace = Workspace.read(root)
    scene = workspace.scenes[0]
    assert workspace.classes[0].name == "<b>x</b>"
    assert scene.path == root.parent / "data" / "town.tif"
    assert scene.corner(1, 2) == (100.5, 199.0)
    assert workspace.metrics == ({"round": 0, "miou": 0.5},)
    assert workspace.raster(0, "town", "prediction") == root / "rounds" / "000" / "town" / "prediction.tif"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "newer"),
        ({"schema": None}, "damaged"),
        ({"classes": [{"id": 1}]}, "damaged"),
        ({"scenes": [{}]}, "damaged"),
        ({"scenes": None}, "damaged"),
        ({"round": 1}, "metrics.json"),
    ],
)
def test_a_fault_is_named_in_a_sentence(root, change, message):
    write(root, **{**INDEX, **change})
    with pytest.raises(WorkspaceProblem, match=message):
        Workspace.read(root)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_broken_index_is_no_traceback(root, text):
    (root / "workspace.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(WorkspaceProblem):
        Workspace.read(root)


def test_another_folder_is_no_workspace(tmp_path):
    with pytest.raises(WorkspaceProblem, match=r"no workspace\.json"):
        Workspace.read(tmp_path)


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        ((0.5, 0, 100, 0, -0.5, 200), "EPSG:25832"),
        ((0.4, 0.1, 6e5, 0.1, -0.4, 5.5e6), None),
        ((1, 0, 0, 0, -1, 0), None),
    ],
)
def test_a_pixel_is_found_again_from_its_centre(transform, crs):
    scene = Scene("town", None, 30, 40, transform, crs)
    for column, row in ((0, 0), (39, 29), (17, 3), (-1, -1)):
        assert scene.cell(*scene.corner(column + 0.5, row + 0.5)) == (column, row)


def test_a_scene_without_georeference_is_read_as_qgis_shows_it(root):
    bare = {**INDEX["scenes"][0], "crs": None, "transform": [1, 0, 0, 0, 1, 0]}
    write(root, **{**INDEX, "scenes": [bare]})
    assert Workspace.read(root).scenes[0].corner(3, 2) == (3, -2)


@pytest.mark.parametrize(
    ("author", "plain"), [("anna", True), ("Anna", False), ("con", False), ("import-1", False)]
)
def test_only_plain_names_are_file_names(root, author, plain):
    (root / "labels" / f"{author}.gpkg").write_bytes(b"")
    assert (Workspace.read(root).plain_label_file(author) is not None) is plain


def test_a_running_engine_is_named_unless_it_is_dead(root):
    workspace = Workspace.read(root)
    assert workspace.running_engine() is None
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "user": "anna", "since": "now"}
    (root / ".lock.json").write_text(json.dumps(holder))
    assert f"process {os.getpid()} of anna" in workspace.running_engine()
    (root / ".lock.json").write_text(json.dumps({**holder, "pid": 2**22 + 1}))
    assert workspace.running_engine() is None
    (root / ".lock.json").write_text("{")
    assert workspace.running_engine() == "another tsfal-geo"


def test_the_chip_size_is_read_from_the_configuration(root):
    workspace = Workspace.read(root)
    assert workspace.chip_size() is None
    (root / "tsfal.yaml").write_text("config:\n  data:\n    chip_size: 128\n    edge: shift\n")
    assert workspace.chip_size() == 128
