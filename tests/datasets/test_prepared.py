import pickle
import re

import matplotlib
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch.utils.data import DataLoader

from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.cli import datasets as datasets_command
from tsfal_geo.cli import train as train_command
from tsfal_geo.data.prepared import Vaihingen
from tsfal_geo.datasets.registry import DATASETS
from tsfal_geo.errors import ConfigError, RasterError, UserError
from tsfal_geo.raster.files import open_raster
from tsfal_geo.workspace.folder import WorkspaceFolder


@pytest.fixture(scope="module")
def prepared(vaihingen, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "vaihingen"
    adapter = DATASETS["vaihingen"]
    return adapter.prepare(vaihingen, out, height="dsm", eroded=True, **adapter.fixture_options)


def test_the_splits_have_the_papers_numbers_of_chips(prepared):
    root = prepared.config.parent
    assert [len(Vaihingen(root, split)) for split in ("train", "val", "test")] == [233, 111, 398]


def test_an_item_holds_the_requested_bands_in_their_order(prepared):
    root = prepared.config.parent
    scene = sorted((root / "val" / "images").glob("*.tif"))[0]
    with open_raster(scene) as dataset:
        nir, red, green = dataset.read(window=((0, 64), (0, 64)))
    item = Vaihingen(root, "val")[0]
    assert item["image"].dtype == torch.float32 and item["mask"].dtype == torch.int64
    assert (item["image"].numpy() == np.stack([nir, red, green])).all()
    item = Vaihingen(root, "val", bands=("height", "G", "NIR"))[0]
    assert item["image"].shape == (3, 64, 64) and item["mask"].shape == (64, 64)
    assert (item["image"][1:].numpy() == np.stack([green, nir])).all()
    height, mask = item["image"][0], item["mask"]
    assert height[mask == 1].mean() > height[mask == 0].mean() + 4


def test_masks_are_indices_and_boundaries_are_ignored(prepared):
    dataset = Vaihingen(prepared.config.parent, "test")
    batch = next(iter(DataLoader(dataset, batch_size=32)))
    assert batch["image"].shape == (32, 3, 64, 64)
    assert set(batch["mask"].unique().tolist()) <= {0, 1, 2, 3, 4, 5, 255}
    assert 255 in batch["mask"]
    assert dataset.classes.names[1] == "building"
    copy = pickle.loads(pickle.dumps(dataset))  # as to the workers of a loader
    assert (copy[7]["image"] == dataset[7]["image"]).all()


def test_transforms_are_applied(prepared):
    dataset = Vaihingen(prepared.config.parent, transforms=lambda item: {"image": item["image"] * 0})
    assert dataset[5]["image"].abs().sum() == 0


def test_what_there_is_not_is_one_line(prepared, vaihingen, tmp_path):
    root = prepared.config.parent
    with pytest.raises(ConfigError, match="no split 'trainval', expected train or val or test"):
        Vaihingen(root, "trainval")
    for bands in (("NIR", "B"), ("height",), ()):
        with pytest.raises(ConfigError, match="expected some of NIR, R, G, height"):
            Vaihingen(root, bands=bands)
    with pytest.raises(UserError, match="tsfal-geo datasets prepare"):
        Vaihingen(vaihingen)
    plain = DATASETS["vaihingen"].prepare(vaihingen, tmp_path / "plain", chip_size=64)
    with pytest.raises(RasterError, match="has no DSM"):
        Vaihingen(plain.config.parent, bands=("NIR", "height"))


def test_a_plot_shows_the_classes_in_their_colours(prepared):
    matplotlib.use("Agg")
    dataset = Vaihingen(prepared.config.parent, "val")
    item = dataset[0]
    figure = dataset.plot({**item, "prediction": item["mask"]}, suptitle="area 11")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["image", "mask", "prediction"]
    shown = figure.axes[1].images[0].get_array()
    assert (shown[(item["mask"] == 1).numpy()] == [0, 0, 255]).all()
    matplotlib.pyplot.close(figure)


def test_from_the_owners_files_to_a_model_in_two_commands(vaihingen, tmp_path):
    out, workspace = tmp_path / "vaihingen", tmp_path / "ws"

    def run(command, *arguments):
        done = CliRunner().invoke(command, [str(item) for item in arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    lines = run(datasets_command.command, "prepare", "vaihingen", vaihingen, "--out", out, "--chip-size", 64)
    assert "train: 11 scenes, 233 chips of 64 pixels" in lines
    assert "test: 17 scenes, 398 chips" in lines
    few = re.compile(r"train/.*area[13]\.|val/.*area34\.")  # of 33 areas, for the sake of time
    for path in (*out.glob("train/*/*"), *out.glob("val/*/*")):
        if not few.search(path.as_posix()):
            path.unlink()
    small = {
        "model.encoder": "tu-mobilenetv2_035",
        "model.weights": "null",
        "train.accelerator": "cpu",
        "train.num_workers": 0,
        "train.val_every": 5,
        "active.rounds": 0,
    }
    settings = [text for key, value in small.items() for text in ("--set", f"{key}={value}")]
    data = ["--raster", out / "train", "--val", out / "val", "--config", out / "dataset.yaml"]
    run(train_command.command, *data, "--workspace", workspace, "--steps", 5, "--labelled", 0.15, *settings)
    opened = WorkspaceFolder.open(workspace)
    assert opened.classes == VAIHINGEN
    assert any(opened.current_model().iterdir())
