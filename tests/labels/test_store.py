"""What both backends promise; the PostGIS one runs where a server can be had."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely
from affine import Affine

from tests.labels.conftest import CLASSES, make_label, make_query, make_scene, square
from tsfal_geo.errors import LabelError
from tsfal_geo.labels.model import Decision
from tsfal_geo.labels.opening import open_store
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.chips import Window

TRICKY = [
    '"; DROP TABLE labels; --',
    "../x",
    "<b>x</b>",
    "anna",
    "Ánna  ",
    "con",
    "import-1",
    "a" * 300,
    "名",
]


class StoreContract:
    """Every backend's tests; a subclass gives the fixture ``url``."""

    @pytest.fixture
    def scenes(self):
        return [
            make_scene("town"),
            make_scene("east", affine=Affine(0.2, 0, 300_000, 0, -0.2, 5_000_000), crs="EPSG:32633"),
            make_scene("flat", affine=Affine.identity(), crs=None),
        ]

    @pytest.fixture
    def store(self, tmp_path, scenes, url):
        return open_store(tmp_path / "ws", CLASSES, scenes, url)

    def test_a_new_store_is_empty(self, store):
        assert store.snapshot().labels == ()
        assert store.read_queries() == store.read_queries(3) == store.open_queries() == []

    def test_queries_come_back_by_rank_to_the_bit(self, store, scenes):
        queries = [
            make_query(scene, f"q{n}", rank=n, y=n * 7, x=3) for n, scene in enumerate(scenes, start=1)
        ]
        queries[1] = replace(queries[1], suggested=None)
        store.write_queries(0, queries[::-1])
        assert store.read_queries(0) == store.read_queries() == queries
        assert store.query_scenes() == {"q1": "town", "q2": "east", "q3": "flat"}
        later = [replace(queries[0], qid="q9", round=1)]
        store.write_queries(1, later)
        assert (store.read_queries(0), store.read_queries()) == (queries, later)

    def test_writing_a_rounds_queries_again_replaces_them(self, store, scenes):
        store.write_queries(0, [make_query(scenes[0], "q1"), make_query(scenes[0], "q2", rank=2)])
        store.write_queries(0, [make_query(scenes[0], "q3")])
        assert [query.qid for query in store.read_queries(0)] == ["q3"]

    def test_labels_come_back_to_the_pixel_in_every_crs(self, store, scenes):
        rng = np.random.default_rng(0)
        labels = [
            make_label(scene, *rng.integers(0, 40, 2), int(rng.integers(1, 20)), int(rng.choice(CLASSES.ids)))
            for scene in scenes * 10
        ]
        store.add("anna", labels)
        found = store.snapshot()
        assert (found.rejected, found.notes) == ((), ())
        before, after = (PolygonLabels(some, scenes, CLASSES) for some in (labels, found.labels))
        for position, scene in enumerate(scenes):
            window = Window(position, 0, 0, *scene.shape)
            np.testing.assert_array_equal(after.read(window), before.read(window))

    def test_every_field_of_a_label_comes_back(self, store, scenes):
        created = datetime(2024, 5, 6, 7, 8, 9, 123_000, UTC)
        label = make_label(scenes[0], 1, 2, qid="q1", round=4, created=created, source="brushed", class_id=0)
        store.add("anna", [label])
        (found,) = store.snapshot().labels
        assert replace(found, geometry=label.geometry, file="", fid=0) == replace(label, author="anna")
        assert shapely.equals_exact(
            shapely.get_parts(found.geometry), shapely.get_parts(label.geometry)
        ).all()
        assert found.file
        assert found.fid > 0

    @pytest.mark.parametrize("author", TRICKY)
    def test_any_name_is_just_a_name(self, store, scenes, author, tmp_path):
        store.add(author, [make_label(scenes[0], 0, 0, qid=author)], [Decision(author, 0, "done")])
        store.add("somebody else", [make_label(scenes[0], 20, 20)])
        found = store.snapshot()
        assert sorted(label.author for label in found.labels) == sorted([author, "somebody else"])
        assert (found.decisions[0].qid, found.decisions[0].author) == (author, author)
        assert {path.parent for path in tmp_path.rglob("*.gpkg")} <= {tmp_path / "ws" / "labels"}

    def test_an_empty_name_is_refused(self, store, scenes):
        with pytest.raises(LabelError, match="author"):
            store.add(" ", [make_label(scenes[0], 0, 0)])

    def test_all_or_nothing(self, store, scenes):
        good = make_label(scenes[0], 0, 0)
        bad = [
            replace(good, class_id=99),
            replace(good, scene="elsewhere"),
            replace(good, geometry=shapely.Polygon()),
        ]
        for wrong in bad:
            with pytest.raises(LabelError):
                store.add("anna", [good, wrong])
        with pytest.raises(LabelError):
            store.add("anna", [good], [Decision("q1", 0, "perhaps")])
        assert store.snapshot().labels == ()

    def test_the_oldest_come_first_whoever_wrote_them(self, store, scenes):
        start = datetime(2024, 1, 1, tzinfo=UTC)
        for hours, author in ((2, "anna"), (1, "ben"), (3, "ben"), (0, "anna")):
            store.add(author, [make_label(scenes[0], 0, 0, created=start + timedelta(hours=hours))])
        found = store.snapshot().labels
        assert [(label.created - start).seconds // 3600 for label in found] == [0, 1, 2, 3]

    def test_the_last_decision_on_a_query_holds(self, store):
        store.add("anna", [], [Decision("q1", 0, "skipped"), Decision("q2", 0, "done")])
        store.add("anna", [], [Decision("q1", 0, "done")])
        store.add("ben", [], [Decision("q1", 0, "unsure")])
        found = {(item.qid, item.author): item.status for item in store.snapshot().decisions}
        assert found == {("q1", "anna"): "done", ("q2", "anna"): "done", ("q1", "ben"): "unsure"}

    def test_answered_queries_are_no_longer_open(self, store, scenes):
        store.write_queries(0, [make_query(scenes[0], f"q{n}", rank=n) for n in range(1, 5)])
        store.add("anna", [make_label(scenes[0], 0, 0, qid="q1")], [Decision("q3", 0, "skipped")])
        assert [query.qid for query in store.open_queries(0)] == ["q2", "q4"]

    def test_assignments_add_up(self, store, scenes):
        store.write_queries(0, [make_query(scenes[0], f"q{n}", rank=n) for n in range(1, 4)])
        store.save_assignments(0, {"q1": ("anna",), "q2": ("ben",)})
        store.save_assignments(0, {"q1": ("ben",), "q3": ("ben",)})
        assert store.assignments(0) == {"q1": ("anna", "ben"), "q2": ("ben",), "q3": ("ben",)}
        assert store.assignments(7) == {}

    def test_imports_are_kept_apart_and_read_with_the_rest(self, store, scenes):
        store.add_import("survey", [make_label(scenes[0], 0, 0, source="imported", author="survey")])
        store.add_import("survey", [make_label(scenes[1], 5, 5, source="imported", author="survey")])
        store.add("anna", [make_label(scenes[2], 9, 9)])
        found = store.snapshot()
        assert {(label.scene, label.author) for label in found.labels} == {
            ("town", "survey"),
            ("east", "survey"),
            ("flat", "anna"),
        }
        assert len({label.file for label in found.labels if label.author == "survey"}) == 2

    def test_a_multipolygon_stays_one_label(self, store, scenes):
        two = shapely.MultiPolygon([square(scenes[0], 0, 0), square(scenes[0], 20, 20)])
        store.add("anna", [replace(make_label(scenes[0], 0, 0), geometry=two)])
        (found,) = store.snapshot().labels
        assert PolygonLabels([found], scenes, CLASSES).pixels().sum() == 200


class TestGeoPackage(StoreContract):
    @pytest.fixture
    def url(self):
        return None


def test_another_kind_of_url_is_refused(tmp_path):
    with pytest.raises(LabelError, match="postgresql"):
        open_store(tmp_path, CLASSES, [], "mysql://host/db")
