import pytest

from tsfal_qgis.answering.query_queue import Query, QueryQueue, mine


def query(rank, qid=None):
    return Query(qid or f"q{rank}", 0, "town", "0-0", rank, 1 / rank, "unsure", 3, 10 * rank, 0, rank)


@pytest.fixture
def queue():
    return QueryQueue([query(rank) for rank in (3, 1, 4, 2)])


def ranks(queue, way, count):
    found = [getattr(queue, way)() for _ in range(count)]
    return [each.rank if each else None for each in found]


def test_next_goes_by_rank_and_round_again(queue):
    assert queue.current is None
    assert ranks(queue, "next", 6) == [1, 2, 3, 4, 1, 2]


def test_next_passes_over_what_is_answered(queue):
    queue.update({"q1": "done", "q3": "skipped"})
    assert ranks(queue, "next", 3) == [2, 4, 2]
    queue.update({"q1": "done", "q3": "skipped", "q2": "unsure", "q4": "done"})
    assert queue.next() is None
    assert queue.current.rank == 2
    assert queue.counts() == {"open": 0, "done": 2, "skipped": 1, "unsure": 1}


def test_previous_goes_back_to_answered_ones_too(queue):
    queue.select("q3")
    queue.update({"q2": "done"})
    assert ranks(queue, "previous", 3) == [2, 1, None]
    assert queue.current.rank == 1


def test_an_empty_queue_has_nothing():
    queue = QueryQueue([])
    assert queue.next() is queue.previous() is queue.current is None


def test_update_tells_what_changed_and_knows_only_its_own(queue):
    assert queue.update({"q1": "done", "elsewhere": "done"}) == ["q1"]
    assert queue.update({"q1": "open", "q2": "unsure"}) == ["q1", "q2"]
    assert queue.status("q1") == "open"
    assert queue.find("elsewhere") is None


def test_queries_that_were_handed_out_are_answered_by_those_people_alone():
    asked = [query(rank) for rank in (1, 2, 3)]
    given = {"q1": ("anna",), "q2": ("anna", "ben")}
    assert [each.qid for each in mine(asked, given, "anna")] == ["q1", "q2"]
    assert [each.qid for each in mine(asked, given, "ben")] == ["q2"]
    assert [each.qid for each in mine(asked, given, "carl")] == ["q3"]
    assert len(mine(asked, {}, "carl")) == 3
