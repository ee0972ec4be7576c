"""The vote against a plain NumPy/SciPy writing of eqs. 6 to 9, and what it must and must not do."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.covariance import OAS, LedoitWolf

from tsfal_geo.config import PlarConfig
from tsfal_geo.refinement.class_bank import ClassBank
from tsfal_geo.refinement.covariance import empirical, factorise
from tsfal_geo.refinement.distances import mahalanobis
from tsfal_geo.refinement.levels import ClassCells, DenseLevel
from tsfal_geo.refinement.plar import plar, stack_results

LAMBDAS = torch.tensor([0.4, 0.2])


def refine(town, mask, manual=None, pseudo=None, conf=None, lambdas=LAMBDAS, bank=None, **config):
    """PLAR on a town; unless a test says otherwise, the teacher is right and sure everywhere."""
    return plar(
        town.f1,
        town.f2,
        town.truth if pseudo is None else pseudo,
        torch.ones(town.truth.shape) if conf is None else conf,
        mask,
        town.empty() if manual is None else manual,
        lambdas,
        PlarConfig(**config),
        town.classes,
        bank,
    )


def random_mask(town, share=0.2, seed=0):
    return torch.rand(town.truth.shape, generator=torch.Generator().manual_seed(seed)) < share


def sample(town, mask, per_class, seed=0):
    """Manual cells inside a mask: so many of each class; the mask without them."""
    rng = np.random.default_rng(seed)
    manual = town.empty()
    for c, count in enumerate(per_class):
        own = np.flatnonzero(((town.truth == c) & mask).numpy().ravel())
        manual.view(-1)[torch.from_numpy(rng.permutation(own)[:count])] = c
    return manual, mask & (manual == 255)


def upsampled(features, size):
    """F1 on the grid of F2, float64."""
    factor = size // features.shape[1]
    at = np.clip((np.arange(size) + 0.5) / factor - 0.5, 0, features.shape[1] - 1)
    low = np.floor(at).astype(int)
    high, part = np.minimum(low + 1, features.shape[1] - 1), at - low
    rows = features[:, low] * (1 - part)[:, None] + features[:, high] * part[:, None]
    return rows[:, :, low] * (1 - part) + rows[:, :, high] * part


def precision_of(option, own, residuals):
    """Σ⁻¹ of one class by the literature's own software."""
    d = residuals.shape[1]

    def inverse(covariance):
        return np.linalg.inv(covariance + 1e-6 * np.trace(covariance) / d * np.eye(d))

    if option == "pinv":
        return np.linalg.pinv(own.T @ own / len(own), rcond=1e-5, hermitian=True)
    if option == "diag":
        return inverse(np.diag((residuals**2).mean(0)))
    if option == "rda":
        blend = (own.T @ own + residuals.T @ residuals) / (len(own) + len(residuals))
        return inverse(0.9 * blend + 0.1 * np.trace(blend) / d * np.eye(d))
    estimate = OAS if option == "per_class_oas" else LedoitWolf
    data = residuals if option == "pooled_lw" else own
    return inverse(estimate(assume_centered=True).fit(data).covariance_)


def by_hand(town, mask, support, option, logdet=False):
    """Mixed E_c and M_c of all mask cells, (n, C) each, in float64 and plain loops; all classes available."""
    size, queries = len(town.truth), mask.numpy().ravel()
    mixed = {"e": 0, "m": 0}
    for features, share_e, share_m in ((town.f1, 0.4, 0.2), (town.f2, 0.6, 0.8)):
        features = features.numpy().astype(np.float64)
        x = upsampled(features, size).reshape(len(features), -1).T
        labels = support.numpy().ravel()
        means = np.stack([x[labels == c].mean(0) for c in range(town.classes)])
        groups = [x[labels == c] - means[c] for c in range(town.classes)]
        residuals = np.concatenate(groups)
        inverses = [precision_of(option, own, residuals) for own in groups]
        e = cdist(x[queries], means)
        m = np.concatenate(
            [cdist(x[queries], means[[c]], "mahalanobis", VI=vi) for c, vi in enumerate(inverses)], axis=1
        )
        if logdet:
            volumes = np.array([-np.linalg.slogdet(vi)[1] for vi in inverses])
            m = np.sqrt(m**2 + volumes - volumes.min())
        mixed["e"] = mixed["e"] + share_e * e / np.median(e)
        mixed["m"] = mixed["m"] + share_m * m / np.median(m)
    return mixed["e"], mixed["m"]


@pytest.mark.parametrize("logdet", [False, True])
@pytest.mark.parametrize("option", ["pooled_lw", "per_class_lw", "per_class_oas", "rda", "diag", "pinv"])
def test_votes_are_those_of_equations_6_to_9(make_town, option, logdet):
    if logdet and option in ("pooled_lw", "diag", "pinv"):
        pytest.skip("log-determinants are for invertible class-specific covariances")
    town = make_town(size=64, channels=16, spread=4.0, seed=4)
    mask = random_mask(town)
    reliable = torch.where(mask, 255, town.truth)
    found = refine(town, mask, covariance=option, logdet=logdet)
    e, m = by_hand(town, mask, reliable, option, logdet)
    nearest_e, nearest_m = e.argmin(1), m.argmin(1)
    agreed = nearest_e == nearest_m
    assert 0.1 < agreed.mean() < 0.95
    assert (found.euclid[mask].numpy() == nearest_e).mean() > 0.998
    assert (found.mahalanobis[mask].numpy() == nearest_m).mean() > 0.998
    expected = np.where(agreed, nearest_e, 255)
    assert (found.refined[mask].numpy() == expected).mean() > 0.998
    assert torch.equal(found.disagree, mask & (found.refined == 255))


def test_margin_grows_with_the_weaker_vote(make_town):
    town = make_town(size=64, channels=16, spread=4.0, seed=4)
    mask = random_mask(town)
    found = refine(town, mask)
    gaps = []
    for distances in by_hand(town, mask, torch.where(mask, 255, town.truth), "pooled_lw"):
        two = np.sort(distances, 1)[:, :2]
        gaps.append(1 - two[:, 0] / two[:, 1])
    agreed = (found.refined[mask] != 255).numpy()
    gap, margin = np.minimum(*gaps)[agreed], found.margin[mask].numpy()[agreed]
    expected = gap / (gap + np.median(gap))
    np.testing.assert_allclose(margin, expected, atol=2e-3)
    assert (found.margin[found.refined == 255] == 0).all()


def test_covariance_of_few_manual_cells_borrows_reliable_residuals(make_town):
    """Means are manual only; residuals are of manual and reliable cells around their common class means."""
    town = make_town(size=64, channels=16, spread=4.0, seed=4)
    manual, mask = sample(town, random_mask(town), (20, 20, 20, 20))
    found = refine(town, mask, manual, lambdas=torch.tensor([0.0, 0.0])).mahalanobis[mask].numpy()
    x = town.f2.numpy().astype(np.float64).reshape(16, -1).T
    by_person, nearest = manual.numpy().ravel(), {}
    for name, labels in (("both", np.where(mask, 255, town.truth).ravel()), ("manual", by_person)):
        groups = [x[labels == c] - x[labels == c].mean(0) for c in range(4)]
        precision = precision_of("pooled_lw", None, np.concatenate(groups))
        means = np.stack([x[by_person == c].mean(0) for c in range(4)])
        nearest[name] = cdist(x[mask.numpy().ravel()], means, "mahalanobis", VI=precision).argmin(1)
    assert (found == nearest["both"]).mean() > 0.998
    assert (found == nearest["manual"]).mean() < 0.99


@pytest.mark.parametrize("option", ["pooled_lw", "per_class_lw", "per_class_oas", "rda", "diag"])
def test_separable_classes_are_voted_without_error(make_town, option):
    town = make_town(size=64, spread=0.02, seed=1)
    mask = random_mask(town)
    pseudo = torch.where(mask, (town.truth + 1) % 4, town.truth).to(torch.uint8)
    found = refine(town, mask, pseudo=pseudo, covariance=option, lambdas=torch.tensor([0.0, 0.0]))
    assert (found.refined[mask] != 255).float().mean() > 0.95
    voted = found.refined != 255
    assert torch.equal(found.refined[voted], town.truth[voted])


@pytest.mark.parametrize(
    "option",
    [
        "pooled_lw",
        "per_class_lw",
        "per_class_oas",
        "rda",
        "diag",
        pytest.param("pinv", marks=pytest.mark.xfail(strict=True, reason="the null space of few cells")),
    ],
)
def test_a_class_of_three_cells_does_not_attract_all(make_town, option):
    town = make_town(size=64, channels=24, spread=0.3, seed=2, shares=(0.32, 0.32, 0.32, 0.04))
    manual, mask = sample(town, random_mask(town, 0.4), (100, 100, 100, 3))
    found = refine(town, mask, manual, covariance=option)
    rare = (found.mahalanobis[mask] == 3).float().mean()
    assert rare < 3 * (town.truth[mask] == 3).float().mean()


def test_an_absent_class_never_wins(make_town):
    town = make_town(spread=1.0)
    mask = random_mask(town)
    pseudo = torch.where(town.truth == 2, 255, town.truth).to(torch.uint8)
    found = refine(town, mask, pseudo=pseudo)
    assert found.available.tolist() == [True, True, False, True]
    for votes in (found.refined, found.euclid, found.mahalanobis):
        assert not (votes == 2).any()
    assert mask[found.refined != 255].all()


def test_a_pseudo_label_of_a_class_that_cannot_win_is_not_voted_away(make_town):
    town = make_town(spread=0.05)
    mask = random_mask(town)
    pseudo = torch.where(mask, town.truth, torch.where(town.truth == 2, 255, town.truth)).to(torch.uint8)
    found = refine(town, mask, pseudo=pseudo)
    assert found.available.tolist() == [True, True, False, True]
    absent = mask & (town.truth == 2)
    assert absent.any() and (found.refined[absent] == 255).all() and found.disagree[absent].all()
    others = mask & (town.truth != 2)
    assert torch.equal(found.refined[others], town.truth[others])


def test_votes_below_the_margin_go_to_the_query_pool_and_the_rest_stays(make_town):
    town = make_town(spread=4.0)
    mask = random_mask(town)
    every, clear = refine(town, mask), refine(town, mask, min_margin=0.5)
    kept = every.margin >= 0.5
    voted = every.refined != 255
    assert 0.4 < (kept & voted).sum() / voted.sum() < 0.6
    assert torch.equal(clear.refined != 255, kept & voted)
    assert torch.equal(clear.refined[kept], every.refined[kept])
    assert torch.equal(clear.disagree, mask & (clear.refined == 255))
    assert (clear.margin[~kept] == 0).all() and torch.equal(clear.margin[kept], every.margin[kept])


@pytest.mark.parametrize("present", [0, 1])
def test_with_fewer_than_two_classes_there_is_no_vote(make_town, present):
    town = make_town()
    mask = random_mask(town)
    pseudo = town.empty() if present == 0 else torch.where(town.truth == 1, 1, 255).to(torch.uint8)
    found = refine(town, mask, pseudo=pseudo)
    assert (found.refined == 255).all()
    assert torch.equal(found.disagree, mask)
    assert (found.margin == 0).all()


def test_an_image_without_an_error_mask(make_town):
    town = make_town()
    found = refine(town, torch.zeros_like(town.truth, dtype=torch.bool))
    assert not found.disagree.any()
    assert (found.refined == 255).all()


def test_nothing_is_said_outside_the_mask(make_town):
    town = make_town(spread=1.0)
    mask = random_mask(town)
    found = refine(town, mask)
    for votes in (found.refined, found.euclid, found.mahalanobis):
        assert (votes[~mask] == 255).all()
    assert not found.disagree[~mask].any()
    assert (found.margin[~mask] == 0).all()


def test_same_input_same_output(make_town):
    town = make_town(spread=1.0)
    mask = random_mask(town)
    first, second = refine(town, mask), refine(town, mask)
    for name in first.__dataclass_fields__:
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_memory_layout_does_not_matter(make_town):
    town = make_town(spread=1.0)
    mask = random_mask(town)
    turned = type(town)(
        *(f[None].to(memory_format=torch.channels_last)[0] for f in (town.f1, town.f2)),
        town.truth,
        town.classes,
    )
    assert (refine(town, mask).refined == refine(turned, mask).refined).float().mean() > 0.999


def test_half_precision_features_under_autocast_are_lifted(make_town):
    town = make_town(spread=1.0)
    mask = random_mask(town)
    rounded = type(town)(town.f1.bfloat16(), town.f2.bfloat16(), town.truth, town.classes)
    lifted = type(town)(rounded.f1.float(), rounded.f2.float(), town.truth, town.classes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = refine(rounded, mask)
    assert torch.equal(found.refined, refine(lifted, mask).refined)


def test_pooled_mahalanobis_is_invariant_to_linear_maps():
    """With neither jitter nor shrinkage; Euclid is not."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 8)) + np.repeat(rng.normal(size=(3, 8)), 100, 0)
    cells = ClassCells(torch.arange(3, dtype=torch.uint8).repeat_interleave(100), 3)
    found = []
    for matrix in (np.eye(8), rng.normal(size=(8, 8))):
        level = DenseLevel(torch.from_numpy(values @ matrix.T + rng.normal(size=8)))
        moments = level.moments(cells, per_class=False)
        factor = factorise(empirical(moments), jitter=0.0)
        found.append(mahalanobis(level.at(cells.positions), moments.means, factor, logdet=False))
    torch.testing.assert_close(found[0], found[1], rtol=1e-7, atol=1e-8)


def test_bank_answers_for_an_image_that_offers_nothing(make_town):
    town = make_town(size=64, spread=0.02, seed=1)
    bank = ClassBank(town.classes, (24, 24))
    bank.update(town.f1, town.f2, town.truth)
    mask = torch.ones_like(town.truth, dtype=torch.bool)
    low = torch.zeros(town.truth.shape)
    found = refine(town, mask, conf=low, bank=bank, lambdas=torch.tensor([0.0, 0.0]))
    assert not found.available.any()
    voted = found.refined != 255
    assert voted.float().mean() > 0.9
    assert torch.equal(found.refined[voted], town.truth[voted])
    assert (refine(town, mask, conf=low, bank=ClassBank(town.classes, (24, 24))).refined == 255).all()


def test_bank_runs_with_its_momentum_and_leaves_absent_classes(make_town):
    town, other = make_town(seed=1), make_town(seed=2)
    bank = ClassBank(town.classes, (24, 24), momentum=0.9)
    bank.update(town.f1, town.f2, torch.where(town.truth == 3, 255, town.truth).to(torch.uint8))
    first = bank.means[1].clone()
    assert bank.seen.tolist() == [True, True, True, False]
    assert torch.allclose(first[0], town.f2[:, town.truth == 0].mean(1), atol=1e-5)
    bank.update(other.f1, other.f2, torch.where(other.truth == 0, 255, other.truth).to(torch.uint8))
    assert torch.equal(bank.means[1][0], first[0])
    expected = 0.9 * first[1] + 0.1 * other.f2[:, other.truth == 1].mean(1)
    assert torch.allclose(bank.means[1][1], expected, atol=1e-5)
    assert torch.allclose(bank.means[1][3], other.f2[:, other.truth == 3].mean(1), atol=1e-5)


def test_results_stack(make_town):
    town = make_town()
    result = refine(town, random_mask(town))
    stacked = stack_results([result, result])
    assert stacked.refined.shape == (2, 32, 32)
    assert torch.equal(stacked.margin[1], result.margin)
