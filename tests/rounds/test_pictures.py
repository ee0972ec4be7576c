"""Plain pictures through the whole product: JPEG and PNG, several sizes, all smaller than a chip or not."""

import json
import warnings

import numpy as np
import pyogrio
import pytest
import rasterio
from click.testing import CliRunner
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

from tests.helpers.loop_case import CLASSES, IDS, QuietReporter, tiny_config
from tsfal_geo.cli import evaluate, export
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.discovery import discover
from tsfal_geo.rounds.inputs import class_map, load, prepare, save
from tsfal_geo.rounds.loop import train
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder

SIZES = {"a": (48, 40), "b": (100, 150), "c": (64, 64), "d": (40, 130)}
VOID = 11

pytestmark = pytest.mark.filterwarnings("ignore", category=NotGeoreferencedWarning)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Four pictures with a frame of void around their labels; two of them are PNG."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for home in ("images", "labels"):
        (folder / home).mkdir()
    for number, (name, (height, width)) in enumerate(SIZES.items()):
        coarse = rng.integers(0, 3, (-(-height // 20), -(-width // 20)))
        truth = coarse.repeat(20, 0).repeat(20, 1)[:height, :width]
        seen = (truth * 80 + 30)[..., None] + rng.normal(0, 10, (height, width, 3))
        ids = IDS[truth]
        ids[:2] = ids[-2:] = VOID
        picture = Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8))
        picture.save(folder / "images" / (f"{name}.png" if number % 2 else f"{name}.jpg"))
        Image.fromarray(ids).save(folder / "labels" / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    root = tmp_path_factory.mktemp("ws") / "ws"
    (root.parent / "list.txt").write_text("b\n")
    overrides = {
        "ignore_ids": (VOID,),
        "data.labelled": None,
        "data.labelled_list": str(root.parent / "list.txt"),
        "augment.rotate90": False,
        "active.oracle": True,
        "active.budget": 0.8,
        "active.rounds": 1,
    }
    train(Request(root, pictures, None, tiny_config(**overrides)), QuietReporter())
    return WorkspaceFolder.open(root)


def truth_of(folder, name):
    with Image.open(folder / "labels" / f"{name}.png") as picture:
        return np.asarray(picture)


def run(command, *arguments):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "'crs' was not provided")
        return _run(command, *arguments)


def _run(command, *arguments):
    done = CliRunner().invoke(command, [str(item) for item in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_only_the_listed_picture_was_labelled_at_first(trained):
    taken = trained.round_dir(0)
    share = SIZES["b"][0] * SIZES["b"][1] - 4 * SIZES["b"][1]
    total = sum(height * width - 4 * width for height, width in SIZES.values())
    metrics = json.loads((taken / "metrics.json").read_text())
    assert metrics["valid_pixels"] == total, "void is no part of the budget of an oracle"
    assert metrics["labelled_pixels"] == share


def test_without_an_oracle_void_counts_and_with_one_it_no_longer_does(pictures, tmp_path):
    scenes = tuple(discover(pictures))
    person, oracle = (
        tiny_config(**{"active.oracle": answers, "ignore_ids": (VOID,)}) for answers in (False, True)
    )
    found = prepare(pictures, person)
    save(found, tmp_path / "inputs.json", person)
    assert load(tmp_path / "inputs.json", scenes, found.classes, person).valid == found.valid
    again = load(tmp_path / "inputs.json", scenes, found.classes, oracle)
    assert sum(found.valid) == sum(h * w for h, w in SIZES.values())
    assert again.valid == prepare(pictures, oracle).valid
    assert sum(again.valid) == sum(h * w - 4 * w for h, w in SIZES.values())
    back = load(tmp_path / "inputs.json", scenes, found.classes, person)
    assert back.valid == found.valid


def test_queries_lie_on_their_pixels_with_y_downwards(trained):
    queries = trained.store().read_queries(0)
    assert {query.scene for query in queries} <= {"a", "c", "d"}
    frame = pyogrio.read_dataframe(trained.round_dir(0) / "queries.gpkg", layer="queries")
    assert len(frame) == len(queries) > 0
    for row in frame.itertuples():
        left, bottom, right, top = row.geometry.bounds
        height, width = SIZES[row.scene]
        assert 0 <= left < right <= width and -height <= bottom < top <= 0
        with rasterio.open(trained.round_dir(0) / row.scene / "queries.tif") as dataset:
            ranks = dataset.read(1)
        rows, columns = np.nonzero(ranks == row.rank)
        assert (columns.min(), columns.max() + 1) == (left, right)
        assert (-rows.min(), -(rows.max() + 1)) == (top, bottom)
        assert row.geometry.area == len(rows) == row.pixels


def test_the_oracle_s_polygons_are_the_truth_pixel_by_pixel(trained, pictures):
    snapshot = trained.store().snapshot()
    assert snapshot.labels and not snapshot.rejected
    labels = PolygonLabels(snapshot.labels, trained.scenes, trained.classes)
    found = 0
    for index, scene in enumerate(trained.scenes):
        read = labels.read(Window(index, 0, 0, *scene.shape))
        said = read != 255
        assert (trained.classes.ids[read[said]] == truth_of(pictures, scene.name)[said]).all()
        found += int(said.sum())
    assert found > 1000


def test_maps_are_tiff_and_png_of_the_pictures_size_and_are_scored(trained, pictures, tmp_path):
    out = tmp_path / "maps"
    told = run(
        export.command,
        *("--workspace", trained.root, "--out", out, "--png", "--preview", "--polygons", "gpkg", "--augment"),
    )
    assert told.count("png: ") == 4
    palette = {info["id"]: tuple(info["colour"]) for info in CLASSES}
    for name, shape in SIZES.items():
        with rasterio.open(out / f"{name}.tif") as dataset:
            ids = dataset.read(1)
            assert dataset.crs is None and dataset.transform.is_identity
        assert ids.shape == shape and set(np.unique(ids)) <= set(IDS)
        with Image.open(out / f"{name}_classes.png") as picture:
            assert picture.mode == "P" and (np.asarray(picture) == ids).all()
            colours = np.asarray(picture.convert("RGB"))
        for value in np.unique(ids):
            assert (colours[ids == value] == palette[value]).all()
    said = run(evaluate.command, "--workspace", trained.root, "--raster", pictures, "--json")
    scores = json.loads(said.splitlines()[-1])
    assert np.sum(scores["confusion"]) == sum((h - 4) * w for h, w in SIZES.values()), "void is not scored"


def test_a_preview_does_not_overwrite_the_picture(trained, pictures):
    command = ["--workspace", str(trained.root), "--out", str(pictures / "images"), "--preview"]
    done = CliRunner().invoke(export.command, command)
    assert "is an input" in str(done.exception)


def test_the_class_map_of_plain_folders_leaves_ignored_ids_out(pictures):
    config = tiny_config(classes=None, ignore_ids=(VOID,))
    assert class_map(config, discover(pictures)).ids.tolist() == IDS.tolist()
