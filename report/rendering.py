"""``report.md``, the pages of ``chapters/`` and their figures from the results.

Conventions
    results    each ``results/NAME.json`` is the variable NAME of the template; a result that is
               not there is undefined, and its section is left out. Any other name that is unknown
               is an error, so no number can go missing silently.
    numbers    come from results, or from the code they describe (``recipe``); the template holds
               none, and ``report.numbers`` rounds them.
    tables     are made by ``report.tables``, which notebooks show too; the template holds no row.
    figures    are named by ``{% call figure("NAME") %}what to see, with n{% endcall %}``, see ``figure``.
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jinja2
import numpy as np

import gen_audio
from audio_distance import features, views
from audio_distance.pooling import SAFE
from audio_distance.texture import TEXTURE
from audio_distance.units import BLOCK_UNITS
from experiments.listening import FAMILIES
from experiments.statistics import ALPHA
from report import contrast, tables
from report.candidates import NOTES
from report.figures import style
from report.figures.index import FIGURES
from report.numbers import interval, lead_text, num, p_text, percent, signed
from report.references import references
from report.tables.quality import lead
from report.trainings import by_speaker

ROOT = Path(__file__).parents[1]
TEMPLATE = Path(__file__).with_name("template.md")
REPORT = ROOT / "report.md"
CHAPTERS = ROOT / "chapters"
PAGES = {
    REPORT: TEMPLATE,
    **{CHAPTERS / path.name: path for path in sorted(TEMPLATE.with_name("chapters").glob("*.md"))},
}


# Filters


def spread(seeds: Sequence[Mapping], kind: str, test: str) -> str:
    """Smallest to largest value over the seeds of the noise, of a writing (``kind``) and a test, as text."""
    values = [seed[kind][test]["value"] for seed in seeds]
    return interval((min(values), max(values)))


def above(bands: Sequence[Mapping], hertz: float) -> float:
    """Sum of the parts of the envelope view whose band begins at ``hertz`` or higher."""
    return sum(b["value"] for b in bands if float(b["name"].split("-")[0]) >= hertz)


def coverage(row: Mapping[str, Sequence[int]]) -> str:
    """Lowest and highest share over the effects, as text in percent; ``row``: effect -> [held, trials]."""
    shares = [held / trials for held, trials in row.values()]
    return f"{num(100 * min(shares), 0)} to {percent(max(shares))}"


def nearest(table: Mapping) -> dict:
    """The pair of different sets with the smallest distance: ``names`` of the two and ``value``."""
    return _extreme(table, np.argmin)


def farthest(table: Mapping) -> dict:
    """The pair of different sets with the largest distance: ``names`` of the two and ``value``."""
    return _extreme(table, np.argmax)


def largest_p(table: Mapping) -> float:
    """Largest p-value between different sets of a table: how sure all of them are."""
    values = np.array(table["p_value"])
    return float(values[_upper(table)].max())


def pairs(table: Mapping) -> int:
    """Number of pairs of different sets of a table."""
    return math.comb(len(table["names"]), 2)


def _upper(table: Mapping) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(len(table["names"]), 1)  # each pair once, and no set against itself


def _extreme(table: Mapping, choose) -> dict:
    rows, columns = _upper(table)
    values = np.array(table["value"])[rows, columns]
    index = int(choose(values))
    names = [table["names"][rows[index]], table["names"][columns[index]]]
    return {"names": names, "value": float(values[index])}


def of_kind(classifier: Mapping, kind: str) -> dict[str, float]:
    """Means over the new folders of one kind, all sets together.

    ``drop`` (accuracy lost, a share), ``distance``, ``seen`` (share with p of 5 % or less), ``folders``
    (their number).
    """
    rows = [row for row in classifier["folders"] if row["kind"] == kind]
    seen = [row["p_value"] <= ALPHA for row in rows]
    means = {name: float(np.mean([row[name] for row in rows])) for name in ("drop", "distance")}
    return {**means, "seen": float(np.mean(seen)), "folders": len(rows)}


def between_seeds(classifier: Mapping) -> float:
    """The most by which networks that differ in their seed differ in accuracy on one fold, a share."""
    return max(max(fold) - min(fold) for fold in classifier["committees"]["alone"])


def quoted(text: str) -> str:
    """Every line of a text as a line of a quotation in Markdown."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


FILTERS = {  # what the template may call; the rest of its words are results
    "markdown": tables.markdown,
    "signed": signed,
    "lead": functools.partial(lead_text, digits=2),
    "by_embedding": contrast.by_embedding,
    "by_speaker": by_speaker,
    "between_seeds": between_seeds,
    "of_kind": of_kind,
    "quoted": quoted,
    "num": num,
    "p": p_text,
    "interval": interval,
    "percent": percent,
    "commas": "{:,}".format,
    "spread": spread,
    "above": above,
    "coverage": coverage,
    "nearest": nearest,
    "farthest": farthest,
    "largest_p": largest_p,
    "pairs": pairs,
}


# Rendering


def context(results: Mapping[str, Mapping], page: Path = REPORT) -> dict:
    """The template's variables: the results, tables of them, and facts of the code they describe.

    ``results``: name -> content, of which ``challenge`` must be there; ``page``: where links start, one of
    ``PAGES``. A number of the recipe is read from
    the module that uses it, so that the text cannot say another. Levels are in dB: ``noise_db`` of each
    set's noise under its tone's RMS, ``trim_db`` of the silence that is cut under the peak.
    """
    sets = results["challenge"]["sets"]
    test1 = sets["clean"]["test1"]["candidate"]
    return {
        **results,
        "historic": sets["historic"],
        "clean": sets["clean"],
        # What takes a second, only for a page that asks.
        "tested_alike": functools.cache(lambda: contrast.level(results["trials"])),
        "tested_by_source": functools.cache(lambda: contrast.test_power_by_source(results["trials"])),
        "contrasted": functools.cache(lambda: contrast.summary(results["trials"])),
        "quality_lead": functools.cache(lambda: lead(results["quality"], results["trials"])),
        "older": functools.partial(older, results),
        "figure": functools.partial(figure, results, page.parent),
        "tables": tables,
        "notes": NOTES,
        "references": references(),
        "families": FAMILIES,
        "recipe": {name: value for name, value in (vars(views) | vars(features)).items() if name.isupper()},
        "texture": TEXTURE,
        "safe": SAFE,
        "block_units": f"{BLOCK_UNITS:,}",
        "level": ALPHA,
        # The RMS of a sine is its peak over sqrt(2); the noise is a share of the peak.
        "noise_db": {
            name: -20 * math.log10(noise * math.sqrt(2))
            for name, (_, noise) in gen_audio.SETS.items()
            if noise
        },
        "trim_db": -20 * math.log10(features.TRIM),
        "samples": f"{round(test1['seconds'] * test1['rates'][0]):,}",
    }


def older(results: Mapping[str, Mapping], *names: str) -> str:
    """A line that says which of the results ``names`` are of another version of the recipe; "" if none is."""
    version = {name: results[name]["header"]["recipe"].partition("-")[0] for name in names if name in results}
    aged = [name for name in version if version[name] != str(features.RECIPE_VERSION)]
    if not aged:
        return ""
    listed = ", ".join(f"`{name}`" for name in aged)
    return (
        f"> Measured with version {' and '.join(sorted({version[name] for name in aged}))} of the recipe, "
        f"not yet with version {features.RECIPE_VERSION}: {listed}. What is said here of the distance is "
        "said of that version.\n"
    )


def figure(results: Mapping[str, Mapping], folder: Path, name: str, *, caller: Callable[[], str]) -> str:
    """A figure of ``FIGURES`` in Markdown: image, and below it a line in italics.

    The line is the body of the template's ``call``, then the command and the results that the figure is
    drawn from. The first sentence of the body, without markup, stands where the image cannot be shown or
    seen. "" where a result is not there: then the figure is not drawn either.

    Parameters
    ----------
    results : name -> content
    folder : path
        Of the page, where links start.
    name : str
        A key of ``FIGURES``.
    caller : function without arguments
        The body: what to see, in sentences, and n. Without ``*``, which would end the italics.

    Raises
    ------
    ValueError
        For a name that is no figure, and for a body that is empty or holds a ``*``.
    """
    if name not in FIGURES:
        raise ValueError(f"no figure is named {name!r}; there are {', '.join(FIGURES)}")
    _, *sources = FIGURES[name]
    if any(source not in results for source in sources):
        return ""
    caption = " ".join(caller().split())
    if not caption or "*" in caption:
        raise ValueError(f"the caption of {name} is {caption!r}; it needs text, and none with a *")
    seen = re.sub(r"[`_]|\[([^\]]*)\]\([^)]*\)", r"\1", re.split(r"(?<=[.?!])\s", caption)[0])

    def link(path: Path) -> str:
        return Path(os.path.relpath(path, folder)).as_posix()

    origins = ", ".join(
        f"`{results[source]['header']['made_by']}`: "
        f"[{source}.json]({link(ROOT / 'results' / f'{source}.json')})"
        for source in sources
    )
    return f"![{seen}]({link(style.FOLDER / f'{name}.png')})\n\n*{caption} {origins}.*\n"


def render(results: Mapping[str, Mapping], page: Path = REPORT) -> str:
    """The text of a page of ``PAGES`` from results by name.

    Sections of results that are not there are left out. jinja2.UndefinedError for a name that is unknown.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,  # a name that changed must not leave an empty place
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, and nobody else's text
    )
    environment.filters.update(FILTERS)
    template = environment.from_string(PAGES[page].read_text(encoding="utf-8"))
    lines = template.render(context(results, page)).splitlines()
    # Blocks that are left out leave their blank lines.
    kept = [line for i, line in enumerate(lines) if line or (i and lines[i - 1])]
    return "\n".join(kept).rstrip() + "\n"


def draw(results: Mapping[str, Mapping]) -> list[Path]:
    """Save every figure whose results are all there, under ``figures/``; return their paths."""
    return [
        style.save(function(*(results[source] for source in sources)), name)
        for name, (function, *sources) in FIGURES.items()
        if all(source in results for source in sources)
    ]
