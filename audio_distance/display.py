"""A comparison where people look at it: a cell of a notebook, and axes of matplotlib.

Conventions
    scale     the value with its interval, over what it is when the units are dealt to the sets anew.
    sounds    are in a cell on demand only: what encodes them rounds differently on every processor, so a
              notebook run again elsewhere would not be the same bytes, and would be half a megabyte larger.
    colours   Okabe and Ito's vermilion for the candidate, grey for the null; words take the notebook's own.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from audio_distance.energy import Contribution
from audio_distance.errors import AudioError
from audio_distance.output import printable
from audio_distance.reading import Reading
from audio_distance.sources import Source

if TYPE_CHECKING:
    from audio_distance.comparison import Comparison

CANDIDATE, NULL = "#D55E00", "#8A8F98"
SHOWN_UNITS = 3
WIDTH, HEIGHT = 520, 64  # of the scale in a cell


def sentence(name: str, result: Comparison, *, interval: str, p: str) -> str:
    """The verdict in a sentence; ``interval`` and ``p`` as text."""
    words = {
        "different": "differs from the reference",
        "no difference shown": "is not shown to differ from the reference",
        "the same set": "is the same set as the reference",
        "too few files to tell": "has too few files to tell whether it differs",
    }.get(result.verdict, f"is {result.verdict}")
    return f"{name} {words}: distance {decimals(result.value)} (95 % interval {interval}), p = {p}."


def decimals(value: float, digits: int = 3) -> str:
    """A number as people read it: what rounds to 0 has no sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def cell_of(result: Comparison, *, interval: str, p: str, quality: str = "") -> str:
    """HTML for a cell: the verdict, the scale, the views, the nearest and the farthest units, the warnings.

    Without sounds, which a comparison does not keep, and without a script. ``quality``: what is said of it,
    if it was asked for.
    """
    name = printable(result.candidate.name)
    views = "".join(
        f"<tr><td>{html.escape(view)}</td><td>{decimals(value)}</td></tr>"
        for view, value in result.views.items()
    )
    rows = "".join(
        f"<tr><td>{what}</td><td>{html.escape(printable(unit.name))}</td><td>{decimals(unit.value)}</td></tr>"
        for what, unit in _ends(result.units)
    )
    notes = "".join(f"<li>{html.escape(printable(line))}</li>" for line in result.warnings)
    return (
        f"<p><b>{html.escape(sentence(name, result, interval=interval, p=p))}</b></p>"
        f"<p>{result.reference.files:,} files of the reference ({result.reference.seconds:,.1f} s), "
        f"{result.candidate.files:,} of the candidate ({result.candidate.seconds:,.1f} s).</p>"
        + (f"<p>Quality, not part of the distance: {html.escape(printable(quality))}.</p>" if quality else "")
        + _scale(result)
        + f"<table><thead><tr><th>view</th><th>distance</th></tr></thead><tbody>{views}</tbody></table>"
        "<table><thead><tr><th></th><th>candidate's</th><th>contribution</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>" + (f"<ul>{notes}</ul>" if notes else "")
    )


def _scale(result: Comparison) -> str:
    """Value, interval and the middle 95 % of the null on one axis, as SVG."""
    low, high = result.interval or (result.value, result.value)
    null = np.quantile(result.null_values, [0.025, 0.975]) if len(result.null_values) else np.zeros(2)
    ends = [low, high, result.value, 0.0, *null.tolist()]
    span = (max(ends) - min(ends)) or 1.0

    def place(value: float) -> float:
        return round(20 + (WIDTH - 40) * float(value - min(ends)) / span, 1)

    middle = HEIGHT / 2 - 8
    return (
        f'<svg role="img" aria-label="value and interval" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<rect x="{place(null[0])}" y="4" width="{max(place(null[1]) - place(null[0]), 1):.1f}" '
        f'height="{HEIGHT - 24}" fill="{NULL}" opacity="0.3"/>'
        f'<line x1="{place(0)}" x2="{place(0)}" y1="4" y2="{HEIGHT - 20}" stroke="{NULL}"/>'
        f'<line x1="{place(low)}" x2="{place(high)}" y1="{middle}" y2="{middle}" stroke="{CANDIDATE}" '
        f'stroke-width="4"/><circle cx="{place(result.value)}" cy="{middle}" r="6" fill="{CANDIDATE}"/>'
        f'<text x="{place(result.value)}" y="{HEIGHT - 4}" text-anchor="middle" font-size="11" '
        f'fill="currentColor">{decimals(result.value)}</text></svg>'
        "<p>Grey: where 95 % of the values lie when the files are dealt to the sets anew.</p>"
    )


@dataclass(frozen=True)
class Listening:
    """A cell with players: ``html``, which a notebook shows of it."""

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def listening_to(
    result: Comparison, reference: Any, candidate: Any, *, interval: str, p: str, reading: Reading
) -> Listening:
    """The farthest and the nearest files of both sets with players; see ``Comparison.listen``."""
    from audio_distance.page import sources_of  # which needs comparison, and that this module

    sets = sources_of(reference, {result.candidate.name: candidate}, reading=reading)
    parts = (result.reference_units, result.units)
    rows = []
    for role, sources, units, side in zip(
        ("reference", "candidate"), sets, parts, (result.reference, result.candidate), strict=True
    ):
        if not sources:
            rows.append(f"<tr><td>{role}</td><td colspan=4>described: it holds no audio to play</td></tr>")
            continue
        if not any(unit.name in sources for unit in units) and side.units < side.files:
            rows.append(f"<tr><td>{role}</td><td colspan=4>its units are groups, not files</td></tr>")
            continue
        for what, unit in _ends(units):
            if unit.name not in sources:
                raise AudioError(
                    f"the {role} has no file {printable(unit.name)}, which was compared; give the sets of "
                    "the comparison"
                )
            rows.append(
                f"<tr><td>{role}</td><td>{what}</td><td>{html.escape(printable(unit.name))}</td>"
                f"<td>{_player(sources[unit.name], reading)}</td><td>{decimals(unit.value)}</td></tr>"
            )
    words = html.escape(sentence(printable(result.candidate.name), result, interval=interval, p=p))
    return Listening(
        f"<p><b>{words}</b></p><table><thead><tr><th>set</th><th></th><th>file</th><th>the first seconds</th>"
        f"<th>contribution</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _ends(units: Sequence[Contribution]) -> list[tuple[str, Contribution]]:
    """Of units, the largest contribution first, the farthest and the nearest; no unit twice."""
    far = units[:SHOWN_UNITS]
    near = [unit for unit in units[::-1][:SHOWN_UNITS] if unit not in far]
    return [*(("farthest", unit) for unit in far), *(("nearest", unit) for unit in near)]


def _player(source: Source, reading: Reading) -> str:
    from audio_distance.page.clips import CLIP_RATE, SPARE_KILOBITS, encoded_mp3, hear

    try:
        samples = hear(source, reading=reading).samples
    except (AudioError, OSError) as error:
        return html.escape(f"cannot be read again: {error}")
    data = base64.b64encode(encoded_mp3(samples, CLIP_RATE, kilobits=SPARE_KILOBITS)).decode("ascii")
    name = html.escape(printable(source.name))
    return f'<audio controls aria-label="{name}" src="data:audio/mpeg;base64,{data}"></audio>'


def plot_on(axes: Any, result: Comparison) -> Any:
    """Draw the scale on ``axes`` of matplotlib, and return them: value, interval, histogram of the null."""
    if len(result.null_values):
        axes.hist(result.null_values, bins=40, color=NULL, alpha=0.6, label="files dealt anew")
    top = axes.get_ylim()[1]
    low, high = result.interval or (result.value, result.value)
    axes.plot([low, high], [0.5 * top] * 2, color=CANDIDATE, linewidth=3, label="95 % interval")
    axes.plot([result.value], [0.5 * top], "^", color=CANDIDATE, markersize=9, label="distance")
    axes.axvline(0, color=NULL, linestyle=":")
    axes.set(xlabel="distance", ylabel="rearrangements", title=result.verdict)
    axes.legend(frameon=False)
    return axes
