import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from tests.mapping.test_export import write
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.config import ModelConfig
from tsfal_geo.inference.network import open_network
from tsfal_geo.mapping.outputs.blocks import MappingJob, assemble, predict_block, run_local
from tsfal_geo.mapping.outputs.rasters import Settings, export_scene
from tsfal_geo.models.io import ModelCard, save_model
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.reader import SceneReader

STATISTICS = {"low": [0.0] * 3, "high": [255.0] * 3, "mean": [127.0] * 3, "std": [74.0] * 3}
LAYERS = ("probabilities", "confidence")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A model and a scene of six blocks, all but the surroundings of their borders nodata."""
    root = tmp_path_factory.mktemp("project")
    config = ModelConfig(encoder="mobilenet_v2", weights=None)
    card = ModelCard(
        model=config, in_channels=3, classes=VAIHINGEN.to_specs(), normalisation=STATISTICS,
        bands=None, dsm=False, chip_size=128, seed=0,
    )  # fmt: skip
    segmenter = build_segmenter(config, 3, 6, seed=1).eval()
    torch.nn.init.normal_(segmenter.head.classifier.weight, std=0.3)
    save_model(root / "model", segmenter, card)
    rng = np.random.default_rng(0)
    image = rng.integers(1, 255, (3, 40, 58)).astype(np.uint8).repeat(24, 1).repeat(24, 2)[:, :950, :1390]
    kept = np.zeros(image.shape[1:], bool)
    kept[440:584, 400:1130] = True
    image[:, ~kept] = 0
    write(root / "town" / "town.tif", image, nodata=0)
    return root


def job_of(project, out, side=512, **settings):
    (scene,) = discover(project / "town")
    chosen = Settings(**{"window": 128, "layers": LAYERS, **settings})
    return MappingJob(project / "model", scene, "uint8", out, chosen, threads=1, side=side)


def rasters(files):
    return [files.classes, *files.layers.values()]


def contents(files):
    return [path.read_bytes() for path in rasters(files)]


@pytest.fixture(scope="module")
def alone(project, tmp_path_factory):
    """The files of one process that did every block."""
    job = job_of(project, tmp_path_factory.mktemp("alone"))
    assert len(list(run_local(job))) == 6
    return contents(assemble(job))


def test_blocks_are_the_map_of_one_pass(project, alone, tmp_path):
    torch.set_num_threads(1)
    network = open_network(project / "model")
    reader = SceneReader(discover(project / "town"), None, False)
    files = export_scene(reader, 0, network, tmp_path / "single", Settings(128, layers=LAYERS))
    job = job_of(project, tmp_path)
    list(run_local(job))
    blocks = assemble(job)
    for path, other in zip(rasters(files), rasters(blocks), strict=True):
        with rasterio.open(path) as single, rasterio.open(other) as made:
            assert single.profile == made.profile
            # Other batches make the network round differently.
            assert np.abs(single.read().astype(int) - made.read()).max() <= (
                5 if path == files.classes else 2
            )
            assert (single.read() == made.read())[:, 440:584, 400:1130].mean() > 0.99
    assert contents(blocks) == alone


def test_shards_make_the_same_bytes_and_the_last_one_assembles(project, alone, tmp_path):
    job = job_of(project, tmp_path)
    assert len(list(run_local(job, 1, 2))) == 3
    assert assemble(job) is None and not (tmp_path / "town.tif").exists()
    assert len(list(run_local(job, 0, 2))) == 3
    assert contents(assemble(job)) == alone
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_finished_block_is_done_once_and_another_setting_is_another_job(project, tmp_path, monkeypatch):
    job = job_of(project, tmp_path)
    block = job.blocks()[0]
    predict_block(job, block)
    before = job.path(block).stat().st_mtime_ns
    monkeypatch.setattr("tsfal_geo.mapping.outputs.blocks._predict", None)
    predict_block(job, block)
    assert job.path(block).stat().st_mtime_ns == before and len(job.open_blocks()) == 5
    assert len(job_of(project, tmp_path, overlap=0.5).open_blocks()) == 6
    os.utime(project / "town" / "town.tif", (1, 1))
    assert len(job.open_blocks()) == 6


@pytest.mark.slow
def test_two_workers_make_the_same_bytes(project, alone, tmp_path):
    from tsfal_geo.mapping.outputs.cluster import connect, run_on

    job = job_of(project, tmp_path)
    with connect(None, 2) as client:
        assert len(list(run_on(client, job))) == 6
    assert contents(assemble(job)) == alone


@pytest.mark.slow
def test_a_worker_killed_midway_costs_nothing_but_its_block(project, alone, tmp_path):
    from tsfal_geo.mapping.outputs.cluster import connect, run_on

    job = job_of(project, tmp_path)
    with connect(None, 2) as client:
        pids = list(client.run(os.getpid).values())
        for number, _ in enumerate(run_on(client, job)):
            if number == 0:
                os.kill(pids[0], signal.SIGKILL)
    assert contents(assemble(job)) == alone


RUN = """
import sys
from pathlib import Path
from tests.mapping.test_blocks import job_of
from tsfal_geo.mapping.outputs.cluster import connect, run_on
from tsfal_geo.mapping.outputs.blocks import assemble

if __name__ == "__main__":
    job = job_of(Path(sys.argv[1]), Path(sys.argv[2]))
    with connect(None, 2) as client:
        for block in run_on(client, job):
            pass
    assemble(job)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(project, alone, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(RUN)
    command = [sys.executable, str(script), str(project), str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    job = job_of(project, tmp_path / "out")
    running = subprocess.Popen(command, env=environment, start_new_session=True)
    deadline = time.monotonic() + 300
    while len(job.open_blocks()) > 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    finished = {
        block: job.path(block).stat().st_mtime_ns for block in job.blocks() if job.path(block).is_file()
    }
    assert 2 <= len(finished) < 6 and not (tmp_path / "out" / "town.tif").exists()
    for block in job.blocks():
        predict_block(job, block)
    assert all(job.path(block).stat().st_mtime_ns == then for block, then in finished.items())
    assert contents(assemble(job)) == alone
