"""A music collection: what it holds, who likes which song, what leaks, what is found, how sets lie.

``songs`` is results/songs.json, ``songs_speed`` results/songs_speed.json.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from report.figures.songs import DIVISIONS, LEARNERS
from report.numbers import interval, num, percent
from report.tables.table import NONE, table_of

PLAIN = {"precision": "precision", "recall": "recall"}
MEASURES = {"f05": "F0.5", "auc": "AUC", "average_precision": "average precision", "brier": "Brier"}


def collections_of_songs(songs: Mapping) -> pd.DataFrame:
    """What the collections hold, a row a label: songs, minutes, artists with a tag, codec and rate."""
    return table_of(
        {
            "collection, label": f"{name}, {label}",
            "songs": row["songs"],
            "minutes": num(row["minutes"], 0),
            "artists in tags": row["artists"],
            "codec": ", ".join(row["codecs"]),
            "rate, kHz": ", ".join(f"{rate / 1000:g}" for rate in row["rates"]),
        }
        for name, facts in songs["collections"].items()
        for label, row in facts["labels"].items()
    )


def tastes(songs: Mapping, collection: str) -> pd.DataFrame:
    """Measures of held-out answers, artists kept apart: a row a learner and unit, published rows below.

    Intervals draw artists.
    """
    found = songs["taste"][collection]["learners"]
    made = [
        {
            "learner": f"{LEARNERS[learner]}, per {unit[:-1]}",
            **{title: num(scores[measure]["value"], 2) for measure, title in PLAIN.items()},
            **{title: _with_interval(scores[measure]) for measure, title in MEASURES.items()},
        }
        for unit in ("samples", "songs")
        for learner, units in found.items()
        for scores in (units[unit],)
    ]
    published = [
        {
            "learner": f"published: {LEARNERS[learner]}, per sample",
            **{
                title: num(row[measure], 3) if measure in row else NONE
                for measure, title in (PLAIN | MEASURES).items()
            },
        }
        for learner, row in songs["published"]["samples"].items()
    ]
    return table_of([*made, *(published if collection == "rendered" else [])])


def leaks(songs: Mapping) -> pd.DataFrame:
    """AUC by what is kept whole between learning and test, per sample and per song, both collections."""
    tables = songs["leaks"]
    return table_of(
        {
            "kept whole": DIVISIONS.get(row, row),
            **{
                f"{name}, per {unit[:-1]}": _with_interval(table[row][unit])
                for name, table in tables.items()
                for unit in ("samples", "songs")
            },
        }
        for row in next(iter(tables.values()))
    )


def copies(songs: Mapping) -> pd.DataFrame:
    """Edited copies that are recognised, a row an edit; wrong pairs are of two different songs."""
    found = songs["duplicates"]
    return table_of(
        {
            "edit": kind,
            **{
                title: text
                for name, rows in found.items()
                for title, text in (
                    (f"{name}: found", f"{rows['kinds'][kind]['found']} of {rows['kinds'][kind]['copies']}"),
                    (f"{name}: wrong pairs", rows["kinds"][kind]["false"]),
                )
            },
        }
        for kind in next(iter(found.values()))["kinds"]
    )


def tempo_and_key(songs: Mapping) -> pd.DataFrame:
    """Tempo and key of the generated tracks beside what their generator was asked for, counted."""
    truth = songs["truth"]
    total = len(truth["tracks"])
    rows = [
        ("tempo within 4 %", truth["tempo"].get("exact", 0)),
        ("tempo, an octave off", truth["tempo"].get("octave", 0)),
        ("tempo, otherwise", truth["tempo"].get("other", 0)),
        ("key: tonic and mode", truth["key"].get("exact", 0)),
        *((f"key, {name}", truth["key"].get(name, 0)) for name in ("fifth", "relative", "parallel", "other")),
    ]
    return table_of(
        {"heard": name, "tracks": f"{count} of {total}", "share": percent(count / total)}
        for name, count in rows
    )


def sets_of_songs(songs: Mapping, name: str) -> pd.DataFrame:
    """Pairs of sets: the distance with the song as the unit, and with the artist."""
    found = songs["distances"][name]
    by_artist = {(pair["one"], pair["other"]): pair for pair in found["by_artist"]}
    return table_of(
        {
            "pair": f"{pair['one']} / {pair['other']}",
            "distance": num(pair["value"], 3),
            "95 %, songs": interval(pair["interval"]),
            "p, songs": f"{pair['p_value']:.2g}",
            "95 %, artists": _of_artists(by_artist, pair, lambda row: interval(row["interval"])),
            "p, artists": _of_artists(by_artist, pair, lambda row: f"{row['p_value']:.2g}"),
        }
        for pair in found["pairs"]
    )


def songs_a_minute(songs_speed: Mapping) -> pd.DataFrame:
    """CPU time of a song of four minutes, by part, in seconds."""
    parts = songs_speed["parts"]
    names = {
        "decoding and sampling": "decoding, cutting out 30 samples of 5 s, resampling",
        "features": "features, the views of the distance among them",
        "writing": "writing the rows",
        "fingerprint": "fingerprint (a stage of its own)",
    }
    return table_of({"part": text, "CPU seconds a song": num(parts[name], 2)} for name, text in names.items())


def _of_artists(pairs: Mapping, pair: Mapping, text) -> str:
    row = pairs.get((pair["one"], pair["other"]))
    return NONE if row is None else text(row)


def _with_interval(score: Mapping) -> str:
    if score["low"] is None:
        return num(score["value"], 2)
    return f"{num(score['value'], 2)} ({num(score['low'], 2)} to {num(score['high'], 2)})"
