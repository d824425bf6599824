"""The contrast of candidate distances: what each finds, orders and overlooks.

``trials`` is results/trials.json: N = 20, 100 null draws and 10 of each effect on three sources. Intervals
are bootstraps over kinds of effect (``report.contrast``).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from report import contrast
from report.candidates import NOTES
from report.figures.style import words
from report.figures.trials import CONTRASTED, KINDS
from report.numbers import lead_text, mean_text, num, percent, points, share_text
from report.tables.table import NONE, table_of
from study.level import WHITENED
from study.trials import ALPHA, BAD_SHARES, NUISANCES, THIS

KIND_RIVALS = {  # tests that are shown kind by kind, in words
    "Frechet, aisfx": ("aisfx", "frechet"),
    "MMD, aisfx": ("aisfx", "gaussian_mmd"),
    "MMD, views": (THIS[0], "whitened gaussian_mmd"),
    "classifier, views": (THIS[0], "whitened ridge_classifier"),
    "MMD, spectrum": ("mean_spectrum", "whitened gaussian_mmd"),
}
EMBEDDINGS = {  # what their numbers are, in words
    "three_views": "envelope, attack and fine structure: what the value of this distance sees",
    "envelope": "the first of them: timbre, noise floor, rhythm",
    "fine_structure": "the last of them: tone against noise",
    "log_mel": "mean and spread over time of the log power in 80 mel bands",
    "mfcc": "mean and spread over time of 20 cepstral coefficients, their slopes and curvatures",
    "mean_spectrum": "the spectrum, averaged over time",
    "aisfx": "a network trained on sound effects",
    "resemblyzer": "a network trained on voices",
}
PLAIN_DAMAGE = (
    "5 labels dropped",
    "all labels but 1 dropped",
    "weights 9:1",
    "one repeated",
    "moment matched",
    "phase randomised",
)


def candidates() -> pd.DataFrame:
    """What each distance is, costs, sees and misses, and whether it is 0 on average for equal sources.

    Of ``report.candidates.NOTES``; n rows of d columns in either set.
    """
    return table_of(
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


def embeddings(trials: Mapping) -> pd.DataFrame:
    """What the numbers of each embedding are, and what a second of audio costs, in milliseconds of one CPU.

    A view costs what all three do, as they are computed together.
    """
    return table_of(
        {
            "embedding": words(name),
            "its numbers": EMBEDDINGS.get(name, NONE),
            "CPU, ms a second of audio": num(trials["cost"][name]["embedding_ms_per_second"], 1),
        }
        for name in trials["settings"]["embeddings"]
    )


def drawn(trials: Mapping) -> list[contrast.Candidate]:
    """The candidates that the figures contrast, those of them that were run."""
    known = contrast.candidates(trials)
    return [c for c in CONTRASTED if c in known]


def power(trials: Mapping, count: int = 25) -> pd.DataFrame:
    """The ``count`` candidates that find most of the small effects, and what this distance finds more.

    ``found`` is a share; ``this minus it`` a difference of shares, with the ends of its interval.
    """
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
    # Equal up to rounding is equal, in the order in which they were tried: so on every processor.
    table = pd.DataFrame(rows).T.round(9).sort_values("found", ascending=False, kind="stable")
    return table.head(count).round(3)


def rivals(trials: Mapping) -> pd.DataFrame:
    """The best candidate of each embedding and those drawn, by the share of small effects they find.

    ``value of this distance, minus it`` compares like with like: a value above the 95 % quantile of
    undamaged draws. ``test of compare, minus it`` puts the permutation test, which needs no such draws,
    beside the candidate's value. Both in percentage points, with an interval.
    """
    others = [c for c in contrast.candidates(trials) if c != THIS]
    powers = {c: contrast.power(trials, c) for c in others}
    # One of each embedding, or the table would be all of the best one's.
    best = [max((c for c in others if c[0] == e), key=powers.get) for e in trials["settings"]["embeddings"]]
    # Those that the figures draw are named here too.
    best += [c for c in CONTRASTED if c in powers and c not in best]
    return table_of(
        {
            "candidate": contrast.label(c),
            "found": percent(powers[c], 1),
            "value of this distance, minus it": points(contrast.power_difference(trials, THIS, c)),
            "its test, minus it": points(contrast.power_difference(trials, None, c)),
        }
        for c in sorted(best, key=powers.get, reverse=True)
    )


def plain_damage(trials: Mapping) -> pd.DataFrame:
    """Share found of what nobody should miss, an effect a row, a contrasted candidate a column.

    Mean over the sources, of three draws an effect: a share of 1 is expected, not measured finely.
    """
    rows = {}
    for c in drawn(trials):
        shares = contrast.shares(trials, c, PLAIN_DAMAGE)
        rows[contrast.label(c)] = {
            e: np.mean([share for (_, effect), share in shares.items() if effect == e]) for e in PLAIN_DAMAGE
        }
    return pd.DataFrame(rows).round(2)


def harmless(trials: Mapping) -> pd.DataFrame:
    """Change of the value by what no listener hears, a candidate a row: the largest over the sources.

    As a share of the change by a mid distortion, with its sign; N = 50.
    """
    rows = {
        contrast.label((e, d)): {
            v: max((t[e][d][v] for t in trials["nuisance"].values()), key=abs) for v in NUISANCES
        }
        for e, d in drawn(trials)
    }
    return pd.DataFrame(rows).T.round(3)


def bad_files(trials: Mapping) -> pd.DataFrame:
    """Change of the value when 1, 5 or 10 of 100 files are noise, for every distance on the three views.

    Mean over the sources, as a share of the change by a mid distortion of all files.
    """
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
    """The permutation test of ``compare``, a source a row: power, that of the value alone, false alarms.

    The value's power needs undamaged draws to be calibrated on; the test's does not.
    """
    rows = []
    for source, tables in trials["permutation"].items():
        tested = dict(tables[THIS[0]]["compare"])
        alarms, draws = tested.pop("clean")  # what is left are the effects
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
    return table_of(rows)


def side_by_side(trials: Mapping) -> pd.DataFrame:
    """This distance, Frechet and Gaussian MMD, a row each embedding they were tested on.

    Zero (mean and interval over draws, as a share of mid at the same N), power of the permutation test, false
    alarms (Wilson interval), the largest harmless change, CPU milliseconds that the embedding of a second
    takes; and agreement with listeners where rated sets were there. See ``contrast.side_by_side``, and
    ``level`` for the pairs judged right and the same tests whitened.
    """
    rows = []
    for row in contrast.side_by_side(trials):
        alarms = row["false_alarms"]
        cells = {
            "": row["label"],
            "zero": mean_text(row["zero"], 2),
            "found": percent(row["power"], 1),
            f"false alarms at {percent(ALPHA)}": share_text(alarms["share"], alarms["interval"], 1),
            "harmless, at most": percent(row["harmless"], 1),
            "ms": num(row["embedding_ms"], 1),
        }
        if "listeners" in row:
            cells["listeners"] = mean_text(row["listeners"], 2)
            cells["this distance agrees more"] = lead_text(row["ahead"], 2) if row["ahead"] else NONE
        rows.append(cells)
    return table_of(rows)


def wrong_pairs(trials: Mapping) -> pd.DataFrame:
    """On which embeddings Frechet and Gaussian MMD, as they come, judge a pair of sets wrong: a row a pair.

    The pairs that both judge right on every embedding are left out.
    """
    judged = {
        (test, embedding): contrast.sound(trials, embedding, test)
        for test in ("frechet", "gaussian_mmd")
        for embedding in trials["soundness"]
    }
    rows = []
    for pair in next(iter(judged.values())):
        wrong = {
            test: ", ".join(words(e) for (t, e), right in judged.items() if t == test and not right[pair])
            for test in ("frechet", "gaussian_mmd")
        }
        if any(wrong.values()):
            rows.append(
                {
                    "judged wrong": pair,
                    "by Frechet on": wrong["frechet"] or NONE,
                    "by Gaussian MMD on": wrong["gaussian_mmd"] or NONE,
                }
            )
    return table_of(rows)


def level(trials: Mapping) -> pd.DataFrame:
    """Rival tests with the same tools: a row an embedding and preparation, a column a statistic.

    A cell has the share of small effects found, and how many pairs of sets are judged as they must be. This
    distance's own test is no row: it is not a statistic on one embedding.
    """
    rows: dict[tuple[str, bool], dict[str, str]] = {}
    for row in contrast.level(trials)[1:]:
        whitened = row["test"].startswith(WHITENED)
        cell = f"{percent(row['power'], 1)} ({row['right']})"
        rows.setdefault((row["embedding"], whitened), {})[row["test"].removeprefix(WHITENED)] = cell
    return table_of(
        {
            "numbers": f"{words(embedding)}, {'whitened' if whitened else 'as they come'}",
            **{words(test): cell for test, cell in cells.items()},
        }
        for (embedding, whitened), cells in rows.items()
    )


def level_by_kind(trials: Mapping) -> pd.DataFrame:
    """Share of draws in which each kind of small damage is found, by this test, rivals and an oracle.

    A row a kind (all sources and severities together), with its number of effects and draws. The oracle reads
    labels; where there is nothing to read it has no entry.
    """
    tests = {"`compare`": (THIS[0], "compare"), **KIND_RIVALS}
    return table_of(
        {
            "damage": KINDS.get(row["kind"], words(row["kind"])),
            "effects, draws": f"{row['effects']}, {row['draws']}",
            **{name: percent(share) for name, share in zip(tests, row["found"], strict=True)},
            "oracle": NONE if row["oracle"] is None else percent(row["oracle"]),
        }
        for row in contrast.by_kind(trials, list(tests.values()))
    )


def soundness_of_tests(trials: Mapping) -> pd.DataFrame:
    """Share of draws with p at most 5 %, a pair of sets a row, a test a column.

    ``must differ`` says what it should be: near 1 if it is true, at most about .05 if not.
    """
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
    """How many candidates order test1 > test2 > background, as published, clean, both or neither.

    Index: (published, clean), true or false. The background is the mean of its halves against each other.
    """
    rows = {
        contrast.label((e, d)): {"published": t["wrap"]["right"], "clean": t["clip"]["right"]}
        for e, tables in trials["tones"].items()
        for d, t in tables.items()
    }
    return pd.DataFrame(rows).T.groupby(["published", "clean"]).size().rename("candidates").to_frame()


def against(trials: Mapping, count: int = 14) -> pd.DataFrame:
    """Paired differences, this distance minus each of the ``count`` best by score.

    In the share of small effects found (percentage points, interval over kinds) and in Spearman correlation
    with listeners (interval over laboratories).
    """
    mine, rows = contrast.listeners(trials, THIS), {}
    for c, _ in contrast.ranking(contrast.scores(trials))[:count]:
        if c != THIS:
            heard = contrast.listeners_difference(trials, mine, contrast.listeners(trials, c))
            rows[contrast.label(c)] = {
                "small effects found, points": points(contrast.power_difference(trials, THIS, c)),
                "listeners, Spearman": lead_text(heard, 2),
            }
    return pd.DataFrame(rows).T
