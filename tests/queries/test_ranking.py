"""Ranking: regions of each chip, and one order of queries over all chips."""

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch

from tsfal_geo.config import ActiveConfig
from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.farthest import farthest_points
from tsfal_geo.queries.ranking import chip_cap, propose, select
from tsfal_geo.queries.strategies import STRATEGIES, build_strategy
from tsfal_geo.refinement.plar import PlarResult


@cache
def chip(number, size=24, seed=0):
    g = torch.Generator().manual_seed(1000 * seed + number)
    blocks = torch.randn(5, size // 4, size // 4, generator=g)
    logits = (
        blocks.repeat_interleave(4, 1).repeat_interleave(4, 2) + torch.randn(5, size, size, generator=g) / 4
    )
    refined = torch.where(torch.rand(size, size, generator=g) < 0.5, 1, 255).to(torch.uint8)
    mask = logits.softmax(0).amax(0) < 0.6
    zeros = torch.zeros(size, size)
    return ChipOutputs(
        key=(0, number // 4, number % 4),
        probs=logits.softmax(0),
        f1=torch.randn(8, size // 4, size // 4, generator=g),
        f2=torch.randn(8, size, size, generator=g) + logits.repeat(2, 1, 1)[:8],
        emd=torch.rand(size, size, generator=g),
        mask=mask,
        plar=PlarResult(refined, mask & (refined == 255), zeros, refined, refined, torch.ones(5).bool()),
        askable=torch.randint(0, 17, (size, size), generator=g),
        votes=torch.randint(1, 4, (5, size, size), generator=g),
    )


def run(name, config, allowance, count=8, seed=0, order=None):
    strategy = build_strategy(name, seed=seed, passes=10)
    cap = chip_cap(allowance, count, config.image_cap)
    outputs = {i: chip(i) for i in (order or range(count))}
    proposals = [propose(outputs[i], strategy, config, cap) for i in range(count)]
    return proposals, select(proposals, allowance, strategy, config.ranking)


EVERY = [
    pytest.param(name, granularity, ranking, id=f"{name}-{granularity}-{ranking}")
    for name in sorted(STRATEGIES)
    for granularity in ("pixels", "regions")
    for ranking in ("paper", "strong")
]


@pytest.mark.parametrize(("name", "granularity", "ranking"), EVERY)
def test_every_strategy_keeps_the_rules(name, granularity, ranking):
    """Queries spend nearly all of the allowance and no more, never overlap, and have only askable cells."""
    config = ActiveConfig(granularity=granularity, ranking=ranking, min_region=32, max_region=256)
    allowance = 3000
    proposals, queries = run(name, config, allowance)
    assert sum(q.pixels for q in queries) <= allowance
    assert sum(q.pixels for q in queries) > allowance - 32
    assert len({(q.chip, q.region) for q in queries}) == len(queries)
    strategy = build_strategy(name, seed=0, passes=10)
    for query in queries:
        outputs = chip(query.chip)
        own = proposals[query.chip].regions.labels == query.region
        assert outputs.askable.numpy()[own].sum() == query.pixels
        scores = strategy.score(outputs)
        if scores.joinable is None or granularity == "pixels" or ranking == "paper":
            assert scores.candidate.numpy()[own].all()
        else:
            assert scores.joinable.numpy()[own].all()
            assert scores.candidate.numpy()[own].any()


@pytest.mark.parametrize(("name", "granularity", "ranking"), EVERY)
def test_same_seed_same_queries_in_any_order_of_scoring(name, granularity, ranking):
    config = ActiveConfig(granularity=granularity, ranking=ranking, min_region=32)
    _, first = run(name, config, 2000)
    _, again = run(name, config, 2000, order=range(7, -1, -1))
    assert first == again


@pytest.mark.parametrize(("name", "ranking"), [("random", "strong"), ("plar", "paper"), ("emd", "paper")])
def test_another_seed_gives_other_queries(name, ranking):
    config = ActiveConfig(granularity="pixels", ranking=ranking)
    assert run(name, config, 2000, seed=0)[1] != run(name, config, 2000, seed=1)[1]


def test_paper_asks_all_of_one_chip_before_the_next():
    config = ActiveConfig(granularity="pixels", ranking="paper")
    proposals, queries = run("plar", config, 4000)
    visited = list(dict.fromkeys(q.chip for q in queries))
    assert [q.chip for q in queries] == sorted((q.chip for q in queries), key=visited.index)
    assert visited != sorted(visited)
    for number in visited[:-1]:
        assert sum(q.chip == number for q in queries) == len(proposals[number].regions)
    last = [q.region for q in queries if q.chip == visited[-2]]
    assert last != sorted(last)


def test_strong_caps_a_chip_and_goes_by_score():
    config = ActiveConfig(granularity="pixels", ranking="strong", image_cap=1.5)
    allowance = 4000
    cap = chip_cap(allowance, 8, config.image_cap)
    assert cap == 750
    proposals, queries = run("emd", config, allowance)
    score = [proposals[q.chip].regions.score[q.region - 1] for q in queries]
    assert score == sorted(score, reverse=True)
    for number in range(8):
        assert sum(q.pixels for q in queries if q.chip == number) < cap + 16


def test_regions_over_the_cap_are_used_when_budget_is_left():
    config = ActiveConfig(granularity="pixels", ranking="strong", image_cap=0.5)
    proposals, queries = run("emd", config, 4000)
    spent = sum(q.pixels for q in queries)
    assert sum(p.regions.pixels[p.within_cap].sum() for p in proposals) < 4000 - 16 < spent
    late = [not proposals[q.chip].within_cap[q.region - 1] for q in queries]
    assert late == sorted(late)


def test_a_region_larger_than_the_cap_can_still_be_asked():
    config = ActiveConfig(granularity="regions", ranking="strong", max_region=4096)
    strategy = build_strategy("emd", 0, 0)
    proposal = propose(chip(0), strategy, config, cap=1)
    assert proposal.within_cap.sum() == 1


def test_strong_asks_full_segments_without_refined_cells_and_none_without_a_candidate():
    size = 12
    probs = torch.zeros(2, size, size)
    probs[0, :, :5], probs[0, :, 5:] = 0.8, 0.1
    probs[1] = 1 - probs[0]
    mask = torch.zeros(size, size).bool()
    mask[4:7, 1:4] = True
    disagree = mask.clone()
    disagree[4] = False
    votes = dataclasses.replace(chip(0).plar, disagree=disagree)
    outputs = dataclasses.replace(
        chip(0), probs=probs, mask=mask, plar=votes, askable=torch.full((size, size), 16)
    )
    left = np.zeros((size, size), bool)
    left[:, :5] = True

    def queried(name, ranking):
        config = ActiveConfig(granularity="regions", ranking=ranking, min_region=16)
        return propose(outputs, build_strategy(name, 0, 0), config, cap=10_000).regions.labels > 0

    refined = (mask & ~disagree).numpy()
    assert (queried("plar", "strong") == (left & ~refined)).all()
    assert (queried("emd", "strong") == left).all()
    assert (queried("plar", "paper") == disagree.numpy()).all()
    assert (queried("emd", "paper") == mask.numpy()).all()


def test_strong_spreads_over_features():
    """Of two groups of cells, one is less certain; order by score alone would query only that one."""
    size, cells = 16, torch.arange(256).view(16, 16)
    left = cells % size < 8
    probs = torch.zeros(2, size, size)
    probs[0] = torch.where(left, 0.55, 0.60)
    probs[1] = 1 - probs[0]
    features = torch.where(left, 0.0, 10.0).expand(8, -1, -1) + torch.randn(
        8, size, size, generator=torch.Generator().manual_seed(0)
    )
    outputs = dataclasses.replace(
        chip(0),
        probs=probs,
        f2=features,
        emd=None,
        mask=torch.ones(size, size).bool(),
        askable=torch.full((size, size), 16),
    )
    strategy, config = build_strategy("emd", 0, 0), ActiveConfig(granularity="pixels", ranking="strong")
    proposal = propose(outputs, strategy, config, cap=48 * 16)
    chosen = np.isin(proposal.regions.labels, np.flatnonzero(proposal.within_cap) + 1)
    assert chosen.sum() == 48
    assert 5 < chosen[~left.numpy()].sum() < 40


def test_farthest_points_against_brute_force():
    points = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    order = [0]
    while len(order) < 40:
        left = [i for i in range(40) if i not in order]
        order.append(max(left, key=lambda i: min(float((points[i] - points[j]).norm()) for j in order)))
    assert farthest_points(points).tolist() == order


def test_no_chips():
    assert select([], 100, build_strategy("random", 0, 0), "strong") == []


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_chip_without_candidates(name):
    outputs = dataclasses.replace(chip(0), askable=torch.zeros(24, 24, dtype=torch.int64))
    strategy = build_strategy(name, 0, 10)
    proposal = propose(outputs, strategy, ActiveConfig(ranking="strong"), cap=100)
    assert len(proposal.regions) == 0
    assert select([proposal], 100, strategy, "strong") == []
