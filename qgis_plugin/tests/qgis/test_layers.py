"""The group of layers: its order, its styles, and the state that a new round keeps."""

import pytest
from conftest import go_to_round
from qgis.core import QgsPointXY, QgsProject, QgsRectangle, QgsRuleBasedRenderer

from tsfal_qgis.layers.highlight import _view
from tsfal_qgis.layers.layers import TITLES
from tsfal_qgis.layers.styling import STATUS_FIELD
from tsfal_qgis.store.workspace import KINDS, Workspace

NAMES = ["Labels", "Queries", *TITLES.values(), "Chips"]


def test_everything_is_in_one_group_in_order(session):
    root = QgsProject.instance().layerTreeRoot()
    group = root.children()[0]
    assert group.name() == "TSFAL – ws"
    assert [child.name() for child in group.children()] == NAMES
    shown = [child.name() for child in group.children() if child.itemVisibilityChecked()]
    assert shown == ["Labels", "Queries", "Orthophoto"]
    for title in (*TITLES.values(),):
        assert len(group.findGroup(title).findLayers()) == 3
    masks = [node.layer() for node in group.findGroup("Error mask").findLayers()]
    assert all(0 < mask.opacity() < 1 for mask in masks)


def test_classes_have_their_names_and_colours(session):
    group = session.layers.group
    for title in ("Prediction", "Refined labels"):
        renderer = group.findGroup(title).findLayers()[0].layer().renderer()
        found = [(each.value, each.label, each.color.getRgb()[:3]) for each in renderer.classes()]
        assert found == [
            (3, "water", (0, 0, 255)),
            (0, "<b>road</b> & '\"", (255, 0, 0)),
            (7, "tree", (0, 255, 0)),
        ]
    categories = session.store.labels[0].renderer().categories()
    assert [(each.value(), each.label()) for each in categories] == [
        (3, "water"),
        (0, "<b>road</b> & '\""),
        (7, "tree"),
    ]


def statuses(layer):
    return {feature["qid"]: feature[STATUS_FIELD] for feature in layer.getFeatures()}


def test_queries_are_styled_by_status(session):
    layer = session.layers.queries.layers[0]
    assert isinstance(layer.renderer(), QgsRuleBasedRenderer)
    assert layer.readOnly()
    session.next()
    session.answer(3)
    session.skip()
    session.unsure()
    found = statuses(session.layers.queries.layers[0]) | statuses(session.layers.queries.layers[1])
    assert [found[f"000-{rank:06d}"] for rank in range(1, 5)] == ["done", "skipped", "unsure", "open"]
    session.undo()
    found = statuses(session.layers.queries.layers[0]) | statuses(session.layers.queries.layers[1])
    assert found["000-000003"] == "open"


def test_a_new_round_moves_the_layers_and_keeps_view_and_order(session, folder, canvas):
    view = QgsRectangle(497_001, 5_418_995, 497_003, 5_418_997)
    canvas.setExtent(view)
    extent_before = canvas.extent()
    project = QgsProject.instance()
    group = session.layers.group
    group.findGroup("Prediction").setItemVisibilityChecked(True)
    group.findGroup("Prediction").findLayers()[0].layer().setOpacity(0.3)
    before = {layer.id(): layer.source() for layer in project.mapLayers().values()}
    go_to_round(folder, 1)
    session.start_round(Workspace.read(folder))
    after = {layer.id(): layer.source() for layer in project.mapLayers().values()}
    assert after.keys() == before.keys()
    moved = [name for name in after if after[name] != before[name]]
    assert len(moved) == 3 * len(KINDS) + len(session.layers.queries.layers)
    assert all("/rounds/001/" in after[name] for name in moved)
    assert canvas.extent() == extent_before
    assert group.findGroup("Prediction").itemVisibilityChecked()
    first = group.findGroup("Prediction").findLayers()[0].layer()
    assert (first.opacity(), first.renderer().type()) == (0.3, "paletted")
    assert all(layer.isValid() for layer in project.mapLayers().values())


def test_the_prediction_of_the_round_before_can_be_shown(session, folder):
    go_to_round(folder, 1)
    session.start_round(Workspace.read(folder))
    layer = session.layers.group.findGroup("Prediction").findLayers()[0].layer()
    session.layers.show_prediction(0)
    assert "/rounds/000/" in layer.source()
    session.layers.show_prediction(1)
    assert "/rounds/001/" in layer.source()


def test_overlays_are_hidden_and_come_back_as_they_were(session):
    group = session.layers.group
    group.findGroup("Queries").setItemVisibilityChecked(False)
    before = {name: group.findGroup(name).itemVisibilityChecked() for name in NAMES}
    session.layers.hide_overlays(True)
    assert [name for name in NAMES if group.findGroup(name).itemVisibilityChecked()] == ["Orthophoto"]
    session.layers.hide_overlays(False)
    assert {name: group.findGroup(name).itemVisibilityChecked() for name in NAMES} == before


def test_a_query_is_shown_with_the_ground_around_it(session, canvas):
    session.next()
    box = session.layers.queries.region(session.current).geometry.boundingBox()
    assert canvas.extent().contains(box)
    pixel = session.scene.transform[0]
    assert (
        min(canvas.extent().height(), canvas.extent().width()) >= max(box.height(), box.width()) + 220 * pixel
    )
    assert session.layers.queries.find_at(box.center()) == session.current.qid
    assert session.layers.queries.find_at(QgsPointXY(box.xMinimum() - 1, box.yMinimum())) is None


@pytest.mark.parametrize(("small", "like", "large"), [(10, 16, 400), (30, 60, 900)])
def test_like_queries_have_one_scale_and_large_ones_fill_the_view(session, small, like, large):
    scene = session.scene
    pixel = abs(scene.transform[0])
    small, like, large = (
        _view(QgsRectangle(0, 0, side * pixel, side * pixel), scene).width() / pixel
        for side in (small, like, large)
    )
    assert small == pytest.approx(like)
    assert large > 2 * small


def test_a_large_query_fills_at_least_half_of_the_view(session):
    pixel = abs(session.scene.transform[0])
    for side in (500, 1000, 5000):
        view = _view(QgsRectangle(0, 0, side * pixel, side * pixel), session.scene)
        assert side + 220 <= view.width() / pixel * (1 + 1e-9) <= 1.5 * (side + 220) * (1 + 1e-9)


def test_orthophotos_are_drawn_smoothly_and_classes_are_not(session):
    group = session.layers.group
    for title, smooth in (("Orthophoto", True), ("Prediction", False)):
        layer = group.findGroup(title).findLayers()[0].layer()
        assert (layer.resampleFilter().zoomedInResampler() is not None) is smooth


def test_exported_maps_lie_below_labels_queries_and_error_mask(session):
    session.layers.group_below_labels("Maps")
    names = [child.name() for child in session.layers.group.children()]
    assert names.index("Maps") > max(names.index(each) for each in ("Labels", "Queries", "Error mask"))
    assert names.index("Maps") < names.index("Orthophoto")


def test_a_group_that_was_saved_with_a_project_is_made_anew(begin, tmp_path, qgis_new_project):
    begin()
    path = str(tmp_path / "saved.qgz")
    QgsProject.instance().write(path)
    again = begin()
    groups = [child.name() for child in QgsProject.instance().layerTreeRoot().children()]
    assert groups == ["TSFAL – ws"]
    assert again.store.labels[0].isEditable()


def test_closing_leaves_nothing_behind(begin):
    begin()
    begin.close()
    assert not QgsProject.instance().mapLayers()
    assert not QgsProject.instance().layerTreeRoot().children()


@pytest.mark.parametrize("kind", KINDS)
def test_a_round_without_a_raster_shows_the_others(session, folder, kind):
    go_to_round(folder, 1)
    workspace = Workspace.read(folder)
    workspace.raster(1, "town", kind).unlink()
    session.start_round(workspace)
    assert len(session.layers.group.findGroup(TITLES[kind]).findLayers()) == 2


def test_layers_that_the_user_removed_come_back_with_the_next_round(session, folder):
    project = QgsProject.instance()
    group = session.layers.group
    project.removeMapLayer(group.findGroup("Error mask").findLayers()[0].layerId())
    doomed = group.findGroup("Confidence")
    ids = [node.layerId() for node in doomed.findLayers()]
    group.removeChildNode(doomed)
    project.removeMapLayers(ids)
    session.layers.hide_overlays(True)
    session.layers.hide_overlays(False)
    go_to_round(folder, 1)
    session.start_round(Workspace.read(folder))
    assert len(group.findGroup("Error mask").findLayers()) == 3
    sources = [layer.source() for layer in project.mapLayers().values()]
    assert sum("confidence" in source for source in sources) == 3
