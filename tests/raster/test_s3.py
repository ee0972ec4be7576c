import json
import os
from unittest import mock

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from click.testing import CliRunner

from tests.helpers.servers import serving
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.cli import export
from tsfal_geo.config import Config
from tsfal_geo.errors import RasterError
from tsfal_geo.models.io import ModelCard, save_model
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.raster.discovery import discover
from tsfal_geo.workspace.folder import WorkspaceFolder
from tsfal_geo.workspace.state import State


@pytest.fixture
def town(tmp_path, write_tif, random_image):
    """A folder with one COG, and a workspace with an untrained network."""
    write_tif(tmp_path / "plain.tif", random_image((3, 600, 700)))
    (tmp_path / "store" / "town").mkdir(parents=True)
    rasterio.shutil.copy(tmp_path / "plain.tif", tmp_path / "store" / "town" / "far.tif", driver="COG")
    scenes = tuple(discover(tmp_path / "store" / "town"))
    encoder = {"encoder": "tu-mobilenetv2_035", "weights": None}
    config = Config.model_validate({"export": {"window": 256}, "model": encoder})
    state = State(tmp_path / "store" / "town", None, VAIHINGEN, scenes, round=0, status="done")
    workspace = WorkspaceFolder.create(tmp_path / "ws", state, config)
    statistics = {"low": [0] * 3, "high": [255] * 3, "mean": [127] * 3, "std": [74] * 3}
    card = ModelCard(
        model=config.model, in_channels=3, classes=VAIHINGEN.to_specs(), bands=None, dsm=False, chip_size=256,
        normalisation=statistics, seed=0,
    )  # fmt: skip
    save_model(workspace.round_dir(0), build_segmenter(config.model, 3, 6, 0), card)
    found = {"normalisation": statistics, "labelled_chips": [], "valid_pixels": [1], "dsm": False}
    (tmp_path / "ws" / "inputs.json").write_text(json.dumps(found))
    return tmp_path


def exported(town, out, *options):
    arguments = ["--workspace", town / "ws", "--confidence", "--out", town / out, *options]
    CliRunner().invoke(export.command, [str(a) for a in arguments], catch_exceptions=False)
    found = []
    for name in ("far.tif", "far_confidence.tif"):
        with rasterio.open(town / out / name) as file:
            found.append((file.read(), file.transform, file.crs))
    return found


def test_a_scene_in_s3_gets_the_map_of_the_local_file(town, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    remote = ("--raster", "s3://town/far.tif", "--allow-remote")
    with serving(town / "store", "secret") as address, mock.patch.dict(os.environ):
        os.environ |= {
            "AWS_S3_ENDPOINT": address, "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "wrong", "AWS_REGION": "eu-west-1",
            "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        # Another file, as GDAL remembers what it could not read.
        with pytest.raises(RasterError, match=r"s3://town/closed\.tif: cannot be read .*403.*credentials"):
            exported(town, "refused", "--raster", "s3://town/closed.tif", "--allow-remote")
        os.environ["AWS_SECRET_ACCESS_KEY"] = "secret"
        found = exported(town, "remote", *remote)
    for (values, *place), (expected, *local) in zip(found, exported(town, "local"), strict=True):
        assert len(np.unique(expected)) > 1 and np.array_equal(values, expected) and place == local
