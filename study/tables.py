"""Tables of the trials for the notebooks: results in, a pandas DataFrame out.

Conventions
    found    the content of ``results/trials.json``; ``heard`` that of ``results/listening.json``.
    row      a candidate or a source, in words; intervals as "mean (low to high)".
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from experiments.listening import FAMILIES
from study import contrast, plots, trials


def interval(row: Mapping, digits: int = 3) -> str:
    """A mean with its interval."""
    low, high = row["interval"]
    return f"{row['mean']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def power(found: Mapping, count: int = 25) -> pd.DataFrame:
    """The candidates that find most, and what the value of this distance finds more."""
    this, rows = trials.THIS, {}
    for candidate in contrast.candidates(found):
        if candidate != this:
            more = contrast.power_difference(found, this, candidate)
            rows[contrast.label(candidate)] = {
                "found": contrast.power(found, candidate),
                "this minus it": more["mean"],
                "95 % low": more["interval"][0],
                "95 % high": more["interval"][1],
            }
    return pd.DataFrame(rows).T.sort_values("found", ascending=False).head(count).round(3)


def drawn(found: Mapping) -> list[contrast.Candidate]:
    """The candidates that the figures contrast, those that were run."""
    known = contrast.candidates(found)
    return [c for c in plots.CONTRASTED if c in known]


def test_against(found: Mapping) -> pd.DataFrame:
    """What the test of ``compare`` finds more than the values of the contrasted candidates."""
    return pd.DataFrame(
        {
            contrast.label(c): {
                "found": f"{contrast.power(found, c):.3f}",
                "test minus it": interval(contrast.power_difference(found, None, c)),
            }
            for c in drawn(found)
        }
    ).T


test_against.__test__ = False  # no test of pytest's


def plain_damage(found: Mapping) -> pd.DataFrame:
    """Share found of what nobody should miss."""
    effects = [
        "5 labels dropped",
        "all labels but 1 dropped",
        "weights 9:1",
        "one repeated",
        "moment matched",
        "phase randomised",
    ]
    rows = {}
    for c in drawn(found):
        shares = contrast.shares(found, c, effects)
        rows[contrast.label(c)] = {
            e: pd.Series([v for (_, k), v in shares.items() if k == e]).mean() for e in effects
        }
    return pd.DataFrame(rows).round(2)


def harmless(found: Mapping) -> pd.DataFrame:
    """Largest change over the sources, as a share of mid."""
    rows = {
        contrast.label((e, d)): {
            v: max((t[e][d][v] for t in found["nuisance"].values()), key=abs) for v in trials.NUISANCES
        }
        for e, d in drawn(found)
    }
    return pd.DataFrame(rows).T.round(3)


def bad_files(found: Mapping) -> pd.DataFrame:
    """Mean change over the sources, as a share of mid, for every distance on the numbers of this one."""
    rows = {
        contrast.label((e, d)): {
            f"{float(s):.0%} bad": sum(t[e][d][s] for t in found["robustness"].values())
            / len(found["robustness"])
            for s in map(str, trials.BAD_SHARES)
        }
        for e, d in contrast.candidates(found)
        if e == trials.THIS[0]
    }
    return pd.DataFrame(rows).T.round(3)


def own_test(found: Mapping) -> pd.DataFrame:
    """The permutation test of ``compare``, source by source."""
    rows = {}
    for source, tables in found["permutation"].items():
        tested = tables[trials.THIS[0]]["compare"]
        shares = [hits / draws for effect, (hits, draws) in tested.items() if effect != "clean"]
        rows[source] = {
            "false alarms": tested["clean"][0] / tested["clean"][1],
            "draws without a difference": tested["clean"][1],
            "mean power": sum(shares) / len(shares),
            "value above its null quantile": contrast.power_of_source(found, trials.THIS, source),
        }
    return pd.DataFrame(rows).T.round(3)


def side_by_side(found: Mapping) -> pd.DataFrame:
    """This distance, Frechet and Gaussian MMD; see ``contrast.side_by_side``."""
    return pd.DataFrame(
        {
            row["label"]: {
                "zero: mean of undamaged over mid": interval(row["zero"]),
                "small effects found by the test": f"{row['power']:.3f}",
                "this test finds more": interval(row["lead"]) if row["lead"] else "",
                "false alarms": f"{row['false_alarms']['share']:.3f} of {row['false_alarms']['draws']}",
                "harmless changes, at most": f"{row['harmless']:.3f}",
                "pairs judged right": f"{row['right']} of {row['pairs']}",
                "embedding, ms a second": f"{row['embedding_ms']:.1f}",
                "distance at N = 50, ms": f"{row['distance_ms']:.1f}",
                "listeners, Spearman": interval(row["listeners"], 2) if "listeners" in row else "",
                "agrees more": interval(row["ahead"], 2) if row.get("ahead") else "",
            }
            for row in contrast.side_by_side(found)
        }
    )


def soundness(found: Mapping) -> pd.DataFrame:
    """Share of draws with p at most 5 %, a pair of sets a row."""
    tests = {"this distance": (trials.THIS[0], "compare")}
    tests |= {contrast.label((e, d)): (e, d) for e in found["soundness"] for d in ("frechet", "gaussian_mmd")}
    columns: dict[str, dict] = {
        "must differ": {p: row["must_differ"] for p, row in found["soundness"][trials.THIS[0]].items()}
    }
    for name, (e, test) in tests.items():
        columns[name] = {
            p: sum(value <= trials.ALPHA for value in row[test]) / len(row[test])
            for p, row in found["soundness"][e].items()
        }
    return pd.DataFrame(columns)


def challenge(found: Mapping) -> pd.DataFrame:
    """How many candidates order the challenge's sets as published, clean, both or neither."""
    rows = {
        contrast.label((e, d)): {"published": t["wrap"]["right"], "clean": t["clip"]["right"]}
        for e, tables in found["tones"].items()
        for d, t in tables.items()
    }
    return pd.DataFrame(rows).T.groupby(["published", "clean"]).size().rename("candidates").to_frame()


def listeners(found: Mapping) -> pd.DataFrame:
    """Agreement with listeners, mean over the rated sets."""
    each = {"metrics.distance, windows and all": contrast.shipped(found)}
    each |= {contrast.label(c): contrast.listeners(found, c) for c in drawn(found)}
    keys = {"spearman": "Spearman", "kendall": "Kendall", "pairs": "pairs in the right order"}
    return pd.DataFrame(
        {
            name: {title: interval(contrast.listeners_mean(found, row, k), 2) for k, title in keys.items()}
            for name, row in each.items()
        }
    ).T


def families(heard: Mapping) -> pd.DataFrame:
    """The ideas for agreeing with listeners, each chosen on other laboratories than it is judged on."""
    rows = {}
    for name, idea in FAMILIES.items():
        row = heard["families"][name]
        low, high = row["lead_spearman"]["corrected"]
        rows[name] = {
            "idea": idea,
            "nested": interval(row["spearman"], 2),
            "lead over the distance as shipped": interval(row["lead_spearman"]),
            "corrected": f"{low:.3f} to {high:.3f}",
        }
    return pd.DataFrame(rows).T


def chosen(heard: Mapping) -> pd.DataFrame:
    """What was taken for each laboratory that was left out."""
    rows = {name: row["chosen"] for name, row in heard["families"].items() if name != "b learned"}
    return pd.DataFrame(rows).rename_axis("judged on")


def against(found: Mapping, count: int = 14) -> pd.DataFrame:
    """Paired differences, this distance minus each of the best by score: power, listeners."""
    mine, rows = contrast.listeners(found, trials.THIS), {}
    for c, _ in contrast.ranking(contrast.scores(found))[:count]:
        if c != trials.THIS:
            rows[contrast.label(c)] = {
                "small effects found": interval(contrast.power_difference(found, trials.THIS, c)),
                "listeners": interval(
                    contrast.listeners_difference(found, mine, contrast.listeners(found, c)), 2
                ),
            }
    return pd.DataFrame(rows).T


def verdicts(found: Mapping, metric: str = "distance") -> pd.DataFrame:
    """What the gate says of each ablation with all seeds; ``found`` is ``results/regressions.json``."""
    rows = {}
    for name, row in found["ablations"].items():
        if "verdicts" in row:
            v = row["verdicts"][metric][str(found["seeds"])]
            low, high = v["interval"]
            rows[name] = {
                "what it is": row["why"],
                "effect": f"{v['effect']:+.4f} ({low:+.4f} to {high:+.4f})",
                "p": f"{v['p_value']:.2g}" if v["p_value"] >= 1e-4 else "below 0.0001",
                "verdict": v["verdict"],
                "tried alone": row["alone"]["verdict"],
            }
    return pd.DataFrame(rows).T


def verdicts_by_seeds(found: Mapping) -> pd.DataFrame:
    """The same for the first few seeds alone, by metric and number of seeds."""
    rows = {}
    for name, row in found["ablations"].items():
        for metric, by_seeds in row.get("verdicts", {}).items():
            rows[name, metric] = {f"{n} seeds": v["verdict"] for n, v in by_seeds.items()}
    return pd.DataFrame(rows).T


def alarms(found: Mapping) -> pd.DataFrame:
    """Share of verdicts of worse or better where nothing changed; ``results/calibration.json``."""
    rows = {
        (kind, metric): {f"{n} seeds": cell["share"] for n, cell in row.items()}
        for kind, table in found["false_alarms"].items()
        for metric, row in table.items()
    }
    return pd.DataFrame(rows).T.round(4)


def promises(found: Mapping) -> pd.DataFrame:
    """Regressions caught with as many seeds as planned: share (seeds), by effect in spreads."""
    rows = {
        (kind, metric): {
            f"{effect} spreads": f"{cell['share']:.3f} ({cell['seeds']} seeds)"
            for effect, cell in row.items()
        }
        for kind, table in found["planted"].items()
        for metric, row in table.items()
    }
    return pd.DataFrame(rows).T


def ladder(found: Mapping) -> pd.DataFrame:
    """Every rung of ``results/autoencoders.json``: distance with interval, and the verdict."""
    rows = {"recordings": {"distance": _rung(found["floor"])}}
    for name, rung in found["ceiling"].items():
        rows[f"round trip, {plots.CEILINGS[name]}"] = {"distance": _rung(rung)}
    for kind in ("reconstructions", "samples"):
        for name, row in found["models"].items():
            v = row.get("verdicts", {}).get(kind)
            rows[f"{name.replace('_', ' ')}: {kind}"] = {
                "distance": _rung(row[kind], "mean"),
                "against the simple one": v["verdict"] if v else "the baseline",
                "effect": f"{v['effect']:+.3f} ({v['interval'][0]:+.3f} to {v['interval'][1]:+.3f})"
                if v
                else "",
            }
    return pd.DataFrame(rows).T.fillna("")


def _rung(rung: Mapping, key: str = "value") -> str:
    low, high = rung["interval"]
    return f"{rung[key]:.4f} ({low:.4f} to {high:.4f})"


def recognised(found: Mapping) -> pd.DataFrame:
    """Shares of digits recognised as what they should be, 95 % by Wilson; seed 0 of the models."""
    rows = dict(found["recognised"])
    for kind in ("reconstructions", "samples"):
        for name, row in found["models"].items():
            rows[f"{name.replace('_', ' ')}: {kind}"] = row["recognised"][kind][0]
    return pd.DataFrame(
        {
            name: {
                "right": _share(row) if "right" in row else "no label",
                f"recogniser sure ({found['sure']:.0%} or more)": f"{row['sure']:.0%}",
                "missing digit-speaker pairs": sum(count == 0 for line in row["cells"] for count in line),
            }
            for name, row in rows.items()
        }
    ).T


def _share(row: Mapping) -> str:
    low, high = row["interval"]
    return f"{row['right']:.1%} ({low:.0%} to {high:.0%})"


def faults(found: Mapping) -> pd.DataFrame:
    """The gate's verdict on each planted fault."""
    return pd.DataFrame(
        {
            name.replace("_", " "): {
                "distance": f"{sum(row['values']) / len(row['values']):.3f}",
                "effect": f"{row['effect']:+.3f} ({row['interval'][0]:+.3f} to {row['interval'][1]:+.3f})",
                "verdict": row["verdict"],
                "tried alone": row["alone"]["verdict"],
                "round trip with the fault, no model": _rung(row["round_trip"])
                if "round_trip" in row
                else "",
            }
            for name, row in found["faults"].items()
        }
    ).T


def divisions(found: Mapping) -> pd.DataFrame:
    """``results/classifier.json``: accuracy by what is held out, beside the baselines."""
    rows = {}
    for name, row in found["divisions"].items():
        rows[plots.DIVISIONS[name]] = {
            "files": row["files"],
            "accuracy": f"{row['accuracy']:.1%} ({row['interval'][0]:.1%} to {row['interval'][1]:.1%})",
            "worst recall": "{}, {:.0%}".format(*min(row["recall"].items(), key=lambda item: item[1])),
            "commonest label": f"{row['baselines']['majority']['accuracy']:.1%}",
            "MFCC, logistic regression": f"{row['baselines']['cepstral']['accuracy']:.1%}",
            "groups ignored": f"{row['flattered']['accuracy']:.1%}" if "flattered" in row else "",
        }
    return pd.DataFrame(rows).T


def rungs(found: Mapping) -> pd.DataFrame:
    """The classifier's ladder: accuracy, and the gate's verdict on each step."""
    rows = {}
    for name, row in found["ladder"].items():
        low, high = row["interval"]
        rows[plots.RUNGS[name]] = {"accuracy": f"{row['accuracy']:.1%} ({low:.1%} to {high:.1%})"}
        if "verdict" in row:
            low, high = (100 * x for x in row["gain_interval"])
            rows[plots.RUNGS[name]] |= {
                "gain, points": f"{100 * row['gain']:+.1f} ({low:+.1f} to {high:+.1f})",
                "against": plots.RUNGS[row["against"] or "whole"],
                "p": f"{row['p_value']:.2g}",
                "verdict": row["verdict"],
            }
    return pd.DataFrame(rows).T.fillna("")


def new_folders(found: Mapping) -> pd.DataFrame:
    """Each condition by set, averaged over folds: percentage points of accuracy lost, and distance."""
    table = pd.DataFrame(found["folders"])
    table["lost"] = 100 * table["drop"]
    table["folder"] = [
        f"{row.kind.replace('_', ' ')}{f', {row.grade}' if row.kind in found['changes'] else ''}"
        for row in table.itertuples()
    ]
    order = list(dict.fromkeys(table["folder"]))
    made = table.pivot_table(index="folder", columns="data", values=["lost", "distance"], sort=False)
    made = made.swaplevel(axis=1).reindex(index=order, columns=list(_columns()))
    return made.map(
        lambda value: "" if pd.isna(value) else f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"
    )


def _columns():
    return ((name, number) for name in plots.DIVISIONS for number in ("lost", "distance"))


def warned(found: Mapping) -> pd.DataFrame:
    """How many folders `predict` would have warned of, by the accuracy that was lost there."""
    return pd.DataFrame(
        {
            f"{100 * max(row['least_drop'], 0):.0f} to {100 * min(row['most_drop'], 1):.0f} points lost": {
                "folders": row["folders"],
                "warned of": row["warned"],
            }
            for row in found["prediction"]["warnings"]
        }
    ).T
