"""Predictors of codes: closed forms, known entropies, and what is learned from what."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm

pytest.importorskip("numba", reason='pip install -e ".[report]"')

from models import predictors
from models.predictors import (
    RELATIVE_SCALES,
    adaptive,
    bits,
    cell_probabilities,
    linear,
    marginal,
    markov,
    nlms,
)
from study.datasets.mu_law import decode, edges, encode

RNG = np.random.default_rng(0)
COEFFICIENTS = (1.6, -0.8)  # of an autoregressive noise: a resonance at 0.073 of the rate
DEVIATION = 0.02


def noise(rng, count):
    """Autoregressive Gaussian noise, (count,), and the code length of one who knows its law, in bits.

    That is -log2 of the probability of each code's cell under the Gaussian around what the exact samples
    before it predict: what no predictor that sees codes can beat but by chance.
    """
    innovations = rng.normal(size=count + 500) * DEVIATION
    samples = lfilter([1], [1, *(-c for c in COEFFICIENTS)], innovations)[500:]
    past = np.concatenate([[0, 0], samples])
    location = COEFFICIENTS[0] * past[1:-1] + COEFFICIENTS[1] * past[:-2]
    codes = encode(samples)
    cells = cell_probabilities(codes, location, np.array([DEVIATION]), edges=edges())[:, 0]
    return codes, -np.log2(np.maximum(cells, 1e-12))[2:].mean()


def test_cells_share_all_probability():
    codes = np.arange(256)
    for location, scale in ((0.0, 0.1), (0.9, 0.01), (-1.5, 0.3), (0.3, 30.0)):
        p = cell_probabilities(codes, np.full(256, location), np.array([scale]), edges=edges())[:, 0]
        assert p.sum() == pytest.approx(1, abs=1e-12) and (p >= 0).all()
        c = int(encode([0.25])[0])
        # absolute: where the cell lies far out both are near 0
        expected = norm.cdf(edges()[c + 1], location, scale) - norm.cdf(edges()[c], location, scale)
        assert p[c] == pytest.approx(expected, abs=1e-12)


def test_far_out_a_cell_is_small_but_not_nothing():
    """Both tails alike; a difference of two numbers near 1 would be 0 on one side."""
    p = [
        cell_probabilities(np.array([c]), np.array([m]), np.array([0.02]), edges=edges())[0, 0]
        for c, m in ((200, -0.2), (55, 0.2))
    ]
    assert 0 < p[0] < 1e-12 and p[0] == pytest.approx(p[1], rel=1e-9)


def test_white_codes_cost_eight_bits():
    """Uniform codes: no predictor gains, and what learning costs is less than .05 bit at 256 parameters."""
    train, test = [[RNG.integers(256, size=n).astype(np.uint8)] for n in (200_000, 50_000)]
    assert marginal(train, test) == pytest.approx(8, abs=0.01)
    # 65,536 cells seen three times each: the marginal, to which they are drawn, keeps the cost small
    assert 8 <= markov(train, test) < 8.05


def test_marginal_and_markov_in_closed_form():
    shares = np.array([0.5, 0.25, 0.25])
    train, test = [[RNG.choice([3, 100, 200], p=shares, size=n).astype(np.uint8)] for n in (50_000, 50_000)]
    assert marginal(train, test) == pytest.approx(1.5, abs=0.03)  # entropy 1.5; 0.5 / sqrt(50,000) = .002
    cycle = [np.tile(np.array([5, 9, 200, 77], np.uint8), 5000)]
    assert marginal(cycle, cycle) == pytest.approx(2, abs=0.01)
    assert markov(cycle, cycle) < 0.01


def test_a_known_entropy_is_reached():
    """The fixed predictor knows an autoregressive noise within .05 bit, the adaptive one within .15."""
    train, _ = noise(RNG, 30_000)
    test, known = noise(RNG, 20_000)
    fixed, scaled, moving = (
        linear([train], [test]),
        linear([train], [test], scaled=True),
        adaptive([train], [test]),
    )
    assert -0.02 < fixed.bits - known < 0.05  # 20,000 samples: .7 / sqrt(20,000) = .005
    assert -0.02 < scaled.bits - known < 0.1
    assert -0.02 < moving.bits - known < 0.15
    assert fixed.order >= 2 and fixed.space == "samples"
    assert marginal([train], [test]) > known + 0.5


def test_what_changes_is_followed_by_the_adaptive_one_alone():
    """Each clip a resonance of its own: fixed weights are of their mean."""

    def clips(count):
        made = []
        for _ in range(count):
            angle, radius = RNG.uniform(0.2, 2.8), 0.98
            made.append(
                encode(
                    lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], RNG.normal(size=4000) * 0.01)
                )
            )
        return made

    train, test = clips(5), clips(5)
    assert adaptive(train, test).bits < linear(train, test, scaled=True).bits - 0.5


def test_nlms_is_its_definition():
    codes = [encode(0.3 * RNG.normal(size=50)) for _ in range(2)]
    located, scales, (weights, scale) = nlms(codes, np.zeros(3), space="samples", step=0.1)
    w, s = np.zeros(3), 1.0
    for clip, place, spread in zip(codes, located, scales, strict=True):
        x = np.concatenate([np.full(3, decode([128])[0]), decode(clip)]).astype(float)
        for t in range(50):
            past = x[t : t + 3][::-1]
            assert place[t] == pytest.approx(w @ past, abs=1e-12) and spread[t] == pytest.approx(s)
            error = x[t + 3] - w @ past
            w = w + 0.1 * error * past / (past @ past + 3e-6)
            s = 0.98 * s + 0.02 * abs(error)
    np.testing.assert_allclose(weights, w, rtol=1e-9)
    assert scale == pytest.approx(s)


def test_a_prediction_is_told_before_the_sample():
    """Another sample at t changes what is predicted from t + 1 on, and nothing before."""
    codes = encode(0.3 * RNG.normal(size=100))
    changed = codes.copy()
    changed[60] ^= 64
    (a,), (b,), _ = nlms([codes], np.zeros(4), space="curve", step=0.1)
    (c,), (d,), _ = nlms([changed], np.zeros(4), space="curve", step=0.1)
    np.testing.assert_array_equal(a[:61], c[:61])
    np.testing.assert_array_equal(b[:61], d[:61])
    assert a[61] != c[61] and b[61] != d[61]


def test_all_are_told_by_name_and_clips_of_silence_are_no_trouble():
    train = [encode(0.1 * RNG.normal(size=4000)), np.full(3000, 128, np.uint8)]
    told = bits(train, [np.full(500, 128, np.uint8), encode(0.1 * RNG.normal(size=500))])
    assert tuple(told) == predictors.NAMES and all(0 < value < 20 for value in told.values())
    assert told["uniform"] == 8
    assert len(RELATIVE_SCALES) > 5


def test_refusals():
    with pytest.raises(ValueError, match="1 clips of 10 codes to learn from and 1 held out; at least 640"):
        bits([np.zeros(10, np.uint8)], [np.zeros(10, np.uint8)])
    with pytest.raises(ValueError, match="0 held out"):
        bits([np.zeros(1000, np.uint8)], [])
