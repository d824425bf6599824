"""What does every candidate distance see of seven changes of a toy set, and what is it blind to?

Conventions
    scene     a change of a toy set in the plane: 60 points in three clusters, of which the candidate
              has a fresh sample with one thing changed. Its number is the mean value over five samples
              (each seeded by its name) in standard deviations of ``NULLS`` samples without a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from joblib import Parallel, delayed

from study.distances import DISTANCES
from study.sources import seeded

DATA = ()
TAKES = "a minute"

NULLS = 100
SAMPLES = 5  # of each scene
CENTRES = np.array([[-4.0, 0.0], [4.0, 0.0], [0.0, 6.0]])


def clusters(
    rng: np.random.Generator, shares: Sequence[float] = (1, 1, 1), spread: float = 1.0, n: int = 60
) -> np.ndarray:
    """``n`` points around three centres 8 and 7.2 apart, of which each has its share: (n, 2).

    ``shares`` need not add up to 1; ``spread`` is the standard deviation in either direction, the same for
    all.
    """
    member = rng.choice(3, size=n, p=np.array(shares) / sum(shares))
    return CENTRES[member] + spread * rng.standard_normal((n, 2))


def _outliers(rng: np.random.Generator) -> np.ndarray:
    points = clusters(rng)
    points[::20] = 20.0  # three of 60
    return points


def _matched(rng: np.random.Generator) -> np.ndarray:
    many = clusters(rng, n=12_000)  # so many that mean and covariance are the source's, not a sample's
    return rng.multivariate_normal(many.mean(axis=0), np.cov(many.T), 60)


SCENES = {
    "shifted": lambda rng: clusters(rng) + np.array([1.0, 0.0]),
    "wider": lambda rng: clusters(rng, spread=1.5),
    "lost cluster": lambda rng: clusters(rng, shares=(1, 1, 0)),
    "other weights": lambda rng: clusters(rng, shares=(4, 1, 1)),
    "same moments": _matched,
    "one repeated": lambda rng: np.repeat(clusters(rng)[:1], 60, axis=0) + 1e-6 * rng.normal(size=(60, 2)),
    "5 % outliers": _outliers,
}


def scene_values(name: str) -> dict[str, float]:
    """What one candidate, a name of ``study.distances.DISTANCES``, says of each scene.

    Scene -> mean value over ``SAMPLES`` samples, in standard deviations of ``NULLS`` samples without a
    change, from their mean. Above 2, one would notice.
    """
    # Two columns are two frames of one coefficient to a distance between sequences.
    function = partial(DISTANCES[name], **({"coefficients": 1} if name == "dynamic_time_warping" else {}))

    def value(make, *key) -> float:
        rng = seeded(*key)  # the same two sets for every distance
        return function(clusters(rng), make(rng), rng=rng)

    null = np.array([value(clusters, "null", t) for t in range(NULLS)])
    spread = null.std(ddof=1) or 1e-12  # a distance that is constant without a change
    return {
        scene: float(np.mean([value(make, scene, t) for t in range(SAMPLES)]) - null.mean()) / spread
        for scene, make in SCENES.items()
    }


def run(*, workers: int = -1) -> dict:
    """Every scene for every candidate.

    ``nulls``: how many samples without a change are the scale; ``scenes``: distance -> scene -> number.
    """
    values = Parallel(n_jobs=workers)(delayed(scene_values)(name) for name in DISTANCES)
    return {"nulls": NULLS, "scenes": dict(zip(DISTANCES, values, strict=True))}
