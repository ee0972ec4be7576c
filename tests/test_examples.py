"""The examples run on pieces of ``sample_tiles``, as a script and as a notebook."""

import ast
import runpy
from pathlib import Path

import nbformat
import pytest
import rasterio
from nbclient import NotebookClient
from rasterio.windows import Window

ROOT = Path(__file__).parents[1]
SCRIPT, NOTEBOOK = ROOT / "examples" / "first_map.py", ROOT / "examples" / "first_map.ipynb"
PIECES = {"town_1": 256, "town_2": 256, "val/town_5": 256}
MOST_CALLS = 12


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """A folder ``sample_tiles`` with a corner of some tiles."""
    root = tmp_path_factory.mktemp("examples")
    for name, side in PIECES.items():
        folder, stem = Path(name).parent, Path(name).name
        for part in ("images", "labels"):
            source = ROOT / "sample_tiles" / folder / part / f"{stem}.tif"
            target = root / "sample_tiles" / folder / part / f"{stem}.tif"
            target.parent.mkdir(parents=True, exist_ok=True)
            with rasterio.open(source) as dataset:
                window = Window(0, 0, side, side)
                profile = {**dataset.profile, "width": side, "height": side, "driver": "GTiff"}
                profile["transform"] = dataset.window_transform(window)
                with rasterio.open(target, "w", **profile) as piece:
                    piece.write(dataset.read(window=window))
                    if dataset.count == 1 and dataset.colorinterp[0].name == "palette":
                        piece.write_colormap(1, dataset.colormap(1))
                    piece.update_tags(**dataset.tags())
                    for band in dataset.indexes:
                        piece.update_tags(band, **dataset.tags(band))
    return root


def test_the_script_needs_a_dozen_calls_of_this_library_alone():
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [alias.name for node in imports for alias in node.names] == ["tsfal_geo"]
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    own = [name for name in calls if name.split(".")[0] in ("tg", "workspace")]
    assert len(own) <= MOST_CALLS and set(calls) - set(own) <= {"print", "', '.join"}
    made = {name.split(".")[-1] for name in own}
    assert made >= {"create_workspace", "train", "queries", "label", "export", "evaluate"}


def test_the_script_runs(pieces, monkeypatch, capsys):
    monkeypatch.chdir(pieces)
    names = runpy.run_path(str(SCRIPT))
    printed = capsys.readouterr().out
    assert f"mIoU {names['scores'].miou:.3f} on town_5" in printed
    assert names["result"].number == 1 and names["workspace"].status().rounds[0]["queries"] > 0
    with rasterio.open(pieces / "first-map" / "maps" / "town_5.tif") as made:
        assert made.shape == (256, 256) and made.crs is not None


def test_the_notebook_holds_no_outputs_and_says_the_same_as_the_script():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    lines = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code").splitlines()
    code = "\n".join(line for line in lines if not line.startswith("%"))
    ours = {ast.unparse(node) for node in ast.parse(code).body if isinstance(node, (ast.Assign, ast.For))}
    script = {
        ast.unparse(node)
        for node in ast.parse(SCRIPT.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.Assign, ast.For)) and "print" not in ast.unparse(node)
    }
    assert script <= ours


@pytest.mark.slow
def test_the_notebook_runs(pieces, tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (tmp_path / "sample_tiles").symlink_to(pieces / "sample_tiles")
    done = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in done.cells for output in cell.get("outputs", ())]
    pages = [output["data"].get("text/html", "") for output in shown if "data" in output]
    assert any("Round 1" in page for page in pages) and any("mIoU" in page for page in pages)
    assert any("image/png" in output.get("data", {}) for output in shown)


@pytest.mark.slow
def test_the_live_notebook_runs_and_ends_in_a_round(pieces, tmp_path):
    notebook = nbformat.read(ROOT / "examples" / "live_session.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    (tmp_path / "sample_tiles").symlink_to(pieces / "sample_tiles")
    done = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in done.cells for output in cell.get("outputs", ())]
    texts = [output["data"].get("text/plain", "") for output in shown if "data" in output]
    assert any("'accuracy': 0." in text for text in texts)
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert 0 < float(texts[-1]) < 0.5
