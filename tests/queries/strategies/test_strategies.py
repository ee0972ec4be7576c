"""Scores and candidates of each strategy."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import entropy as scipy_entropy

from tsfal_geo.config import ActiveConfig, ModelConfig
from tsfal_geo.errors import ConfigError
from tsfal_geo.models.segmenter import build_segmenter
from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.farthest import greedy_k_centre
from tsfal_geo.queries.strategies import STRATEGIES, Strategy, build_strategy, qbc, register
from tsfal_geo.queries.strategies.coreset import decoder_input
from tsfal_geo.queries.strategies.qbc import committee_votes
from tsfal_geo.refinement.plar import PlarResult


@pytest.fixture
def outputs():
    g = torch.Generator().manual_seed(0)
    probs = torch.randn(3, 4, 5, generator=g).softmax(0)
    mask = torch.rand(4, 5, generator=g) < 0.6
    disagree = mask & (torch.rand(4, 5, generator=g) < 0.5)
    refined = torch.where(mask & ~disagree, 1, 255).to(torch.uint8)
    result = PlarResult(refined, disagree, torch.zeros(4, 5), refined, refined, torch.ones(3).bool())
    return ChipOutputs(
        key=(0, 1, 2),
        probs=probs,
        f1=torch.randn(6, 1, 2, generator=g),
        f2=torch.randn(6, 4, 5, generator=g),
        emd=torch.rand(4, 5, generator=g),
        mask=mask,
        plar=result,
        askable=torch.where(torch.rand(4, 5, generator=g) < 0.8, 16, 0),
        votes=torch.tensor([[10, 5, 4]] * 20).T.reshape(3, 4, 5),
    )


def score(name, outputs):
    return build_strategy(name, seed=0, passes=10).score(outputs)


def test_configuration_and_registry_have_the_same_names():
    annotation = ActiveConfig.model_fields["strategy"].annotation
    assert set(annotation.__args__) == set(STRATEGIES)


def test_the_error_of_an_unregistered_name_lists_the_registered_ones():
    with pytest.raises(ConfigError, match=r"found 'best', expected one of coreset, .*random"):
        build_strategy("best", 0, 0)


def test_one_can_add_a_strategy():
    @register
    class Own(Strategy):
        name = "own"

        def score(self, outputs):
            raise NotImplementedError

    assert isinstance(build_strategy("own", 0, 0), Own)
    del STRATEGIES["own"]


@pytest.mark.parametrize("name", ["random", "entropy", "margin", "qbc", "coreset"])
def test_candidates_of_baselines_are_all_askable_cells(name, outputs):
    assert torch.equal(score(name, outputs).candidate, outputs.askable > 0)


def test_entropy(outputs):
    expected = scipy_entropy(outputs.probs.numpy(), axis=0) / np.log(3)
    np.testing.assert_allclose(score("entropy", outputs).score, expected, rtol=1e-5)


def test_entropy_of_certainty_is_zero(outputs):
    sure = torch.zeros(3, 4, 5)
    sure[1] = 1
    found = score("entropy", dataclasses.replace(outputs, probs=sure)).score
    assert found.isfinite().all()
    assert found.abs().max() < 1e-6


def test_margin(outputs):
    ordered = np.sort(outputs.probs.numpy(), 0)
    np.testing.assert_allclose(score("margin", outputs).score, 1 - (ordered[-1] - ordered[-2]), rtol=1e-5)


def test_committee(outputs):
    expected = scipy_entropy(outputs.votes.numpy(), axis=0) / np.log(3)
    np.testing.assert_allclose(score("qbc", outputs).score, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="votes"):
        score("qbc", dataclasses.replace(outputs, votes=None))


def test_the_error_mask_is_asked_in_its_surroundings(outputs):
    found = score("emd", outputs)
    assert torch.equal(found.candidate, outputs.mask & (outputs.askable > 0))
    assert torch.equal(found.joinable, outputs.askable > 0)
    assert torch.equal(found.score, score("entropy", outputs).score)


def test_plar_asks_where_votes_disagree(outputs):
    found = score("plar", outputs)
    assert torch.equal(found.candidate, outputs.plar.disagree & (outputs.askable > 0))
    assert torch.equal(found.score, score("emd", outputs).score)
    refined = outputs.mask & ~outputs.plar.disagree
    assert refined.any()
    assert torch.equal(found.joinable, (outputs.askable > 0) & ~refined)
    off = score("plar", dataclasses.replace(outputs, plar=None))
    assert torch.equal(off.candidate, outputs.mask & (outputs.askable > 0))


def test_core_set_against_brute_force():
    rng = np.random.default_rng(0)
    points, centres = rng.normal(size=(30, 5)).astype(np.float32), rng.normal(size=(3, 5)).astype(np.float32)

    def distance(a, b):
        return 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    covered, order = list(centres), []
    while len(order) < 30:
        left = [i for i in range(30) if i not in order]
        order.append(max(left, key=lambda i: min(distance(points[i], c) for c in covered)))
        covered.append(points[order[-1]])
    assert greedy_k_centre(points, centres).tolist() == order
    assert greedy_k_centre(points, centres, count=4).tolist() == order[:4]


def test_core_set_without_labels_begins_in_the_middle():
    angles = np.linspace(0, 1, 11)
    points = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    order = greedy_k_centre(points, None)
    assert order[0] == 5
    assert set(order[1:3]) == {0, 10}
    assert sorted(order) == list(range(11))


def test_core_set_describes_both_levels(outputs):
    vector = build_strategy("coreset", 0, 0).chip_vector(outputs)
    first, second = outputs.f1.mean((1, 2)).numpy(), outputs.f2.mean((1, 2)).numpy()
    expected = np.concatenate([first / np.linalg.norm(first), second / np.linalg.norm(second)])
    np.testing.assert_allclose(vector, expected, rtol=1e-5)


def test_committee_drops_at_its_own_rate(monkeypatch):
    """At rate 0 the members agree, for any rates of the network's training."""
    monkeypatch.setattr(qbc, "DROPOUT", 0.0)
    segmenter = build_segmenter(ModelConfig(encoder="mobilenet_v2", weights=None), 3, 4, seed=0)
    votes = committee_votes(segmenter, torch.randn(1, 3, 64, 64), passes=3, seed=1)
    assert (votes.amax(1) == 3).all()
    assert segmenter.training


def test_committee_votes_are_counts_and_leave_no_trace():
    segmenter = build_segmenter(ModelConfig(encoder="mobilenet_v2", weights=None), 3, 4, seed=0).eval()
    state = {k: v.clone() for k, v in segmenter.state_dict().items()}
    rates = [m.p for m in segmenter.modules() if isinstance(m, torch.nn.Dropout)]
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    votes = committee_votes(segmenter, images, passes=4, seed=1)
    assert votes.shape == (1, 4, 16, 16)
    assert (votes.sum(1) == 4).all()
    assert (votes.amax(1) < 4).any()
    assert torch.equal(votes, committee_votes(segmenter, images, passes=4, seed=1))
    assert not torch.equal(votes, committee_votes(segmenter, images, passes=4, seed=2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert not any(m.training for m in segmenter.modules())
    assert rates == [m.p for m in segmenter.modules() if isinstance(m, torch.nn.Dropout)]
    for key, value in segmenter.state_dict().items():
        assert torch.equal(value, state[key])


def test_core_set_describes_chips_by_the_decoders_input_where_the_head_has_one(outputs):
    segmenter = build_segmenter(ModelConfig(encoder="mobilenet_v2", weights=None), 3, 4, seed=0).eval()
    with torch.no_grad(), decoder_input(segmenter) as entering:
        segmenter(torch.randn(2, 3, 64, 64))
    assert [part.shape for part in entering] == [(2, 304, 16, 16)]
    with torch.no_grad():
        segmenter(torch.randn(1, 3, 64, 64))
    assert len(entering) == 1
    pooled = torch.arange(5.0)
    described = build_strategy("coreset", 0, 0).chip_vector(dataclasses.replace(outputs, pooled=pooled))
    assert described.tolist() == pooled.tolist()
