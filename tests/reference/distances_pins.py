"""Regenerate distances_pins.json: what reference implementations give for small fixed sets.

    python -m pip install "POT>=0.9.5" scikit-learn librosa && python -m pip install --no-deps "prdc==0.2"
    python tests/reference/distances_pins.py           # writes the file next to this one
    python tests/reference/distances_pins.py --check   # writes nothing, fails if a number moved by 1e-9

Nothing here imports ``study``. prdc is needed for this script only. The sets are stored beside the values,
so that no test depends on a random stream.

    frechet                 |m1 - m2|^2 + tr S1 + tr S2 - 2 tr sqrtm(S1 S2), scipy; full rank only
    gaussian_mmd, energy    the sums over pairs, in loops
    transport_1d            ot.emd2_1d, column by column
    sliced_wasserstein      ot.sliced_wasserstein_distance, 128 directions
    sinkhorn_200            ot.bregman.sinkhorn_stabilized, 200 iterations of each of three plans
    sinkhorn                ot.bregman.empirical_sinkhorn_divergence, 20,000 iterations
    scores                  sklearn RidgeClassifier(class_weight="balanced").decision_function, row i of a
                            set held out in fold i % 5
    precision ... coverage  prdc.compute_prdc
    dynamic_time_warping    the recursion in loops; librosa.sequence.dtw must agree
    frontier                area of the frontier of two histograms, in loops, by both axes as published
"""

import contextlib
import io
import json
import sys
from itertools import permutations, product
from pathlib import Path

import librosa
import numpy as np
import ot
from prdc import compute_prdc
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from sklearn.linear_model import RidgeClassifier

PLACE = Path(__file__).with_suffix(".json")
SHAPES = {"equal": (12, 12, 3), "unequal": (12, 9, 5), "wide": (8, 7, 20), "tiny": (4, 3, 2)}
FRAMES = 5
HISTOGRAMS = {
    "near": ([0.5, 0.3, 0.2], [0.4, 0.3, 0.3]),
    "missing": ([0.5, 0.5, 0.0], [0.2, 0.3, 0.5]),
    "disjoint": ([1.0, 0.0], [0.0, 1.0]),
}


def frechet(x, y):
    s1, s2 = np.cov(x.T), np.cov(y.T)
    root = np.trace(sqrtm(s1 @ s2)).real
    return np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(s1) + np.trace(s2) - 2 * root


def within(z, f):
    return np.mean([f(a, b) for a, b in permutations(z, 2)])


def between(x, y, f):
    return np.mean([f(a, b) for a, b in product(x, y)])


def u_statistic(x, y, f):
    return within(x, f) + within(y, f) - 2 * between(x, y, f)


def median(x):
    return np.median([np.linalg.norm(x[i] - x[j]) for i in range(len(x)) for j in range(i)])


def directions(d):
    """128 unit vectors, of the generator whose stream numpy froze."""
    drawn = np.random.RandomState(31).standard_normal((d, 128))
    return drawn / np.linalg.norm(drawn, axis=0)


def transport_cost(x, y, strength):
    cost = cdist(x, y, "sqeuclidean")
    least = cost - cost.min(axis=1, keepdims=True)
    plan = ot.bregman.sinkhorn_stabilized(
        [], [], least - least.min(axis=0), strength, numItermax=200, stopThr=1e-6, warn=False
    )
    return np.sum(plan * cost)


def scores(x, y):
    rows, labels = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    fold = np.r_[np.arange(len(x)), np.arange(len(y))] % min(5, len(x), len(y))
    penalty = np.mean(np.sum((rows - rows.mean(0)) ** 2, axis=1))
    found = np.empty(len(rows))
    for k in range(fold.max() + 1):
        model = RidgeClassifier(alpha=penalty, class_weight="balanced", solver="svd")
        model.fit(rows[fold != k], labels[fold != k])
        found[fold == k] = model.decision_function(rows[fold == k])
    return found.tolist()


def prdc(x, y):
    k = min(5, len(x) - 2, len(y) - 2)  # prdc cannot reach the farthest row
    with contextlib.redirect_stdout(io.StringIO()):
        return {"neighbours": k, **{name: float(v) for name, v in compute_prdc(x, y, k).items()}}


def warping(a, b):
    c = cdist(a, b)
    d = np.full(c.shape, np.inf)
    for s, t in np.ndindex(c.shape):
        before = [2 * c[0, 0]] if s == t == 0 else []
        if s:
            before.append(d[s - 1, t] + c[s, t])
        if t:
            before.append(d[s, t - 1] + c[s, t])
        if s and t:
            before.append(d[s - 1, t - 1] + 2 * c[s, t])
        d[s, t] = min(before)
    # librosa counts the first cell once.
    weights = np.array([2.0, 1.0, 1.0])
    other = librosa.sequence.dtw(C=c, weights_mul=weights, backtrack=False)[-1, -1] + c[0, 0]
    assert abs(other - d[-1, -1]) < 1e-12 * other
    return d[-1, -1] / sum(c.shape)


def frontier(p, q):
    def divergence(a, b):
        return sum(u * np.log(u / v) for u, v in zip(a, b) if u > 0)

    points = [(1.0, 0.0), (0.0, 1.0)]
    for i in range(1, 26):
        r = [i / 26 * u + (1 - i / 26) * v for u, v in zip(p, q)]
        points.append((np.exp(-5 * divergence(q, r)), np.exp(-5 * divergence(p, r))))
    areas = []
    for axis in (0, 1):
        line = sorted(points, key=lambda point: (point[axis], -point[1 - axis]))
        areas.append(
            sum((b[axis] - a[axis]) * (a[1 - axis] + b[1 - axis]) / 2 for a, b in zip(line, line[1:]))
        )
    return float(np.mean(areas))


def sets():
    rng = np.random.default_rng(20)
    for name, (n, m, d) in SHAPES.items():
        x = rng.normal(size=(n, d)) * np.linspace(0.5, 2.0, d)
        yield name, x.round(3), (0.7 + rng.normal(size=(m, d))).round(3)


def pins():
    found = {"sets": {}, "sequences": {}, "histograms": {}}
    for name, x, y in sets():
        scale = median(x)
        entry = {
            "reference": x.tolist(),
            "candidate": y.tolist(),
            "gaussian_mmd": u_statistic(x, y, lambda a, b: np.exp(-np.sum((a - b) ** 2) / (2 * scale**2))),
            "energy": u_statistic(x, y, lambda a, b: -np.linalg.norm(a - b) ** 0.5),
            "energy_1": u_statistic(x, y, lambda a, b: -np.linalg.norm(a - b)),
            "transport_1d": [ot.emd2_1d(a, b, metric="sqeuclidean") for a, b in zip(x.T, y.T)],
            "sliced_wasserstein": float(
                ot.sliced_wasserstein_distance(x, y, projections=directions(x.shape[1]), p=2)
            ),
            "sinkhorn_200": float(
                transport_cost(x, y, 0.1 * scale**2)
                - transport_cost(x, x, 0.1 * scale**2) / 2
                - transport_cost(y, y, 0.1 * scale**2) / 2
            ),
            "sinkhorn": float(
                ot.bregman.empirical_sinkhorn_divergence(
                    x, y, 0.1 * scale**2, numIterMax=20_000, stopThr=1e-11, method="sinkhorn_log", warn=False
                )
            ),
            "scores": scores(x, y),
            **prdc(x, y),
        }
        if min(x.shape[0], y.shape[0]) > x.shape[1]:
            entry["frechet"] = float(frechet(x, y))
        found["sets"][name] = entry
    rng = np.random.default_rng(21)
    x, y = (rng.normal(size=(n, FRAMES * 13)).round(3) for n in (3, 2))
    pairs = [[warping(a.reshape(-1, 13), b.reshape(-1, 13)) for b in y] for a in x]
    found["sequences"] = {"reference": x.tolist(), "candidate": y.tolist(), "dynamic_time_warping": pairs}
    for name, (p, q) in HISTOGRAMS.items():
        found["histograms"][name] = {"p": p, "q": q, "frontier": frontier(p, q)}
    return json.loads(json.dumps(found, default=float))


def compare(old, new, where=""):
    if isinstance(new, dict):
        assert old.keys() == new.keys(), where
        for key in new:
            compare(old[key], new[key], f"{where}/{key}")
    else:
        np.testing.assert_allclose(old, new, rtol=1e-9, atol=1e-12, err_msg=where)


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        compare(json.loads(PLACE.read_text()), pins())
    else:
        PLACE.write_text(json.dumps(pins()) + "\n")
