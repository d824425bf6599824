"""What does every candidate distance find, order, overlook and cost, on every candidate embedding?

Three sources (``study.sources``: 600 spoken digits that the benchmark does not use, 240 environmental sounds,
240 rendered notes, about a second each) and 19 rated sets; N = 20, 100 draws without an effect and 10 with
each (``study.trials.Settings``). The recipe's test was searched for on damage to sounds of these kinds, so
its power here may flatter. ``study.trials`` has the trials and their terms.

Each trial is kept as a part (``study.parts``) under what it depends on: rows, code, settings.
``experiments.statistics`` says why the benchmark of the shipped test is not a part of this.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

import numpy as np

from study import arranged, datasets, distances, draws, embeddings, incumbents, level, sources, trials
from study import soundness as sound_pairs
from study.agreement import agreement, laboratory_mean, spearman
from study.draws import all_effects, small_effects
from study.parts import Key, Part, computed
from study.sources import SOURCES
from study.trials import GENERAL_EMBEDDINGS, NAIVE, NETWORKS, PERMUTED, THIS, Settings

DATA = ("digits", "sounds", "rated", "rated_more")
TAKES = "under an hour"


def options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--embeddings`` and ``--sources``; an unknown name is refused before anything is loaded."""
    parser.add_argument(
        "--embeddings",
        metavar="A,B",
        type=_embeddings,
        help="which embeddings (default: the handcrafted ones and every network that is installed); "
        "FILE.pt2: one that `python -m models export` wrote",
    )
    parser.add_argument(
        "--sources",
        metavar="A,B",
        type=_sources,
        default=sources.SOURCES,
        help=f"of {', '.join(sources.SOURCES)} (default: all)",
    )


def _embeddings(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := {c for c in chosen if not c.endswith(embeddings.EXPORTED)} - set(embeddings.NAMES):
        raise argparse.ArgumentTypeError(
            f"unknown {', '.join(sorted(unknown))}; see python -m experiments list"
        )
    return chosen


def _sources(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := set(chosen) - set(sources.SOURCES):
        raise argparse.ArgumentTypeError(
            f"unknown {', '.join(sorted(unknown))}; of {', '.join(sources.SOURCES)}"
        )
    return chosen


def run(
    *,
    embeddings: tuple[str, ...] | None = None,
    sources: tuple[str, ...] = SOURCES,
    quick: bool = False,
    workers: int = -1,
    fresh: bool = False,
) -> dict:
    """Every trial on the ``sources``, of every general distance on the ``embeddings``.

    ``embeddings`` None takes the handcrafted ones and the networks that are installed; a name that ends in
    ``.pt2`` is a file. ``quick`` makes few draws of few files, to see it run; ``fresh`` computes again what
    is kept. Returns and raises as ``measure``.
    """
    settings = Settings(sources=sources, embeddings=embeddings or GENERAL_EMBEDDINGS + networks())
    if quick:
        # 210 files: robustness draws 100 of them twice.
        settings = replace(settings, files=210, null_draws=20, effect_draws=2, bias_draws=3, unit_trials=5)
    return measure(settings, workers=workers, keep=not fresh)


def networks() -> tuple[str, ...]:
    """Networks that are installed, beside the handcrafted embeddings; nothing is loaded."""
    return tuple(n for n in embeddings.installed() if n in NETWORKS)


def measured_on(measured: Mapping) -> list[str]:
    """The sets of recordings behind a result, for its header.

    Instruments are rendered, and rated sets may be missing. Asked right after measuring.
    """
    wanted = (*measured["settings"]["sources"], *datasets.RATED_FOLDERS)
    return [name for name in wanted if name != "instruments" and datasets.available(name)]


def measure(settings: Settings, *, workers: int = -1, keep: bool = True) -> dict:
    """Run every trial on everything; parts done before (same code, data, settings) are read back.

    Returns
    -------
    dict
        settings, effects   ``Settings`` as a table; source -> its effects, the order of all lists below
        power               source -> embedding -> distance -> ``found``, ``draws``, ``curve`` as lists by
                            effect, and the rest as ``study.trials.power``
        nuisance, robustness, permutation, bias
                            source -> embedding -> what the trial of that name returns
        tones, cost, units, soundness, ratings
                            embedding -> the same, where the trial needs no source
        shipped             set -> system -> value of ``metrics.distance``
        rated               set -> ratings, laboratory, figures (how the ratings were got), metric, files

    Raises
    ------
    datasets.MissingData
        Naming what is missing: leave the source out, or bring it.
    embeddings.MissingNetwork
        For an embedding that is not installed.
    """
    contents = computed(_parts(settings, workers), "trials", workers=workers, keep=keep)
    # Named once, in this order: a name for every number would make the file ten times as long.
    measured: dict = {
        "settings": asdict(settings),
        "effects": {name: all_effects(name) for name in settings.sources},
    }
    for key, content in contents.items():
        level = measured
        for word in key[:-1]:
            level = level.setdefault(word, {})
        if key[0] == "power":
            content = {name: _packed(row, measured["effects"][key[1]]) for name, row in content.items()}
        level[key[-1]] = content
    if rated := datasets.rated_names():
        measured["rated"] = {
            which: {
                "ratings": (r := datasets.rated(which)).ratings,
                "laboratory": r.laboratory,
                "figures": r.figures,
                "metric": r.metric,
                "files": [len(r.reference), *(len(s) for s in r.systems.values())],
            }
            for which in rated
        }
    return measured


def _parts(settings: Settings, workers: int) -> dict[Key, Part]:
    """Every trial, by where its content stands in the result."""
    naive = tuple(e for e, _ in NAIVE)
    every = (*settings.embeddings, *naive)
    asked = (*every, "described") if THIS[0] in every else every  # with the test that needs more numbers
    rows = sources.rows(settings.sources, asked, files=settings.files, workers=workers)
    rated = datasets.rated_names()
    # A part made by other code is made again.
    code = sources.code_stamp(
        spearman, arranged, distances, draws, embeddings, incumbents, level, sources, trials
    )
    pairs = sources.code_stamp(sound_pairs)
    code += embeddings.contents(every)
    amount = {k: v for k, v in asdict(settings).items() if k not in ("sources", "embeddings")}
    planned = {}

    def plan(key: Key, function: Callable, subject: tuple, data: str = "") -> None:
        planned[key] = Part(function, (*subject, settings), [code, data, amount])

    for e in every:
        plan(("tones", e), trials.tones, (e,))
        plan(("cost", e), trials.cost, (e,))
        if rated:
            plan(("ratings", e), trials.ratings, (e,), " ".join(rated))
        # Units need clips of several windows, and groups of several files.
        if e not in naive and {"digits", "sounds"} <= set(settings.sources):
            plan(("units", e), trials.units, (e,))
    if rated:
        plan(("shipped",), trials.shipped, (), " ".join(rated))
    # A test is told in the result by the embedding whose numbers it is made of.
    tested = {e: THIS[0] if e == "described" else e for e in asked if e in PERMUTED}
    if "digits" in settings.sources:
        for e, shown in tested.items():
            plan(("soundness", shown), trials.soundness, (e,), pairs)
    for (name, e), table in rows.items():
        # The rows themselves: another machine's embedding may differ in a digit, and is another part.
        stamp = hashlib.sha256(table.versions["clean"].tobytes()).hexdigest()
        if e in tested:
            plan(("permutation", name, tested[e]), trials.permutation, (table,), stamp)
        if e == "described":
            continue
        plan(("power", name, e), trials.power, (table,), stamp)
        if e not in naive:
            plan(("nuisance", name, e), trials.nuisance, (table,), stamp)
            plan(("robustness", name, e), trials.robustness, (table,), stamp)
            if name == settings.sources[0]:  # the digits: only they have 300 files twice
                plan(("bias", name, e), trials.bias, (table,), stamp)
    return planned


def _packed(row: dict, effects: tuple[str, ...]) -> dict:
    """``found`` and ``curve`` of a row of ``power`` as lists in the order of the effects."""
    curve = [row["curve"][e] for e in effects]
    return {
        **row,
        "found": [row["found"][e][0] for e in effects],
        "draws": [row["found"][e][1] for e in effects],
        "curve": [None if value is None else round(value, 2) for value in curve],
    }


def summary(measured: Mapping) -> str:
    """Power and agreement with listeners, a line each candidate, best power first.

    The share is of the small effects, each weighing alike, over all sources.
    """
    lines = []
    for embedding in (*measured["settings"]["embeddings"], *(e for e, _ in NAIVE)):
        powers = {s: tables[embedding] for s, tables in measured["power"].items()}
        for name in next(iter(powers.values())):
            shares = [
                hits / count
                for s, table in powers.items()
                for e, hits, count in zip(
                    measured["effects"][s], table[name]["found"], table[name]["draws"], strict=True
                )
                if e in small_effects(s)
            ]
            line = f"{np.mean(shares):.3f} found  {embedding} / {name}"
            if "ratings" in measured:
                rated = measured["rated"]
                each = {
                    w: agreement(measured["ratings"][embedding][w][name], r["ratings"])
                    for w, r in rated.items()
                }
                if any(each.values()):
                    mean = laboratory_mean(each, {w: r["laboratory"] for w, r in rated.items()}, "spearman")
                    line += f"  listeners {mean['mean']:.2f}"
            lines.append(line)
    return "\n".join(sorted(lines, reverse=True))
