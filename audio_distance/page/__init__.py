"""One self-contained HTML file on which sets are compared by eye and ear: ``write_page``.

Conventions
    self-contained   no server and no request: what draws (BokehJS) and what sounds lies in the file. A
                     Content-Security-Policy forbids the rest, and ``eval``: scripts run by their digests.
    sounds           mono, the first 5 s of what sounds, at 24 kHz in Ogg Opus, as loud as recorded.
    side             0 the reference, 1 the candidate. Positions count through all sounds of the page.
    hostile names    are data: text in JSON and in text nodes, never markup; what cannot be seen is an escape.

What builds on what::

    clips          from a source to what is heard and seen of it
    contents       what the page says of a comparison: a map, neighbours, curves
    landmarks      what known faults of the reference itself measure
    figures        drawn by Bokeh
    markup         the words, escaped
    tab            one candidate: its files, drawings, words, and the data of the scripts
    document       the file: policy, budget, data; *.js, which are one script in it, and page.css

The extra ``page`` (Bokeh, Pillow) is imported where it is needed; nothing else imports this package at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_distance.comparison import Comparison, Side
from audio_distance.description import Description, SoundSet
from audio_distance.distance import described_each
from audio_distance.errors import AudioError
from audio_distance.extraction import Embedding
from audio_distance.output import printable
from audio_distance.reading import Reading
from audio_distance.sources import Source, list_set
from audio_distance.storage import replacing

LARGEST_BYTES = 5_000_000


def write_page(
    path: str | os.PathLike[str],
    results: Mapping[str, Comparison],
    *,
    reference: Any,
    candidates: Mapping[str, Any],
    described: tuple[Sequence[SoundSet], int] | None = None,
    embedding: Embedding | None = None,
    reading: Reading | None = None,
    largest_bytes: int = LARGEST_BYTES,
    title: str = "",
    about: str = "",
    credits: Sequence[str] = (),
) -> None:
    """Write the page of ``results`` to ``path``, whole or not at all.

    Parameters
    ----------
    path
        Of the HTML file; an older one is replaced.
    results : mapping
        Name -> comparison, as ``compare_each`` gives them.
    reference, candidates
        The sets that were compared, as in ``compare_each``: their sounds are read again to be heard. A
        ``Description`` has none, so its sounds are listed and mapped, and the page says why it is mute.
    described : (sets, rate in Hz), optional
        The same sets as ``described_each`` gives them; by default they are described again.
    embedding : callable, optional
        That of the comparison.
    reading : Reading, optional
        That of the comparison.
    largest_bytes : int
        5,000,000 by default. Clips are encoded at the highest of 64 to 24 kbit/s at which all fit, those
        that contribute most first; what was cut is said on the page.
    title, about : str
        A heading, and a line such as the licence of the sounds.
    credits : sequence of str
        Lines at the end on whose the sounds are; none by default.

    Raises
    ------
    AudioError
        Sets that are not those of the results; a page that is too large without any sound; no Bokeh.
    """
    from audio_distance.page.document import html_of  # Bokeh takes half a second

    reading = Reading() if reading is None else reading
    sets, common = described or described_each(
        reference, candidates, embedding=embedding, permutations=999, seed=0, reading=reading
    )
    for (name, result), loaded in zip(results.items(), sets[1:], strict=True):
        for side, given in ((result.reference, sets[0]), (result.candidate, loaded)):
            _refuse_others(name, side, given)
    sources = sources_of(reference, candidates, reading=reading)
    html = html_of(
        results,
        sets,
        sources,
        common=common,
        own=embedding is not None,
        reading=reading,
        largest_bytes=largest_bytes,
        title=title,
        about=about,
        credits=credits,
    )
    try:
        with replacing(path) as part:
            part.write_text(html, encoding="utf-8", newline="\n")
    except OSError as error:
        raise AudioError(f"the page {printable(str(path))} cannot be written ({error})") from None


def refuse_without_bokeh() -> None:
    """Raise ``AudioError`` if no page can be drawn here: before what takes long, not behind it."""
    from audio_distance.page.document import bokeh_script

    bokeh_script()


def _refuse_others(name: str, side: Side, given: SoundSet) -> None:
    """Raise ``AudioError`` unless ``given`` is the set that was compared."""
    seconds = sum(sound.seconds for sound in given.sounds)
    if side.files != len(given.sounds) or abs(side.seconds - seconds) > 1e-3:
        raise AudioError(
            f"{printable(name)}: {side.files} files of {side.name} ({side.seconds:.1f} s) were compared, and "
            f"the set given for the page has {len(given.sounds)} ({seconds:.1f} s); give the sets of the "
            "comparison, read in the same way"
        )


def sources_of(reference: Any, candidates: Mapping[str, Any], *, reading: Reading) -> list[dict[str, Source]]:
    """Of each set, the reference first, name -> where the sound is; empty of one that is described."""
    rates: Any = reading.rate if isinstance(reading.rate, (tuple, list)) else (reading.rate, reading.rate)
    sets = [("reference", reference, rates[0])]
    sets += [(name, source, rates[1]) for name, source in candidates.items()]
    return [_sources_of(source, role, rate) for role, source, rate in sets]


def _sources_of(source: Any, role: str, rate: int | None) -> dict[str, Source]:
    if isinstance(source, Description) or (
        isinstance(source, (str, os.PathLike)) and Path(source).suffix.lower() == ".npz"
    ):
        return {}
    return {item.name: item for item in list_set(source, role, rate).sources if not item.fault}
