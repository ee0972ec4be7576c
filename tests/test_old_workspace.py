"""A workspace that version 0.1.0 made opens, and training goes on in it; see ``workspaces/0_1/README.md``."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from tests.helpers.loop_case import CLASSES, write_scenes
from tsfal_geo.cli.main import cli
from tsfal_geo.labels.history import difference, read_snapshot
from tsfal_geo.models.io import load_model
from tsfal_geo.refinement.refiner import load_error_decoder
from tsfal_geo.workspace.folder import WorkspaceFolder

FIXTURE = Path(__file__).parent / "workspaces" / "0_1"


@pytest.fixture
def root(tmp_path):
    shutil.copytree(FIXTURE / "ws", tmp_path / "ws")
    write_scenes(tmp_path / "rasters", shape=(128, 144))
    return tmp_path / "ws"


def tensors(name):
    """Make up tensors with the names, types and shapes of a file of the old version."""
    generator = torch.Generator().manual_seed(0)
    described = json.loads((FIXTURE / name).read_text())
    return {key: made_up(key, *kind.split(" ", 1), generator) for key, kind in described.items()}


def made_up(key, dtype, shape, generator):
    shape, dtype = json.loads(shape), getattr(torch, dtype)
    if "covariance" in key:
        return torch.eye(shape[-1], dtype=dtype).expand(shape).contiguous()
    if not dtype.is_floating_point:
        return torch.full(shape, 100, dtype=dtype)
    if key.endswith("running_var"):
        return torch.ones(shape, dtype=dtype)
    if len(shape) > 1 and not key.startswith("alignment"):
        return torch.randn(shape, generator=generator, dtype=dtype) * 0.05
    # Biases, and shares of classes, which sum to 1.
    return torch.full(shape, 1 / shape[-1] if shape else 0.5, dtype=dtype)


def run(*arguments):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_state_configuration_and_metrics_are_read(root):
    workspace = WorkspaceFolder.open(root)
    assert (workspace.current_round, workspace.state.status) == (1, "waiting")
    assert workspace.classes.to_json() == CLASSES
    assert [(scene.name, scene.shape) for scene in workspace.scenes] == [
        ("s0", (128, 144)),
        ("s1", (128, 144)),
    ]
    assert all(scene.path.is_file() and scene.labels.is_file() for scene in workspace.scenes)
    assert workspace.config.data.chip_size == 64
    assert workspace.config.train.optimiser == "sgd"
    assert [workspace.metrics(number)["queries"] for number in (0, 1)] == [18, 8]


def test_queries_labels_decisions_and_assignments_are_read(root):
    store = WorkspaceFolder.open(root).store()
    assert [len(store.read_queries(number)) for number in (0, 1)] == [18, 8]
    assert [query.rank for query in store.read_queries()] == list(range(1, 9))
    trained, now = read_snapshot(store, 1), store.snapshot()
    assert (len(trained.labels), len(trained.decisions)) == (7, 7)
    assert (len(now.labels), len(now.decisions)) == (13, 13)
    assert {item.author for item in (*now.labels, *now.decisions)} == {"anna"}
    assert not now.rejected and not now.notes
    changes = difference(trained, now)
    assert (len(changes.added), changes.removed, changes.kept) == (6, (), 7)
    assert len(store.open_queries(1)) == 2
    assert sorted(sum(store.assignments(0).values(), ())) == ["anna"] * 4 + ["ben"] * 4


def test_the_commands_read_it(root):
    report = json.loads(run("status", "--workspace", root, "--json").splitlines()[-1])
    assert (report["round"], report["open_queries"], report["status"]) == (1, 2, "waiting")
    assert "anna: 13 labels" in run("labels", "status", "--workspace", root)
    assert run("labels", "diff", "0", "1", "--workspace", root)
    assert len(run("queries", "list", "--workspace", root).splitlines()) == 2


def test_its_networks_are_loaded(root):
    folder = WorkspaceFolder.open(root).current_model()
    save_file(tensors("model.tensors.json"), folder / "model.safetensors")
    segmenter, card = load_model(folder)
    assert (card.in_channels, [item.name for item in card.classes]) == (2, ["dark", "middle", "bright"])
    assert segmenter.eval()(torch.zeros(1, 2, 64, 64)).logits.shape == (1, 3, 16, 16)
    decoder, threshold = load_error_decoder(folder, 3)
    assert decoder is not None and threshold == 0.5


def test_training_goes_on_with_its_networks_and_labels(root):
    torch.save({"state_dict": tensors("resume.tensors.json")}, root / "rounds" / "001" / "resume.ckpt")
    run("train", "--raster", root.with_name("rasters"), "--workspace", root)
    workspace = WorkspaceFolder.open(root)
    assert workspace.current_round == 2
    assert len(read_snapshot(workspace.store(), 2).labels) == 13
    assert np.isfinite(workspace.metrics(2)["labelled_share"])
