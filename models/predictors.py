"""What a network that predicts codes has to beat: six predictors without one, in bits a sample.

Conventions
    clips      arrays of mu-law codes, (samples,) uint8; before each is silence.
    bits       mean of -log2 p(code | codes before it) over all samples of the held-out clips.
    learned    on the training clips alone, orders and steps too: they are fitted on all but the last tenth of
               the training samples and chosen on that tenth (at most 100,000), then fitted again with it.
    space      what linear predictors predict: "samples", or the "curve" of mu-law, on which the codes are
               evenly spaced. They say where the next value is, and a mixture of Gaussians around it how
               likely each code's cell is (``cell_probabilities``). The space is chosen as the order is.

    uniform    8 bits.
    marginal   shares of the codes.
    markov     shares of the codes after each code; where one is rare, drawn to the marginal.
    linear     the best fixed linear predictor: normalised least squares, order of ``ORDERS``. Its errors
               are a mixture of Gaussians of fixed scales, weights fitted by EM: as heavy-tailed as they are.
    scaled     the same, but the scales follow the mean absolute error of the last samples.
    adaptive   normalised least mean squares (Haykin 2014, chapter 6), order and step of ``ORDERS`` and
               ``STEPS``. It learns from each sample of what it predicts, after having predicted it, and goes
               on so from clip to clip. Scales as of "scaled".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import ndtr

from study.datasets.mu_law import CODES, SILENCE, decode, edges

NAMES = ("uniform", "marginal", "markov", "linear", "scaled", "adaptive")
SPACES = ("samples", "curve")
ORDERS = (1, 2, 4, 8, 16, 32)
STEPS = (0.002, 0.005, 0.02, 0.1, 0.3)
STRENGTHS = (4.0, 64.0, 1024.0, 16384.0)
FIXED_SCALES = 2.0 ** np.arange(-14, 0.5)  # standard deviations: from below a cell to full scale
RELATIVE_SCALES = 2.0 ** np.arange(-3, 5.5)  # times the running mean of the absolute error
FORGET = 0.98  # of that mean: it looks back over about 50 samples
FITTED = 100_000  # samples that the weights of a mixture are fitted to, evenly spread
CHOSEN = 100_000  # samples at most that orders and the like are chosen on
CHUNK = 50_000  # samples at once: what bounds the memory
UNIFORM = 1e-4  # probability that goes to all codes alike: no code is impossible


Clips = Sequence[np.ndarray]


def bits(training: Clips, held_out: Clips) -> dict[str, float]:
    """Bits a sample of the held-out clips, by ``NAMES``; all of them learned on the training clips.

    ValueError for no clips, or training clips too short to learn from.
    """
    if not training or not held_out or sum(map(len, training)) < 20 * max(ORDERS):
        raise ValueError(
            f"{len(training)} clips of {sum(map(len, training))} codes to learn from and {len(held_out)} "
            f"held out; at least {20 * max(ORDERS)} codes and a clip are needed"
        )
    return {
        "uniform": float(np.log2(CODES)),
        "marginal": marginal(training, held_out),
        "markov": markov(training, held_out),
        "linear": linear(training, held_out).bits,
        "scaled": linear(training, held_out, scaled=True).bits,
        "adaptive": adaptive(training, held_out).bits,
    }


def marginal(training: Clips, held_out: Clips) -> float:
    """Bits by shares; each code is counted half a time more (Krichevsky and Trofimov 1981)."""
    return _mean_bits(np.log2(_shares(training))[codes] for codes in held_out)


def markov(training: Clips, held_out: Clips) -> float:
    """Bits by shares after each code, with so many of ``STRENGTHS`` observations of the marginal in each."""

    def run(fit: Clips, judge: Clips, strength: float) -> float:
        counts = np.zeros(CODES * CODES)
        for codes in fit:
            counts += np.bincount(_pairs(codes), minlength=CODES * CODES)
        table = counts.reshape(CODES, CODES) + strength * _shares(fit)
        table /= table.sum(axis=1, keepdims=True)
        return _mean_bits(np.log2(table.ravel())[_pairs(codes)] for codes in judge)

    early, late = _divided(training)
    return run(training, held_out, min(STRENGTHS, key=lambda strength: run(early, late, strength)))


def _shares(clips: Clips) -> np.ndarray:
    counts = 0.5 + sum(np.bincount(codes, minlength=CODES) for codes in clips)
    return counts / counts.sum()


def _pairs(codes: np.ndarray) -> np.ndarray:
    """(samples,): the code before, and the code, as one number."""
    before = np.concatenate([[SILENCE], codes[:-1]])
    return before.astype(np.int64) * CODES + codes


def _mean_bits(logs) -> float:
    total = count = 0.0
    for log in logs:
        total, count = total - float(np.sum(log)), count + len(log)
    return total / count


# ----------------------------------------------------------------------------------- linear predictors


@dataclass(frozen=True)
class Space:
    """The value of each code, (256,), and where its cell ends, (257,)."""

    values: np.ndarray
    edges: np.ndarray

    @property
    def least(self) -> float:
        """Of scales: a fifth of the smallest cell, for in digital silence there is no error at all."""
        return float(np.diff(self.edges)[1:-1].min() / 5)


@lru_cache(maxsize=2)
def _space(name: str) -> Space:
    if name == "samples":
        return Space(decode(np.arange(CODES)).astype(np.float64), edges())
    inner = 2 * (np.arange(1, CODES) - 0.5) / (CODES - 1) - 1
    return Space(2 * np.arange(CODES) / (CODES - 1) - 1, np.concatenate([[-np.inf], inner, [np.inf]]))


@dataclass(frozen=True)
class Found:
    """Bits a sample of the held-out clips, and what was chosen on the training clips: space, order, step."""

    bits: float
    space: str
    order: int
    step: float = 0.0


def linear(training: Clips, held_out: Clips, *, scaled: bool = False) -> Found:
    """The best fixed linear predictor; ``scaled``: with scales that follow its error."""
    early, late = _divided(training)
    moments = {name: [_moments(part, name) for part in (early, late)] for name in SPACES}

    def run(fit: Clips, judge: Clips, name: str, order: int, moment: np.ndarray) -> float:
        weights = _least_squares(moment, order)
        options = {"step": 0.0} if scaled else {"step": 0.0, "forget": 1.0}  # scales of 1, for ever
        return _run(fit, judge, name, weights, FIXED_SCALES if not scaled else RELATIVE_SCALES, **options)

    tried = {
        (name, order): run(_last(early, 3 * FITTED), late, name, order, moments[name][0])
        for name in SPACES
        for order in ORDERS
    }
    name, order = min(tried, key=tried.get)
    return Found(run(training, held_out, name, order, sum(moments[name])), name, order)


def adaptive(training: Clips, held_out: Clips) -> Found:
    """Normalised least mean squares; of the training clips the last samples, for it forgets."""
    early, late = _divided(training)

    def run(fit: Clips, judge: Clips, name: str, order: int, step: float) -> float:
        return _run(_last(fit, 3 * FITTED), judge, name, np.zeros(order), RELATIVE_SCALES, step=step)

    choices = [(name, order, step) for name in SPACES for order in ORDERS[2:] for step in STEPS]
    tried = {choice: run(early, late, *choice) for choice in choices}
    best = min(tried, key=tried.get)
    return Found(run(training, held_out, *best), *best)


def _run(fit, judge, name, weights, scales, *, step: float, forget: float = FORGET) -> float:
    """Bits of ``judge``, of a mixture fitted to ``fit``, through which the predictor goes first."""
    *fitted, state = nlms(fit, weights, space=name, step=step, forget=forget)
    mixture = _mixture(fit, *fitted, scales, name)
    *judged, _ = nlms(judge, *state, space=name, step=step, forget=forget)
    return _mean_bits(np.log2(rows @ mixture) for rows in _rows(judge, *judged, scales, name))


def nlms(
    clips: Clips,
    weights: np.ndarray,
    scale: float | None = None,
    *,
    space: str,
    step: float,
    forget: float = FORGET,
) -> tuple[list[np.ndarray], list[np.ndarray], tuple[np.ndarray, float]]:
    """Predictions and scales of each value of each clip, told before it is heard; weights and scale after.

        w += step e x / (|x|^2 + epsilon),    scale = forget scale + (1 - forget) |e|

    epsilon is a millionth of full scale for each weight. With ``step`` 0 the weights stay, with ``forget`` 1
    the scale, which begins as 1.
    """
    chosen, loop = _space(space), _nlms()
    weights, scale, located, scales = weights.copy(), 1.0 if scale is None else scale, [], []
    before = np.full(len(weights), chosen.values[SILENCE])
    for codes in clips:
        location, spread = np.empty(len(codes)), np.empty(len(codes))
        values = np.concatenate([before, chosen.values[codes]])
        scale = loop(values, weights, scale, step, forget, chosen.least, location, spread)
        located.append(location)
        scales.append(spread)
    return located, scales, (weights, scale)


@lru_cache(maxsize=1)
def _nlms():
    """The loop over samples, compiled at the first use; it changes ``weights`` in place."""
    import numba

    @numba.njit(cache=False)
    def loop(values, weights, scale, step, forget, least, location, spread):
        order = len(weights)
        for t in range(len(location)):
            estimate, power = 0.0, order * 1e-6
            for i in range(order):
                x = values[order + t - 1 - i]
                estimate += weights[i] * x
                power += x * x
            location[t], spread[t] = estimate, scale
            error = values[order + t] - estimate
            for i in range(order):
                weights[i] += step * error * values[order + t - 1 - i] / power
            scale = max(forget * scale + (1 - forget) * abs(error), least)
        return scale

    return loop


def _least_squares(moments: np.ndarray, order: int) -> np.ndarray:
    """Weights, the latest value's first; where there are many solutions the ridge takes the smallest."""
    matrix = moments[1 : order + 1, 1 : order + 1]
    ridge = 1e-6 * np.trace(matrix) / order + 1e-12
    return np.linalg.solve(matrix + ridge * np.eye(order), moments[1 : order + 1, 0])


def _moments(clips: Clips, name: str) -> np.ndarray:
    """Sums of the products of each value and those before, (1 + order, 1 + order), the latest first.

    Over the power of those before, as in the normalised adaptive predictor: loud clips would else decide.
    """
    order, chosen = max(ORDERS), _space(name)
    total = np.zeros((order + 1, order + 1))
    for codes in clips:
        values = np.concatenate([np.full(order, chosen.values[SILENCE]), chosen.values[codes]])
        lagged = sliding_window_view(values, order + 1)[:, ::-1]
        for first in range(0, len(lagged), CHUNK):
            rows = lagged[first : first + CHUNK]
            power = (rows[:, 1:] ** 2).mean(axis=1) + 1e-6
            total += (rows / power[:, None]).T @ rows
    return total


# -------------------------------------------------------------------------------- probabilities of codes


def cell_probabilities(
    codes: np.ndarray, location: np.ndarray, scales: np.ndarray, *, edges: np.ndarray
) -> np.ndarray:
    """Probability of each code under each Gaussian, (samples, scales).

    ``location`` (samples,); ``scales`` (scales,) or (samples, scales) are standard deviations; ``edges``
    (257,) are where the cells of the codes end.
    """
    lower, upper = (edges[codes.astype(np.int64) + i] - location for i in (0, 1))
    # Differences of the smaller tail: near 1 two values of ndtr would be equal long before they are near 0.
    flip = lower > 0
    lower, upper = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    return ndtr(upper[:, None] / scales) - ndtr(lower[:, None] / scales)


def _rows(clips, located, relative, scales, name) -> Iterator[np.ndarray]:
    """Probabilities under each scale, chunk by chunk; the last column is that of all codes alike."""
    ends = _space(name).edges
    for codes, location, own in zip(clips, located, relative, strict=True):
        for first in range(0, len(codes), CHUNK):
            part = slice(first, first + CHUNK)
            cells = cell_probabilities(codes[part], location[part], own[part, None] * scales, edges=ends)
            yield np.column_stack([cells, np.full(len(cells), 1 / CODES)])


def _mixture(clips, located, relative, scales, name) -> np.ndarray:
    """Weights of the scales by EM, (scales + 1,); the likelihood is concave in them: one maximum."""
    every = 1 + sum(map(len, clips)) // FITTED
    thinned = ([part[::every] for part in parts] for parts in (clips, located, relative))
    rows = np.concatenate(list(_rows(*thinned, scales, name)))
    weights = np.full(rows.shape[1], 1 / rows.shape[1])
    for _ in range(50):
        weights = weights * (rows / (rows @ weights)[:, None]).mean(axis=0)
    weights *= 1 - UNIFORM
    weights[-1] += UNIFORM
    return weights


# ----------------------------------------------------------------------------------------------- clips


def _divided(clips: Clips) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """All samples but the last tenth, and those, or the first ``CHOSEN`` of them."""
    total = sum(map(len, clips))
    return _first(clips, total - total // 10), _first(_last(clips, total // 10), CHOSEN)


def _first(clips: Clips, count: int) -> list[np.ndarray]:
    taken = []
    for codes in clips:
        if count <= 0:
            break
        taken.append(codes[:count])
        count -= len(codes)
    return taken


def _last(clips: Clips, count: int) -> list[np.ndarray]:
    """The clips that hold the last ``count`` samples, the first of them cut."""
    return [codes[::-1] for codes in _first([codes[::-1] for codes in clips[::-1]], count)][::-1]
