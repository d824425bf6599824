"""What several trainings of a model say together: verdicts, and shares of digits that are recognised.

All of results/autoencoders.json, whose figures, tables and prose read it through this.
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


def understood(autoencoders: Mapping) -> list[str]:
    """The models whose samples are recognised best: the first by its mean, and all whose range reaches its.

    Three trainings a model cannot tell these apart.
    """
    shares = {name: heard(row["recognised"]["samples"]) for name, row in autoencoders["models"].items()}
    known = {name: share for name, share in shares.items() if share}
    first = max(known.values(), key=lambda share: share["mean"])
    order = sorted(known, key=lambda name: -known[name]["mean"])
    return [name for name in order if known[name]["most"] >= first["least"]]
