"""What every candidate distance sees of seven changes of a toy set, and what it is blind to.

    $ python -m experiments.scenes    # into results/scenes.json; a minute

Conventions
    scene     a change of a toy set in the plane: 60 points in three clusters, of which the candidate
              has a fresh sample with one thing changed. Its number is the mean value in standard
              deviations of ``NULLS`` fresh samples without a change.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from joblib import Parallel, delayed

from study import results
from study.distances import DISTANCES
from study.sources import seeded

NULLS = 100
CENTRES = np.array([[-4.0, 0.0], [4.0, 0.0], [0.0, 6.0]])


def clusters(rng: np.random.Generator, shares=(1, 1, 1), spread: float = 1.0, n: int = 60) -> np.ndarray:
    member = rng.choice(3, size=n, p=np.array(shares) / sum(shares))
    return CENTRES[member] + spread * rng.standard_normal((n, 2))


def _outliers(rng: np.random.Generator) -> np.ndarray:
    points = clusters(rng)
    points[::20] = 20.0
    return points


def _matched(rng: np.random.Generator) -> np.ndarray:
    many = clusters(rng, n=12_000)
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
    """Mean value over five samples of each scene, in null standard deviations from the null's mean."""
    function = partial(DISTANCES[name], **({"coefficients": 1} if name == "dynamic_time_warping" else {}))

    def value(make, *key) -> float:
        rng = seeded(*key)
        return function(clusters(rng), make(rng), rng=rng)

    null = np.array([value(clusters, "null", t) for t in range(NULLS)])
    spread = null.std(ddof=1) or 1e-12
    return {
        scene: float(np.mean([value(make, scene, t) for t in range(5)]) - null.mean()) / spread
        for scene, make in SCENES.items()
    }


def main() -> None:
    names = list(DISTANCES)
    found = Parallel(n_jobs=-1)(delayed(scene_values)(name) for name in names)
    content = {"nulls": NULLS, "scenes": dict(zip(names, found, strict=True))}
    print(results.write("scenes", content, made_by="python -m study.candidates", seed=0))


if __name__ == "__main__":
    main()
