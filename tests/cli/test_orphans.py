"""The engine ends, and keeps its work, when the program that started it dies or no longer reads."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.config import Config
from tsfal_geo.project.status import read_status
from tsfal_geo.raster.discovery import discover
from tsfal_geo.workspace.folder import WorkspaceFolder
from tsfal_geo.workspace.lock import engine_lock
from tsfal_geo.workspace.state import State

ENGINE = [sys.executable, "-c", "from tsfal_geo.cli.main import main; main()"]
LONG = 60
# Starts the engine as QGIS does, passes its events on, and is then killed.
STARTER = """
import json, subprocess, sys
engine = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
print(engine.pid, flush=True)
for line in engine.stdout:
    print(line, end="", flush=True)
"""


class Started:
    """The engine beneath a program of its own, which can be killed."""

    def __init__(self, *arguments):
        words = [sys.executable, "-c", STARTER, *ENGINE, *(str(a) for a in arguments), "--json"]
        self.starter = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.pid = int(self.starter.stdout.readline())

    def hear(self, kind, stage=""):
        for line in self.starter.stdout:
            event = json.loads(line)
            assert event["event"] not in ("error", "result"), event
            if event["event"] == kind and event.get("stage", "").startswith(stage):
                return
        raise AssertionError(f"ended without {kind}")

    def kill_the_starter(self):
        self.starter.kill()
        self.starter.wait()

    @property
    def alive(self):
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            threads = list(Path(f"/proc/{self.pid}/task").iterdir())
        except FileNotFoundError:
            return False
        # A first thread that has ended looks like a dead process while others still hold its files.
        return state != "Z" or len(threads) > 1

    def wait(self):
        until = time.monotonic() + LONG
        while self.alive:
            assert time.monotonic() < until, "the engine goes on without anybody"
            time.sleep(0.02)

    def clean_up(self):
        self.starter.kill()
        self.starter.wait()
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)


@pytest.fixture
def start():
    started = []

    def begin(*arguments):
        started.append(Started(*arguments))
        return started[-1]

    yield begin
    for each in started:
        each.clean_up()


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = array.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=count, height=height, width=width,
        transform=Affine(0.09, 0, 497_000, 0, -0.09, 5_420_000), crs="EPSG:25832",
    ) as file:  # fmt: skip
        file.write(array)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A scene with labels that takes minutes to map in windows of 64 pixels, and a network for it."""
    from tsfal_geo.models.io import ModelCard, save_model
    from tsfal_geo.models.segmenter import build_segmenter

    root = tmp_path_factory.mktemp("town")
    random = np.random.default_rng(0)
    truth = random.integers(0, 6, (1, 50, 50)).repeat(64, 1).repeat(64, 2).astype(np.uint8)
    write(
        root / "data" / "images" / "a.tif", (truth * 40 + random.integers(1, 9, (3, 1, 1))).astype(np.uint8)
    )
    write(root / "data" / "labels" / "a.tif", truth)
    config = Config.model_validate(
        {"export": {"window": 64, "batch": 1}, "model": {"encoder": "mobilenet_v2", "weights": None}}
    )
    scenes = tuple(discover(root / "data"))
    state = State(root / "data", None, VAIHINGEN, scenes, round=0, status="done")
    workspace = WorkspaceFolder.create(root / "ws", state, config)
    statistics = {"low": [0] * 3, "high": [255] * 3, "mean": [127] * 3, "std": [74] * 3}
    card = ModelCard(
        model=config.model, in_channels=3, classes=VAIHINGEN.to_specs(), normalisation=statistics,
        bands=None, dsm=False, chip_size=128, seed=3,
    )  # fmt: skip
    save_model(workspace.round_dir(0), build_segmenter(config.model, 3, 6, 3), card)
    found = {"normalisation": statistics, "labelled_chips": [], "valid_pixels": [1], "dsm": False}
    (root / "ws" / "inputs.json").write_text(json.dumps(found))
    return root


SETTINGS = [
    "data.chip_size=128", "model.encoder=tu-mobilenetv2_035", "model.weights=null", "model.decoder_convs=1",
    "train.accelerator=cpu", "train.steps=100000", "train.lr=0.001", "tsf.warmup_steps=0",
    "classes=" + json.dumps([{"id": i.id, "name": i.name, "colour": i.colour} for i in VAIHINGEN.classes]),
]  # fmt: skip


def training(town, workspace):
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return ["train", "--raster", town / "data", "--workspace", workspace, "--labelled", "0.02", *settings]


def test_training_ends_with_the_program_that_started_it_and_can_go_on(town, tmp_path, start):
    run = start(*training(town, tmp_path / "ws"))
    run.hear("progress", "training")
    run.kill_the_starter()
    run.wait()
    workspace = WorkspaceFolder.open(tmp_path / "ws")
    assert read_status(workspace).interrupted
    assert not list(workspace.round_dir(0).glob(".*"))
    with engine_lock(tmp_path / "ws"):
        pass


@pytest.mark.parametrize("command", ["export", "evaluate"])
def test_mapping_ends_with_the_program_that_started_it(town, tmp_path, start, command):
    more = ["--out", tmp_path / "maps"] if command == "export" else []
    run = start(command, "--workspace", town / "ws", "--raster", town / "data", *more)
    run.hear("progress")
    run.kill_the_starter()
    run.wait()
    assert not list(tmp_path.glob("maps/a*"))


@pytest.mark.parametrize("command", ["train", "query"])
def test_the_engine_ends_even_while_it_only_begins(town, tmp_path, start, command):
    arguments = {
        "train": training(town, tmp_path / "ws"),
        "query": ["query", "--workspace", town / "ws"],
    }
    run = start(*arguments[command])
    run.hear("hello")
    run.kill_the_starter()
    run.wait()


def test_closing_stdin_stops_with_code_4_and_says_so(town, tmp_path):
    words = [*ENGINE, "export", "--workspace", town / "ws", "--out", tmp_path, "--json"]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    for line in process.stdout:
        if b'"progress"' in line:
            break
    process.stdin.close()
    last = json.loads(process.stdout.read().splitlines()[-1])
    assert (process.wait(LONG), last["event"], last["code"]) == (4, "error", "cancelled")


def test_an_engine_that_nobody_listens_to_stops_with_code_4(town, tmp_path):
    words = [*ENGINE, "export", "--workspace", town / "ws", "--out", tmp_path, "--json"]
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(LONG) == 4
    assert b"Traceback" not in process.stderr.read()
