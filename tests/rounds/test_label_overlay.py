"""What people said stands in the map; so do votes that rest on it. Independent reference: rasterio."""

import json
import shutil
import warnings

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from rasterio.features import rasterize
from sklearn.metrics import jaccard_score

from tests.helpers.loop_case import IDS, QuietReporter, tiny_config, write_scenes
from tsfal_geo.cli import export
from tsfal_geo.rounds.loop import train
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder

CHIP = 64
SCENES = ("s0", "s1")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A workspace after a round of answers, and its rasters."""
    root = tmp_path_factory.mktemp("known")
    folder = write_scenes(root / "rasters")
    config = tiny_config(active__budget=0.45, active__rounds=1, active__oracle=True, train__lr=0.003)
    train(Request(root / "ws", folder, None, config), QuietReporter())
    return root


@pytest.fixture
def case(done, tmp_path):
    """A copy that a test may change; paths inside are relative."""
    shutil.copytree(done, tmp_path / "case")
    return tmp_path / "case"


def read(path):
    with rasterio.open(path) as file:
        return file.read(1)


def labels_of(root):
    """Class ids of labelled pixels, 255 elsewhere, by scene: the folder's chips and the oracle's polygons."""
    given = json.loads((root / "ws" / "inputs.json").read_text())["labelled_chips"]
    polygons = geopandas.read_file(root / "ws" / "labels" / "oracle.gpkg", layer="labels")
    found = {}
    for number, name in enumerate(SCENES):
        truth = read(root / "rasters" / "labels" / f"{name}.tif")
        with rasterio.open(root / "rasters" / "images" / f"{name}.tif") as image:
            transform = image.transform
        said = np.full(truth.shape, 255, np.uint8)
        for scene, row, column in given:
            if scene == number:
                y, x = (min(at * CHIP, n - CHIP) for at, n in zip((row, column), truth.shape, strict=True))
                said[y : y + CHIP, x : x + CHIP] = truth[y : y + CHIP, x : x + CHIP]
        own = polygons[polygons.scene == name]
        shapes = list(zip(own.geometry, own.class_id, strict=True))
        rasterize(shapes, out=said, transform=transform)
        found[name] = said
    return found


def exported(root, out, *options, told=""):
    result = CliRunner().invoke(
        export.command,
        ["--workspace", str(root / "ws"), "--out", str(out), *map(str, options)],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    warned = [line for line in result.stderr.splitlines() if line.startswith("Warning")]
    assert len(warned) == bool(told) and all(told in line for line in warned), warned
    return {name: read(out / f"{name}.tif") for name in SCENES if (out / f"{name}.tif").is_file()}


def without_votes(root):
    for path in (root / "ws" / "rounds").glob("*/*/refined.tif"):
        path.unlink()


def vote_everywhere(root, value):
    """Let the last round have voted for one class on every pixel."""
    last = max((root / "ws" / "rounds").iterdir())
    for path in last.glob("*/refined.tif"):
        with rasterio.open(path) as file:
            profile = file.profile
        with rasterio.open(path, "w", **{**profile, "driver": "GTiff"}) as file:
            file.write(np.full(file.shape, value, np.uint8), 1)


def enough_labels(said):
    """Pixels of chips with 16 cells of 4 x 4 pixels of which 12 or more have one label."""
    trusted = np.zeros(said.shape, bool)
    for y in range(0, said.shape[0], CHIP):
        for x in range(0, said.shape[1], CHIP):
            # Chips of the last row and column are shifted back: their labels are of all their pixels.
            top, left = min(y, said.shape[0] - CHIP), min(x, said.shape[1] - CHIP)
            cells = said[top : top + CHIP, left : left + CHIP].reshape(16, 4, 16, 4).swapaxes(1, 2)
            pure = sum(((cells == value).sum((2, 3)) >= 12).sum() for value in IDS)
            trusted[y : y + CHIP, x : x + CHIP] = pure >= 16
    return trusted


@pytest.mark.parametrize("options", [(), ("--shard", "0/1")])
def test_labels_stand_in_the_map_and_the_network_everywhere_else(case, tmp_path, options):
    without_votes(case)
    network = exported(case, tmp_path / "network", "--network-only", *options)
    made = exported(case, tmp_path / "made", "--source", "--error-mask", *options)
    for name, said in labels_of(case).items():
        flown = network[name] != 255
        assert (network[name] != said)[(said != 255) & flown].any()
        assert np.array_equal(made[name], np.where((said != 255) & flown, said, network[name]))
        source = read(tmp_path / "made" / f"{name}_source.tif")
        assert np.array_equal(source, np.where(flown, np.where(said != 255, 2, 0), 255))
        doubt = read(tmp_path / "made" / f"{name}_error_mask.tif")
        assert not doubt[flown & (said != 255)].any() and doubt[flown & (said == 255)].any()
    assert not (network["s1"] != 255)[:, :20].any()


def test_votes_count_where_the_chip_has_labels_enough(case, tmp_path):
    vote_everywhere(case, IDS[1])
    network = exported(case, tmp_path / "network", "--network-only")
    made = exported(case, tmp_path / "made", "--source")
    for name, said in labels_of(case).items():
        flown, trusted = network[name] != 255, enough_labels(said)
        assert (trusted & (said == 255)).any() and not trusted.all()
        voted = np.where(trusted, IDS[1], network[name])
        assert np.array_equal(made[name], np.where(flown, np.where(said != 255, said, voted), 255))
        source = np.where(said != 255, 2, trusted)
        assert np.array_equal(read(tmp_path / "made" / f"{name}_source.tif"), np.where(flown, source, 255))


def test_labels_that_nothing_has_learnt_yet_stand_in_the_map(case, tmp_path):
    without_votes(case)
    workspace = WorkspaceFolder.open(case / "ws")
    before = exported(case, tmp_path / "before")["s0"]
    grid = workspace.scenes[0].grid
    corners = [grid.affine * corner for corner in ((90, 100), (90, 120), (130, 120), (130, 100))]
    row = {"class_id": 9, "scene": "s0", "geometry": shapely.Polygon(corners)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        geopandas.GeoDataFrame([row], crs=str(grid.crs)).to_file(
            workspace.store().author_store("ann"), layer="labels", mode="a"
        )
    after = exported(case, tmp_path / "after")["s0"]
    assert (after[100:120, 90:130] == 9).all() and (before[100:120, 90:130] != 9).any()
    after[100:120, 90:130] = before[100:120, 90:130]
    assert np.array_equal(after, before)


def test_another_picture_of_the_same_name_and_grid_gets_the_networks_word(case, tmp_path):
    shutil.copytree(case / "rasters" / "images", tmp_path / "other_year")
    made = exported(case, tmp_path / "made", "--raster", tmp_path / "other_year", told="s0.tif and 1 more")
    network = exported(case, tmp_path / "network", "--network-only")
    assert all(np.array_equal(made[name], network[name]) for name in SCENES)


def test_a_folder_that_moved_is_told_to_the_workspace(case, tmp_path):
    before = exported(case, tmp_path / "before")
    (case / "rasters").rename(case / "moved")
    exported(case, tmp_path / "network", "--raster", case / "moved", told="tell the workspace with")
    train(
        Request(case / "ws", case / "moved", None, WorkspaceFolder.open(case / "ws").config), QuietReporter()
    )
    after = exported(case, tmp_path / "after")
    assert all(np.array_equal(before[name], after[name]) for name in SCENES)


def test_the_score_of_the_map_is_that_of_labels_over_votes_over_the_prediction(done):
    workspace = WorkspaceFolder.open(done / "ws")
    number = workspace.current_round
    said = labels_of(done)
    truths, maps = [], []
    for name in SCENES:
        folder = workspace.round_dir(number) / name
        truth, made = read(done / "rasters" / "labels" / f"{name}.tif"), read(folder / "prediction.tif")
        flown = made != 255
        refined = read(folder / "refined.tif")
        made = np.where(enough_labels(said[name]) & (refined != 255), refined, made)
        made = np.where(said[name] != 255, said[name], made)
        truths.append(truth[flown])
        maps.append(made[flown])
    score = jaccard_score(np.concatenate(truths), np.concatenate(maps), labels=IDS, average="macro")
    assert workspace.metrics(number)["map_miou"] == pytest.approx(score)
    assert workspace.metrics(number)["map_miou"] > workspace.metrics(0)["map_miou"]
