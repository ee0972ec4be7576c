"""One rule in any order of drawing: what is drawn lies on top, a number key fills what is undrawn."""

import os
import random

import pytest
from qgis.core import QgsGeometry, QgsPointXY

from tsfal_qgis.answering.pixels import disc, inside, polygon_of

SCENE = "town"
CLASSES = (0, 3, 7)


def shape_of(scene, corners):
    return QgsGeometry.fromPolygonXY([[QgsPointXY(*scene.corner(*at)) for at in corners]])


def cells_of(corners):
    """Pixels whose centres lie in a convex polygon of grid corners, given clockwise on the screen."""

    def within(x, y):
        edges = zip(corners, corners[1:] + corners[:1])
        return all((bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0 for (ax, ay), (bx, by) in edges)

    return {(x, y) for x in range(40) for y in range(40) if within(x + 0.5, y + 0.5)}


class Screen:
    """A person's screen as a simple model: each pixel's class, and whether it was drawn or filled."""

    def __init__(self):
        self.pixels = {}
        self.before = []

    def draw(self, cells, class_id):
        self.before.append(dict(self.pixels))
        self.pixels |= {cell: (class_id, "drawn") for cell in cells}

    def fill(self, cells, class_id):
        self.before.append(dict(self.pixels))
        undrawn = {cell for cell in cells if self.pixels.get(cell, (0, "filled"))[1] == "filled"}
        self.pixels |= {cell: (class_id, "filled") for cell in undrawn}

    def undo(self):
        if self.before:
            self.pixels = self.before.pop()


def shown(session):
    """The class of each pixel that a label covers on the screen."""
    scene = next(scene for scene in session.workspace.scenes if scene.name == SCENE)
    found = {}
    for feature in session.store.labels[0].getFeatures():
        for x in range(40):
            for y in range(40):
                point = QgsGeometry.fromPointXY(QgsPointXY(*scene.corner(x + 0.5, y + 0.5)))
                if feature.geometry().contains(point):
                    # Labels do not overlap, so that no order decides.
                    assert (x, y) not in found
                    found[x, y] = feature["class_id"]
    return found


REGION = {(x, y) for x in range(8, 18) for y in range(8, 18)}
CORNERS = [(5.3, 4.2), (14.6, 6.1), (13.2, 13.7), (6.4, 12.8)]
STROKE = {(x, y) for x in range(11, 22) for y in range(12, 15)}


@pytest.fixture
def town(session):
    session.next()
    assert session.current.scene == SCENE
    return session


def draw(session, kind, class_id):
    scene = next(scene for scene in session.workspace.scenes if scene.name == SCENE)
    shape = shape_of(scene, CORNERS) if kind == "drawn" else polygon_of(STROKE, scene)
    session.class_id = class_id
    session.draw(shape, session.store.layer_of(scene).crs(), kind)
    return cells_of(CORNERS) if kind == "drawn" else STROKE


@pytest.mark.parametrize("order", ["fill first", "fill last", "fill between"])
@pytest.mark.parametrize("kinds", [("brushed", "drawn"), ("drawn", "brushed")])
def test_drawing_and_filling_in_any_order_train_what_the_screen_shows(
    town, folder, engine_view, order, kinds
):
    screen, query = Screen(), town.current
    steps = ["draw", "draw"]
    steps.insert({"fill first": 0, "fill last": 2, "fill between": 1}[order], "fill")
    left = list(kinds)
    for step in steps:
        town.queue.select(query.qid)
        if step == "fill":
            town.answer(3)
            screen.fill(REGION, 3)
        else:
            kind = left.pop(0)
            screen.draw(draw(town, kind, {"brushed": 0, "drawn": 7}[kind]), {"brushed": 0, "drawn": 7}[kind])
    assert not town.messages
    expected = {cell: class_id for cell, (class_id, _) in screen.pixels.items()}
    assert shown(town) == expected
    found = engine_view(folder)
    assert {(x, y): value for x, y, value in found["scenes"][SCENE]} == expected
    assert not found["rejected"]


def test_the_rest_is_the_class_that_is_drawn_with(town, folder, engine_view):
    stroke = draw(town, "brushed", 0)
    town.class_id = 7
    town.answer_rest()
    found = {(x, y): value for x, y, value in engine_view(folder)["scenes"][SCENE]}
    assert found == {cell: 7 for cell in REGION - stroke} | {cell: 0 for cell in stroke}


def test_a_query_that_is_drawn_over_entirely_is_done_without_a_label(town, folder, engine_view):
    scene, query = town.scene, town.current
    town.class_id = 0
    town.draw(polygon_of(REGION, scene), town.store.layer_of(scene).crs(), "brushed")
    town.answer(7)
    found = engine_view(folder)
    assert {value for _, _, value in found["scenes"][SCENE]} == {0}
    assert [decision[1] for decision in found["decisions"]] == ["done"] and not found["rejected"]
    assert town.store.status(query) == "done"


def test_cutting_and_drawing_are_undone_in_one_step(town, folder, engine_view):
    town.answer(3)
    before = engine_view(folder)["scenes"][SCENE]
    town.previous()
    draw(town, "brushed", 0)
    assert engine_view(folder)["scenes"][SCENE] != before
    town.undo()
    assert engine_view(folder)["scenes"][SCENE] == before
    town.redo()
    assert {value for _, _, value in engine_view(folder)["scenes"][SCENE]} == {0, 3}


def random_steps(session, seed, count):
    """Play random steps in QGIS and in the model."""
    rng, screen = random.Random(seed), Screen()
    scene, query = session.scene, session.current
    crs = session.store.layer_of(scene).crs()
    for _ in range(count):
        session.queue.select(query.qid)
        step, class_id = rng.choice(["fill", "polygon", "brush", "click", "undo"]), rng.choice(CLASSES)
        if step == "fill":
            session.answer(class_id)
            screen.fill(REGION, class_id)
        elif step == "polygon":
            x, y, w, h = rng.uniform(3, 16), rng.uniform(3, 16), rng.uniform(2, 9), rng.uniform(2, 9)
            corners = [(x, y), (x + w, y + 0.37), (x + w - 0.41, y + h), (x + 0.29, y + h)]
            session.class_id = class_id
            session.draw(shape_of(scene, corners), crs, "drawn")
            screen.draw(cells_of(corners), class_id)
        elif step == "brush":
            cells = inside(disc((rng.randint(4, 20), rng.randint(4, 20)), rng.randint(1, 7)), scene)
            session.class_id = class_id
            session.draw(polygon_of(cells, scene), crs, "brushed")
            screen.draw(cells, class_id)
        elif step == "click":
            x, y = rng.randint(4, 20), rng.randint(4, 20)
            session.class_id = class_id
            session.label_place(QgsPointXY(*scene.corner(x + 0.5, y + 0.5)))
            left, top = x // 4 * 4, y // 4 * 4
            screen.draw({(left + dx, top + dy) for dx in range(4) for dy in range(4)}, class_id)
        else:
            session.undo()
            screen.undo()
    return {cell: class_id for cell, (class_id, _) in screen.pixels.items()}


@pytest.mark.parametrize("seed", range(int(os.environ.get("TSFAL_SEQUENCES", "6"))))
def test_random_steps_give_what_a_simple_model_says(town, folder, engine_view, seed):
    expected = random_steps(town, seed, 12)
    assert shown(town) == expected, f"seed {seed}"
    found = engine_view(folder)
    assert {(x, y): value for x, y, value in found["scenes"][SCENE]} == expected, f"seed {seed}"
