"""What several trainings of a model say together, and what a recogniser hears in what they make.

Of results/autoencoders.json and wavenet.json, whose figures, tables and pages read it through this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def said(judged: Mapping) -> str:
    """The gate's verdict, "better" or "worse" only where the interval that stands beside it says so too.

    The gate corrects p by Holm and the interval by Bonferroni, which is wider. A reader sees the interval:
    where it reaches zero this says "undecided", in every table and figure of the autoencoders.
    """
    low, high = judged["interval"]
    return "undecided" if judged["verdict"] in ("better", "worse") and low <= 0 <= high else judged["verdict"]


def heard(rows: Sequence[Mapping]) -> dict | None:
    """Share recognised rightly: ``mean``, ``least`` and ``most`` over seeds, of rows a seed.

    None for sounds that are meant to be of no digit.
    """
    shares = [row["right"] for row in rows if "right" in row]
    return {"mean": float(np.mean(shares)), "least": min(shares), "most": max(shares)} if shares else None


def by_speaker(recognised: Mapping) -> list[int]:
    """How many sounds a recogniser gives to each of ``recognised["speakers"]``, of its ``cells``.

    ``cells`` are counts, (digits, speakers).
    """
    return np.sum(recognised["cells"], axis=0).tolist()
