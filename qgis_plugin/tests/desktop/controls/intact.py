"""Nothing goes wrong: the run passes."""

from guards import drive


def walk(desktop):
    assert desktop.plugin() is not None
    desktop.render()
    desktop.shot("started")
    desktop.step("started", plugin=type(desktop.plugin()).__name__)


drive(walk, 60)
