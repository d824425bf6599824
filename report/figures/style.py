"""What all figures share.

Conventions
    argument   the content of a results file, as ``study.results.read`` returns it; nothing is
               measured here, nothing is read or written.
    size       8 inches wide and drawn for 800 pixels: text of 10 points or more.
    colour     blue and orange of the Okabe-Ito palette and the map cividis, which do not depend on
               telling red from green; every colour is doubled by a shape or a number.
"""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#BBBBBB"
FONT = 10  # points
VERDICTS = {  # of the gate: colour and marker
    "better": (BLUE, "v"),
    "no worse": (BLUE, "o"),
    "undecided": ("#555555", "s"),
    "worse": (ORANGE, "^"),
    "": ("black", "D"),
}
RANKED = ("#000000", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#D55E00")  # as many as ablations
MARKERS = "Dov^sP"


def image(figure: Figure):
    """The figure as a picture that a notebook shows, 800 pixels wide: an ``IPython.display.Image``."""
    from IPython.display import Image

    stage = io.BytesIO()
    figure.savefig(stage, format="png", dpi=100, metadata={"Software": None})
    return Image(stage.getvalue())


def _words(name: str) -> str:
    return name.replace("_", " ")


def _numbers(axes, values: np.ndarray, *, bold: np.ndarray) -> None:
    """Write every value, 0 to 1, into its cell of a map that is dark below one half."""
    for (i, j), value in np.ndenumerate(values):
        axes.text(
            j,
            i,
            f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=FONT - 1,
            color="black" if value > 0.5 else "white",
            fontweight="bold" if bold[i, j] else "normal",
        )
