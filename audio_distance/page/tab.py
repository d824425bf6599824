"""One candidate of the page: its files with the reference's, its drawings, what the scripts are given.

Conventions
    position   of a sound among all of the page; place: in the list of one candidate, the reference's first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.comparison import Comparison, interval_text
from audio_distance.description import Sound
from audio_distance.display import decimals
from audio_distance.energy import Contribution
from audio_distance.page.clips import Sounds
from audio_distance.page.contents import (
    Map,
    curve_of,
    difference_of_means,
    map_of,
    pairs_of,
    points_of,
    strongest_band,
    with_partners,
)
from audio_distance.page.landmarks import Landmark
from audio_distance.page.markup import panel, shown

LISTED_GROUPS = 20


def _values_of(units: Sequence[Contribution], sounds: Sequence[Sound]) -> list[float | None]:
    """The contribution of each sound, None where it is no unit."""
    values = {unit.name: unit.value for unit in units}
    return [values.get(sound.name) for sound in sounds]


@dataclass(frozen=True)
class Placed:
    """What of the reference and of one candidate is on the page, the reference's files first.

    ``positions`` are those of the page, ``pairs`` are of places in this list; ``contributions`` are None of
    files that are no units.
    """

    positions: list[int]
    count: int  # of the reference
    found: Map
    pairs: list[tuple[int, int]]
    contributions: list[float | None]

    @property
    def mates(self) -> list[int]:
        """Which of the candidate's files each of the reference's is paired with; empty unless all are."""
        whole = 2 * len(self.pairs) == len(self.positions)
        return [second - self.count for _, second in self.pairs] if whole else []

    @property
    def grouped(self) -> bool:
        """With groups a unit is no file."""
        return all(value is None for value in self.contributions)


def placed_files(
    result: Comparison,
    listed: tuple[Sequence[Sound], Sequence[Sound]],
    *,
    start: int,
    divisors: NDArray[np.float64] | None,
) -> Placed:
    """The files ``listed`` of both sets; the candidate's begin at the position ``start``."""
    reference, candidate = listed
    contributions = [*_values_of(result.reference_units, reference), *_values_of(result.units, candidate)]
    points = points_of([*reference, *candidate], divisors)
    found = map_of(points, len(reference))
    pairs = []
    if result.paired and any(value is not None for value in contributions):
        pairs = pairs_of(reference, candidate)
        found = with_partners(found, points, pairs)
    positions = [*range(len(reference)), *range(start, start + len(candidate))]
    return Placed(positions, len(reference), found, pairs, contributions)


def tab_of(
    name: str,
    result: Comparison,
    sides: tuple[Sequence[Sound], Sequence[Sound]],
    placed: Placed,
    *,
    heard: Sounds,
    marks: Sequence[Landmark],
) -> tuple[str, dict[str, Any]]:
    """HTML and data of one candidate; ``sides`` are the sets, ``placed`` what of them is on the page."""
    from audio_distance.page.figures import (
        curve_figure,
        map_figure,
        null_figure,
        parts_figure,
        scale_figure,
    )

    found, positions, pairs = placed.found, placed.positions, placed.pairs
    bandwidths = [heard.bandwidths[position] for position in positions]
    widths = [bandwidths[: placed.count], bandwidths[placed.count :]]
    paired = bool(placed.mates) and len(positions) == sum(map(len, sides))
    if paired:  # in the order of the reference: what differs is then a mean of differences
        sides = (sides[0], [sides[1][k] for k in placed.mates])
        widths[1] = [widths[1][k] for k in placed.mates]
    figures = [
        scale_figure(result, marks),
        null_figure(result),
        map_figure(found, placed.count, positions, pairs=pairs),
    ]
    if result.bands:
        figures += [curve_figure(curve_of(*sides, paired=paired), result.bandwidth_hz), parts_figure(result)]
    key = f"tab-{positions[placed.count]}"
    drawn, roots = _drawn(figures)
    data = {
        "key": key,
        "name": shown(name),
        "document": drawn,
        "roots": roots,
        "positions": positions,
        "contribution": [None if value is None else round(value, 4) for value in placed.contributions],
        "nearest": [positions[i] for i in found.nearest],
        "gap": [round(float(gap), 3) for gap in found.gaps],
        "alone": np.flatnonzero(found.alone).tolist(),
        "pairs": pairs,
        "band": strongest_band(result),
        "bandwidth": bandwidths,
    }
    apart = _apart(result, sides, widths, paired=paired)
    listed = result.units[:LISTED_GROUPS] if placed.grouped else ()
    groups = [(unit.name, decimals(unit.value)) for unit in listed]
    return panel(
        key, name, result, found=found, pairs=len(pairs), landmarks=marks, apart=apart, groups=groups
    ), data


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
    result: Comparison,
    sides: Sequence[Sequence[Sound]],
    bandwidths: Sequence[Sequence[float | None]],
    *,
    paired: bool,
) -> list[tuple[str, str, str]]:
    """Level, bandwidth (of the files listed, which are those read again), durations: difference, interval."""
    level = f"{round(result.level_difference_db, 1) + 0.0:+.1f} dB"
    rows = [("level", level, interval_text(result.level_interval_db, 1))]
    widths = [np.array([width for width in side if width is not None]) for side in bandwidths]
    whole = sum(map(len, widths)) == sum(map(len, sides))
    if all(len(side) for side in widths):
        value, span = difference_of_means(*widths, paired=paired and whole)
        which = "" if whole else ", files listed here"
        rows.append((f"bandwidth (99 % of the power{which})", f"{value:+,.0f} Hz", interval_text(span, 0)))
    seconds = (np.array([sound.seconds for sound in side]) for side in sides)
    value, span = difference_of_means(*seconds, paired=paired)
    rows.append(("duration", f"{round(value, 2) + 0.0:+.2f} s", interval_text(span, 2)))
    return rows
