"""Agreement with listeners: of candidates, and of ideas to improve it.

``trials`` is results/trials.json (every candidate), ``listening`` results/listening.json (ideas). Intervals
are bootstraps over laboratories, for tests of one share listeners and habits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from experiments.listening import FAMILIES
from report import contrast
from report.figures.style import words
from report.numbers import lead_text, mean_text, num, signed_interval
from report.tables.table import NONE, table_of
from report.tables.trials import drawn


def listeners(trials: Mapping) -> pd.DataFrame:
    """Agreement with listeners, mean over the rated sets with interval; a contrasted candidate a row.

    Spearman and Kendall correlation (1 perfect, 0 chance) and the share of pairs of systems ordered as
    listeners do (chance: .5).
    """
    agreements = {"metrics.distance, windows and all": contrast.shipped(trials)}
    agreements |= {contrast.label(c): contrast.listeners(trials, c) for c in drawn(trials)}
    columns = {"spearman": "Spearman", "kendall": "Kendall", "pairs": "pairs ordered as listeners do"}
    return table_of(
        {
            "": name,
            **{
                title: mean_text(contrast.listeners_mean(trials, row, key), 2)
                for key, title in columns.items()
            },
        }
        for name, row in agreements.items()
    )


def rated(trials: Mapping) -> pd.DataFrame:
    """The rated sets, a row each: how the ratings were read, systems, clips, agreement of the distance.

    The clips are those of the system that has fewest.
    """
    shipped = contrast.shipped(trials)
    return table_of(
        {
            "set": name,
            "figures": row["figures"],
            "systems": len(row["ratings"]),
            "clips a system": min(row["files"]),
            "Spearman of the distance as shipped": num(shipped[name]["spearman"], 2),
        }
        for name, row in trials["rated"].items()
    )


def families(listening: Mapping) -> pd.DataFrame:
    """The ideas for agreeing with listeners, each chosen on other laboratories than it is judged on.

    ``best in hindsight`` is chosen on the sets it is judged on, and flatters; ``nested`` is not. Leads are
    over the distance as shipped, paired by set; the corrected interval is Bonferroni's for seven tries.
    """
    rows = []
    for name, idea in FAMILIES.items():
        row = listening["families"][name]
        lead = row["lead_spearman"]
        rows.append(
            {
                "": name,
                "idea": idea,
                "measures": row.get("measures", "fitted"),
                "best in hindsight": num(row["hindsight"], 2) if "hindsight" in row else NONE,
                "nested": mean_text(row["spearman"], 2),
                "nested lead": lead_text(lead),
                f"corrected for {len(FAMILIES) - 1} tries": signed_interval(lead["corrected"]),
                "nested lead, pairs": lead_text(row["lead_pairs"]),
            }
        )
    return table_of(rows)


def laboratories(listening: Mapping) -> pd.DataFrame:
    """Mean Spearman of this distance and of the incumbent chosen without it, a laboratory a row.

    ``best incumbent elsewhere`` is what somebody would have taken who knew all other laboratories: which it
    is, and how it does here.
    """
    incumbents, rows = listening["families"]["incumbents"], []
    for laboratory in sorted(set(listening["laboratories"].values())):
        own = [name for name, lab in listening["laboratories"].items() if lab == laboratory]
        rows.append(
            {
                "left out": laboratory,
                "sets": len(own),
                "this distance": num(np.mean([listening["shipped"]["sets"][name] for name in own]), 2),
                "best incumbent elsewhere": num(np.mean([incumbents["sets"][name] for name in own]), 2),
                "which": words(incumbents["chosen"][laboratory]),
            }
        )
    return table_of(rows)


def chosen(listening: Mapping) -> pd.DataFrame:
    """What was taken for each laboratory (rows) that was left out, by family (columns)."""
    rows = {name: row["chosen"] for name, row in listening["families"].items() if name != "b learned"}
    return pd.DataFrame(rows).rename_axis("judged on")
