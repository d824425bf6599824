"""Every table once: results in, a pandas DataFrame out, which a notebook shows and the report writes.

Conventions
    argument   the content of the results file of that name, as ``study.results.read`` returns it.
    table      a row a candidate, source, model or setting in words, which is the index; its name heads the
               first column. Cells are texts as they are read (``report.numbers``), intervals as
               "mean (low to high)"; numbers only where a notebook alone shows them.
    markdown   what the template writes of a table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pandas as pd

from experiments.listening import FAMILIES
from experiments.statistics import mean_power
from report import contrast
from report.candidates import NOTES
from report.figures.autoencoders import CEILINGS
from report.figures.classifier import DIVISIONS, RUNGS
from report.figures.style import words
from report.figures.trials import CONTRASTED
from report.numbers import (
    effect_text,
    interval,
    lead_text,
    mean_text,
    num,
    p_text,
    percent,
    points,
    signed,
    signed_interval,
)
from study.incumbents import VALUES
from study.trials import ALPHA, BAD_SHARES, NUISANCES, THIS

NONE = "–"  # a cell that cannot have a value

TESTS = ("test1", "test2")
WRITINGS = {"historic": "", "clean": " clean"}
PLAIN_DAMAGE = (
    "5 labels dropped",
    "all labels but 1 dropped",
    "weights 9:1",
    "one repeated",
    "moment matched",
    "phase randomised",
)
HELD_OUT = {  # the classifier's divisions, where space allows to say how
    "sounds": "environmental sounds (ESC-10): recordings, published folds",
    "digits": "spoken digits: takes, official test",
    "speakers": "spoken digits: speakers in turn",
    "families": "instruments, ten families: programs",
}


def markdown(table: pd.DataFrame, bold: Collection[str] = ()) -> str:
    """A table in Markdown; ``bold`` names columns, or texts of cells, that are set in bold."""

    def cell(text, column: str = "") -> str:
        text = str(text).replace("|", "&#124;")
        return f"**{text}**" if text in bold or column in bold else text

    head = [table.index.name or "", *map(str, table.columns)]
    lines = [head]
    for name, row in table.iterrows():
        lines.append([cell(name), *(cell(text, column) for column, text in row.items())])
    first, *others = (f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)
    return "\n".join([first, "|" + "---|" * len(head), *others])


def _table(rows: Iterable[Mapping]) -> pd.DataFrame:
    """A row a mapping, its first key the index. ValueError where keys differ: no number goes missing."""
    rows = list(rows)
    if any(row.keys() != rows[0].keys() for row in rows):
        raise ValueError(f"rows of one table have different columns: {[list(row) for row in rows]}")
    table = pd.DataFrame(rows)
    head = table.columns[0]
    return table.set_index(head).rename_axis(head or None)


# The challenge


def answer(challenge: Mapping) -> pd.DataFrame:
    """Both tests as published and clean: distance, interval, p and verdict."""
    rows = []
    for writing, label in (("historic", "as published"), ("clean", "clean")):
        for test in TESTS:
            c = challenge["sets"][writing][test]
            rows.append(
                {
                    f"{c['candidate']['files']} files each": f"{test}, {label}",
                    "distance": num(c["value"]),
                    "95 % interval": interval(c["interval"]),
                    "p": p_text(c["p_value"]),
                    "verdict": c["verdict"],
                }
            )
    return _table(rows)


def clicks(challenge: Mapping) -> pd.DataFrame:
    """How much of each distance is clicks."""
    return _table(
        {
            "": test,
            "as published": num(challenge["sets"]["historic"][test]["value"]),
            "clean": num(challenge["sets"]["clean"][test]["value"]),
            "clicks (the difference)": num(challenge["clicks"][test]["value"]),
            "clicks, share": percent(challenge["clicks"][test]["share"]),
        }
        for test in TESTS
    )


def parts(challenge: Mapping) -> pd.DataFrame:
    """The parts of each value, one a view."""
    sets = challenge["sets"]
    return _table(
        {
            "": view,
            **{
                f"{test}{writing}": num(sets[which][test]["views"][view])
                for test in TESTS
                for which, writing in WRITINGS.items()
            },
        }
        for view in sets["historic"]["test1"]["views"]
    )


def incumbents(challenge: Mapping) -> pd.DataFrame:
    """The challenge by Frechet and Gaussian MMD on the numbers of this distance, and by it."""
    measured = {
        "Frechet": challenge["incumbents"]["frechet"],
        "Gaussian MMD, unbiased": challenge["incumbents"]["gaussian_mmd"],
        "this distance": {**challenge["sets"], "split": challenge["split"]},
    }
    return _table(
        {
            "one vector a file": name,
            **{
                f"{test}{writing} (p)": _value_and_p(row[which][test])
                for which, writing in WRITINGS.items()
                for test in TESTS
            },
            "background against itself": f"{num(row['split']['mean'])} ± {num(row['split']['sd'])}",
        }
        for name, row in measured.items()
    )


def _value_and_p(row: Mapping) -> str:
    return f"{num(row['value'])} ({p_text(row['p_value'])})"


# The benchmark


def benchmark(statistics: Mapping) -> pd.DataFrame:
    """Bias and power of this distance beside Frechet and Gaussian MMD."""
    titles = dict(zip(VALUES, ("this distance", "Frechet", "Gaussian MMD"), strict=True))
    rows = []
    for size, row in statistics["bias"].items():
        what = f"two samples of one source, N = {size}: mean (sd), share of a mid distortion's value"
        cells = {
            title: f"{num(row[name]['mean_null_over_mid'])} ({num(row[name]['sd_null_over_mid'])})"
            for name, title in titles.items()
        }
        rows.append({"": what, **cells})
    for key, what in (
        ("power_20", "small effects found at p ≤ 5 %, N = 20"),
        ("power_50", "the same, N = 50"),
        ("paired_power_10", "distortions found, matched pairs, N = 10"),
    ):
        rows.append({"": what, **{title: _power(statistics[key], name) for name, title in titles.items()}})
    return _table(rows)


def _power(table: Mapping, name: str) -> str:
    """Mean share of effects found, with its standard error."""
    mean, error = mean_power(table, name)
    return f"{percent(mean)} ± {percent(error, 1)}"


def false_alarms(statistics: Mapping) -> pd.DataFrame:
    """False alarms of the test at a nominal 5 %, by what is drawn."""
    return _table(
        {
            "": name,
            "share of p ≤ 5 %": f"{percent(row['share'], 1)} ± {percent(row['standard_error'], 1)}",
            "trials": row["trials"],
        }
        for name, row in statistics["false_alarms"].items()
    )


def soundness(statistics: Mapping) -> pd.DataFrame:
    """Pairs of sets that must differ, and pairs that must not."""
    return _table(
        {
            "pair": row["pair"],
            "N": row["files"],
            "must differ": "yes" if row["must_differ"] else "no",
            "median p": p_text(row["median_p"]),
            "median value, in null spreads": num(row["median_null_spreads"], 1),
            "p ≤ 5 %": percent(row["share_p_below_5_percent"]),
            "": "right" if row["right"] else "wrong",
        }
        for row in statistics["soundness"]
    )


# The candidates


def candidates() -> pd.DataFrame:
    """What each distance is, costs, sees and misses."""
    return _table(
        {
            "distance": words(name),
            "definition": note["formula"],
            "cost": note["cost"],
            "sees": note["sees"],
            "misses": note["misses"],
            "zero at zero": "no" if note["biased"] else "yes",
        }
        for name, note in NOTES.items()
    )


# The contrast: ``trials`` is results/trials.json


def drawn(trials: Mapping) -> list[contrast.Candidate]:
    """The candidates that the figures contrast, those that were run."""
    known = contrast.candidates(trials)
    return [c for c in CONTRASTED if c in known]


def power(trials: Mapping, count: int = 25) -> pd.DataFrame:
    """The candidates that find most, and what the value of this distance finds more."""
    rows = {}
    for candidate in contrast.candidates(trials):
        if candidate != THIS:
            more = contrast.power_difference(trials, THIS, candidate)
            rows[contrast.label(candidate)] = {
                "found": contrast.power(trials, candidate),
                "this minus it": more["mean"],
                "95 % low": more["interval"][0],
                "95 % high": more["interval"][1],
            }
    return pd.DataFrame(rows).T.sort_values("found", ascending=False).head(count).round(3)


def rivals(trials: Mapping) -> pd.DataFrame:
    """The best candidate of each embedding and those drawn: what the value and the test find more."""
    others = [c for c in contrast.candidates(trials) if c != THIS]
    powers = {c: contrast.power(trials, c) for c in others}
    best = [max((c for c in others if c[0] == e), key=powers.get) for e in trials["settings"]["embeddings"]]
    best += [c for c in CONTRASTED if c in powers and c not in best]
    return _table(
        {
            "candidate": contrast.label(c),
            "found": percent(powers[c], 1),
            "value of this distance, minus it": points(contrast.power_difference(trials, THIS, c)),
            "test of `compare`, minus it": points(contrast.power_difference(trials, None, c)),
        }
        for c in sorted(best, key=powers.get, reverse=True)
    )


def plain_damage(trials: Mapping) -> pd.DataFrame:
    """Share found of what nobody should miss."""
    rows = {}
    for c in drawn(trials):
        shares = contrast.shares(trials, c, PLAIN_DAMAGE)
        rows[contrast.label(c)] = {
            e: np.mean([share for (_, effect), share in shares.items() if effect == e]) for e in PLAIN_DAMAGE
        }
    return pd.DataFrame(rows).round(2)


def harmless(trials: Mapping) -> pd.DataFrame:
    """Largest change over the sources, as a share of mid."""
    rows = {
        contrast.label((e, d)): {
            v: max((t[e][d][v] for t in trials["nuisance"].values()), key=abs) for v in NUISANCES
        }
        for e, d in drawn(trials)
    }
    return pd.DataFrame(rows).T.round(3)


def bad_files(trials: Mapping) -> pd.DataFrame:
    """Mean change over the sources, as a share of mid, for every distance on the numbers of this one."""
    rows = {
        contrast.label((e, d)): {
            f"{float(share):.0%} bad": np.mean([t[e][d][share] for t in trials["robustness"].values()])
            for share in map(str, BAD_SHARES)
        }
        for e, d in contrast.candidates(trials)
        if e == THIS[0]
    }
    return pd.DataFrame(rows).T.round(3)


def own_test(trials: Mapping) -> pd.DataFrame:
    """The permutation test of ``compare``, source by source."""
    rows = []
    for source, tables in trials["permutation"].items():
        tested = dict(tables[THIS[0]]["compare"])
        alarms, draws = tested.pop("clean")
        shares = [hits / drawn for hits, drawn in tested.values()]
        rows.append(
            {
                "source": source,
                "small effects": len(tested),
                f"power, N = {trials['settings']['size']}": percent(np.mean(shares), 1),
                "power of the value": percent(contrast.power_of_source(trials, THIS, source), 1),
                "false alarms": f"{percent(alarms / draws, 1)} of {draws}",
            }
        )
    return _table(rows)


def side_by_side(trials: Mapping) -> pd.DataFrame:
    """This distance, Frechet and Gaussian MMD; see ``contrast.side_by_side``."""
    rows = []
    for row in contrast.side_by_side(trials):
        alarms = row["false_alarms"]
        low, high = (percent(end, 1) for end in alarms["interval"])
        cells = {
            "": row["label"],
            "zero: mean between samples of one source, share of mid": mean_text(row["zero"], 2),
            "small effects found by the test": percent(row["power"], 1),
            "`compare` finds more, points": points(row["lead"]) if row["lead"] else NONE,
            f"false alarms at {percent(ALPHA)}": f"{percent(alarms['share'], 1)} ({low} to {high})",
            "harmless changes move it, at most": percent(row["harmless"], 1),
            "pairs judged right": f"{row['right']} of {row['pairs']}",
            "embedding, ms a second of audio": num(row["embedding_ms"], 1),
        }
        if "listeners" in row:
            cells["listeners, Spearman"] = mean_text(row["listeners"], 2)
            cells["`distance` agrees more"] = lead_text(row["ahead"], 2) if row["ahead"] else NONE
        rows.append(cells)
    return _table(rows)


def soundness_of_tests(trials: Mapping) -> pd.DataFrame:
    """Share of draws with p at most 5 %, a pair of sets a row."""
    tests = {"this distance": (THIS[0], "compare")}
    tests |= {
        contrast.label((e, d)): (e, d) for e in trials["soundness"] for d in ("frechet", "gaussian_mmd")
    }
    columns: dict[str, dict] = {
        "must differ": {pair: row["must_differ"] for pair, row in trials["soundness"][THIS[0]].items()}
    }
    for name, (e, test) in tests.items():
        columns[name] = {
            pair: float(np.mean([value <= ALPHA for value in row[test]]))
            for pair, row in trials["soundness"][e].items()
        }
    return pd.DataFrame(columns)


def order_of_tones(trials: Mapping) -> pd.DataFrame:
    """How many candidates order the challenge's sets as published, clean, both or neither."""
    rows = {
        contrast.label((e, d)): {"published": t["wrap"]["right"], "clean": t["clip"]["right"]}
        for e, tables in trials["tones"].items()
        for d, t in tables.items()
    }
    return pd.DataFrame(rows).T.groupby(["published", "clean"]).size().rename("candidates").to_frame()


def against(trials: Mapping, count: int = 14) -> pd.DataFrame:
    """Paired differences, this distance minus each of the best by score: power, listeners."""
    mine, rows = contrast.listeners(trials, THIS), {}
    for c, _ in contrast.ranking(contrast.scores(trials))[:count]:
        if c != THIS:
            heard = contrast.listeners_difference(trials, mine, contrast.listeners(trials, c))
            rows[contrast.label(c)] = {
                "small effects found, points": points(contrast.power_difference(trials, THIS, c)),
                "listeners, Spearman": lead_text(heard, 2),
            }
    return pd.DataFrame(rows).T


# Listeners


def listeners(trials: Mapping) -> pd.DataFrame:
    """Agreement with listeners, mean over the rated sets."""
    agreements = {"metrics.distance, windows and all": contrast.shipped(trials)}
    agreements |= {contrast.label(c): contrast.listeners(trials, c) for c in drawn(trials)}
    columns = {"spearman": "Spearman", "kendall": "Kendall", "pairs": "pairs ordered as listeners do"}
    return _table(
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
    return _table(
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
    return _table(rows)


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
    return _table(rows)


def chosen(listening: Mapping) -> pd.DataFrame:
    """What was taken for each laboratory that was left out."""
    rows = {name: row["chosen"] for name, row in listening["families"].items() if name != "b learned"}
    return pd.DataFrame(rows).rename_axis("judged on")


# The gate


def verdicts(regressions: Mapping) -> pd.DataFrame:
    """What the gate says of each ablation with all seeds and with the first few, and by view."""
    seeds = str(regressions["seeds"])
    rows = []
    for name, row in regressions["ablations"].items():
        if "verdicts" not in row:  # the baseline
            continue
        judged = row["verdicts"]
        views = [judged[view][seeds]["verdict"] for view in ("envelope", "attack", "fine_structure")]
        rows.append(
            {
                "ablation": words(name),
                "what it is": row["why"],
                f"effect on the distance, {seeds} pairs of seeds": effect_text(judged["distance"][seeds], 4),
                **{f"verdict with {n}": verdict["verdict"] for n, verdict in judged["distance"].items()},
                f"tried alone, {seeds}": row["alone"]["verdict"],
                "envelope, attack, fine structure": ", ".join(views),
            }
        )
    return _table(rows)


def verdicts_by_seeds(regressions: Mapping) -> pd.DataFrame:
    """The verdicts of every metric, by number of seeds."""
    rows = {}
    for name, row in regressions["ablations"].items():
        for metric, by_seeds in row.get("verdicts", {}).items():
            rows[name, metric] = {f"{n} seeds": verdict["verdict"] for n, verdict in by_seeds.items()}
    return pd.DataFrame(rows).T


def alarms(calibration: Mapping) -> pd.DataFrame:
    """Share of verdicts of worse or better where nothing changed."""
    rows = {
        (kind, metric): {f"{n} seeds": cell["share"] for n, cell in row.items()}
        for kind, table in calibration["false_alarms"].items()
        for metric, row in table.items()
    }
    return pd.DataFrame(rows).T.round(4)


def promises(calibration: Mapping) -> pd.DataFrame:
    """Regressions caught with as many seeds as planned: share (seeds), by effect in spreads."""
    rows = {
        (kind, metric): {
            f"{effect} spreads": f"{percent(cell['share'], 1)} ({cell['seeds']} seeds)"
            for effect, cell in row.items()
        }
        for kind, table in calibration["planted"].items()
        for metric, row in table.items()
    }
    return pd.DataFrame(rows).T


# Autoencoders


def ladder(autoencoders: Mapping) -> pd.DataFrame:
    """Every rung from recordings to samples: distance with interval, and the verdict."""
    rows = {"recordings": {"distance": _rung(autoencoders["floor"], 4)}}
    for name, trip in autoencoders["ceiling"].items():
        rows[f"round trip, {CEILINGS[name]}"] = {"distance": _rung(trip, 4)}
    for kind in ("reconstructions", "samples"):
        for name, row in autoencoders["models"].items():
            judged = row.get("verdicts", {}).get(kind)
            rows[f"{words(name)}: {kind}"] = {
                "distance": mean_text(row[kind], 4),
                "against the simple one": judged["verdict"] if judged else "the baseline",
                "effect": effect_text(judged) if judged else "",
            }
    return pd.DataFrame(rows).T.fillna("")


def _rung(row: Mapping, digits: int = 3) -> str:
    return f"{num(row['value'], digits)} ({interval(row['interval'], digits)})"


def models(autoencoders: Mapping) -> pd.DataFrame:
    """What each model costs, and how near it comes."""
    return _table(
        {
            "model": words(name),
            "parameters": f"{row['model'][0]['parameters']:,.0f}",
            "training, minutes": num(np.mean(row["seconds"]) / 60, 1),
            "reconstructions": mean_text(row["reconstructions"]),
            "samples": mean_text(row["samples"]),
        }
        for name, row in autoencoders["models"].items()
    )


def verdicts_of_models(autoencoders: Mapping) -> pd.DataFrame:
    """The gate's verdict on each model's samples, and how many of its digits are recognised."""
    rows = []
    for name, row in autoencoders["models"].items():
        judged = row.get("verdicts", {}).get("samples")
        effect = f"{signed(judged['effect'], 3)}, p = {p_text(judged['p_value'])}" if judged else NONE
        made, sampled = (row["recognised"][kind][0] for kind in ("reconstructions", "samples"))
        rows.append(
            {
                "model": words(name),
                "samples against the simple one": judged["verdict"] if judged else "the baseline",
                "effect": effect,
                "digits recognised: reconstructions": percent(made["right"]),
                "samples": percent(sampled["right"])
                if "right" in sampled
                else f"no label ({percent(sampled['sure'])} sure)",
            }
        )
    return _table(rows)


def recognised(autoencoders: Mapping) -> pd.DataFrame:
    """Shares of digits recognised as what they should be, 95 % by Wilson; seed 0 of the models."""
    rows = dict(autoencoders["recognised"])
    for kind in ("reconstructions", "samples"):
        for name, row in autoencoders["models"].items():
            rows[f"{words(name)}: {kind}"] = row["recognised"][kind][0]
    return pd.DataFrame(
        {
            name: {
                "right": _share(row["right"], row["interval"]) if "right" in row else "no label",
                f"recogniser sure ({percent(autoencoders['sure'])} or more)": percent(row["sure"]),
                "missing digit-speaker pairs": sum(count == 0 for line in row["cells"] for count in line),
            }
            for name, row in rows.items()
        }
    ).T


def _share(share: float, ends: Iterable[float], digits: int = 0) -> str:
    low, high = (percent(end, digits) for end in ends)
    return f"{percent(share, 1)} ({low} to {high})"


def faults(autoencoders: Mapping) -> pd.DataFrame:
    """The gate's verdict on each planted fault."""
    planted = autoencoders["faults"]
    return _table(
        {
            "fault": words(name),
            f"distance of samples, mean of {autoencoders['seeds']} seeds": num(np.mean(row["values"])),
            "effect": effect_text(row),
            f"verdict, corrected for {len(planted)}": row["verdict"],
            "tried alone": row["alone"]["verdict"],
            "recordings after the faulty round trip, no model": _rung(row["round_trip"])
            if "round_trip" in row
            else "not in the spectrogram",
        }
        for name, row in planted.items()
    )


# The classifier


def divisions(classifier: Mapping) -> pd.DataFrame:
    """Accuracy by what is held out, beside the baselines."""
    return _table(
        {
            "held out": HELD_OUT[name],
            "files": row["files"],
            "accuracy": percent(row["accuracy"], 1),
            "95 %": f"{num(100 * row['interval'][0], 1)} to {percent(row['interval'][1], 1)}",
            "commonest label": percent(row["baselines"]["majority"]["accuracy"], 1),
            "MFCC, logistic regression": percent(row["baselines"]["cepstral"]["accuracy"], 1),
            "groups ignored": percent(row["flattered"]["accuracy"], 1) if "flattered" in row else NONE,
        }
        for name, row in classifier["divisions"].items()
    )


def rungs(classifier: Mapping) -> pd.DataFrame:
    """The classifier's ladder: accuracy, and the gate's verdict on each step."""
    rows = {}
    for name, row in classifier["ladder"].items():
        rows[RUNGS[name]] = {"accuracy": _share(row["accuracy"], row["interval"], 1)}
        if "verdict" in row:
            rows[RUNGS[name]] |= {
                "gain, points": points({"mean": row["gain"], "interval": row["gain_interval"]}),
                "against": RUNGS[row["against"] or "whole"],
                "p": f"{row['p_value']:.2g}",
                "verdict": row["verdict"],
            }
    return pd.DataFrame(rows).T.fillna("")


def new_folders(classifier: Mapping) -> pd.DataFrame:
    """Each condition by set, averaged over folds: percentage points of accuracy lost, and distance."""
    folders = pd.DataFrame(classifier["folders"])
    folders["lost"] = 100 * folders["drop"]
    folders["folder"] = [
        f"{words(row.kind)}{f', {row.grade}' if row.kind in classifier['changes'] else ''}"
        for row in folders.itertuples()
    ]
    order = list(dict.fromkeys(folders["folder"]))
    columns = [(name, number) for name in DIVISIONS for number in ("lost", "distance")]
    table = folders.pivot_table(index="folder", columns="data", values=["lost", "distance"], sort=False)
    table = table.swaplevel(axis=1).reindex(index=order, columns=columns)
    return table.map(
        lambda value: "" if pd.isna(value) else f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"
    )


def predictions(classifier: Mapping) -> pd.DataFrame:
    """Rank correlations of the accuracy lost with the distance, and with the loss of confidence."""
    rows = []
    for name, row in classifier["prediction"].items():
        if name != "warnings":
            cells = {
                title: f"{num(row[key]['spearman'], 2)} ({interval(row[key]['interval'], 2)})"
                for key, title in (("distance", "distance"), ("less_sure", "loss of confidence"))
            }
            label = "all together" if name == "all" else DIVISIONS[name]
            rows.append({"": label, "conditions": row["conditions"], **cells})
    return _table(rows)


def warned(classifier: Mapping) -> pd.DataFrame:
    """How many folders `predict` would have warned of, by the accuracy that was lost there."""
    warnings, rows = classifier["prediction"]["warnings"], []
    for place, row in enumerate(warnings):
        least, most = num(100 * row["least_drop"], 0), num(100 * row["most_drop"], 0)
        if place == 0:
            lost = f"below {most}"
        elif place == len(warnings) - 1:
            lost = f"{least} and more"
        else:
            lost = f"{least} to {most}"
        rows.append(
            {
                "accuracy lost, percentage points": lost,
                "folders": row["folders"],
                "warned of": row["warned"],
            }
        )
    return _table(rows)


def trained_embeddings(trained: Mapping) -> pd.DataFrame:
    """A trained embedding among others: mean share of small effects found, by source."""
    return _table(
        {"embedding": row["name"], **{source: percent(share) for source, share in row["shares"].items()}}
        for row in contrast.by_embedding(trained)
    )
