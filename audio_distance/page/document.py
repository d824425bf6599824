"""The file: sections, data, clips, and the policy under which a browser opens them.

Conventions
    policy    default-src 'none'; scripts by their SHA-256 and nothing else, so that no name of a file can be
              one, and no ``eval``. Styles are allowed as they come: Bokeh writes them into shadow roots, and
              a style runs nothing.
    data      JSON in inert scripts, "<" as an escape, so that nothing in it can end one. Clips are base64 in
              ``<script type="text/plain">``, which a browser neither runs nor decodes before a click.
    bytes     the same for the same results: ids of Bokeh's models are counted anew, Ogg streams are numbered.
"""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.comparison import Comparison, interval_text, p_text
from audio_distance.description import Sound, SoundSet
from audio_distance.distance import difference
from audio_distance.errors import AudioError
from audio_distance.output import printable
from audio_distance.page.clips import (
    BITRATES,
    CLIP_RATE,
    CLIP_SECONDS,
    PICTURE,
    Heard,
    encoded,
    hear,
    sprite,
)
from audio_distance.page.contents import (
    Map,
    chosen,
    curve_of,
    difference_of_means,
    map_of,
    points_of,
    strongest_band,
)
from audio_distance.page.landmarks import Landmark, landmarks_of
from audio_distance.reading import Reading
from audio_distance.sources import Source
from audio_distance.units import own_scale

MOST_FILES = 2000  # on a page, the reference's and the candidates' together
SPRITE_COLUMNS = 40
SLACK_BYTES = 4096  # of what is counted before it is written


def shown(name: str) -> str:
    """A name as it can be read: what is invisible or turns the direction of text stands as an escape."""
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"} else c
        for c in printable(name)
    )


def _text(words: str) -> str:
    return html.escape(shown(words))


def _json(content: Any) -> str:
    """JSON that can stand in a script element whatever it holds."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@cache
def _bokeh() -> str:
    """BokehJS as it is installed: drawing alone, no widgets, no compiler."""
    try:
        import bokeh
    except ModuleNotFoundError:
        raise AudioError(
            'the page needs Bokeh, which is not installed: pip install "audio-distance[page]", or bokeh'
        ) from None
    file = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"^//# sourceMappingURL=.*$", "", text, flags=re.M)  # a request, in the developer's tools
    if "</script" in text.lower():
        raise AudioError(f"{file}: holds the end of a script, so it cannot stand in a page")
    return text


def _own(name: str) -> str:
    return resources.files("audio_distance.page").joinpath(name).read_text(encoding="utf-8")


def html_of(
    results: Mapping[str, Comparison],
    sets: Sequence[SoundSet],
    sources: Sequence[Mapping[str, Source]],
    *,
    common: int,
    own: bool,
    reading: Reading,
    largest_bytes: int,
    title: str,
    about: str,
) -> str:
    """The page; see ``write_page``. ``sources`` are, set by set, where each name's sound is."""
    scripts = [_bokeh(), _own("page.js")]
    divisors = own_scale(sets[0]) if own else None
    each = list(results.values())
    first = chosen(sets[0].sounds, [r.reference_units for r in each], MOST_FILES // 2)
    others = [
        chosen(loaded.sounds, [result.units], MOST_FILES // 2 // len(each))
        for result, loaded in zip(each, sets[1:], strict=True)
    ]
    sides = [first, *others]
    starts = list(itertools.accumulate(map(len, sides), initial=0))
    origins = [sources[i].get(s.name) for i, side in enumerate(sides) for s in side]
    order = _by_contribution(sides, starts, each)
    marks: tuple[Landmark, ...] = ()
    if not own and sources[0]:
        marks = landmarks_of(list(sources[0].values()), common=common, seed=each[0].seed, reading=reading)

    heard = _Heard(origins, order, reading, largest_bytes=largest_bytes)
    sheet = sprite(heard.pictures, columns=SPRITE_COLUMNS)
    tabs = [
        _tab(name, result, sides[0], side, starts[i + 1], heard, marks=marks, divisors=divisors)
        for i, ((name, result), side) in enumerate(zip(results.items(), others, strict=True))
    ]
    content = {
        "tabs": [data for _, data in tabs],
        "sounds": [
            {
                "name": shown(sound.name),
                "side": int(i > 0),
                "seconds": round(sound.seconds, 3),
                "level": round(sound.level_db, 2),
            }
            for i, side in enumerate(sides)
            for sound in side
        ],
        "sprite": {"columns": SPRITE_COLUMNS, "width": PICTURE[1], "height": PICTURE[0]},
    }
    cut = [
        f"{len(loaded.sounds) - len(side):,} of {len(loaded.sounds):,} files of {shown(loaded.name)} are not "
        "listed: those that contribute most are"
        for loaded, side in zip(sets, sides, strict=True)
        if len(side) < len(loaded.sounds)
    ]
    body = _ranking(results) + _tab_list(results) + "".join(panel for panel, _ in tabs)
    fixed = _document(scripts, body, content, _inert("sprite", sheet), [], cut, title=title, about=about)
    room = largest_bytes - len(fixed.encode()) - SLACK_BYTES
    if room < 0:
        raise AudioError(
            f"the page without any sound takes {len(fixed.encode()):,} bytes, and the limit is "
            f"{largest_bytes:,}; what draws it alone is {len(scripts[0]):,}"
        )
    clips, kilobits = heard.clips(room)
    lines = [_clips_line(len(clips), len(origins), kilobits, any(sources)), *heard.faults[:3], *cut]
    parts = "".join(_inert(f"clip-{position}", data) for position, data in sorted(clips.items()))
    return _document(
        scripts, body, content, _inert("sprite", sheet) + parts, sorted(clips), lines, title=title, about=about
    )


def _clips_line(clips: int, files: int, kilobits: int, readable: bool) -> str:
    if not readable:
        return "The sets were given as descriptions, which hold no audio: nothing can be played."
    kept = "All files" if clips == files else f"{clips:,} of {files:,} files, those that contribute most,"
    return (
        f"{kept} can be played: mono, the first {CLIP_SECONDS:g} s of what sounds, below 12 kHz, Ogg Opus at "
        f"{kilobits} kbit/s."
    )


class _Heard:
    """Every sound of the page, read once more: pictures and bandwidths of all, clips as far as there is room."""

    def __init__(
        self,
        origins: Sequence[Source | None],
        order: Sequence[int],
        reading: Reading,
        *,
        largest_bytes: int,
    ) -> None:
        room = largest_bytes / (4 / 3 * BITRATES[-1] * 125)  # seconds: more than a page ever holds
        self._origins, self._order, self._reading = origins, order, reading
        self.faults: list[str] = []
        self.pictures = [np.zeros(PICTURE, np.uint8) for _ in origins]
        self.bandwidths: list[float | None] = [None] * len(origins)
        self._seconds: dict[int, float] = {}
        self._kept: dict[int, NDArray[np.int16]] = {}
        for position in order:
            heard = self._hear(position)
            if heard is None:
                continue
            self.pictures[position] = heard.picture
            self.bandwidths[position] = heard.bandwidth_hz
            self._seconds[position] = len(heard.samples) / CLIP_RATE
            room -= self._seconds[position]
            if room > 0:  # as int16: no encoder of these rates tells it from float
                self._kept[position] = np.asarray(np.rint(heard.samples * 32767), np.int16)

    def _hear(self, position: int) -> Heard | None:
        source = self._origins[position]
        if source is None:
            return None
        try:
            return hear(source, reading=self._reading)
        except (AudioError, OSError) as error:
            self.faults.append(f"{shown(source.name)} could not be read again: {shown(str(error))}")
            return None

    def clips(self, room: int) -> tuple[dict[int, bytes], int]:
        """Position -> Ogg Opus, as many as take ``room`` bytes in the page, and their kbit/s."""
        seconds = sum(self._seconds.values())
        head = 1200  # bytes of an Ogg stream, and of its script element
        wanted = (rate for rate in BITRATES if 4 / 3 * (seconds * rate * 125 + head * len(self._seconds)) < room)
        kilobits = next(wanted, BITRATES[-1])
        clips: dict[int, bytes] = {}
        for position in self._order:
            if position not in self._kept:
                continue
            data = encoded(self._kept[position], kilobits=kilobits, serial=position + 1)
            room -= 4 * (len(data) + 2) // 3 + 80
            if room < 0:
                break
            clips[position] = data
        return clips, kilobits


def _by_contribution(
    sides: Sequence[Sequence[Sound]], starts: Sequence[int], results: Sequence[Comparison]
) -> list[int]:
    """All positions, of the sides in turn, the largest contribution of each first."""
    queues = []
    for i, side in enumerate(sides):
        parts = results[i - 1].units if i else results[0].reference_units
        rank = {part.name: place for place, part in enumerate(parts)}
        queues.append(
            [starts[i] + k for k in sorted(range(len(side)), key=lambda k: rank.get(side[k].name, len(rank)))]
        )
    mixed = itertools.chain.from_iterable(itertools.zip_longest(*queues))
    return [position for position in mixed if position is not None]


# ------------------------------------------------------------------------------------------------- a candidate


def _tab(
    name: str,
    result: Comparison,
    reference: Sequence[Sound],
    candidate: Sequence[Sound],
    start: int,
    heard: _Heard,
    *,
    marks: Sequence[Landmark],
    divisors: NDArray[np.float64] | None,
) -> tuple[str, dict[str, Any]]:
    """HTML and data of one candidate, whose sounds begin at the position ``start``."""
    from audio_distance.page.figures import (
        curve_figure,
        map_figure,
        null_figure,
        parts_figure,
        scale_figure,
    )

    positions = [*range(len(reference)), *range(start, start + len(candidate))]
    found = map_of(points_of([*reference, *candidate], divisors), len(reference))
    figures = [scale_figure(result, marks), null_figure(result), map_figure(found, len(reference), positions)]
    if result.bands:
        figures += [curve_figure(curve_of(reference, candidate), result.bandwidth_hz), parts_figure(result)]
    key = f"tab-{start}"
    drawn, roots = _drawn(figures)
    contributions = [
        {part.name: part.value for part in parts} for parts in (result.reference_units, result.units)
    ]
    values = [
        contributions[i].get(sound.name) for i, side in enumerate((reference, candidate)) for sound in side
    ]
    data = {
        "key": key,
        "name": shown(name),
        "document": drawn,
        "roots": roots,
        "positions": positions,
        "contribution": [None if value is None else round(value, 4) for value in values],
        "nearest": [positions[i] for i in found.nearest],
        "gap": [round(float(gap), 3) for gap in found.gaps],
        "alone": np.flatnonzero(found.alone).tolist(),
        "paired": result.paired,
        "band": strongest_band(result),
        "bandwidth": [heard.bandwidths[position] for position in positions],
    }
    return _panel(key, name, result, found, marks, _apart(result, reference, candidate, heard, start)), data


def _drawn(figures: Sequence[Any]) -> tuple[Any, dict[str, str]]:
    """Figures as a document of Bokeh in JSON, and name -> id of each; ids are counted from 1."""
    from bokeh.document import Document

    document = Document()
    for figure in figures:
        document.add_root(figure)
    content = document.to_json(deferred=False)
    numbers: dict[str, str] = {}

    def renumbered(part: Any) -> Any:
        if isinstance(part, dict):
            return {
                key: numbers.setdefault(value, f"m{len(numbers) + 1}")
                if key == "id" and isinstance(value, str)
                else renumbered(value)
                for key, value in part.items()
            }
        return [renumbered(item) for item in part] if isinstance(part, (list, tuple)) else part

    made = renumbered(content)
    return made, {figure.name: numbers[figure.id] for figure in figures}


def _apart(
    result: Comparison, reference: Sequence[Sound], candidate: Sequence[Sound], heard: _Heard, start: int
) -> list[tuple[str, str, str]]:
    """Level, bandwidth, durations: what, candidate minus reference, 95 % interval."""
    rows = [
        (
            "level",
            f"{round(result.level_difference_db, 1) + 0.0:+.1f} dB",
            interval_text(result.level_interval_db, 1),
        )
    ]
    widths = [
        np.array([w for w in heard.bandwidths[first : first + count] if w is not None])
        for first, count in ((0, len(reference)), (start, len(candidate)))
    ]
    if all(len(side) for side in widths):
        value, span = difference_of_means(*widths)
        rows.append(("bandwidth (99 % of the power)", f"{value:+,.0f} Hz", interval_text(span, 0)))
    value, span = difference_of_means(
        *(np.array([sound.seconds for sound in side]) for side in (reference, candidate))
    )
    rows.append(("duration", f"{round(value, 2) + 0.0:+.2f} s", interval_text(span, 2)))
    return rows


# ---------------------------------------------------------------------------------------------------- markup


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are text; the first of each row is its heading."""
    lines = "".join(
        f'<tr><th scope="row"><bdi>{_text(row[0])}</bdi></th>'
        + "".join(f"<td>{_text(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    heads = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in head)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(caption)}"><table><caption>'
        f"{_text(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _ranking(results: Mapping[str, Comparison]) -> str:
    """Several candidates, the nearest first, and which neighbours can be told apart."""
    if len(results) < 2:
        return ""
    order = sorted(results, key=lambda name: results[name].value)
    rows = []
    for place, name in enumerate(order):
        r = results[name]
        told = ""
        if place and r.interval is not None and results[order[place - 1]].interval is not None:
            gap = difference(r, results[order[place - 1]])
            told = f"{'farther' if gap.p_value <= 0.05 else 'cannot be told'} (p = {gap.p_value:.2g})"
        rows.append((name, f"{r.value:.3f}", interval_text(r.interval), p_text(r), r.verdict, told))
    head = ("candidate", "distance", "95 % interval", "p", "verdict", "from the one above")
    return f"<section><h2>Candidates</h2>{_table('The nearest first', head, rows)}</section>"


def _tab_list(results: Mapping[str, Comparison]) -> str:
    if len(results) < 2:
        return ""
    return '<div id="tabs" role="tablist" aria-label="Candidates"></div>'


def sentence(name: str, result: Comparison) -> str:
    """The verdict, in a sentence."""
    words = {
        "different": "differs from the reference",
        "no difference shown": "is not shown to differ from the reference",
        "the same set": "is the same set as the reference",
        "too few files to tell": "has too few files to tell whether it differs",
    }.get(result.verdict, result.verdict)
    how = words if words != result.verdict else f"is {words}"
    return (
        f"{shown(name)} {how}: distance {result.value:.3f} "
        f"(95 % interval {interval_text(result.interval)}), p = {p_text(result)}."
    )


def _panel(
    key: str,
    name: str,
    result: Comparison,
    found: Map,
    marks: Sequence[Landmark],
    apart: Sequence[tuple[str, str, str]],
) -> str:
    r = result
    notes = "".join(f"<li>{_text(line)}</li>" for line in r.warnings)
    alone = "; ".join(f"{mark.name} {mark.value:.3f}" for mark in marks)
    parts = [
        f'<div class="panel" id="{key}"><section><h2>Verdict</h2><p class="verdict">{_text(sentence(name, r))}</p>'
        f"<p>{r.reference.files:,} files of the reference ({r.reference.seconds:,.1f} s), "
        f"{r.candidate.files:,} of the candidate ({r.candidate.seconds:,.1f} s). 0 is two samples of one "
        "source, on average.</p>"
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
        + f'<div class="drawing" id="{key}-scale" role="img" aria-label="Scale: the value and its interval'
        f'{_text("; landmarks: " + alone if alone else "")}"></div>'
        + (
            "<p class=small>Diamonds: the reference against itself after a fault. Grey: where 95 % of values lie when "
            "the files of both sets are dealt anew.</p>"
            if marks
            else ""
        )
        + f'<h3>Where p comes from</h3><div class="drawing" id="{key}-null" role="img" aria-label="Histogram: '
        f'statistic {r.statistic:.2f} among {r.permutations:,} rearrangements, p = {p_text(r)}"></div>'
        f"<p class=small>p = {p_text(r)}: the share of {r.permutations:,} {'' if r.exact else 'random '}"
        "rearrangements that reach the marked statistic, itself among them.</p></section>",
        '<section><h2>Map</h2><p class="legend"><span class="r">● reference</span> '
        '<span class="c">▲ candidate</span> <span>◌ outlined: no file of the other side is near</span></p>'
        f'<div class="drawing" id="{key}-map" role="img" aria-label="Map of all files; the table below has '
        'the same files, with players"></div>'
        f'<p class=small>Principal components of the embedding, file by file, of both sets ({100 * found.explained.sum():.0f} % of '
        "the variance). Click a point to hear it; drag a box to list what is in it.</p>"
        f'<div class="region" id="{key}-region" aria-live="polite"></div>'
        f'<div id="{key}-alone"></div></section>',
        "<section><h2>What differs</h2>",
        _table("View by view", ("view", "distance"), [(n, f"{v:.3f}") for n, v in r.views.items()]),
    ]
    if r.bands:
        parts.append(
            f'<h3>By frequency</h3><div class="drawing" id="{key}-curve" role="img" aria-label="Level of the '
            'candidate minus the reference, by frequency"></div><p class=small>Mean level in each band with both sets '
            "at one total level; shaded: 95 %, band by band.</p>"
            f'<div class="drawing" id="{key}-parts" role="img" aria-label="What each band adds to the value"></div>'
        )
    parts += [
        _table(
            "Apart from the distance, candidate minus reference", ("", "difference", "95 % interval"), apart
        ),
        f'</section><section><h2>Files</h2><div id="{key}-files"></div></section>',
        f'<section><h2>Blind test</h2><div id="{key}-blind"></div></section></div>',
    ]
    return "".join(parts)


def _inert(key: str, data: bytes) -> str:
    return f'<script type="text/plain" id="{key}">{_base64(data)}</script>\n'


def _document(
    scripts: Sequence[str],
    body: str,
    content: Mapping[str, Any],
    inert: str,
    clips: Sequence[int],
    lines: Sequence[str],
    *,
    title: str,
    about: str,
) -> str:
    digests = " ".join(
        f"'sha256-{_base64(hashlib.sha256(script.encode()).digest())}'" for script in scripts
    )
    policy = (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data: blob:; "
        "media-src blob:; base-uri 'none'; form-action 'none'"
    )
    heading = title or "Two sets of sounds, compared"
    cut = "".join(f"<li>{_text(line)}</li>" for line in lines)
    data = _json({**content, "clips": list(clips)})
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">\n'
        f"<title>{_text(heading)}</title><style>{_own('page.css')}</style></head>\n<body>"
        f'<a class="skip" href="#main">To the comparison</a><header><h1>{_text(heading)}</h1>'
        + (f"<p>{_text(about)}</p>" if about else "")
        + f'</header><main id="main">{body}'
        f"<section><h2>About this page</h2><ul>{cut}</ul></section></main>\n"
        '<footer id="dock" role="region" aria-label="Player" hidden></footer><div id="tip" hidden></div>\n'
        f'<script type="application/json" id="content">{data}</script>\n{inert}'
        + "".join(f"<script>{script}</script>\n" for script in scripts)
        + "</body></html>\n"
    )
