"""One style for all figures: sizes, colours, and the few shapes that several figures share.

Conventions
    results   the content of a results file, as ``study.results.read`` returns it; nothing is measured
              here, nothing is read or written.
    figure    a function decorated with ``styled``; one without the decorator would be drawn with whatever
              settings its caller has. matplotlib's own settings are never changed: importing a room
              must not restyle the plots of who imports it.
    size      8 inches wide; titles of 12 points, all other text of 10, numbers in the cells of maps and
              notes beside points of 9.
    colour    the Okabe-Ito palette and maps from dark to bright (cividis where nothing else is said), which
              do not depend on telling red from green; every colour is doubled by a shape, a place or a word.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn
from matplotlib import colormaps, rc_context, rcdefaults, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from seaborn.utils import relative_luminance

FOLDER = Path(__file__).parents[2] / "figures"
WIDTH = 8  # inches: at 100 pixels each, the width of a page on GitHub and in a notebook
DOTS = 150  # an inch
TITLE, LABEL, NOTE = 12, 10, 9  # points

BLACK, BLUE, GREEN, PINK, YELLOW, ORANGE = "#000000", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#D55E00"
GREY, DARK_GREY = "#BBBBBB", "#555555"
PALETTE = (BLACK, BLUE, GREEN, PINK, YELLOW, ORANGE)  # Okabe and Ito 2008, but for two light ones
MARKERS = ("D", "o", "v", "^", "s", "P")  # one a colour of the palette
VERDICTS = {  # of the gate: colour and marker
    "better": (BLUE, "v"),
    "no worse": (BLUE, "o"),
    "undecided": (DARK_GREY, "s"),
    "worse": (ORANGE, "^"),
    "": (BLACK, "D"),
}

# One look for all: sizes that can be read at 800 pixels, no frame, a map that greys well.
SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same figure on every machine
    "font.size": LABEL,
    "figure.titlesize": TITLE,
    "figure.labelsize": LABEL,
    "axes.titlesize": LABEL,
    "axes.titlelocation": "left",
    "axes.labelsize": LABEL,
    "xtick.labelsize": LABEL,
    "ytick.labelsize": LABEL,
    "legend.fontsize": LABEL,
    "legend.title_fontsize": LABEL,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "image.cmap": "cividis",
    "figure.constrained_layout.use": True,
}


@contextmanager
def _settings() -> Iterator[None]:
    """These settings over matplotlib's defaults, not over a user's: the same file on every machine."""
    with rc_context():
        rcdefaults()  # a user's matplotlibrc must not show in a committed figure
        rcParams.update(SETTINGS)
        yield


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorate a function that returns a figure: it draws in this style, whatever matplotlib's is.

    Settings hold inside the call and are as before after it, also after an error.
    """

    @wraps(draw)
    def in_style(*arguments, **options) -> Figure:
        with _settings():
            return draw(*arguments, **options)

    return in_style


def new_figure(height: float, title: str, rows: int = 1, columns: int = 1, **options):
    """A figure of ``height`` inches under a title at the left, and its axes as ``subplots`` gives them.

    No pyplot: a figure that is made here is in no list that somebody else could close or show. Further
    options are those of ``Figure.subplots``.
    """
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots(rows, columns, **options)
    figure.suptitle(title, x=0.01, ha="left")
    return figure, axes


def png(figure: Figure) -> bytes:
    """The figure as a file of 150 dots an inch: the same bytes for the same figure and matplotlib.

    No version or date is written into it, so a figure that did not change does not differ.
    """
    content = io.BytesIO()
    with _settings():  # some labels are only made when they are drawn
        figure.savefig(content, format="png", dpi=DOTS, metadata={"Software": None})
    return content.getvalue()


def save(figure: Figure, name: str) -> Path:
    """Write ``figures/NAME.png`` and return its path."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.png"
    path.write_bytes(png(figure))
    return path


def show(figure: Figure, name: str = ""):
    """The figure as a notebook shows it, 800 pixels wide; saved as ``figures/NAME.png`` if it has a name.

    In 256 colours: a notebook holds up to twenty pictures, and has to open.
    """
    from IPython.display import Image  # only notebooks have it

    if name:
        save(figure, name)
    return Image(_in_palette(png(figure)), width=100 * WIDTH)


def _in_palette(content: bytes) -> bytes:
    """A PNG with a byte a pixel in the 256 colours that suit it, without dither: a third of the size."""
    from PIL import Image  # the files of figures/ do without

    small = io.BytesIO()
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(small, format="png", optimize=True)
    return small.getvalue()


def words(name: str) -> str:
    """A name in code as one writes it."""
    return name.replace("_", " ")


# Shapes that several figures share


def heat_map(
    axes: Axes,
    table: pd.DataFrame,
    *,
    texts: np.ndarray | None = None,
    limits: tuple[float, float] = (0, 1),
    bold: np.ndarray | None = None,
    bar: str = "",
    **options,
) -> None:
    """Draw a table as a map with a number in every cell that has one; NaN stays white.

    Parameters
    ----------
    axes, table
        Rows down, columns across, under their names.
    texts : array of str, of the table's shape
        By default numbers of two digits.
    limits : (low, high)
        Values of the darkest and the brightest shade; what lies beyond has theirs.
    bold : array of bool, of the table's shape
        Whose texts are bold.
    bar : str
        Label of a colour bar; none by default, as the numbers are there.
    options
        ``seaborn.heatmap``'s.
    """
    if texts is None:
        texts = table.map(lambda value: f"{value:.2f}".replace("-0.00", "0.00")).to_numpy()
    # An arrow at the top of the bar where a cell is beyond it; values below 0 are noise about 0.
    beyond = "max" if np.nanmax(table) > limits[1] else "neither"
    seaborn.heatmap(
        table,
        ax=axes,
        annot=texts,
        fmt="",
        annot_kws={"fontsize": NOTE},
        cmap="cividis",
        vmin=limits[0],
        vmax=limits[1],
        cbar=bool(bar),
        cbar_kws={"label": bar, "shrink": 0.8, "pad": 0.02, "extend": beyond} if bar else None,
        **options,
    )
    norm, colours = Normalize(*limits), colormaps["cividis"]
    for text in axes.texts:
        column, row = (int(place) for place in text.get_position())
        # Where black on the cell has more contrast than white has (WCAG 2: luminance above .18); seaborn
        # writes white on what is much brighter.
        bright = relative_luminance(colours(norm(table.iat[row, column]))) > 0.18
        text.set_color(BLACK if bright else "white")
        text.set_fontweight("bold" if bold is not None and bold[row, column] else "normal")
    axes.set_xlabel("")
    axes.set_ylabel("")
    axes.tick_params(length=0)


def slanted(axes: Axes, degrees: float = 40) -> None:
    """Turn the labels under a map so far that long ones fit, each ending below its column."""
    turned = {"rotation": degrees, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(axes.get_xticks(), axes.get_xticklabels(), **turned)


def rung(
    axes: Axes,
    place: float,
    value: float,
    interval: Sequence[float],
    *,
    colour: str,
    marker: str,
    seeds: Sequence[float] = (),
) -> None:
    """One row of a ladder: a value with its interval as a bar, and seeds or folds as strokes.

    ``place`` is the row, from 0 at the top once ``rows`` has named them; ``interval`` the two ends.

    ``colour`` and ``marker`` say of what kind the row is; strokes are half transparent, so that equal ones
    show.
    """
    # A round cap would make the interval longer than it is.
    axes.plot(interval, [place, place], color=colour, lw=2, solid_capstyle="butt")
    axes.plot(seeds, [place] * len(seeds), "|", color=colour, ms=10, alpha=0.6)
    axes.plot(value, place, marker, color=colour, ms=7)


def rows(axes: Axes, names: Iterable[str], places: Sequence[float] | None = None) -> None:
    """Name the rows of a ladder, the first one on top; ``places`` by default 0, 1, 2 ..."""
    names = list(names)
    axes.set_yticks(range(len(names)) if places is None else places, names)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)


def beside(axes: Axes, place: float, text: str, colour: str = BLACK) -> None:
    """A note right of the axes, in line with a row."""
    axes.text(1.02, place, text, transform=axes.get_yaxis_transform(), va="center", color=colour)


def beside_ends(axes: Axes, ends: Mapping[str, tuple[float, str]], *, apart: float) -> None:
    """Names right of the axes, each level with the end of its line, moved so that none lies on another.

    ``ends``: name -> where its line ends along y, and its colour; ``apart``: the least distance of two
    names, as a share of the axes' height. A thin stroke leads from the edge of the axes to each name. Call it
    when the limits are set; the axis is linear.
    """
    from sklearn.isotonic import isotonic_regression  # takes a second to import, and few figures need it

    low, high = axes.get_ylim()
    order = sorted(ends, key=lambda name: ends[name][0])
    levels = np.array([(ends[name][0] - low) / (high - low) for name in order])
    # The places nearest to the levels of which each is so far above the one before: what is left when the
    # steps are taken off may not fall, which is an isotonic regression.
    steps = apart * np.arange(len(order))
    places = isotonic_regression(levels - steps) + steps
    for name, level, place in zip(order, levels, places, strict=True):
        colour = ends[name][1]
        axes.annotate(
            name, (1, level), (1.06, place), "axes fraction", va="center", color=colour,
            # From the edge, and a sign that lies on it, to the left of the name.
            arrowprops={
                "arrowstyle": "-", "color": colour, "lw": 0.8, "relpos": (0, 0.5), "shrinkA": 2, "shrinkB": 4
            },
        )  # fmt: skip


def training_curves(axes: Axes, curves: Mapping[str, Sequence], **options) -> None:
    """Mean over the seeds against the step, and their range as a band.

    ``curves``: name -> (seeds, points, 2), step and distance; at most six names, one a colour and marker.
    Options are ``seaborn.lineplot``'s.
    """
    table = pd.concat(
        [
            pd.DataFrame(np.concatenate(values), columns=["step", "distance"]).assign(name=name)
            for name, values in curves.items()
        ],
        ignore_index=True,
    )
    seaborn.lineplot(
        table,
        x="step",
        y="distance",
        hue="name",
        style="name",
        dashes=False,
        markers=dict(zip(curves, MARKERS, strict=False)),
        palette=dict(zip(curves, PALETTE, strict=False)),
        errorbar=("pi", 100),  # all of them: there are three to ten
        err_kws={"alpha": 0.15, "lw": 0},
        markeredgecolor="none",
        ax=axes,
        **options,
    )


def ticks(axis, places: Sequence[float]) -> None:
    """Ticks of a logarithmic axis at these places only, written as plain numbers: 0.01, not 10^-2."""
    axis.set_major_locator(FixedLocator(places))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())  # theirs would be labelled too, in powers of ten


def in_percent(axis) -> None:
    """Write the shares along an axis as percentages."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
