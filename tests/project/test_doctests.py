"""The examples in the docstrings of the public API run, on a tiny folder."""

import doctest
from importlib import import_module

import pytest
import rasterio

import tsfal_geo as tg
from tests.helpers.loop_case import CLASSES, tiny_config

MODULES = ("project.workspace", "project.answering", "project.open_workspace", "project.queries")
NAMES = ("road", "building", "tree")


@pytest.fixture(scope="module")
def place(folder, tmp_path_factory):
    """A folder with the names that the examples use, and the values that they begin with."""
    root = tmp_path_factory.mktemp("doctests")
    for name in ("dir", "val", "test"):
        (root / name).symlink_to(folder)
    classes = [{**spec, "name": name} for spec, name in zip(CLASSES, NAMES, strict=True)]
    config = tiny_config(classes=classes, active__budget=0.5)
    with rasterio.open(folder / "images" / "s0.tif") as source:
        image = source.read()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield {"config": config, "image": image}


def test_the_examples_give_what_they_say(place):
    begun = doctest.DocTestFinder().find(tg, "tsfal_geo", extraglobs=dict(place))[0]
    assert doctest.DocTestRunner().run(begun) == (0, len(begun.examples))
    count = 0
    for name in MODULES:
        module = import_module(f"tsfal_geo.{name}")
        for case in doctest.DocTestFinder(exclude_empty=True).find(module, name):
            case.globs |= {**place, "workspace": tg.open_workspace("ws")}
            assert doctest.DocTestRunner().run(case).failed == 0, case.name
            count += len(case.examples)
    assert count > 20
