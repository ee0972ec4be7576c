"""Workspaces for the plugin's tests, made and read by the engine's own code in the engine's Python.

make_workspace.py make FOLDER [STORE]   two rounds over three scenes: upright, rotated, without CRS
make_workspace.py pictures FOLDER       the same over three JPEGs of two sizes without georeference
make_workspace.py pixels FOLDER         JSON on stdout: its contents as the engine reads them
"""

import json
import sys
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from tsfal_geo.classes import ClassInfo, ClassMap
from tsfal_geo.config import Config
from tsfal_geo.labels.effort import measure_effort
from tsfal_geo.labels.model import Query
from tsfal_geo.labels.polygonise import region_polygon
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.discovery import discover
from tsfal_geo.workspace.folder import WorkspaceFolder
from tsfal_geo.workspace.state import State

CLASSES = ClassMap(
    (
        ClassInfo(3, "water", (0, 0, 255)),
        ClassInfo(0, "<b>road</b> & '\"", (255, 0, 0)),
        ClassInfo(7, "tree", (0, 255, 0)),
    )
)
SCENES = {
    "town": (Affine(0.09, 0, 497_000.01, 0, -0.09, 5_419_000.07), "EPSG:25832"),
    "town_rotated": (Affine(0.08, 0.02, 497_010.3, 0.02, -0.08, 5_419_000.7), "EPSG:25832"),
    "unplaced": (Affine.identity(), None),
}
SHAPE = (90, 120)
PICTURES = {"first": SHAPE, "second": (60, 200), "third": SHAPE}
ROUNDS = 2
QUERIES = 12
AUTHORS = ("anna", "ben")


def make(folder, store=None):
    data = folder.parent / f"{folder.name}-data"
    only = {name: each for name, each in SCENES.items() if store is None or each[1]}
    for name, (transform, crs) in only.items():
        image = np.random.default_rng(0).integers(1, 255, (3, *SHAPE)).astype(np.uint8)
        write(data / "images" / f"{name}.tif", image, transform, crs)
    _make(folder, data, store)


def pictures(folder):
    data = folder.parent / f"{folder.name}-data"
    for number, (name, shape) in enumerate(PICTURES.items()):
        image = np.full((3, *shape), 60 * (number + 1), np.uint8)
        image[:, :, shape[1] // 2 :] = 250
        write(data / "images" / f"{name}.jpg", image, Affine.identity(), None, driver="JPEG")
    _make(folder, data)


def _make(folder, data, store=None):
    state = State(data, None, CLASSES, tuple(discover(data)), round=0, status="waiting", store=store)
    workspace = WorkspaceFolder.create(folder, state, Config())
    for number in range(ROUNDS):
        for scene in workspace.scenes:
            crs = scene.grid.crs
            for kind, value in (("prediction", 3), ("confidence", 60), ("error_mask", 50), ("refined", 255)):
                pixels = np.full((1, *scene.shape), value, np.uint8)
                path = workspace.round_dir(number) / scene.name / f"{kind}.tif"
                write(path, pixels, scene.grid.affine, crs and f"EPSG:{crs.epsg}", nodata=255)
        metrics = {
            "round": number,
            "labelled_share": 0.1 + 0.05 * number,
            "valid_pixels": sum(scene.height * scene.width for scene in workspace.scenes),
            "budget": 0.3,
            "queries": QUERIES,
            "miou": 0.4 + 0.1 * number,
        }
        (workspace.round_dir(number) / "metrics.json").write_text(json.dumps(metrics))
        workspace.store().write_queries(number, make_queries(workspace, number))
    for author in AUTHORS:
        workspace.store().author_store(author)


def make_queries(workspace, number):
    size = np.ones((10, 10), bool)
    names = [scene.name for scene in workspace.scenes]
    found = []
    for rank in range(1, QUERIES + 1):
        scene = workspace.scenes[(rank - 1) % len(names)]
        y, x = 8 + 20 * ((rank - 1) // len(names)), 8 + 10 * number
        shape = region_polygon(size, scene.grid, y, x)
        qid = f"{number:03d}-{rank:06d}"
        found.append(Query(qid, number, scene.name, "0-0", rank, 1 / rank, "unsure", 7, 100, shape))
    return found


def write(path, array, transform, crs, nodata=None, driver="GTiff"):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = array.shape
    profile = {"driver": driver, "height": height, "width": width, "count": count}
    profile |= {"dtype": "uint8", "crs": crs, "nodata": nodata}
    if crs is not None:
        profile["transform"] = transform
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(array)


def pixels(folder):
    workspace = WorkspaceFolder.open(folder)
    snapshot = workspace.store().snapshot()
    labels = PolygonLabels(snapshot.labels, workspace.scenes, workspace.classes)
    scenes = {}
    for place, scene in enumerate(workspace.scenes):
        values = labels.read(Window(place, 0, 0, *scene.grid.shape))
        rows, columns = np.nonzero(values != 255)
        ids = workspace.classes.ids[values[rows, columns]]
        scenes[scene.name] = [[int(c), int(r), int(i)] for c, r, i in zip(columns, rows, ids, strict=True)]
    labels = [[each.qid, each.class_id, each.author, each.source] for each in snapshot.labels]
    decisions = [[each.qid, each.status, each.author] for each in snapshot.decisions]
    effort = measure_effort(snapshot, {scene.name: scene for scene in workspace.scenes})
    rejected = [str(each) for each in snapshot.rejected]
    answers = {kind: each.answers for kind, each in effort.by_kind.items()}
    return {
        "scenes": scenes,
        "labels": labels,
        "decisions": decisions,
        "rejected": rejected,
        "effort": answers,
    }


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), *sys.argv[3:])
    elif sys.argv[1] == "pictures":
        pictures(Path(sys.argv[2]))
    else:
        for line in sys.stdin:
            print(json.dumps(pixels(Path(line.strip()))), flush=True)
