"""Pictures without georeference all lie at (0, 0): one is shown at a time, with its queries and labels."""

import shutil
from pathlib import Path

import pytest
from conftest import go_to_round
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsFeatureRequest,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsRenderContext,
)

from tsfal_qgis.answering.pixels import inside, polygon_of
from tsfal_qgis.store.workspace import Workspace

NONE = QgsCoordinateReferenceSystem()


@pytest.fixture
def folder(made_pictures, tmp_path, qgis_new_project):
    shutil.copytree(made_pictures.parent / "ws-data", tmp_path / "ws-data")
    return Path(shutil.copytree(made_pictures, tmp_path / "ws"))


def rasters(session, title):
    found = [node.layer() for node in session.layers.group.findGroup(title).findLayers()]
    return [(layer.name(), layer.extent().toRectF().getCoords()) for layer in found]


def drawn(layer):
    """The scenes of the features to which a layer's renderer gives a symbol."""
    context = QgsRenderContext()
    expressions = QgsExpressionContext()
    expressions.appendScopes(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    context.setExpressionContext(expressions)
    renderer = layer.renderer().clone()
    renderer.startRender(context, layer.fields())
    found = set()
    for feature in layer.getFeatures(QgsFeatureRequest()):
        expressions.setFeature(feature)
        context.setExpressionContext(expressions)
        if renderer.willRenderFeature(feature, context):
            found.add(feature["scene"])
    renderer.stopRender(context)
    return found


def test_qgis_shows_a_jpeg_where_its_queries_and_rasters_are(session):
    session.next()
    assert session.scene.name == "first"
    for title in ("Orthophoto", "Prediction", "Error mask", "Confidence", "Refined labels"):
        assert rasters(session, title) == [("first", (0, -90, 120, 0))]
    picture = session.layers.group.findGroup("Orthophoto").findLayers()[0].layer()
    left, right = (picture.dataProvider().sample(QgsPointXY(x, -5.5), 1)[0] for x in (59.5, 60.5))
    assert left < 100 < 200 < right
    box = session.layers.queries.region(session.current).geometry.boundingBox()
    assert box == QgsRectangle(8, -18, 18, -8)


def test_with_the_query_comes_its_picture(session, folder, canvas):
    session.next()
    group = session.layers.group
    group.findGroup("Error mask").findLayers()[0].layer().setOpacity(0.3)
    queries = session.layers.queries.layers[0]
    assert drawn(queries) == {"first"}
    session.skip()
    assert session.scene.name == "second"
    here = [("second", (0, -60, 200, 0))]
    assert rasters(session, "Orthophoto") == rasters(session, "Prediction") == here
    assert group.findGroup("Error mask").findLayers()[0].layer().opacity() == 0.3
    assert drawn(queries) == {"second"}
    chips = group.findGroup("Chips")
    assert drawn(chips.findLayers()[0].layer()) == {"second"}
    session.layers.zoom_to_all()
    assert canvas.extent().contains(QgsRectangle(0, -60, 200, 0))
    session.previous()
    assert rasters(session, "Orthophoto") == [("first", (0, -90, 120, 0))]


def test_a_click_finds_the_query_of_the_picture_that_is_shown(session):
    session.next()
    session.skip()
    session.pick(QgsPointXY(10, -10))
    assert session.current.scene == "second"


def test_a_drawn_label_belongs_to_the_picture_that_is_shown(session, engine_view, folder):
    session.next()
    session.skip()
    cells = inside({(x, y) for x in range(40, 47) for y in range(50, 70)}, session.scene)
    session.class_id = 0
    session.draw(polygon_of(cells, session.scene), NONE, "brushed")
    session.answer(7)
    assert not session.messages
    found = engine_view(folder)
    assert not found["rejected"]
    here = {(x, y): value for x, y, value in found["scenes"]["second"]}
    assert {at for at, value in here.items() if value == 0} == cells
    region = {(x, y) for x in range(8, 18) for y in range(8, 18)}
    assert {at for at, value in here.items() if value == 7} == region
    assert found["scenes"]["first"] == found["scenes"]["third"] == []
    assert session.scene.name == "third"
    assert drawn(session.store.labels[0]) == set()
    session.draw(QgsGeometry.fromRect(QgsRectangle(150, -20, 160, -10)), NONE, "drawn")
    assert "outside every scene" in session.messages[-1]


def test_a_polygon_does_not_cut_labels_of_other_pictures(session, folder, engine_view):
    session.next()
    first = session.scene.name
    session.answer(7)
    assert session.scene.name != first
    session.class_id = 0
    session.draw(session.layers.queries.region(session.current).geometry, NONE, "drawn")
    found = engine_view(folder)
    assert {value for _, _, value in found["scenes"][first]} == {7}
    assert {value for _, _, value in found["scenes"][session.scene.name]} == {0}


def test_a_new_round_and_an_earlier_prediction_stay_with_the_picture(session, folder):
    session.next()
    session.skip()
    go_to_round(folder, 1)
    session.start_round(Workspace.read(folder))
    layer = session.layers.group.findGroup("Prediction").findLayers()[0].layer()
    assert layer.source().endswith("rounds/001/second/prediction.tif")
    session.layers.show_prediction(0)
    assert layer.source().endswith("rounds/000/second/prediction.tif")
    session.next()
    assert session.scene.name == "first"
    assert layer.source().endswith("rounds/000/first/prediction.tif")
    assert drawn(session.layers.queries.layers[0]) == {"first"}
    assert len(QgsProject.instance().mapLayers()) < 20
