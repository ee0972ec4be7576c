import pytest

from tests.labels.conftest import make_query, make_scene
from tsfal_geo.errors import LabelError
from tsfal_geo.labels.assignment import assign_queries

QUERIES = [make_query(make_scene(), f"q{n:02}", rank=n, size=1) for n in range(1, 41)]


def counts(assigned):
    held = {}
    for authors in assigned.values():
        for name in authors:
            held[name] = held.get(name, 0) + 1
    return held


def test_each_query_is_assigned_to_one_annotator():
    assigned = assign_queries(QUERIES, ["anna", "ben", "cleo"], {})
    assert set(assigned) == {query.qid for query in QUERIES}
    assert all(len(authors) == 1 for authors in assigned.values())
    assert counts(assigned) == {"anna": 14, "ben": 13, "cleo": 13}
    assert assigned["q01"] == ("anna",)


@pytest.mark.parametrize("overlap", [0.1, 0.25, 0.5, 1.0])
def test_the_overlap_is_assigned_to_two_annotators(overlap):
    assigned = assign_queries(QUERIES, ["anna", "ben", "cleo"], {}, overlap)
    twice = [qid for qid, authors in assigned.items() if len(authors) == 2]
    assert len(twice) == overlap * 40
    assert all(len(set(authors)) == len(authors) for authors in assigned.values())
    assert max(counts(assigned).values()) - min(counts(assigned).values()) <= 1


def test_earlier_assignments_stay():
    first = assign_queries(QUERIES, ["anna", "ben"], {}, count=5)
    assert counts(first) == {"anna": 5, "ben": 5}
    second = assign_queries(QUERIES, ["cleo"], first, count=7)
    assert counts(second) == {"cleo": 7}
    assert not set(first) & set(second)
    assert min(second) == "q11"


@pytest.mark.parametrize(
    ("authors", "overlap"), [([], 0), (["anna", "anna"], 0), (["anna"], 0.1), (["anna", "ben"], 1.5)]
)
def test_invalid_annotators_and_overlaps_are_refused(authors, overlap):
    with pytest.raises(LabelError):
        assign_queries(QUERIES, authors, {}, overlap)
