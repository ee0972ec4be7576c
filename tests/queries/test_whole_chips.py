"""The image-level protocol: whole chips, a random pool, the budget in pixels."""

import numpy as np
import pytest

from tests.queries.test_ranking import chip
from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.strategies import STRATEGIES, build_strategy
from tsfal_geo.queries.strategy import entropy
from tsfal_geo.queries.whole_chips import draw_pool, propose_chip, select_chips

COUNT = 12


def run(name, allowance, seed=0, labelled=()):
    strategy = build_strategy(name, seed=seed, passes=10)
    proposals = [propose_chip(chip(i), strategy) for i in range(COUNT)]
    return proposals, select_chips(proposals, allowance, strategy, labelled)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_asks_whole_chips_within_the_budget(name):
    sizes = [int(chip(i).askable.sum()) for i in range(COUNT)]
    for allowance in (0, min(sizes) - 1, 4 * max(sizes), sum(sizes)):
        proposals, queries = run(name, allowance)
        assert sum(q.pixels for q in queries) <= allowance
        assert all(q.pixels == sizes[q.chip] and q.region == 1 for q in queries)
        assert len({q.chip for q in queries}) == len(queries)
        assert allowance - sum(q.pixels for q in queries) < max(sizes) or len(queries) == COUNT
    assert len(queries) == COUNT
    for i, proposal in enumerate(proposals):
        assert np.array_equal(proposal.regions.labels > 0, chip(i).askable.numpy() > 0)
    assert run(name, 4 * max(sizes))[1] == run(name, 4 * max(sizes))[1]


def test_a_chips_score_is_the_mean_over_what_may_be_asked():
    outputs: ChipOutputs = chip(3)
    values, weight = entropy(outputs.probs).numpy(), outputs.askable.numpy()
    expected = (values * weight).sum() / weight.sum()
    (found,) = propose_chip(outputs, build_strategy("entropy", 0, 0)).regions.score
    assert found == pytest.approx(expected, rel=1e-5)


def test_cells_that_are_no_candidates_count_as_zero():
    outputs, strategy = chip(3), build_strategy("emd", 0, 0)
    scores = strategy.score(outputs)
    values = np.where(scores.candidate.numpy(), scores.score.numpy(), 0)
    expected = (values * outputs.askable.numpy()).sum() / outputs.askable.numpy().sum()
    assert propose_chip(outputs, strategy).regions.score[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("name", "share"), [("entropy", 6), ("qbc", 5), ("deal_ds", 6), ("random", 12)])
def test_chips_are_chosen_by_score_within_the_strategys_share(name, share):
    strategy = build_strategy(name, seed=7, passes=10)
    proposals, queries = run(name, 3 * max(int(chip(i).askable.sum()) for i in range(COUNT)), seed=7)
    pixels = np.array([p.regions.pixels[0] for p in proposals])
    pool = draw_pool(pixels, strategy.pool_share, 0, seed=7)
    assert len(pool) == share
    best = sorted(pool, key=lambda i: -proposals[i].regions.score[0])[: len(queries)]
    assert [q.chip for q in queries] == best


def test_the_pool_changes_with_the_seed_and_grows_only_where_it_must():
    pixels = np.full(20, 100)
    pools = {tuple(draw_pool(pixels, 0.4, 300, seed)) for seed in range(5)}
    assert len(pools) > 1 and all(len(pool) == 8 for pool in pools)
    assert len(draw_pool(pixels, 0.4, 1150, 0)) == 12
    assert len(draw_pool(pixels, 0.4, 10**6, 0)) == 20


def test_core_set_is_farthest_first_within_its_pool():
    labelled = [np.ones(16, np.float32), np.linspace(-1, 1, 16, dtype=np.float32)]
    proposals, queries = run(
        "coreset", 3 * max(int(chip(i).askable.sum()) for i in range(COUNT)), 2, labelled
    )
    pixels = np.array([p.regions.pixels[0] for p in proposals])
    pool = draw_pool(pixels, 0.4, 0, seed=2).tolist()
    covered = [v / np.linalg.norm(v) for v in labelled]
    for query in queries:
        unit = {i: proposals[i].vector / np.linalg.norm(proposals[i].vector) for i in pool}
        assert query.chip == max(pool, key=lambda i: min(1 - unit[i] @ c for c in covered))
        covered.append(unit[query.chip])
        pool.remove(query.chip)
