from dataclasses import replace

import numpy as np
import pytest

from tests.labels.conftest import CLASSES, make_label, make_query, make_scene
from tsfal_geo.errors import WorkspaceError
from tsfal_geo.labels.agreement import agreement, conflicts
from tsfal_geo.labels.history import difference, read_snapshot, restore, take_snapshot, write_snapshot
from tsfal_geo.labels.model import Decision
from tsfal_geo.labels.opening import open_store
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.chips import Window


@pytest.fixture
def store(tmp_path, town):
    return open_store(tmp_path / "ws", CLASSES, [town, make_scene("flat", affine=None, crs="EPSG:4326")])


def pixels(store):
    return PolygonLabels(store.snapshot().labels, list(store.scenes.values()), CLASSES).pixels().tolist()


def test_a_snapshot_reads_back_unchanged(store, town):
    store.add(
        "anna", [make_label(town, 0, 0, qid="q1", round=2, source="filled")], [Decision("q1", 2, "done")]
    )
    store.add("ben", [make_label(town, 5, 5, class_id=7)], [Decision("q1", 2, "unsure")])
    first = take_snapshot(store, 0)
    again = read_snapshot(store, 0)
    assert again.labels == first.snapshot.labels == store.snapshot().labels
    assert again.decisions == first.snapshot.decisions
    assert {label.file for label in again.labels} == {"anna.gpkg", "ben.gpkg"}


def test_a_round_takes_labels_in_once(store, town):
    store.add("anna", [make_label(town, 0, 0)])
    first = take_snapshot(store, 0)
    path = store.round_dir(0) / "taken.gpkg"
    content = path.read_bytes()
    store.add("anna", [make_label(town, 20, 20)])
    second = take_snapshot(store, 0)
    assert (first.repeated, second.repeated) == (False, True)
    assert second.snapshot.labels == first.snapshot.labels
    assert path.read_bytes() == content
    with pytest.raises(FileExistsError):
        write_snapshot(store, 0, store.snapshot())


def test_changes_are_counted_from_the_last_round_with_a_snapshot(store, town):
    store.add("anna", [make_label(town, 0, 0), make_label(town, 20, 20)])
    take_snapshot(store, 0)
    path = store.author_store("anna")
    path.unlink()
    store.add("anna", [make_label(town, 40, 40)])
    changed = take_snapshot(store, 3).changes
    assert (len(changed.added), len(changed.removed), changed.kept) == (1, 2, 0)
    assert take_snapshot(store, 4).changes.kept == 1


def test_changing_any_field_makes_another_label(store, town):
    label = make_label(town, 0, 0, author="anna")
    others = [
        replace(label, class_id=7),
        replace(label, author="ben"),
        replace(label, qid="q1"),
        replace(label, scene="flat"),
        replace(label, created=label.created.replace(year=2000)),
        replace(label, geometry=make_label(town, 0, 1).geometry),
    ]
    assert len({label.key, *(other.key for other in others)}) == 7
    assert replace(label, file="copy.gpkg", fid=99).key == label.key


def test_going_back_and_forth_leaves_every_file_as_it_is(store, town):
    store.add("anna", [make_label(town, 0, 0, class_id=3)], [Decision("q1", 0, "done")])
    take_snapshot(store, 0)
    states = [(pixels(store), store.snapshot().decisions)]
    store.add("anna", [make_label(town, 0, 5, class_id=7)], [Decision("q2", 1, "skipped")])
    store.add("ben", [make_label(town, 30, 30, class_id=0)])
    take_snapshot(store, 1)
    states.append((pixels(store), store.snapshot().decisions))
    files = {path: path.read_bytes() for path in store.folder.glob("*.gpkg")}
    for number in (0, 1, 0, 0, 1):
        restore(store, number)
        assert (pixels(store), store.snapshot().decisions) == states[number]
    restore(store, 0)
    assert {path: path.read_bytes() for path in files} == files


def test_labels_made_after_going_back_count(store, town):
    store.add("anna", [make_label(town, 0, 0, class_id=3)])
    take_snapshot(store, 0)
    store.add("anna", [make_label(town, 0, 0, class_id=7)])
    changed = restore(store, 0)
    assert (len(changed.added), len(changed.removed)) == (0, 1)
    store.add("anna", [make_label(town, 30, 30, class_id=0)])
    assert pixels(store) == [100, 100, 0]


def test_deleted_labels_are_brought_back(store, town):
    store.add("anna", [make_label(town, 0, 0)])
    take_snapshot(store, 0)
    store.author_store("anna").unlink()
    assert pixels(store) == [0, 0, 0]
    restore(store, 0)
    assert pixels(store) == [100, 0, 0]
    assert store.snapshot().labels[0].author == "anna"


def test_going_back_to_a_round_that_took_nothing_is_refused(store):
    with pytest.raises(WorkspaceError, match="round 5"):
        restore(store, 5)


def test_conflicts_are_counted_in_pixels_between_annotators_alone(town):
    labels = [
        make_label(town, 0, 0, 10, 3, author="anna"),
        make_label(town, 5, 5, 10, 7, author="anna"),
        make_label(town, 0, 10, 10, 7, author="ben"),
        make_label(town, 0, 4, 10, 3, author="ben"),
        make_label(town, 4, 4, 3, 0, author="cleo"),
    ]
    found = {(item.authors, item.class_ids): item.pixels for item in conflicts(labels, [town], CLASSES)}
    assert found == {
        (("anna", "ben"), (7, 3)): 45,
        (("anna", "cleo"), (3, 0)): 9,
        (("anna", "cleo"), (7, 0)): 4,
        (("ben", "cleo"), (3, 0)): 9,
    }


def test_neighbours_are_no_conflict(town):
    labels = [make_label(town, 0, 0, 10, 3, author="anna"), make_label(town, 0, 10, 10, 7, author="ben")]
    assert conflicts(labels, [town], CLASSES) == []


def test_agreement_on_queries_that_two_answered(town):
    labels = [
        make_label(town, 0, 0, 10, 3, author="anna", qid="q1"),
        make_label(town, 0, 0, 10, 3, author="ben", qid="q1"),
        make_label(town, 20, 20, 10, 3, author="anna", qid="q2"),
        make_label(town, 20, 20, 10, 7, author="ben", qid="q2"),
        make_label(town, 40, 40, 10, 3, author="anna", qid="q3"),
    ]
    found = agreement(labels, [town], CLASSES)
    assert (found.queries, found.pixels, found.share) == (2, 200, 0.5)
    assert found.kappa == pytest.approx(0.0)
    complete = agreement(labels[:2], [town], CLASSES)
    assert complete.share == 1.0
    assert np.isnan(complete.kappa)
    assert np.isnan(agreement([], [town], CLASSES).share)


def test_kappa_is_that_of_scikit_learn(town):
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    labels = [
        make_label(town, y, x, 6, int(rng.choice(CLASSES.ids)), author=author, qid="q1")
        for author in ("anna", "ben")
        for y, x in rng.integers(0, 50, (40, 2))
    ]
    one, other = (
        PolygonLabels([item for item in labels if item.author == author], [town], CLASSES).read(
            Window(0, 0, 0, 60, 80)
        )
        for author in ("anna", "ben")
    )
    both = (one != 255) & (other != 255)
    found = agreement(labels, [town], CLASSES)
    assert found.pixels == both.sum()
    assert found.share == pytest.approx((one[both] == other[both]).mean())
    assert found.kappa == pytest.approx(cohen_kappa_score(one[both], other[both]))


def test_the_report_names_issues_and_conflicts(store, town):
    store.write_queries(0, [make_query(town, "q1")])
    store.add("anna", [make_label(town, 0, 0, qid="q1")])
    store.add("ben", [make_label(town, 0, 5, class_id=7, qid="q1")])
    (store.folder / "odd.gpkg").write_text("nothing")
    report = "\n".join(take_snapshot(store, 0).lines())
    for part in ("2 labels: 2 new", "odd.gpkg", "1 conflicts", "50 pixels", "answered by several"):
        assert part in report


def test_two_snapshots_differ_by_the_labels_of_one_alone(store, town):
    labels = [make_label(town, 0, n, 5, author="anna") for n in range(4)]
    store.add("anna", labels[:3])
    before = store.snapshot()
    store.add("anna", labels[3:])
    changed = difference(before, store.snapshot())
    assert (len(changed.added), changed.removed, changed.kept) == (1, (), 3)
