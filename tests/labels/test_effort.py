"""Effort: kinds of answers, their seconds, and a person's own pace in place of the constants."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely

from tests.labels.conftest import make_label, on_ground
from tsfal_geo.labels.effort import SECONDS, SECONDS_PER_VERTEX, Effort, KindEffort, measure_effort
from tsfal_geo.labels.model import Decision, LabelSnapshot
from tsfal_geo.labels.polygonise import region_polygon

START = datetime(2026, 1, 1, tzinfo=UTC)
SQUARE = 3 + 4 * 1.2


def measure(town, labels=(), decisions=()):
    return measure_effort(LabelSnapshot(tuple(labels), tuple(decisions)), {"town": town})


def counts(effort):
    return {kind: value.answers for kind, value in effort.by_kind.items()}


def at(seconds):
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("source", "pixels", "kind", "seconds"),
    [
        ("filled", 100, "key", 2.0),
        ("accepted", 100, "key", 2.0),
        ("filled", 16, "point", 2.4),
        ("accepted", 1, "point", 2.4),
        ("brushed", 16, "point", 2.4),
        ("brushed", 25, "stroke", 10.9),
        ("drawn", 100, "polygon", SQUARE),
        ("oracle", 100, "polygon", SQUARE),
    ],
)
def test_an_answer_has_the_seconds_of_its_kind(town, source, pixels, kind, seconds):
    side = int(pixels**0.5)
    label = make_label(town, 0, 0, side, qid="q1", source=source, author="anna")
    assert measure(town, [label], [Decision("q1", 0, "done", "anna")]) == Effort(
        {kind: KindEffort(1, pytest.approx(seconds))}
    )


def test_a_query_without_a_label_costs_an_answer_once(town):
    decisions = [
        Decision("a", 0, "skipped", "anna"),
        Decision("b", 0, "unsure", "anna"),
        Decision("void", 0, "done", "oracle"),
        Decision("drawn", 0, "done", "anna"),
    ]
    label = make_label(town, 0, 0, qid="drawn", source="filled", author="anna")
    found = measure(town, [label], decisions)
    assert counts(found) == {"key": 1, "skip": 2, "unsure": 1}
    assert found.answers == 4
    assert found.seconds == pytest.approx(2 + 3 * 1.5)
    assert found.minutes == pytest.approx(found.seconds / 60)


def test_imported_labels_cost_nothing(town):
    assert measure(town, [make_label(town, 0, 0, source="imported")]) == Effort()


def test_vertices_are_those_that_a_person_sets_not_the_steps_of_pixel_edges(town):
    rows, cols = np.mgrid[:30, :30]
    triangle = region_polygon(rows >= cols, town.grid, 0, 0)
    steps = shapely.get_num_coordinates(triangle) - 1
    assert steps > 50
    label = make_label(town, 0, 0, source="drawn")
    found = measure(town, [replace(label, geometry=triangle)])
    vertices = (found.seconds - SECONDS["polygon"]) / SECONDS_PER_VERTEX
    assert 3 <= round(vertices, 6) <= 6


def test_holes_are_not_drawn_and_each_part_is(town):
    ring = shapely.box(0, 0, 20, 20).difference(shapely.box(5, 5, 15, 15))
    two = shapely.union(shapely.box(0, 0, 5, 5), shapely.box(10, 10, 15, 15))
    for shape, seconds in ((ring, SQUARE), (two, 2 * SQUARE)):
        label = make_label(town, 0, 0)
        label = label.__class__(**{**label.__dict__, "geometry": on_ground(town, shape)})
        assert measure(town, [label]).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("shape", "kind", "seconds"),
    [(shapely.Point(3, 3), "point", 2.4), (shapely.LineString([(0, 0), (9, 9), (9, 0)]), "stroke", 10.9)],
)
def test_points_and_lines_have_their_own_seconds(town, shape, kind, seconds):
    label = replace(make_label(town, 0, 0), geometry=on_ground(town, shape))
    assert measure(town, [label]) == Effort({kind: KindEffort(1, seconds)})


def keys(town, times, author="anna", source="filled"):
    return [make_label(town, 0, 0, author=author, source=source, created=at(time)) for time in times]


def test_a_persons_own_median_replaces_the_constant_and_pauses_do_not_count(town):
    gaps = [9.0] + [4.0] * 6 + [5.0] * 6 + [1.0, 59.0] + [3600.0] * 20
    found = measure(town, keys(town, np.cumsum(gaps)))
    assert found.by_kind["key"].seconds == pytest.approx(len(gaps) * 4.5)


def test_a_polygons_own_pace_still_counts_its_vertices(town):
    """Twice as slow as the constants, on shapes of different numbers of vertices."""
    labels, time = [], 0.0
    for corners in range(3, 18):
        angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        shape = on_ground(town, shapely.Polygon(np.column_stack((20 * np.sin(angle), 20 * np.cos(angle)))))
        time += 2 * (3 + 1.2 * corners)
        label = make_label(town, 0, 0, author="anna", created=at(time))
        labels.append(replace(label, geometry=shape))
    own = measure(town, labels)
    constant = measure(town, labels[:5])
    assert own.seconds == pytest.approx(time)
    assert constant.seconds == pytest.approx(sum(3 + 1.2 * corners for corners in range(3, 8)))


@pytest.mark.parametrize(
    ("author", "gap", "count"),
    [("oracle", 5.0, 50), ("script", 0.001, 50), ("anna", 5.0, 10)],
    ids=["oracle", "faster than a person", "too few"],
)
def test_constants_hold_where_times_say_nothing_of_a_person(town, author, gap, count):
    found = measure(town, keys(town, gap * np.arange(count), author))
    assert found.by_kind["key"].seconds == pytest.approx(count * 2.0)


def test_each_person_has_an_own_pace(town):
    slow, fast = keys(town, 8.0 * np.arange(20), "anna"), keys(town, 1.0 * np.arange(20) + 0.5, "ben")
    assert measure(town, [*fast, *slow]).seconds == pytest.approx(20 * 8 + 20 * 1)


def test_suggestions_accepted_at_once_are_a_batch_and_one_alone_is_a_key(town):
    labels = keys(town, [0, 0, 0.05, 30, 60, 60], source="accepted")
    found = measure(town, labels)
    assert counts(found) == {"key": 1, "batch": 5}
    assert found.by_kind["batch"].seconds == pytest.approx(2.5)


def test_the_json_form_adds_up(town):
    values = measure(town, keys(town, [0]), [Decision("a", 0, "skipped", "anna")]).to_json()
    assert values["answers"] == sum(kind["answers"] for kind in values["effort"].values()) == 2
    assert values["minutes"] == pytest.approx(3.5 / 60, abs=1e-4)
