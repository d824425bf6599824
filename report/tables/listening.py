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
from report.numbers import interval, lead_text, mean_text, num, signed_interval
from report.tables.table import NONE, table_of
from report.tables.trials import drawn
from study.agreement import NOT_READ, READ


def listeners(trials: Mapping) -> pd.DataFrame:
    """Agreement with listeners, mean over laboratories with interval; a contrasted candidate a row.

    Spearman and Kendall correlation (1 perfect, 0 chance) and the share of pairs of systems ordered as
    listeners do (chance: .5); Spearman also of the sets alone whose ratings were read in the publication, and
    of the others.
    """
    agreements = {"metrics.distance, windows and all": contrast.shipped(trials)}
    agreements |= {contrast.label(c): contrast.listeners(trials, c) for c in drawn(trials)}
    columns = {"kendall": "Kendall", "pairs": "pairs ordered as listeners do"}
    rows = []
    for name, row in agreements.items():
        apart = contrast.listeners_by_figures(trials, row)
        rows.append(
            {
                "": name,
                "Spearman": mean_text(contrast.listeners_mean(trials, row), 2),
                **_apart(apart),
                **{
                    title: mean_text(contrast.listeners_mean(trials, row, key), 2)
                    for key, title in columns.items()
                },
            }
        )
    return table_of(rows)


def _apart(groups: Mapping[str, Mapping]) -> dict[str, str]:
    """Cells of the mean Spearman by how ratings reached us, each under its group and number of sets."""
    return {
        f"ratings {group}, {row['sets']} sets": mean_text(row, 2)
        for group in (READ, NOT_READ)
        if (row := groups.get(group))
    }


def rated(trials: Mapping) -> pd.DataFrame:
    """The rated sets, a row each, by laboratory: how ratings reached us, systems, clips, agreement.

    The clips are those of the system that has fewest.
    """
    shipped = contrast.shipped(trials)
    ordered = sorted(trials["rated"].items(), key=lambda item: (item[1]["laboratory"], item[0]))
    return table_of(
        {
            "laboratory": row["laboratory"],
            "set": name,
            "ratings": row["figures"],
            "systems": len(row["ratings"]),
            "clips a system": min(row["files"]),
            "Spearman of the distance as shipped": num(shipped[name]["spearman"], 2),
        }
        for name, row in ordered
    )


def families(listening: Mapping) -> pd.DataFrame:
    """The ideas for agreeing with listeners, each chosen on other laboratories than it is judged on.

    ``best in hindsight`` is chosen on the sets it is judged on, and flatters; ``nested`` is not. Leads are
    over the distance as shipped, paired by set; the corrected interval is Bonferroni's for as many tries as
    there are families of ours.
    """
    return table_of(
        {
            "": name,
            "idea": idea,
            "measures": row.get("measures", "fitted"),
            "best in hindsight": num(row["hindsight"], 2) if "hindsight" in row else NONE,
            "nested": mean_text(row["spearman"], 2),
            "nested lead": lead_text(row["lead_spearman"]),
            f"corrected for {len(FAMILIES) - 1} tries": signed_interval(row["lead_spearman"]["corrected"]),
        }
        for name, idea in FAMILIES.items()
        if (row := listening["families"][name])
    )


def families_apart(listening: Mapping) -> pd.DataFrame:
    """The same by how ratings reached us, and the lead over the strongest incumbent; fixed measures on top.

    That incumbent (``experiments.listening.RIVAL``) and the distance as shipped are a measure each, so
    nothing is chosen for them.
    """
    fixed = {"the distance as shipped": listening["shipped"]}
    if "rival" in listening:
        fixed[listening["rival"]["name"]] = listening["rival"]
    rows = []
    for name, row in (fixed | listening["families"]).items():
        cells = {"": name, f"all {row['spearman']['sets']} sets": mean_text(row["spearman"], 2)}
        cells |= _apart(row["by_figures"])
        if "rival" in listening:
            lead, title = row["lead_rival"], listening["rival"]["name"]
            cells[f"lead over {title}"] = NONE if name == title else lead_text(lead)
            tries = f"corrected for {len(FAMILIES) - 1} tries"
            cells[tries] = NONE if name == title else signed_interval(lead["corrected"])
        rows.append(cells)
    return table_of(rows)


def laboratories(listening: Mapping) -> pd.DataFrame:
    """Mean Spearman of this distance, of one incumbent, and of the one chosen elsewhere; a laboratory a row.

    ``best incumbent elsewhere`` is what somebody would have taken who knew all other laboratories: which it
    is, and how it does here.
    """
    incumbents, rows = listening["families"]["incumbents"], []
    for laboratory in sorted(set(listening["laboratories"].values())):
        own = [name for name, lab in listening["laboratories"].items() if lab == laboratory]

        def mean(row: Mapping, own: list[str] = own) -> str:
            return num(np.mean([row["sets"][name] for name in own]), 2)

        cells = {"laboratory": laboratory, "sets": len(own)}
        cells["of them read"] = sum(listening["figures"][name] == READ for name in own)
        cells["this distance"] = mean(listening["shipped"])
        if "rival" in listening:
            cells[listening["rival"]["name"]] = mean(listening["rival"])
        cells["best incumbent elsewhere"] = mean(incumbents)
        cells["which"] = words(incumbents["chosen"][laboratory])
        rows.append(cells)
    return table_of(rows)


def outside(listening: Mapping) -> pd.DataFrame:
    """Mean Spearman that was measured outside this repository, quoted; a measure a row.

    On sets that choices had seen, with its interval where one was given, and on sets that none had.
    """
    quoted = listening["outside"]
    titles = (
        f"{quoted['seen']['sets']} sets that choices had seen",
        f"{quoted['unseen']['sets']} that none had",
    )
    rows = []
    for name, row in quoted["rows"].items():
        seen = " to ".join(num(value) for value in row["seen"])
        if "interval" in row:
            seen += f" ({interval(row['interval'], 2)})"
        rows.append({"": name, titles[0]: seen, titles[1]: num(row["unseen"]) if "unseen" in row else NONE})
    return table_of(rows)


def chosen(listening: Mapping) -> pd.DataFrame:
    """What was taken for each laboratory (rows) that was left out, by family (columns)."""
    rows = {name: row["chosen"] for name, row in listening["families"].items() if name != "b learned"}
    return pd.DataFrame(rows).rename_axis("judged on")
