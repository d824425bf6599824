"""Agreement with listeners. From results/trials.json (every candidate) and results/listening.json (ideas)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from report.tables.trials import drawn
from experiments.listening import FAMILIES
from report import contrast
from report.figures.style import words
from report.numbers import lead_text, mean_text, num, signed_interval
from report.tables.table import NONE, table_of


def listeners(trials: Mapping) -> pd.DataFrame:
    """Agreement with listeners, mean over the rated sets."""
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
    """The rated sets, and the agreement of the distance as shipped on each."""
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
    """The ideas for agreeing with listeners, each chosen on other laboratories than it is judged on."""
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
    """Mean Spearman of the distance as shipped and of the incumbent chosen without the laboratory."""
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
    """What was taken for each laboratory that was left out."""
    rows = {name: row["chosen"] for name, row in listening["families"].items() if name != "b learned"}
    return pd.DataFrame(rows).rename_axis("judged on")
