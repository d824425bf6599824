"""Render ``report.md`` and its figures from the results.

    $ python -m study.report            # writes report.md and figures/*.png
    $ python -m study.report --check    # renders again, compares with report.md, writes nothing

Conventions
    results    each ``results/NAME.json`` is the variable NAME of the template; a result that is
               not there is undefined, and its section is left out. Any other name that is unknown
               is an error, so no number can go missing silently.
    numbers    come from results, or from the code they describe (``recipe``); the template holds
               none, and rounding is done by its filters.
"""

from __future__ import annotations

import argparse
import difflib
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
import numpy as np

import gen_audio
from audio_distance import features, views
from experiments.listening import FAMILIES
from experiments.statistics import ALPHA, mean_power
from study import contrast, plots, results, trials
from study.distances import NOTES
from study.incumbents import VALUES
from study.sources import GRADED

ROOT = Path(__file__).parents[1]
TEMPLATE = Path(__file__).with_name("report_template.md")
WEIGHT_DRAWS = 10_000
REPORT, FIGURES = ROOT / "report.md", ROOT / "figures"


# Filters


def num(value: float, digits: int = 3) -> str:
    """Fixed digits, and no minus sign before a zero."""
    text = f"{float(value):.{digits}f}"  # float() also refuses an undefined value by name
    return text.lstrip("-") if float(text) == 0 else text


def p_text(value: float) -> str:
    """A p-value: two significant digits, one below a thousandth."""
    return f"{value:.2g}" if value >= 0.001 else f"{value:.1g}"


def interval(pair: Sequence[float], digits: int = 3) -> str:
    return f"{num(pair[0], digits)} to {num(pair[1], digits)}"


def percent(share: float, digits: int = 0) -> str:
    return f"{num(100 * share, digits)} %"


def spread(seeds: Sequence[Mapping], kind: str, test: str) -> str:
    """Smallest to largest value over the seeds."""
    values = [seed[kind][test]["value"] for seed in seeds]
    return interval((min(values), max(values)))


def above(bands: Sequence[Mapping], hertz: float) -> float:
    """Sum of the bands that begin at ``hertz`` or higher."""
    return sum(b["value"] for b in bands if float(b["name"].split("-")[0]) >= hertz)


def power(table: Mapping, name: str) -> str:
    """Mean share of effects found, with its standard error."""
    mean, error = mean_power(table, name)
    return f"{percent(mean)} ± {percent(error, 1)}"


def coverage(row: Mapping[str, Sequence[int]]) -> str:
    """Lowest and highest share over the effects."""
    shares = [held / trials for held, trials in row.values()]
    return f"{num(100 * min(shares), 0)} to {percent(max(shares))}"


def nearest(table: Mapping) -> dict:
    """The pair of different sets with the smallest distance: names and value."""
    return _extreme(table, np.argmin)


def farthest(table: Mapping) -> dict:
    return _extreme(table, np.argmax)


def largest_p(table: Mapping) -> float:
    """Largest p-value between different sets."""
    values = np.array(table["p_value"])
    return float(values[_upper(table)].max())


def pairs(table: Mapping) -> int:
    """Number of pairs of different sets."""
    return math.comb(len(table["names"]), 2)


def _upper(table: Mapping) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(len(table["names"]), 1)


def _extreme(table: Mapping, choose) -> dict:
    rows, columns = _upper(table)
    values = np.array(table["value"])[rows, columns]
    index = int(choose(values))
    names = [table["names"][rows[index]], table["names"][columns[index]]]
    return {"names": names, "value": float(values[index])}


def ahead(found: Mapping) -> list[str]:
    """Families of ideas whose nested lead is above zero with its whole corrected interval."""
    return [name for name, row in _tries(found) if row["lead_spearman"]["corrected"][0] > 0]


def hints(found: Mapping) -> list[str]:
    """Families ahead by the interval that takes no account of how many were tried, and only by that."""
    alone = [name for name, row in _tries(found) if row["lead_spearman"]["interval"][0] > 0]
    return [name for name in alone if name not in ahead(found)]


def _tries(found: Mapping) -> list[tuple[str, Mapping]]:
    return [(name, row) for name, row in found["families"].items() if name != "incumbents"]


def by_laboratory(found: Mapping) -> dict[str, dict[str, float]]:
    """Laboratory -> mean Spearman of the distance as shipped, and of the incumbent chosen without it."""
    table: dict[str, dict[str, float]] = {}
    for laboratory in sorted(set(found["laboratories"].values())):
        own = [name for name, lab in found["laboratories"].items() if lab == laboratory]
        table[laboratory] = {
            "sets": len(own),
            "shipped": _mean(found["shipped"]["sets"][name] for name in own),
            "incumbent": _mean(found["families"]["incumbents"]["sets"][name] for name in own),
            "chosen": found["families"]["incumbents"]["chosen"][laboratory],
        }
    return table


def of_kind(found: Mapping, kind: str) -> dict[str, float]:
    """Means over the new folders of one kind: accuracy lost, distance, share with p of 5 % or less."""
    rows = [row for row in found["folders"] if row["kind"] == kind]
    seen = [row["p_value"] <= ALPHA for row in rows]
    means = {name: float(np.mean([row[name] for row in rows])) for name in ("drop", "distance")}
    return {**means, "seen": float(np.mean(seen)), "folders": len(rows)}


def by_embedding(found: Mapping) -> list[dict]:
    """Mean share of small effects found by the energy distance, by source, of each embedding of a study."""
    rows = []
    for embedding in found["settings"]["embeddings"]:
        candidate = (embedding, "views_energy" if embedding == trials.THIS[0] else "energy")
        shares = {s: contrast.power_of_source(found, candidate, s) for s in found["power"]}
        rows.append({"name": Path(embedding).stem.replace("_", " "), "shares": shares})
    return rows


def signed(value: float, digits: int = 1) -> str:
    """Fixed digits with the sign."""
    return f"{float(value):+.{digits}f}"


FILTERS = {
    "ahead": ahead,
    "hints": hints,
    "by_laboratory": by_laboratory,
    "signed": signed,
    "by_embedding": by_embedding,
    "of_kind": of_kind,
    "num": num,
    "p": p_text,
    "interval": interval,
    "percent": percent,
    "spread": spread,
    "above": above,
    "power": power,
    "coverage": coverage,
    "nearest": nearest,
    "farthest": farthest,
    "largest_p": largest_p,
    "pairs": pairs,
}


# Rendering


def context(found: Mapping[str, Mapping]) -> dict:
    """The template's variables: the results, and facts of the code they describe."""
    test1 = found["challenge"]["sets"]["clean"]["test1"]["candidate"]
    return {
        **found,
        "notes": NOTES,
        "families": FAMILIES,
        **({"contrasted": contrasted(found["trials"])} if "trials" in found else {}),
        "recipe": {name: value for name, value in (vars(views) | vars(features)).items() if name.isupper()},
        "level": ALPHA,
        "measures": list(VALUES),
        # The RMS of a sine is its peak over sqrt(2); the noise is a share of the peak.
        "noise_db": {
            name: -20 * math.log10(noise * math.sqrt(2))
            for name, (_, noise) in gen_audio.SETS.items()
            if noise
        },
        "trim_db": -20 * math.log10(features.TRIM),
        "samples": f"{round(test1['seconds'] * test1['rates'][0]):,}",
    }


def contrasted(found: Mapping) -> dict:
    """What the report says of the trials, from their results."""
    this = trials.THIS
    others = [c for c in contrast.candidates(found) if c != this]
    powers = {c: contrast.power(found, c) for c in others}
    differences = {c: contrast.power_difference(found, this, c) for c in others}
    tested = {c: contrast.power_difference(found, None, c) for c in (this, *others)}
    best = [max((c for c in others if c[0] == e), key=powers.get) for e in found["settings"]["embeddings"]]
    best += [c for c in plots.CONTRASTED if c in powers and c not in best]
    table = contrast.scores(found)
    ranked = [c for c, _ in contrast.ranking(table)]
    chance = contrast.sensitivity(table, draws=WEIGHT_DRAWS)
    often = max((c for c in chance if c != this), key=lambda c: chance[c]["first"])
    own = {
        source: {
            "power": _mean(h / n for e, (h, n) in row[this[0]]["compare"].items() if e != "clean"),
            "false_alarms": row[this[0]]["compare"]["clean"][0] / row[this[0]]["compare"]["clean"][1],
            "draws": row[this[0]]["compare"]["clean"][1],
        }
        for source, row in found["permutation"].items()
    }
    tables = [t for t in found["nuisance"].values()]
    content = {
        "count": len(contrast.candidates(found, naive=True)),
        "others": len(others),
        "this_power": contrast.power(found, this),
        "rivals": [
            {
                "label": contrast.label(c),
                "power": powers[c],
                "difference": differences[c],
                "tested": tested[c],
            }
            for c in sorted(best, key=powers.get, reverse=True)
        ],
        "significantly_worse": sum(d["interval"][0] > 0 for d in differences.values()),
        "significantly_better": sum(d["interval"][1] < 0 for d in differences.values()),
        "test_power": _mean(contrast.test_shares(found).values()),
        "test_over_value": tested[this],
        "test_ahead": sum(tested[c]["interval"][0] > 0 for c in others),
        "test_behind": sum(tested[c]["interval"][1] < 0 for c in others),
        "kinds": len(GRADED),
        "order": {
            name: _mean(
                t[this[0]][this[1] if name == "this" else name]["order"][k]
                for t in found["power"].values()
                for k in GRADED
            )
            for name in ("this", "frechet", "gaussian_mmd")
        },
        "harmless": max(abs(t[this[0]][this[1]][v]) for t in tables for v in trials.HARMLESS),
        "resampling": _mean(t[this[0]][this[1]]["resampling 1"] for t in tables),
        "bad": _mean(t[this[0]][this[1]]["0.05"] for t in found["robustness"].values()),
        "own_test": own,
        "side_by_side": (table_of_all := contrast.side_by_side(found)),
        "calmer": [r["label"] for r in table_of_all if r["harmless"] < table_of_all[0]["harmless"]],
        "heard_better": [
            r["label"] for r in table_of_all if r.get("ahead") and r["ahead"]["interval"][1] < 0
        ],
        "own_effects": " or ".join(
            str(n) for n in sorted({len(r[this[0]]["compare"]) - 1 for r in found["permutation"].values()})
        ),
        "rank": ranked.index(this) + 1,
        "scored": len(ranked),
        "first": contrast.label(ranked[0]),
        "weight_draws": f"{WEIGHT_DRAWS:,}",
        "first_share": chance[this]["first"],
        "often_first": contrast.label(often),
        "often_share": chance[often]["first"],
    }
    for unit in ("frames", "files"):
        content[unit] = _mean(
            row[unit][0] / row[unit][1] for t in found["units"].values() for row in t.values()
        )
    if "rated" in found:
        content |= _listened(found, others)
    return content


def _listened(found: Mapping, others: Sequence) -> dict:
    shipped, mine = contrast.shipped(found), contrast.listeners(found, trials.THIS)
    rows = {"metrics.distance, windows and all": shipped}
    rows |= {
        contrast.label(c): contrast.listeners(found, c) for c in plots.CONTRASTED if c[0] in found["ratings"]
    }
    gaps = {c: contrast.listeners_difference(found, mine, contrast.listeners(found, c)) for c in others}
    rated = found["rated"]
    return {
        "shipped": shipped,
        "systems": sum(len(row["ratings"]) for row in rated.values()),
        "laboratories": len({row["laboratory"] for row in rated.values()}),
        "recalled": [name for name, row in rated.items() if row["figures"] == "recalled"],
        "second_hand": [name for name, row in rated.items() if row["figures"] == "second-hand"],
        "listeners": [
            {
                "label": name,
                "means": [contrast.listeners_mean(found, each, k) for k in ("spearman", "kendall", "pairs")],
            }
            for name, each in rows.items()
        ],
        "listeners_worse": sum(g["interval"][0] > 0 for g in gaps.values()),
        "listeners_better": [contrast.label(c) for c, g in gaps.items() if g["interval"][1] < 0],
    }


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def render(found: Mapping[str, Mapping]) -> str:
    """The text of report.md from results by name; jinja2.UndefinedError for an unknown name."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(FILTERS)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    lines = template.render(context(found)).splitlines()
    # Blocks that are left out leave their blank lines.
    kept = [line for i, line in enumerate(lines) if line or (i and lines[i - 1])]
    return "\n".join(kept).rstrip() + "\n"


def draw(found: Mapping[str, Mapping]) -> list[Path]:
    """Save the figure of every result that has one; return their paths."""
    FIGURES.mkdir(exist_ok=True)
    saved = []
    for name, (result, figure) in plots.FIGURES.items():
        if result in found:
            saved.append(FIGURES / f"{name}.png")
            # Without the version of the software the same figure is the same file.
            figure(found[result]).savefig(saved[-1], dpi=100, metadata={"Software": None})
    return saved


def main(argv: list[str] | None = None) -> int:
    """Render or check; return the exit code: 1 for a missing result or a report that differs."""
    parser = argparse.ArgumentParser(prog="python -m study.report", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with report.md only")
    arguments = parser.parse_args(argv)
    found = results.read_all()
    if "challenge" not in found:
        print(
            "error: results/challenge.json is missing; run: python -m experiments challenge", file=sys.stderr
        )
        return 1
    text = render(found)
    if arguments.check:
        old = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
        change = difflib.unified_diff(
            old.splitlines(), text.splitlines(), "report.md", "rendered", n=0, lineterm=""
        )
        print("\n".join(change) or "report.md is what the results render to")
        return int(old != text)
    figures = draw(found)
    stage = REPORT.with_suffix(".part")
    stage.write_text(text, encoding="utf-8")
    os.replace(stage, REPORT)
    print(f"{REPORT.name} and {len(figures)} figures from {', '.join(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
