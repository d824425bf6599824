"""Does the embedding of a classifier make the distance see more? The trials, with one trained here.

As ``experiments.trials``, with the embedding of a classifier of instrument families, which ``make
runs/families.pt2`` trains and exports, beside the three views and the log-mel spectrum. One command for
``python -m experiments trials --embeddings runs/families.pt2,three_views,log_mel --out trained``.
"""

from __future__ import annotations

from experiments import trials
from experiments.trials import measured_on, summary

__all__ = ["DATA", "EMBEDDINGS", "NEEDS", "TAKES", "measured_on", "run", "summary"]

DATA = ("digits", "sounds", "rated", "rated_more")
NEEDS = ("PyTorch", "runs/families.pt2")
TAKES = "under an hour"

EMBEDDINGS = ("runs/families.pt2", "three_views", "log_mel")


def run(*, quick: bool = False, workers: int = -1, fresh: bool = False) -> dict:
    """The trials of ``EMBEDDINGS`` on all sources."""
    return trials.run(embeddings=EMBEDDINGS, quick=quick, workers=workers, fresh=fresh)
