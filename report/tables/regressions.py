"""The gate: verdicts on planted bugs, and how well verdicts keep their promises.

``regressions`` is results/regressions.json, ``calibration`` results/calibration.json.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from report.figures.style import words
from report.numbers import effect_text, num, p_text, percent
from report.tables.table import NONE, table_of


def verdicts(regressions: Mapping) -> pd.DataFrame:
    """What the gate says of each ablation, a row each, tried alone and with all seeds.

    The effect is the mean difference of the distance to the baseline in pairs of seeds (above 0: worse), with
    its interval; the verdict by it alone; and that of all metrics, corrected, with what each is called.
    """
    seeds = regressions["seeds"]
    rows = []
    for name, row in _planted(regressions).items():
        rows.append(
            {
                "ablation": words(name),
                "what it is": row["why"],
                f"effect on the distance, {seeds} pairs of seeds": effect_text(
                    row["verdicts"]["distance"], 4
                ),
                "by the distance alone": row["verdicts"]["distance"]["verdict"],
                "by all metrics": row["family"]["text"],
            }
        )
    return table_of(rows)


def bugs(regressions: Mapping) -> dict[str, int]:
    """How many bugs are planted, and what is said of them with all seeds, each tried alone.

    ``planted``; by all metrics ``worse``, ``passed`` (no worse or better) and ``undecided``; ``alone``: worse
    by the distance alone.
    """
    rows = [row for row in _planted(regressions).values() if row["why"].startswith("A bug")]
    said = [row["family"]["verdict"] for row in rows]
    return {
        "planted": len(rows),
        "worse": said.count("worse"),
        "passed": said.count("no worse") + said.count("better"),
        "undecided": said.count("undecided"),
        "alone": sum(row["verdicts"]["distance"]["verdict"] == "worse" for row in rows),
    }


def caught(regressions: Mapping) -> pd.DataFrame:
    """How often each ablation is called worse with 3, 5 and 10 seeds, by one number and by all metrics.

    A row an ablation: the share of up to 100 choices of so many among its seeds, and where it is not the most
    frequent verdict, that.
    """
    rows = []
    for name, row in _planted(regressions).items():
        cells = {
            f"{kind}, {count} seeds": _said(said[key])
            for key, kind in (("distance", "distance alone"), ("family", "all metrics"))
            for count, said in row["caught"].items()
        }
        rows.append({"ablation": words(name), **cells})
    return table_of(rows)


def _said(shares: Mapping[str, float]) -> str:
    """The share called worse, and the most frequent verdict if it is another."""
    most = max(shares, key=shares.__getitem__)
    worse = percent(shares.get("worse", 0.0))
    return worse if most == "worse" else f"{worse} ({most})"


def members(regressions: Mapping) -> pd.DataFrame:
    """Effect and verdict of every (ablation, metric) with all seeds, corrected for the metrics.

    Effects are signed so that above 0 is worse, for coverage and density too.
    """
    rows = {}
    for name, row in _planted(regressions).items():
        for metric, member in row["family"]["members"].items():
            rows[name, metric] = {
                "effect": effect_text(member, 4),
                "margin": num(member["margin"], 4),
                "p": p_text(member["p_value"]),
                "verdict": member["verdict"],
            }
    return pd.DataFrame(rows).T


def _planted(regressions: Mapping) -> dict[str, Mapping]:
    """All ablations but the base."""
    return {name: row for name, row in regressions["ablations"].items() if "family" in row}


def alarms(calibration: Mapping) -> pd.DataFrame:
    """Share of verdicts of worse or better where nothing changed, by (pairing, metric) and seeds.

    Nominal: .05; 2,000 comparisons a cell, so .04 to .06 is chance.
    """
    rows = {
        (kind, metric): {f"{n} seeds": cell["share"] for n, cell in row.items()}
        for kind, table in calibration["false_alarms"].items()
        for metric, row in table.items()
    }
    return pd.DataFrame(rows).T.round(4)


def promises(calibration: Mapping) -> pd.DataFrame:
    """Regressions caught with as many seeds as a known spread asks for, by (pairing, metric) and effect.

    Effects in spreads. Share (seeds a side); 80 % were promised.
    """
    rows = {
        (kind, metric): {
            f"{effect} spreads": f"{percent(cell['share'], 1)} ({cell['seeds']} seeds)"
            for effect, cell in row.items()
        }
        for kind, table in calibration["planted"].items()
        for metric, row in table.items()
    }
    return pd.DataFrame(rows).T


def promises_of_like_sides(calibration: Mapping) -> pd.DataFrame:
    """What the verdicts promise and the worst of all cells: both sides of one shape, and equally many seeds.

    A row a promise, over all numbers of seeds, metrics and pairings: the largest share of wrong verdicts, the
    smallest of regressions caught. Where there is a correction, the largest share without it too.
    """
    level = calibration["level"]
    planted = [
        cell for table in calibration["planted"].values() for row in table.values() for cell in row.values()
    ]
    alarms = [
        cell["share"]
        for table in calibration["false_alarms"].values()
        for row in table.values()
        for cell in row.values()
    ]
    margin = [cell["share"] for row in calibration["margin"].values() for cell in row.values()]
    rows = [
        ("nothing changed", "worse or better", f"at most {percent(level)}", max(alarms), NONE),
        *(
            (
                f"nothing changed, {words}",
                "worse or better",
                f"at most {percent(level)}",
                max(cell["share"] for cell in calibration[name].values()),
                percent(max(cell["uncorrected"] for cell in calibration[name].values()), 1),
            )
            for name, words in (
                ("looks", "looked at three times while seeds come in"),
                ("several", "five ablations judged at once"),
            )
        ),
        ("worse by exactly the margin", "no worse", f"at most {percent(level / 2, 1)}", max(margin), NONE),
        (
            "worse, as many seeds as the true spread asks for",
            "worse",
            f"at least {percent(planted[0]['promised'])}",
            min(cell["share"] for cell in planted),
            NONE,
        ),
    ]
    return table_of(
        {
            "simulated": what,
            "called": called,
            "promised": promised,
            "the worst case": percent(worst, 1),
            "without correction": without,
        }
        for what, called, promised, worst, without in rows
    )


def promises_of_unlike_sides(calibration: Mapping) -> pd.DataFrame:
    """The same where the two sides differ in shape or in number of seeds, and promises are not kept.

    A row a number of seeds where one seed in five fails, of the candidate alone; then a row a pair of unequal
    numbers, not paired, the largest share over the metrics.
    """
    level = calibration["level"]
    failing = [
        {
            "simulated": f"one training in five fails, {seeds} seeds",
            "called": "no worse",
            "promised": f"at most {percent(level / 2, 1)}",
            "the worst case": percent(cell["share"], 1),
        }
        for seeds, cell in calibration["failing"].items()
    ]
    metrics = list(calibration["unequal"].values())
    unequal = [
        {
            "simulated": f"nothing changed, {sizes.replace(' / ', ' seeds against ')}, not paired",
            "called": "worse or better",
            "promised": f"at most {percent(level)}",
            "the worst case": percent(max(row[sizes]["share"] for row in metrics), 1),
        }
        for sizes in metrics[0]
    ]
    return table_of([*failing, *unequal])


def family_alarms(calibration: Mapping) -> pd.DataFrame:
    """All metrics of a comparison where nothing changed: worse, better, and what no correction would give.

    By pairing and seeds; metrics correlated as over the seeds of the base. At most 5 % were promised.
    """
    rows = [
        {
            "seeds": f"{size} {kind}",
            "called worse": percent(cell["worse"] / cell["trials"], 1),
            "called better": percent(cell["better"] / cell["trials"], 1),
            "any metric called so, uncorrected": percent(cell["uncorrected"], 1),
        }
        for kind, table in calibration["family"].items()
        for size, cell in table.items()
    ]
    return table_of(rows)


def few_clips(calibration: Mapping) -> pd.DataFrame:
    """Wrongly called worse on 20 clips with 2 or 3 seeds, at most 2.5 %: by metric and seeds.

    Where its steps and the clips' sampling error are part of the variance, and where they are not.
    """
    rows = [
        {
            "metric": f"{metric}, {size} seeds",
            "steps and sampling error known": percent(cell["share"], 1),
            "spread over seeds only": percent(cell["unknown"], 1),
        }
        for metric, table in calibration["few"].items()
        for size, cell in table.items()
    ]
    return table_of(rows)


def plans(calibration: Mapping) -> pd.DataFrame:
    """Power reached on average by who plans for 80 % with a pilot of few seeds, in pairs: by seeds, effect.

    By the assurance, and with the pilot's spread for the truth; the number of seeds that the assurance asks
    for, the median and of the unluckiest pilot in 20.
    """
    rows = [
        {
            "pilot": f"{seeds} seeds, effect of {effect} spreads",
            "power with the assurance": percent(cell["share"], 1),
            "power with the spread plugged in": percent(cell["plugged_in"], 1),
            "seeds asked for": f"{cell['seeds']} (up to {cell['most']})",
        }
        for effect, table in calibration["pilots"]["paired"].items()
        for seeds, cell in table.items()
    ]
    return table_of(rows)
