"""The public API on a tiny folder: what a notebook does, without a reporter."""

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
import shapely
import xarray
from click.testing import CliRunner

import tsfal_geo as tg
from tests.helpers.loop_case import IDS, tiny_config
from tsfal_geo.cli.status import command as status_command


@pytest.fixture(scope="module")
def workspace(folder, tmp_path_factory):
    """A workspace after its first training."""
    root = tmp_path_factory.mktemp("api") / "ws"
    made = tg.create_workspace(root, folder, folder, tiny_config(active__budget=0.5))
    made.first = made.train()
    return made


def test_importing_the_library_imports_nothing_heavy():
    code = "import sys, tsfal_geo; print([m for m in ('torch', 'rasterio', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", tg.__all__)
def test_every_public_name_is_there(name):
    assert getattr(tg, name) is not None
    assert name in dir(tg)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        tg.Nothing


def test_training_gives_its_round(workspace):
    result = workspace.first
    metrics = json.loads((workspace.root / "rounds" / "000" / "metrics.json").read_text())
    assert (result.number, result.status) == (0, "waiting")
    assert (result.miou, result.class_iou) == (metrics["miou"], metrics["class_iou"])
    assert result.seconds == metrics["seconds"]["total"] > 0
    assert result.queries == result.open_queries == metrics["queries"] > 0
    assert f"{result.miou:.3f}" in result.plot().get_title()
    assert f"{result.miou:.4f}" in result._repr_html_()


def test_queries_are_a_table_of_polygons(workspace):
    queries = workspace.queries()
    frame = queries.to_geodataframe()
    assert len(frame) == len(queries) == workspace.first.queries
    assert frame["rank"].tolist() == [query.rank for query in queries] == sorted(frame["rank"])
    assert frame.crs.to_epsg() == 25832
    assert [shapely.to_wkb(g) for g in frame.geometry] == [shapely.to_wkb(q.geometry) for q in queries]
    assert queries[0].qid in queries._repr_html_()


def test_predicting_an_array_is_mapping_its_scene(workspace, folder, tmp_path):
    maps = workspace.export(
        folder, out=tmp_path, options=tg.ExportOptions(network_only=True, layers=("confidence",))
    )
    assert [made.scene for made in maps] == ["s0", "s1"]
    legend = [text.get_text() for text in maps[0].plot(side=64).get_legend().get_texts()]
    assert legend == ["dark", "middle", "bright"]
    assert "s0_confidence.tif" in maps[0]._repr_html_()
    for made in maps:
        with (
            rasterio.open(folder / "images" / f"{made.scene}.tif") as source,
            rasterio.open(made.classes) as dataset,
        ):
            image, expected, nodata = source.read(), dataset.read(1), source.nodata
        with rasterio.open(made.layers["confidence"]) as dataset:
            percent = dataset.read(1)
        found = workspace.predict(image, nodata=nodata)
        np.testing.assert_array_equal(found.classes, expected)
        valid = expected != 255
        np.testing.assert_array_equal(np.round(found.confidence[valid] * 100), percent[valid])
        assert np.isnan(found.confidence[~valid]).all()
        np.testing.assert_allclose(found.probabilities.sum(0)[valid], 1, atol=1e-5)
        most_likely = IDS[found.probabilities[:, valid].argmax(0)]
        np.testing.assert_array_equal(most_likely, expected[valid])


def test_a_data_array_keeps_its_grid_whatever_the_order_of_its_axes(workspace, folder):
    with rasterio.open(folder / "images" / "s0.tif") as source:
        image = source.read()
    y, x = 5400000.5 - 0.5 * np.arange(image.shape[1]), 500000.5 + 0.5 * np.arange(image.shape[2])
    array = xarray.DataArray(
        image, {"band": [1, 2], "y": y, "x": x, "spatial_ref": 0}, ("band", "y", "x"), attrs={"nodata": 0}
    )
    plain = workspace.predict(image, nodata=0)
    for turned in (array, array.transpose("y", "x", "band"), array.transpose("x", "band", "y")):
        found = workspace.predict(turned, probabilities=False)
        assert found.probabilities is None
        assert found.classes.dims == ("y", "x") and "spatial_ref" in found.classes.coords
        np.testing.assert_array_equal(found.classes.x, x)
        np.testing.assert_array_equal(found.classes.y, y)
        np.testing.assert_array_equal(found.classes, plain.classes)
        np.testing.assert_array_equal(found.confidence, plain.confidence)
    assert found.classes.attrs["class_names"] == ["dark", "middle", "bright"]


def test_masked_pixels_are_not_predicted(workspace, folder):
    with rasterio.open(folder / "images" / "s0.tif") as source:
        image = np.ma.masked_array(source.read(), False)
    image[:, :30, 40:70] = np.ma.masked
    found = workspace.predict(image)
    assert (found.classes[:30, 40:70] == 255).all() and (found.classes[30:] != 255).all()


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.zeros((3, 64, 64), np.uint8), r"found 3 bands.*expected 2"),
        (np.zeros((2, 64, 64), np.uint16), r"array of uint16, expected uint8"),
        (np.zeros((64, 64), np.uint8), r"shape \(64, 64\), expected \(bands, height, width\)"),
        (
            xarray.DataArray(np.zeros((2, 8, 8), np.uint8), dims=("band", "lat", "lon")),
            r"expected .* y and x",
        ),
    ],
)
def test_an_image_that_does_not_fit_is_refused(workspace, image, told):
    with pytest.raises(tg.UserError, match=told):
        workspace.predict(image)


def test_a_prediction_draws_its_classes(workspace, folder):
    with rasterio.open(folder / "images" / "s0.tif") as source:
        found = workspace.predict(source.read())
    axes = found.plot()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["dark", "middle", "bright"]
    assert axes.images[0].get_array().shape == (*found.classes.shape, 3)
    assert "middle" in found._repr_html_()


def test_evaluating_counts_what_prediction_and_labels_say(workspace, folder):
    scores = workspace.evaluate(folder)
    right = total = 0
    for name in ("s0", "s1"):
        with rasterio.open(folder / "images" / f"{name}.tif") as source:
            found = workspace.predict(source.read(), nodata=source.nodata)
        with rasterio.open(folder / "labels" / f"{name}.tif") as dataset:
            truth = dataset.read(1)
        known = found.classes != 255
        right, total = right + (found.classes == truth)[known].sum(), total + known.sum()
    assert (scores.pixels, scores.scenes) == (total, ("s0", "s1"))
    assert scores.accuracy == pytest.approx(right / total, abs=1e-12)
    assert scores.confusion.sum() == total and set(scores.class_iou) == {"dark", "middle", "bright"}
    assert scores.plot().get_xlabel() == "predicted"
    assert "middle" in scores._repr_html_()


def test_answers_are_trained_on_and_skipped_queries_are_not_asked_again(folder, tmp_path):
    made = tg.create_workspace(tmp_path / "ws", folder, config=tiny_config(active__budget=0.5))
    assert made.status().round == -1
    made.train()
    first, second, third = made.queries()[:3]
    made.label("anna", first, "middle")
    made.label(
        "anna", second, 9, geometry=shapely.intersection(second.geometry, second.geometry.centroid.buffer(2))
    )
    made.skip("anna", third)
    assert not {first.qid, second.qid, third.qid} & {query.qid for query in made.queries()}
    with pytest.raises(
        tg.UserError, match=r"class 'mid', expected one of dark \(3\), middle \(7\), bright \(9\)"
    ):
        made.label("anna", third, "mid")
    again = tg.open_workspace(tmp_path / "ws")
    result = again.train()
    assert result.number == 1
    assert result.metrics["labelled_pixels"] >= made.round(0).metrics["labelled_pixels"] + first.pixels
    asked = shapely.union_all([q.geometry for q in again.queries() if q.scene == third.scene])
    assert asked.intersection(third.geometry).area < 1e-6
    more = again.request_queries(budget=0.6, strategy="entropy")
    assert {query.round for query in more} == {2} and again.round().metrics["strategy"] == "entropy"
    assert [scene.scene for scene in again.export()] == ["s0", "s1"]


def test_the_status_is_what_the_command_prints(workspace):
    status = workspace.status()
    printed = CliRunner().invoke(status_command, ["--workspace", str(workspace.root), "--json"]).stdout
    last = json.loads(printed.splitlines()[-1])
    assert {key: last[key] for key in status.to_json()} == status.to_json()
    assert status.open_queries == len(workspace.queries()) and "queries wait for labels" in status.next
    assert "waiting" in workspace._repr_html_()


def test_a_workspace_is_not_made_twice(workspace, folder):
    with pytest.raises(tg.UserError, match="found a workspace, expected none"):
        tg.create_workspace(workspace.root, folder)
