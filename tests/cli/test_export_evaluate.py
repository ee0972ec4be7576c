import json
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from sklearn.metrics import confusion_matrix, jaccard_score

from tests.helpers.command_cases import SIZES, write_scene
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.cli import evaluate, export
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.errors import Cancelled, LabelError, RasterError, UserError, WorkspaceError
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.write import write_classes
from tsfal_geo.reporting import scene_progress


def run(command, *arguments):
    result = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_export_writes_a_map_a_scene_and_evaluate_scores_just_these(folder):
    printed = run(export.command, "--workspace", folder / "ws", "--confidence").stdout
    truth, predicted = [], []
    for name, size in SIZES.items():
        path = folder / "ws" / "maps" / f"{name}.tif"
        assert str(path) in printed and str(path.with_name(f"{name}_confidence.tif")) in printed
        with rasterio.open(path) as made, rasterio.open(folder / "town" / "images" / f"{name}.tif") as image:
            assert made.shape == size and made.transform == image.transform and made.crs == image.crs
            predicted.append(made.read(1).ravel())
        with rasterio.open(folder / "town" / "labels" / f"{name}.tif") as labels:
            truth.append(labels.read(1).ravel())
    t, p = np.concatenate(truth), np.concatenate(predicted)
    assert len(np.unique(p)) > 1 and p.max() <= 5
    t, p = t[t != 255], p[t != 255]

    lines = run(evaluate.command, "--workspace", folder / "ws", "--raster", folder / "town", "--json").stdout
    result = json.loads(lines.splitlines()[-1])
    assert result["event"] == "result"
    assert result["confusion"] == confusion_matrix(t, p, labels=range(6)).tolist()
    assert result["miou"] == pytest.approx(
        jaccard_score(t, p, labels=range(6), average="macro", zero_division=0)
    )
    assert result["accuracy"] == pytest.approx((t == p).mean())
    assert result["scenes"] == sorted(SIZES)


def test_export_of_other_scenes_into_another_folder_as_json(folder, tmp_path):
    write_scene(tmp_path / "new" / "north.tif", 70, 80)
    lines = run(
        export.command, "--workspace", folder / "ws", "--raster", tmp_path / "new", "--out",
        tmp_path / "out", "--json",
    ).stdout.splitlines()  # fmt: skip
    events = [json.loads(line) for line in lines]
    assert events[0]["event"] == "hello"
    shares = [event["fraction"] for event in events if event["event"] == "progress"]
    assert shares == sorted(shares) and shares[-1] == 1.0
    artefacts = {Path(e["path"]).name: e["kind"] for e in events if e["event"] == "artefact"}
    assert artefacts == {"north.tif": "map", "north.stac.json": "stac", "model.stac.json": "stac"}
    assert events[-1]["maps"] == [str(tmp_path / "out" / "north.tif")]
    assert events[-1]["event"] == "result"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "model.stac.json", "north.qml", "north.stac.json", "north.tif", "north.tif.aux.xml",
    ]  # fmt: skip


def test_scenes_without_a_crs_are_given_one(folder, tmp_path):
    write_scene(tmp_path / "north.tif", 70, 80)
    (tmp_path / "new" / "images").mkdir(parents=True)
    with rasterio.open(tmp_path / "north.tif") as image:
        profile = {**image.profile, "crs": None}
        with rasterio.open(tmp_path / "new" / "images" / "north.tif", "w", **profile) as bare:
            bare.write(image.read())
    (scene,) = discover(tmp_path / "new", crs="EPSG:32633")
    labels = np.zeros(scene.shape, np.uint8)
    write_classes(tmp_path / "new" / "labels" / "north.tif", scene.grid, VAIHINGEN, labels)
    named = ("--workspace", folder / "ws", "--raster", tmp_path / "new", "--crs", "EPSG:32633")
    run(export.command, *named, "--out", tmp_path / "out")
    with rasterio.open(tmp_path / "out" / "north.tif") as made:
        assert made.crs == "EPSG:32633"
    assert run(evaluate.command, *named).exit_code == 0
    with pytest.raises(RasterError, match="no such CRS"):
        run(export.command, *named[:-1], "EPSG:1", "--out", tmp_path / "out")


def test_a_file_that_cannot_be_written_is_told_for_its_scene_and_stops_nothing(folder, tmp_path, monkeypatch):
    from tsfal_geo.mapping.outputs import polygons

    write = polygons.write_polygons

    def fail_once(path, *rest):
        if path.name.startswith("east"):
            raise OSError("No space\nleft")
        return write(path, *rest)

    monkeypatch.setattr(polygons, "write_polygons", fail_once)
    result = run(
        export.command, "--workspace", folder / "ws", "--out", tmp_path, "--polygons", "fgb", "--png"
    )
    assert result.exit_code == 0
    assert "east: polygons was not written (OSError: No space left)" in result.stderr
    made = {path.name for path in tmp_path.iterdir()}
    assert {"east.tif", "east.stac.json", "west.tif", "west_polygons.fgb", "model.stac.json"} <= made
    assert "east_polygons.fgb" not in made
    # The item names no file that is not there.
    assets = json.loads((tmp_path / "east.stac.json").read_text())["assets"]
    assert all((tmp_path / asset["href"]).is_file() for asset in assets.values())


def test_everything_at_once(folder, tmp_path):
    options = ["--confidence", "--entropy", "--error-mask", "--probabilities", "--preview", "--augment"]
    options += ["--polygons", "fgb", "--min-area", "0.1", "--mosaic", "vrt"]
    run(export.command, "--workspace", folder / "ws", "--out", tmp_path, *options)
    layers = [f"_{layer}" for layer in ("confidence", "entropy", "error_mask", "probabilities")]
    files = [f"{name}{layer}.tif" for name in SIZES for layer in ["", *layers]]
    files += [f"{name}{end}" for name in SIZES for end in (".png", ".stac.json", "_polygons.fgb")]
    for file in (*files, "mosaic.vrt", "mosaic.qml", "model.stac.json"):
        assert (tmp_path / file).is_file(), file
    with rasterio.open(tmp_path / "mosaic.vrt") as mosaic, rasterio.open(tmp_path / "east.tif") as east:
        assert np.array_equal(mosaic.read(1)[: east.height, : east.width], east.read(1))
    # The model has no decoder: the mask is where confidence is low.
    with rasterio.open(tmp_path / "west_error_mask.tif") as mask:
        assert set(np.unique(mask.read(1))) <= {0, *range(30, 101)}


def test_the_window_of_one_export(folder, tmp_path):
    made = {}
    for window in (None, "64", "96", "scene"):
        options = [] if window is None else ["--window", window]
        out = tmp_path / str(window)
        assert run(export.command, "--workspace", folder / "ws", "--out", out, *options).exit_code == 0
        with rasterio.open(out / "east.tif") as file:
            made[window] = file.read(1)
    # The workspace's own window is 64.
    assert np.array_equal(made[None], made["64"])
    differ = [(made["64"] != made[other]).any() for other in ("96", "scene")]
    assert all(differ) and (made["96"] != made["scene"]).any()
    for wrong in ("32", "66", "chip", "none"):
        refused = run(export.command, "--workspace", folder / "ws", "--window", wrong)
        assert refused.exit_code == 2 and f"found {wrong}, expected a multiple of 4" in refused.stderr
    with pytest.raises(UserError, match="window is scene, expected a number"):
        run(export.command, "--workspace", folder / "ws", "--window", "scene", "--augment")


def test_shards_are_put_together_by_the_last(folder, tmp_path):
    arguments = ("--workspace", folder / "ws", "--out", tmp_path)
    assert "1 blocks are left" in run(export.command, *arguments, "--shard", "1/2").stderr
    assert not list(tmp_path.glob("*.tif"))
    run(export.command, *arguments, "--shard", "0/2")
    run(export.command, "--workspace", folder / "ws", "--out", tmp_path / "undivided")
    for name in SIZES:
        files = (out / f"{name}.tif" for out in (tmp_path, tmp_path / "undivided"))
        with rasterio.open(next(files)) as made, rasterio.open(next(files)) as one:
            assert (made.read() == one.read()).mean() > 0.99
    assert run(export.command, *arguments, "--shard", "2/2").exit_code == 2
    assert run(export.command, *arguments, "--shard", "0/2", "--workers", "2").exit_code == 2


def test_evaluate_prints_tables_for_people(folder):
    text = run(evaluate.command, "--workspace", folder / "ws", "--raster", folder / "town").stdout
    assert "mean IoU" in text and "overall accuracy" in text and "truth" in text
    assert all(name.split()[0] in text for name in VAIHINGEN.names)


def test_scenes_without_labels(folder, tmp_path):
    write_scene(tmp_path / "images" / "a.tif", 70, 80)
    write_scene(tmp_path / "images" / "b.tif", 70, 90)
    arguments = ("--workspace", folder / "ws", "--raster", tmp_path, "--json")
    with pytest.raises(LabelError, match="found 2 scenes and no labels"):
        run(evaluate.command, *arguments)
    grid = discover(tmp_path)[0].grid
    write_classes(tmp_path / "labels" / "a.tif", grid, VAIHINGEN, np.zeros((70, 80), np.uint8))
    lines = run(evaluate.command, *arguments).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert any(event["event"] == "warning" and "b" in event["message"] for event in events)
    assert events[-1]["scenes"] == ["a"] and events[-1]["pixels"] == 70 * 80


def test_wrong_input_is_one_clear_line(folder, tmp_path):
    write_scene(tmp_path / "deep" / "a.tif", 70, 80, np.uint16)
    with pytest.raises(RasterError, match=r"a\.tif is uint16, expected uint8"):
        run(export.command, "--workspace", folder / "ws", "--raster", tmp_path / "deep")
    write_scene(tmp_path / "many" / "a.tif", 70, 80, count=4)
    with pytest.raises(RasterError, match=r"a\.tif has 4 bands, expected 3"):
        run(export.command, "--workspace", folder / "ws", "--raster", tmp_path / "many")
    with pytest.raises(UserError, match="--out"):
        run(export.command, "--workspace", folder / "ws", "--out", folder / "town" / "images")
    with pytest.raises(WorkspaceError, match="workspace"):
        run(export.command, "--workspace", tmp_path / "deep")
    with pytest.raises(RasterError, match="no such folder"):
        run(evaluate.command, "--workspace", folder / "ws", "--raster", tmp_path / "nowhere")


def test_files_that_are_not_used_are_warnings(folder, tmp_path):
    write_scene(tmp_path / "images" / "a.tif", 70, 80)
    write_scene(tmp_path / "stray.tif", 70, 80)
    lines = run(
        export.command,
        "--workspace",
        folder / "ws",
        "--raster",
        tmp_path,
        "--out",
        tmp_path / "out",
        "--json",
    ).stdout.splitlines()
    warnings = [e["message"] for e in map(json.loads, lines) if e["event"] == "warning"]
    assert len(warnings) == 1 and "stray.tif" in warnings[0]


def test_a_stop_ends_the_next_step():
    reporter = CommandReporter(as_json=False)
    progress = scene_progress(reporter, "map", "east", 0, 2)
    progress(0.5)
    reporter.stop.set()
    with pytest.raises(Cancelled):
        progress(0.6)


def test_an_add_on_that_fails_is_reported_for_its_scene_and_stops_nothing(folder, tmp_path, monkeypatch):
    from tsfal_geo.mapping.outputs import model_item, pictures, polygons

    for module, name, fault in (
        (polygons, "write_polygons", ValueError("no\nshapes")),
        (pictures, "save_preview", OSError(28, "No space left on device")),
        (model_item, "write_model_item", UserError("no item")),
    ):
        monkeypatch.setattr(module, name, Mock(side_effect=fault))
    arguments = ["--polygons", "fgb", "--preview", "--png", "--out", str(tmp_path), "--json"]
    done = run(export.command, "--workspace", folder / "ws", *arguments)
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [line["message"] for line in lines if line["event"] == "warning"]
    assert len(failed) == 2 * len(SIZES) + 1
    for name in SIZES:
        assert f"{name}: polygons was not written (ValueError: no shapes)" in failed
        assert (tmp_path / f"{name}.tif").is_file() and (tmp_path / f"{name}.stac.json").is_file()
        assert (tmp_path / f"{name}_classes.png").is_file()


def test_a_model_travels_and_a_training_starts_from_it(folder, tmp_path):
    from tsfal_geo.cli import model, train
    from tsfal_geo.models.io import load_model

    archive = tmp_path / "m.zip"
    run(model.command, "export", archive, "--workspace", folder / "ws")
    run(model.command, "import", archive, "--out", tmp_path / "model")
    item = json.loads((tmp_path / "model" / "model.stac.json").read_text())
    assert item["assets"]["weights"]["href"] == "model.safetensors"
    settings = ["train.num_workers=0", "train.accelerator=cpu", "data.chip_size=64", "active.rounds=0"]
    more = [word for setting in settings for word in ("--set", setting)]
    run(
        train.command, "--raster", folder / "town", "--workspace", tmp_path / "ws", "--from", archive,
        "--method", "supervised", "--steps", 1, "--set", "train.lr=1e-9", *more,
    )  # fmt: skip
    (trained, card), (start, _) = (
        load_model(tmp_path / "ws" / "rounds" / "000"),
        load_model(tmp_path / "model"),
    )
    assert card.model.start is None
    for key, value in start.named_parameters():
        np.testing.assert_allclose(trained.get_parameter(key).detach(), value.detach(), atol=1e-5)
