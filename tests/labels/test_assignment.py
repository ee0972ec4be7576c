import pytest

from tests.labels.conftest import make_query, make_scene
from tsfal_geo.errors import LabelError
from tsfal_geo.labels.assignment import assign_queries

QUERIES = [make_query(make_scene(), f"q{n:02}", rank=n, size=1) for n in range(1, 41)]


def counts(given):
    held = {}
    for people in given.values():
        for name in people:
            held[name] = held.get(name, 0) + 1
    return held


def test_nobody_gets_what_another_has():
    given = assign_queries(QUERIES, ["anna", "ben", "cleo"], {})
    assert set(given) == {query.qid for query in QUERIES}
    assert all(len(people) == 1 for people in given.values())
    assert counts(given) == {"anna": 14, "ben": 13, "cleo": 13}
    assert given["q01"] == ("anna",)


@pytest.mark.parametrize("overlap", [0.1, 0.25, 0.5, 1.0])
def test_the_overlap_is_asked_of_two(overlap):
    given = assign_queries(QUERIES, ["anna", "ben", "cleo"], {}, overlap)
    twice = [qid for qid, people in given.items() if len(people) == 2]
    assert len(twice) == overlap * 40
    assert all(len(set(people)) == len(people) for people in given.values())
    assert max(counts(given).values()) - min(counts(given).values()) <= 1


def test_earlier_hand_outs_stand():
    first = assign_queries(QUERIES, ["anna", "ben"], {}, count=5)
    assert counts(first) == {"anna": 5, "ben": 5}
    second = assign_queries(QUERIES, ["cleo"], first, count=7)
    assert counts(second) == {"cleo": 7}
    assert not set(first) & set(second)
    assert min(second) == "q11"


@pytest.mark.parametrize(
    ("authors", "overlap"), [([], 0), (["anna", "anna"], 0), (["anna"], 0.1), (["anna", "ben"], 1.5)]
)
def test_what_makes_no_sense_is_refused(authors, overlap):
    with pytest.raises(LabelError):
        assign_queries(QUERIES, authors, {}, overlap)
