import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin


@pytest.fixture
def folder(tmp_path):
    def write(name, array):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        count, height, width = array.shape
        profile = {"driver": "GTiff", "dtype": array.dtype, "count": count, "height": height, "width": width}
        with rasterio.open(
            tmp_path / name,
            "w",
            crs="EPSG:25832",
            transform=from_origin(500_000, 5_420_000, 0.09, 0.09),
            nodata=0,
            **profile,
        ) as dataset:
            dataset.write(array)

    image = np.ones((3, 40, 50), np.uint8)
    image[:, :10] = 0
    write("images/north.tif", image)
    labels = np.full((1, 40, 50), 3, np.uint8)
    labels[:, :, :5] = 4
    write("labels/north.tif", labels)
    return tmp_path, write


def info(folder, *options):
    command = [
        sys.executable,
        "-c",
        "from tsfal_geo.cli.main import main; main()",
        "info",
        "--raster",
        str(folder),
    ]
    return subprocess.run([*command, *options], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_a_good_folder(folder):
    run = info(folder[0])
    assert run.returncode == 0, run.stderr
    for text in ("north", "50x40", "3 uint8", "EPSG:25832", "0.09 m", "25.0%", "class 3", "_gt"):
        assert text in run.stdout


def test_everything_is_listed_before_the_bad_is_an_error(folder):
    path, write = folder
    write("images/empty.tif", np.zeros((3, 40, 50), np.uint8))
    write("images/tight.tif", np.ones((3, 40, 50), np.uint8))
    write("labels/tight.tif", np.ones((1, 40, 49), np.uint8))
    (path / "images" / "torn.tif").write_bytes(b"II*\0torn")
    run = info(path)
    assert run.returncode == 2
    for text in ("north", "empty.tif holds nothing but nodata", "49x40 pixels", "torn.tif: cannot be opened"):
        assert text in run.stdout
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith("Error: 3 of the files")


def test_json(folder):
    run = info(folder[0], "--json")
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["event"] == "result"
    (scene,) = result["scenes"]
    assert scene["nodata_share"] == 0.25
    assert scene["crs"] == "EPSG:25832"
    assert result["classes"][0]["id"] == 3


def test_bands_that_are_not_there(folder):
    run = info(folder[0], "--bands", "1, 9")
    assert run.returncode == 2
    assert "band 9 was asked for" in run.stdout
    assert info(folder[0], "--bands", "3,1").returncode == 0
    assert "data.bands" in info(folder[0], "--bands", "x").stderr


def test_an_empty_folder_is_one_line(tmp_path):
    run = info(tmp_path)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "holds no orthophoto" in run.stderr


def test_many_scenes_are_put_together_and_odd_ones_stand_alone(folder):
    path, write = folder
    (path / "labels" / "north.tif").unlink()
    data = (path / "images" / "north.tif").read_bytes()
    for number in range(120):
        (path / "images" / f"tile{number:03d}.tif").write_bytes(data)
    write("images/small.tif", np.ones((3, 20, 20), np.uint8))
    write("images/void.tif", np.zeros((3, 40, 50), np.uint8))
    run = info(path)
    assert run.returncode == 2
    for text in ("north … tile119", "(121 scenes)", "small", "void.tif holds nothing but nodata"):
        assert text in run.stdout
    assert "tile050" not in run.stdout
