"""The words of the page: what is known before a browser runs anything, every text escaped.

Conventions
    words     any text; ``text`` makes it fit for markup. Nothing else here writes a name into HTML.
    drawing   an empty element that Bokeh fills, with a label that says in words what it shows.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from audio_distance.comparison import Comparison, interval_text, p_text
from audio_distance.display import decimals, sentence
from audio_distance.distance import difference
from audio_distance.output import printable
from audio_distance.page.contents import JOINED_PAIRS, Map
from audio_distance.page.landmarks import DEALS, FILES, Landmark

Rows = Iterable[Sequence[str]]


def shown(name: str) -> str:
    """A name as it can be read: what is invisible or turns the direction of text stands as an escape."""
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"} else c
        for c in printable(name)
    )


def text(words: str) -> str:
    """Words as markup that shows them, within quotes too."""
    return html.escape(shown(words))


def items(lines: Iterable[str]) -> str:
    """A list of lines; nothing of none."""
    rows = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f'<ul class="notes">{rows}</ul>' if rows else ""


def small(words: str) -> str:
    """A paragraph that explains."""
    return f'<p class="small">{text(words)}</p>'


def drawing(key: str, label: str) -> str:
    """The place of a drawing."""
    return f'<div class="drawing" id="{key}" role="img" aria-label="{text(label)}"></div>'


def table(caption: str, head: Sequence[str], rows: Rows) -> str:
    """A table of texts; the first of each row is its heading."""
    lines = "".join(
        f'<tr><th scope="row"><bdi>{text(row[0])}</bdi></th>'
        + "".join(f"<td>{text(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    heads = "".join(f'<th scope="col">{text(cell)}</th>' for cell in head)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table><caption>'
        f"{text(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def ranking(results: Mapping[str, Comparison]) -> str:
    """Several candidates, the nearest first, what tells neighbours apart, and the place of the tabs."""
    if len(results) < 2:
        return ""
    order = sorted(results, key=lambda name: results[name].value)
    rows = []
    for place, name in enumerate(order):
        r, told = results[name], ""
        above = results[order[place - 1]] if place else r
        if place and r.interval is not None and above.interval is not None:
            gap = difference(r, above)
            told = f"{'farther' if gap.p_value <= 0.05 else 'cannot be told'} (p = {gap.p_value:.2g})"
        rows.append((name, decimals(r.value), interval_text(r.interval), p_text(r), r.verdict, told))
    head = ("candidate", "distance", "95 % interval", "p", "verdict", "from the one above")
    return (
        f'<section class="ranking"><h2>Candidates</h2>{table("The nearest first", head, rows)}'
        '<div id="tabs" role="tablist" aria-label="Candidates"></div></section>'
    )


def panel(
    key: str,
    name: str,
    result: Comparison,
    *,
    found: Map,
    pairs: int,
    landmarks: Sequence[Landmark],
    apart: Rows,
    groups: Rows,
) -> str:
    """All sections of one candidate.

    ``pairs`` is how many there are; ``apart`` are rows of what is no part of the distance; ``groups`` of a
    group and its contribution, none where the files are the units.
    """
    views = [(view, decimals(value)) for view, value in result.views.items()]
    by_frequency = (
        "<h3>By frequency</h3>"
        + drawing(f"{key}-curve", "Level of the candidate minus the reference, by frequency")
        + small("Mean level in each band, both sets at one total level; shaded: 95 %, band by band.")
        + drawing(f"{key}-parts", "What each band adds to the envelope view's value")
        + small("What each band adds to the value of the envelope view.")
    )
    return (
        f'<div class="panel" id="{key}">'
        f"<section><h2>Verdict</h2>{_verdict(key, name, result, landmarks)}</section>"
        f"<section><h2>Map</h2>{_map(key, found, pairs)}</section>"
        f"<section><h2>What differs</h2>{table('View by view', ('view', 'distance'), views)}"
        + (by_frequency if result.bands else "")
        + table("Apart from the distance, candidate minus reference", ("", "difference", "95 %"), apart)
        + "</section><section><h2>Files</h2>"
        + (
            table("Groups of the candidate, by contribution", ("group", "contribution"), groups)
            if groups
            else ""
        )
        + f'<div id="{key}-files"></div></section>'
        f'<section><h2>Blind test</h2><div id="{key}-blind"></div></section></div>'
    )


def _verdict(key: str, name: str, result: Comparison, landmarks: Sequence[Landmark]) -> str:
    r, kind = result, "" if result.exact else "random "
    words = sentence(name, r, interval=interval_text(r.interval), p=p_text(r))
    marks = "".join(
        f"; {mark.name} {decimals(mark.value)} ({interval_text(mark.interval)})" for mark in landmarks
    )
    counted = (
        f"{r.reference.files:,} files of the reference ({r.reference.seconds:,.1f} s), "
        f"{r.candidate.files:,} of the candidate ({r.candidate.seconds:,.1f} s). Two samples of one source "
        "have 0, on average."
    )
    return (
        f'<p class="verdict">{text(words)}</p><p>{text(counted)}</p>'
        + items(r.warnings)
        + drawing(
            f"{key}-scale", f"Scale: {decimals(r.value)}, 95 % interval {interval_text(r.interval)}{marks}"
        )
        + small(
            (
                f"Diamonds: files of the reference itself ({FILES} at most) after a fault, with 95 % "
                f"intervals; two halves of them, dealt {DEALS} times: the mean and the middle 95 %. "
                if landmarks
                else ""
            )
            + "Grey: where 95 % of the values lie when the files of both sets are dealt anew."
        )
        + "<h3>Where p comes from</h3>"
        + drawing(
            f"{key}-null",
            f"Histogram of the test's statistic in {r.permutations:,} {kind}rearrangements; observed: "
            f"{r.statistic:.2f}",
        )
        + small(
            f"p = {p_text(r)}: the share of {r.permutations:,} {kind}rearrangements that reach the marked "
            "statistic, itself among them."
        )
    )


def _map(key: str, found: Map, pairs: int) -> str:
    share = 100 * found.explained.sum()
    joined = "<span>— a pair</span>" if 0 < pairs <= JOINED_PAIRS else ""
    # An application, for a screen reader would keep the arrow keys to itself.
    keys = (
        "Arrow keys move a box over it, plus and minus size the box, Enter goes to the list of what it holds"
    )
    return (
        '<p class="legend"><span class="reference">● reference</span> '
        '<span class="candidate">▲ candidate</span> '
        f"<span>◌ outlined: no file of the other set is near</span> {joined}</p>"
        f'<div class="drawing" id="{key}-map" role="application" tabindex="0" aria-roledescription="map" '
        f'aria-label="Map of all files. {keys}. The table of files has the same."></div>'
        + small(
            f"Principal components of the embedding of all files ({share:.0f} % of the variance). Click a "
            f"point to hear it; drag a box to list what is in it. By keyboard: {keys[0].lower()}{keys[1:]}."
        )
        + f'<p class="small" role="status" id="{key}-told"></p>'
        f'<div class="region" id="{key}-region"></div><div id="{key}-alone"></div>'
    )
