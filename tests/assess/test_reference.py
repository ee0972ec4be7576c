import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from affine import Affine
from click.testing import CliRunner
from odc.geo.geobox import GeoBox

from tsfal_geo.assess.design import draw_design, maps_overlap, open_maps
from tsfal_geo.assess.reference import Reference
from tsfal_geo.assess.report import assess_sample
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.cli import assess
from tsfal_geo.config import Config
from tsfal_geo.errors import ConfigError, LabelError, RasterError, WorkspaceError
from tsfal_geo.geopackage.connection import writing
from tsfal_geo.labels.label_layers import append
from tsfal_geo.labels.model import Decision, Label
from tsfal_geo.raster.write import write_classes
from tsfal_geo.workspace.folder import WorkspaceFolder
from tsfal_geo.workspace.state import State

SIZES = {"east": (700, 300), "west": (97, 900)}


def grid(size, x=0.0, step=1.0):
    return GeoBox(size, Affine(step, 0, 497_000 + x, 0, -step, 5_420_000), "EPSG:25832")


def truth(size):
    """Half class 0, a third of the rest class 1, nodata in a corner; a few pixels of class 4."""
    index = np.ones(size, np.uint8)
    index[:, : size[1] // 2] = 0
    index[:7, :5] = 4
    index[-20:, -30:] = 255
    return index


@pytest.fixture
def project(tmp_path):
    for number, (name, size) in enumerate(SIZES.items()):
        write_classes(tmp_path / "maps" / f"{name}.tif", grid(size, 1000.0 * number), VAIHINGEN, truth(size))
    state = State(tmp_path / "town", None, VAIHINGEN, (), round=0, status="done")
    return WorkspaceFolder.create(tmp_path, state, Config())


def drawn(project, **options):
    settings = {"standard_error": 0.05, "expected": 0.8, "expected_of": {}, "minimum": 20, "seed": 0}
    return draw_design(maps_of(project), VAIHINGEN, **(settings | options))


def maps_of(project):
    return open_maps(sorted(project.maps.glob("*.tif")))


def answer(project, author, given):
    """``given``: point to class index; the pixel itself."""
    maps = {item.name: item for item in maps_of(project)}
    reference = Reference(project.root / "reference", VAIHINGEN, list(maps.values()))
    labels = [
        Label(p.scene, index, reference._square(p), qid=p.qid, author=author) for p, index in given.items()
    ]
    with writing(reference.author_file(author)) as connection:
        append(connection, maps, labels, [])
    return reference


def test_the_sample_is_stratified_random_and_lies_where_it_says(project):
    design = drawn(project)
    pixels = sum(np.bincount(truth(s)[truth(s) != 255], minlength=6) for s in SIZES.values())
    assert design.pixels.tolist() == pixels.tolist()
    strata = np.array([p.stratum for p in design.points])
    assert set(strata) == {0, 1, 4} and (np.bincount(strata)[[0, 1, 4]] >= 20).all()
    assert all(truth(SIZES[p.scene])[p.row, p.column] == p.stratum for p in design.points)
    assert len({(p.scene, p.row, p.column) for p in design.points}) == len(design.points)
    assert {p.scene for p in design.points} == set(SIZES)
    assert drawn(project).points == design.points
    assert drawn(project, seed=1).points != design.points


def test_every_pixel_is_as_likely(project):
    # 2 · 35 pixels of class 4, of which 20 are drawn.
    hits = np.zeros((7, 5))
    for seed in range(25):
        for p in drawn(project, seed=seed).points:
            if p.stratum == 4 and p.scene == "east":
                hits[p.row, p.column] += 1
    assert abs(hits.mean() - 25 * 20 / 70) < 1.2
    assert hits.min() >= 1 and hits.max() <= 17


def test_a_design_comes_back_and_is_never_drawn_twice(project):
    design, reference = drawn(project), Reference(project.root / "reference", VAIHINGEN, maps_of(project))
    reference.write(design)
    back = reference.read()
    assert back.points == design.points and back.pixels.tolist() == design.pixels.tolist()
    assert back.pixel_area == design.pixel_area == pytest.approx(1.0, rel=0.002)
    with pytest.raises(WorkspaceError, match="drawn already"):
        reference.write(design)


def test_the_annotator_does_not_see_the_maps_class(project):
    reference = Reference(project.root / "reference", VAIHINGEN, maps_of(project))
    with closing(sqlite3.connect(reference.write(drawn(project)))) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(samples)")]
    assert columns == ["fid", "geom", "qid", "rank", "scene", "row", "col"]


def test_answers_are_read_and_training_never_sees_them(project):
    design = drawn(project)
    points = design.points
    Reference(project.root / "reference", VAIHINGEN, maps_of(project)).write(design)
    answer(project, "anna", {p: (p.stratum if i % 4 else 2) for i, p in enumerate(points[:-1])})
    reference = answer(project, "ben", {points[1]: 3})
    with writing(reference.author_file("ben")) as connection:
        append(connection, reference.maps, [], [Decision(points[-1].qid, 0, "unsure")])
    found = reference.answers(design)
    expected = np.array([p.stratum if i % 4 else 2 for i, p in enumerate(points)])
    expected[1], expected[-1] = 3, 255
    assert np.array_equal(found.classes, expected)
    assert found.unsure == 1 and found.agreement.queries == 1 and not found.issues
    assert project.store().snapshot().labels == ()
    result = assess_sample(design, found, maps_of(project), VAIHINGEN)
    assert result.counts.sum() == len(points) - 1
    assert 0.6 < result.overall.value < 0.9
    assert result.classes[2].users.to_json()["value"] is None


def test_labels_off_their_sample_are_issues(project):
    design = drawn(project)
    Reference(project.root / "reference", VAIHINGEN, maps_of(project)).write(design)
    first, second, *_ = (p for p in design.points if p.scene == "east")
    reference = answer(project, "anna", {first: 0})
    label = Label("east", 0, reference._square(second), qid=first.qid)
    with writing(reference.author_file("anna")) as connection:
        append(connection, reference.maps, [label], [])
    assert any("does not cover" in str(finding) for finding in reference.answers(design).issues)


def test_a_map_made_anew_is_assessed_with_the_old_strata(project):
    design = drawn(project)
    Reference(project.root / "reference", VAIHINGEN, maps_of(project)).write(design)
    for number, (name, size) in enumerate(SIZES.items()):
        worse = np.where(truth(size) == 1, 0, truth(size)).astype(np.uint8)
        write_classes(project.maps / f"{name}.tif", grid(size, 1000.0 * number), VAIHINGEN, worse)
    reference = answer(project, "anna", {p: p.stratum for p in design.points})
    result = assess_sample(design, reference.answers(design), maps_of(project), VAIHINGEN)
    shares = design.pixels / design.pixels.sum()
    assert result.overall.value == pytest.approx(1 - shares[1])
    assert [c.area.value for c in result.classes] == pytest.approx(shares)


def test_maps_that_do_not_go_together(project):
    write_classes(project.root / "coarse.tif", grid((40, 40), step=2.0), VAIHINGEN, truth((40, 40)))
    with pytest.raises(RasterError, match="expected one size"):
        open_maps([project.maps / "east.tif", project.root / "coarse.tif"])
    with pytest.raises(RasterError, match="no map to assess"):
        open_maps([])
    assert not maps_overlap(maps_of(project))
    write_classes(project.maps / "again.tif", grid((100, 100), 50.0), VAIHINGEN, truth((100, 100)))
    assert maps_overlap(maps_of(project))


def run(*arguments):
    result = CliRunner().invoke(assess.command, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_commands(project):
    base = ("--workspace", project.root, "--json")
    with pytest.raises(WorkspaceError, match="assess design"):
        run("report", *base)
    run(
        "design", *base, "--standard-error", 0.05, "--minimum", 20, "--to", "anna", "--expect", "building=0.7"
    )
    assert (project.root / "reference" / "anna.gpkg").is_file()
    with pytest.raises(LabelError, match="no sample is answered"):
        run("report", *base)
    with pytest.raises(ConfigError, match="no class 'barn'"):
        run("design", "--workspace", project.root, "--expect", "barn=0.7")
    run("design", *base, "--to", "ben")  # another person, the same sample
    reference = Reference(project.root / "reference", VAIHINGEN, maps_of(project))
    answer(project, "anna", {p: p.stratum for p in reference.read().points})
    lines = run("report", *base).stdout.splitlines()
    result = json.loads(lines[-1])["sample"]
    assert result["overall"]["value"] == 1.0 and result["drawn"] == result["samples"]
    assert json.loads((project.maps / "accuracy.json").read_text())["sample"] == result
    assert "producer" in (project.maps / "accuracy.html").read_text()
    assert "reference samples" in run("report", "--workspace", project.root).stdout
