import json
import subprocess
import sys
from pathlib import Path

import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from tsfal_geo.atomic import replace_file, write_text
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.config import load_config
from tsfal_geo.errors import ConfigError, WorkspaceError
from tsfal_geo.raster.scene import Scene
from tsfal_geo.workspace.folder import WorkspaceFolder
from tsfal_geo.workspace.lock import engine_lock
from tsfal_geo.workspace.state import State


def _state(folder: Path) -> State:
    transform = Affine(0.09, 0.001, 513000.123456789, -0.002, -0.09, 5422000.987654321)
    grid = GeoBox((100, 200), transform, "EPSG:25832")
    plain = GeoBox((10, 20), Affine.identity(), None)
    scenes = (
        Scene("a", folder / "images" / "a.tif", grid, 4, "uint8", 0.0, dsm=folder / "dsm" / "a.tif", alpha=4),
        Scene("b", folder / "images" / "b.png", plain, 3, "float32", float("nan")),
    )
    return State(folder, None, VAIHINGEN, scenes)


def test_a_workspace_reads_back_to_the_last_bit(tmp_path):
    rasters = tmp_path / "rasters"
    made = WorkspaceFolder.create(tmp_path / "ws", _state(rasters), load_config(None, {"train.steps": 5}))
    made.update(round=2, status="waiting", progress={"open": 3})
    again = WorkspaceFolder.open(tmp_path / "ws")
    assert again.scenes[0] == made.scenes[0]
    assert again.scenes[0].grid.affine == made.scenes[0].grid.affine
    assert again.scenes[1].nodata != again.scenes[1].nodata
    assert again.scenes[1].grid.crs is None
    assert again.classes == VAIHINGEN
    assert (again.current_round, again.state.status, again.state.progress) == (2, "waiting", {"open": 3})
    assert again.config.train.steps == 5


def test_a_moved_project_still_finds_its_rasters(tmp_path):
    WorkspaceFolder.create(tmp_path / "p" / "ws", _state(tmp_path / "p" / "rasters"), load_config(None))
    (tmp_path / "p").rename(tmp_path / "q")
    assert (
        WorkspaceFolder.open(tmp_path / "q" / "ws").scenes[0].path
        == tmp_path / "q" / "rasters" / "images" / "a.tif"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no workspace.json"),
        ("{", "damaged"),
        ('{"schema": 99}', "newer"),
        ('{"schema": 1}', "damaged"),
    ],
)
def test_a_folder_that_is_no_workspace_is_reported_in_one_line(tmp_path, text, words):
    if text is not None:
        (tmp_path / "workspace.json").write_text(text)
    with pytest.raises(WorkspaceError, match=words) as error:
        WorkspaceFolder.open(tmp_path)
    assert "\n" not in str(error.value)


def test_a_key_that_is_no_longer_there_is_named_and_nothing_is_called_damaged(tmp_path):
    workspace = WorkspaceFolder.create(tmp_path / "ws", _state(tmp_path), load_config(None))
    path = workspace.root / "tsfal.yaml"
    path.write_text(path.read_text().replace("  active:\n", "  active:\n    round_lr: 1.0\n"))
    with pytest.raises(ConfigError, match=r"tsfal\.yaml: unknown key 'active\.round_lr'; take it out"):
        _ = WorkspaceFolder.open(tmp_path / "ws").config
    path.write_text("config: {")
    with pytest.raises(WorkspaceError, match="damaged"):
        _ = WorkspaceFolder.open(tmp_path / "ws").config


def test_no_model_before_the_first_round(tmp_path):
    workspace = WorkspaceFolder.create(tmp_path / "ws", _state(tmp_path), load_config(None))
    with pytest.raises(WorkspaceError, match="no trained model"):
        workspace.current_model()


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "f.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replace_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f.json"]


def test_one_engine_at_a_time_and_a_dead_owner_is_taken_over(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from tsfal_geo.workspace.lock import engine_lock\n"
        "with engine_lock(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(WorkspaceError, match=f"process {owner.pid}"), engine_lock(tmp_path):
            pass
    finally:
        owner.kill()
        owner.wait()
    with engine_lock(tmp_path) as note:
        assert f"process {owner.pid}" in note
    with engine_lock(tmp_path) as note:
        assert note is None


def test_the_index_is_plain_json_for_other_tools(tmp_path):
    WorkspaceFolder.create(tmp_path / "ws", _state(tmp_path / "rasters"), load_config(None))
    data = json.loads((tmp_path / "ws" / "workspace.json").read_text())
    assert data["schema"] == 1
    assert data["scenes"][0]["path"] == "../rasters/images/a.tif"
    assert data["scenes"][0]["crs"] == "EPSG:25832"
