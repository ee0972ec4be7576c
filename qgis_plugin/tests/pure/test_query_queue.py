import pytest

from tsfal_qgis.answering.query_queue import QueryQueue, assigned_queries
from tsfal_qgis.store.queries import Query


def query(rank, qid=None):
    return Query(qid or f"q{rank}", 0, "town", "0-0", rank, 1 / rank, "unsure", 3, 10 * rank, 0, rank)


@pytest.fixture
def queue():
    return QueryQueue([query(rank) for rank in (3, 1, 4, 2)])


def ranks(queue, method, count):
    found = [getattr(queue, method)() for _ in range(count)]
    return [each.rank if each else None for each in found]


def test_next_goes_by_rank_and_round_again(queue):
    assert queue.current is None
    assert ranks(queue, "next", 6) == [1, 2, 3, 4, 1, 2]


def test_next_leaves_out_answered_queries(queue):
    queue.update({"q1": "done", "q3": "skipped"})
    assert ranks(queue, "next", 3) == [2, 4, 2]
    queue.update({"q1": "done", "q3": "skipped", "q2": "unsure", "q4": "done"})
    assert queue.next() is None
    assert queue.current.rank == 2
    assert queue.counts() == {"open": 0, "done": 2, "skipped": 1, "unsure": 1, "settled": 0}


def test_previous_goes_back_to_answered_ones_too(queue):
    queue.select("q3")
    queue.update({"q2": "done"})
    assert ranks(queue, "previous", 3) == [2, 1, None]
    assert queue.current.rank == 1


def test_an_empty_queue_has_nothing():
    queue = QueryQueue([])
    assert queue.next() is queue.previous() is queue.current is None


def test_update_returns_the_changes_and_ignores_queries_of_others(queue):
    assert queue.update({"q1": "done", "elsewhere": "done"}) == ["q1"]
    assert queue.update({"q1": "open", "q2": "unsure"}) == ["q1", "q2"]
    assert queue.status("q1") == "open"
    assert queue.find("elsewhere") is None


def test_queries_that_are_assigned_are_answered_by_those_annotators_alone():
    queries = [query(rank) for rank in (1, 2, 3)]
    assignments = {"q1": ("anna",), "q2": ("anna", "ben")}
    assert [each.qid for each in assigned_queries(queries, assignments, "anna")] == ["q1", "q2"]
    assert [each.qid for each in assigned_queries(queries, assignments, "ben")] == ["q2"]
    assert [each.qid for each in assigned_queries(queries, assignments, "carl")] == ["q3"]
    assert len(assigned_queries(queries, {}, "carl")) == 3


def test_the_live_order_leads_and_who_leaves_a_query_open_goes_on(queue):
    queue.reorder(["q4", "q2"])
    assert ranks(queue, "next", 4) == [4, 2, 1, 4]
    queue.update({"q4": "done"})
    # The answered one is out of the order: the best one that is left comes next.
    queue.select("q4")
    assert ranks(queue, "next", 2) == [2, 1]


def test_settled_queries_are_left_out_until_they_are_doubtful_again(queue):
    assert sorted(queue.settle(["q1", "q3", "unknown"])) == ["q1", "q3"]
    assert queue.status("q1") == "settled"
    assert ranks(queue, "next", 3) == [2, 4, 2]
    queue.update({"q3": "skipped"})
    assert queue.counts() == {"open": 2, "done": 0, "skipped": 1, "unsure": 0, "settled": 1}
    assert sorted(queue.settle([])) == ["q1", "q3"]
    assert queue.status("q1") == "open"
    assert queue.status("q3") == "skipped"


def test_new_queries_come_in_and_the_current_one_stays(queue):
    queue.select("q3")
    new = [query(9), query(2)]
    assert [each.qid for each in queue.extend(new)] == ["q9"]
    assert queue.current.qid == "q3"
    assert ranks(queue, "next", 2) == [4, 9]
