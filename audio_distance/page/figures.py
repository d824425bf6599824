"""The drawings of a comparison, by Bokeh: the scale, the null, the map, the curve over frequency.

Conventions
    colours    Okabe and Ito's blue and vermilion, told apart in every common colour blindness; the sides
               differ in shape too. Axes and words take the page's colours, dark or light, in the browser.
    no script  nothing here has a callback in JavaScript: that would need ``eval``, which the page forbids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import (
    BoxAnnotation,
    BoxSelectTool,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    PrintfTickFormatter,
    Range1d,
    TapTool,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from audio_distance.comparison import Comparison
from audio_distance.display import decimals
from audio_distance.page.contents import JOINED_PAIRS, Curve, Map
from audio_distance.page.landmarks import Landmark

REFERENCE, CANDIDATE, OTHER = "#0072B2", "#D55E00", "#8A8F98"
BINS = 40
SCALE_TICKS = (0, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, -0.01, -0.1, -0.5, -1, -2)  # in order of preference
HERTZ = {50: "50", 100: "100", 200: "200", 500: "500", 1000: "1k", 2000: "2k", 5000: "5k", 10_000: "10k"}


def _figure(name: str, height: int, **given: Any) -> Any:
    made = figure(
        name=name,
        height=height,
        sizing_mode="stretch_width",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        **{"toolbar_location": None, "tools": "", **given},
    )
    made.grid.grid_line_color = OTHER
    made.grid.grid_line_alpha = 0.25
    return made


def scale_figure(result: Comparison, landmarks: Sequence[Landmark]) -> Any:
    """The value above the landmarks, each with its interval, on one axis; the null's middle 95 % shaded.

    The axis is a signed square root: what matters lies near 0, and a telephone line far from it.
    """
    low, high = result.interval or (result.value, result.value)
    own = f"this candidate {decimals(result.value)}"
    rows = sorted(landmarks, key=lambda mark: -mark.value)
    labels = [f"{mark.name} {decimals(mark.value)}" for mark in rows]
    names = [*labels, own]
    ends = _root([low, high, 0.0, *(end for mark in rows for end in (mark.value, *(mark.interval or ())))])
    made = _figure("scale", 110 + 26 * len(names), y_range=names, x_axis_label="distance")
    span = float(np.ptp(ends)) or 1.0
    made.x_range = Range1d(float(ends.min()) - 0.05 * span, float(ends.max()) + 0.08 * span)
    made.ygrid.grid_line_color = None
    if len(result.null_values):
        left, right = _root(np.quantile(result.null_values, [0.025, 0.975]))
        made.quad(left=[left], right=[right], bottom=[0], top=[len(names)], color=OTHER, alpha=0.22)
    made.segment(x0=[0], x1=[0], y0=[0], y1=[len(names)], color=OTHER, line_dash="dotted")
    if rows:
        spans = _root([mark.interval or (mark.value, mark.value) for mark in rows])
        made.segment(x0=spans[:, 0], x1=spans[:, 1], y0=labels, y1=labels, color=REFERENCE, line_width=2)
        made.scatter(
            x=_root([mark.value for mark in rows]), y=labels, marker="diamond", size=12, color=REFERENCE
        )
    left, right, middle = _root([low, high, result.value])
    made.segment(x0=[left], x1=[right], y0=[own], y1=[own], color=CANDIDATE, line_width=4)
    made.scatter(x=[middle], y=[own], marker="triangle", size=14, color=CANDIDATE)
    ticks: list[float] = []
    for tick in SCALE_TICKS:  # no two so near that their words meet on a phone
        place, others = _root([tick])[0], _root(ticks)
        if made.x_range.start <= place <= made.x_range.end and (abs(place - others) > span / 7).all():
            ticks.append(tick)
    places = _root(ticks).tolist()
    made.xaxis.ticker = made.xgrid.ticker = FixedTicker(ticks=places)
    made.xaxis.major_label_overrides = {place: f"{tick:g}" for place, tick in zip(places, ticks, strict=True)}
    return made


def _root(values: Any) -> NDArray[np.float64]:
    """Signed square root."""
    values = np.asarray(values, float)
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


def null_figure(result: Comparison) -> Any:
    """What the test's statistic is when the files are dealt anew, and what it is: p is the share beyond."""
    null = np.asarray(result.null_distribution, float)
    counts, edges = np.histogram(null, bins=BINS)
    made = _figure("null", 200, x_axis_label="test statistic, files dealt anew", y_axis_label="times")
    beyond = edges[:-1] >= result.statistic
    for part, colour in ((~beyond, OTHER), (beyond, CANDIDATE)):
        made.quad(
            left=edges[:-1][part], right=edges[1:][part], bottom=0, top=counts[part],
            fill_color=colour, line_color=None,
        )  # fmt: skip
    top = float(counts.max(initial=1))
    made.segment(
        x0=[result.statistic], x1=[result.statistic], y0=[0], y1=[top], color=CANDIDATE, line_width=3
    )
    made.scatter(x=[result.statistic], y=[top], marker="triangle", size=12, color=CANDIDATE)
    made.y_range.start = 0
    return made


def map_figure(
    found: Map, reference: int, positions: Sequence[int], *, pairs: Sequence[tuple[int, int]] = ()
) -> Any:
    """A point a file, and a line a pair. ``positions`` are those of the page's sounds.

    What is selected is left to the page, and where the box is that the keyboard moves.
    """
    made = _figure(
        "map",
        430,
        x_axis_label=f"first component ({100 * found.explained[0]:.0f} %)",
        y_axis_label=f"second component ({100 * found.explained[1]:.0f} %)",
        tools="pan,wheel_zoom,box_zoom,reset",
        toolbar_location="above",
    )
    made.toolbar.logo = None
    # Six tools fit on every phone; the button for more of them would have no name for a screen reader.
    made.toolbar.stylesheets = [".bk-tool-overflow { display: none; }"]
    count = len(found.places)
    size = float(
        np.clip(10 * np.sqrt(300 / count), 5, 10)
    )  # pixels; smaller where many would hide each other
    side = np.arange(count) >= reference
    source = ColumnDataSource(
        {
            "x": found.places[:, 0],
            "y": found.places[:, 1],
            "marker": np.where(side, "triangle", "circle").tolist(),
            "colour": np.where(side, CANDIDATE, REFERENCE).tolist(),
            "position": list(positions),
        },
        name="files",
    )
    alone = found.alone
    made.scatter(
        x=found.places[alone, 0], y=found.places[alone, 1], marker="circle", size=2 * size, fill_color=None,
        line_color=np.where(side[alone], CANDIDATE, REFERENCE).tolist(), line_width=1.5, line_dash="dashed",
    )  # fmt: skip
    if 0 < len(pairs) <= JOINED_PAIRS:
        (x0, y0), (x1, y1) = (found.places[[pair[side] for pair in pairs]].T for side in (0, 1))
        made.segment(x0=x0, y0=y0, x1=x1, y1=y1, color=OTHER, alpha=0.6)
    points = made.scatter(
        x="x", y="y", source=source, marker="marker", color="colour", size=size, alpha=0.75,
        nonselection_alpha=0.15, name="points",
    )  # fmt: skip
    brush, tap = BoxSelectTool(renderers=[points]), TapTool(renderers=[points])
    made.add_tools(brush, tap, HoverTool(renderers=[points], tooltips=None))
    box: dict[str, Any] = {"left": 0, "right": 0, "top": 0, "bottom": 0, "visible": False}
    box |= {"fill_color": OTHER, "fill_alpha": 0.15, "line_color": OTHER, "line_dash": "dashed"}
    made.add_layout(BoxAnnotation(name="box", line_width=2, **box))
    made.toolbar.active_drag = brush
    made.toolbar.active_tap = tap
    return made


def curve_figure(curve: Curve, bandwidth_hz: float) -> Any:
    """Where the candidate has more (above 0) and less, in dB over Hz, as an equaliser reads."""
    used = curve.hz <= bandwidth_hz
    hz = curve.hz[used]
    made = _figure(
        "curve",
        260,
        x_axis_type="log",
        x_axis_label="Hz",
        y_axis_label="candidate minus reference, dB",
    )
    made.varea(x=hz, y1=curve.low[used], y2=curve.high[used], fill_color=CANDIDATE, fill_alpha=0.25)
    made.line(x=[float(hz[0]), float(hz[-1])], y=[0, 0], color=REFERENCE, line_width=2)
    made.line(x=hz, y=curve.decibels[used], color=CANDIDATE, line_width=3)
    _hertz(made)
    return made


def parts_figure(result: Comparison) -> Any:
    """What each mel band adds to the envelope view of the value."""
    names = [band.name.removesuffix(" Hz") for band in result.bands]
    low = np.array([float(name.split("-")[0]) for name in names])
    high = np.array([float(name.split("-")[1]) for name in names])
    values = np.array([band.value for band in result.bands])
    quarter = (high - low) / 4  # neighbours overlap by half: each is drawn as wide as it is alone
    made = _figure("parts", 200, x_axis_type="log", x_axis_label="Hz", y_axis_label="part of the value")
    made.quad(
        left=low + quarter, right=high - quarter, bottom=np.minimum(values, 0), top=np.maximum(values, 0),
        fill_color=CANDIDATE, line_color=None,
    )  # fmt: skip
    made.yaxis.formatter = PrintfTickFormatter(format="%g")
    _hertz(made)
    return made


def _hertz(made: Any) -> None:
    """Ticks of a logarithmic axis of frequency."""
    made.xaxis.ticker = made.xgrid.ticker = FixedTicker(ticks=list(HERTZ))
    made.xaxis.major_label_overrides = HERTZ
