"""The file: its sections, data and clips, and the policy under which a browser opens it.

Conventions
    policy    default-src 'none'; scripts by their SHA-256 and nothing else, so that no name of a file can be
              one, and no ``eval``. Styles are allowed as they come: Bokeh writes them into shadow roots, and
              a style runs nothing.
    data      JSON in an inert script, "<" as an escape, so that nothing in it can end one. Clips are base64
              in ``<script type="text/plain">``, which a browser neither runs nor decodes before a click.
    bytes     the same for the same results: ids of Bokeh's models are counted anew, Ogg streams are numbered.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from audio_distance.comparison import Comparison
from audio_distance.description import Sound, SoundSet
from audio_distance.errors import AudioError
from audio_distance.page.clips import (
    CLIP_SECONDS,
    PICTURE,
    base64_bytes,
    clips_within,
    hear_all,
    room_for_spare,
    spare_within,
    sprite,
)
from audio_distance.page.contents import chosen
from audio_distance.page.landmarks import Landmark, landmarks_of
from audio_distance.page.markup import items, ranking, shown, text
from audio_distance.page.tab import Placed, placed_files, tab_of
from audio_distance.reading import Reading
from audio_distance.sources import Source
from audio_distance.units import own_scale, pair_key

MOST_FILES = 2000  # on a page, the reference's and the candidates' together
SPRITE_COLUMNS = 40
SCRIPTS = ("player.js", "files.js", "blind.js", "map.js", "tabs.js")
SLACK_BYTES = 4096  # of what is counted before it is written


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
    credits: Sequence[str] = (),
) -> str:
    """The page; see ``write_page``. ``sources`` are, set by set, where each name's sound is."""
    scripts = (bokeh_script(), _own_script())
    divisors = own_scale(sets[0]) if own else None
    each = list(results.values())
    sides = [chosen(sets[0].sounds, [result.reference_units for result in each], MOST_FILES // 2)]
    for result, loaded in zip(each, sets[1:], strict=True):
        most = MOST_FILES // 2 // len(each)
        sounds: Sequence[Sound] = loaded.sounds
        if result.paired and len(sounds) > most:  # those whose pair is on the page, else none would be whole
            first = {pair_key(sound.name) for sound in sides[0]}
            sounds = [sound for sound in sounds if pair_key(sound.name) in first] or sounds
        sides.append(chosen(sounds, [result.units], most))
    starts = list(itertools.accumulate(map(len, sides), initial=0))
    origins = [sources[i].get(sound.name) for i, side in enumerate(sides) for sound in side]
    placed = [
        placed_files(result, (sides[0], side), start=start, divisors=divisors)
        for result, side, start in zip(each, sides[1:], starts[1:], strict=False)
    ]
    order = _heard_first(_by_contribution(sides, starts, each), placed)
    marks: tuple[Landmark, ...] = ()
    if not own and sources[0]:
        known = [sources[0][sound.name] for sound in sets[0].sounds if sound.name in sources[0]]
        marks = landmarks_of(known, common=common, seed=each[0].seed, reading=reading)
    heard = hear_all(origins, order, reading=reading, largest_bytes=largest_bytes)
    tabs = [
        tab_of(name, result, (sets[0].sounds, loaded.sounds), own, heard=heard, marks=marks)
        for (name, result), loaded, own in zip(results.items(), sets[1:], placed, strict=True)
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
        f"{len(side):,} of {len(loaded.sounds):,} files of {loaded.name} are listed and mapped: half of them "
        "those that contribute most, half spread over the others."
        for loaded, side in zip(sets, sides, strict=True)
        if len(side) < len(loaded.sounds)
    ]
    body = ranking(results) + "".join(markup for markup, _ in tabs)
    sheet = _inert("sprite", sprite(heard.pictures, columns=SPRITE_COLUMNS))

    def page(clips: Mapping[int, bytes], spare: Mapping[int, bytes], lines: Sequence[str]) -> str:
        inert = sheet + "".join(
            _inert(f"{kind}-{i}", made[i])
            for kind, made in (("clip", clips), ("mp3", spare))
            for i in sorted(made)
        )
        data = {**content, "clips": sorted(clips), "spare": sorted(spare)}
        return _document(scripts, body, data, inert, lines, title=title, about=about, credits=credits)

    mute = len(page({}, {}, cut).encode())
    if (room := largest_bytes - mute - SLACK_BYTES) < 0:
        raise AudioError(
            f"the page without any sound takes {mute:,} bytes, and the limit is {largest_bytes:,}; what "
            f"draws it takes {len(scripts[0]):,} of them, the list of files most of the rest"
        )
    spare = spare_within(room_for_spare(room, heard), heard, order)
    room -= sum(map(base64_bytes, spare.values()))
    clips, kilobits = clips_within(room, heard, order)
    if not any(sources):
        said = "The sets were given as descriptions, which hold no audio: nothing can be played."
    else:
        which = (
            "All files"
            if len(clips) == len(origins)
            else f"{len(clips):,} of {len(origins):,} files, those that contribute most and their nearest,"
        )
        said = (
            f"{which} can be played: mono, the first {CLIP_SECONDS:g} s of what sounds, below 12 kHz, Ogg "
            f"Opus at {kilobits} kbit/s."
        )
        if spare:
            said += f" As MP3, too, for browsers that do not play that: {len(spare)}."
    return page(clips, spare, [said, *heard.faults[:3], *cut])


def _by_contribution(
    sides: Sequence[Sequence[Sound]], starts: Sequence[int], results: Sequence[Comparison]
) -> list[int]:
    """All positions, of the sides in turn, the largest contribution of each first."""
    queues = []
    for i, side in enumerate(sides):
        parts = results[i - 1].units if i else results[0].reference_units
        rank = {part.name: place for place, part in enumerate(parts)}
        by_rank = sorted(range(len(side)), key=lambda k: rank.get(side[k].name, len(rank)))
        queues.append([starts[i] + k for k in by_rank])
    mixed = itertools.chain.from_iterable(itertools.zip_longest(*queues))
    return [position for position in mixed if position is not None]


def _heard_first(order: Sequence[int], placed: Sequence[Placed]) -> list[int]:
    """Positions in ``order``, each followed by its nearest or pair: one is heard beside the other."""
    nearest: dict[int, list[int]] = {position: [] for position in order}
    for own in placed:
        for position, near in zip(own.positions, own.found.nearest, strict=True):
            nearest[position].append(own.positions[near])
    return list(dict.fromkeys(itertools.chain.from_iterable((p, *nearest[p]) for p in order)))


# ---------------------------------------------------------------------------------------------- the file


@cache
def bokeh_script() -> str:
    """BokehJS as it is installed: drawing alone, no widgets, no compiler; ``AudioError`` without Bokeh."""
    try:
        import bokeh
    except ModuleNotFoundError:
        raise AudioError(
            'the page needs Bokeh, which is not installed: pip install "audio-distance[page]", or bokeh'
        ) from None
    file = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    script = file.read_text(encoding="utf-8")
    script = re.sub(r"^//# sourceMappingURL=.*$", "", script, flags=re.M)  # which developer tools would fetch
    if re.search("</script|<!--", script, re.I):
        raise AudioError(f"{file}: holds what ends or hides a script, so it cannot stand in a page")
    return script


def _own(name: str) -> str:
    return resources.files("audio_distance.page").joinpath(name).read_text(encoding="utf-8")


def _own_script() -> str:
    """The scripts of the page as one, which has one digest and shares its names with no other."""
    return '"use strict";\n(() => {\n' + "".join(map(_own, SCRIPTS)) + "})();\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _inert(key: str, data: bytes) -> str:
    return f'<script type="text/plain" id="{key}">{_base64(data)}</script>\n'


def _json(content: Any) -> str:
    """JSON that can stand in a script element whatever it holds."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _document(
    scripts: Sequence[str],
    body: str,
    content: Mapping[str, Any],
    inert: str,
    lines: Sequence[str],
    *,
    title: str,
    about: str,
    credits: Sequence[str],
) -> str:
    digests = " ".join(f"'sha256-{_base64(hashlib.sha256(script.encode()).digest())}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data: blob:; "
        "media-src blob:; base-uri 'none'; form-action 'none'"
    )
    heading = title or "Two sets of sounds, compared"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">\n'
        f"<title>{text(heading)}</title><style>{_own('page.css')}</style></head>\n<body>"
        f'<a class="skip" href="#main">To the comparison</a><header><h1>{text(heading)}</h1>'
        + (f"<p>{text(about)}</p>" if about else "")
        + f'</header><main id="main"><p id="mute" role="status" hidden></p>'
        "<noscript><p>Drawings, players and the table of files need JavaScript.</p></noscript>"
        f"{body}<section><h2>About this page</h2>{items(lines)}</section>"
        + (f"<section><h2>Whose sounds these are</h2>{items(credits)}</section>" if credits else "")
        + "</main>\n"
        '<footer id="dock" role="region" aria-label="Player" hidden></footer><div id="tip" hidden></div>\n'
        f'<script type="application/json" id="content">{_json(content)}</script>\n{inert}'
        + "".join(f"<script>{script}</script>\n" for script in scripts)
        + "</body></html>\n"
    )
