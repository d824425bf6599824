"""Every figure of the report can be read: nothing cut, hidden, or told apart by its colour alone."""

import copy
import io
import itertools
import re
from functools import cache

import numpy as np
import pytest
from matplotlib import rc_context, rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from report.figures import classifier, listening, style, trials
from report.figures.index import FIGURES
from study import results

PIXEL = 1.5  # what boxes may share: they are as high as the highest letter


@pytest.fixture(scope="module")
def committed():
    return results.read_all()


@cache
def drawn(name):
    """A figure of the committed results, laid out as it is saved."""
    draw, *sources = FIGURES[name]
    return laid_out(draw(*(results.read(source) for source in sources)))


def laid_out(figure):
    with style._settings():
        figure.draw(FigureCanvasAgg(figure).get_renderer())
    return figure


def cut_off(figure):
    """How many inches of what is drawn lie outside of the page."""
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return -min(box.x0, box.y0, width - box.x1, height - box.y1)


def texts(figure):
    """Texts that are shown, and their boxes in pixels; slanted ones, whose box is not where they are, not."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not axes.axison or not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    hidden |= {tick.label1, tick.label2}
            hidden |= set() if axes.axison else {axis.label}
    shown = [
        text
        for text in figure.findobj(Text)
        if text.get_visible()
        and text.get_text().strip()
        and text not in hidden
        and text.get_rotation() % 90 == 0
    ]
    renderer = figure.canvas.get_renderer()
    # The box of the words alone: an annotation's own has its arrow in it.
    return [(text, Text.get_window_extent(text, renderer)) for text in shown]


def overlaps(figure):
    """Pairs of texts that lie on each other."""
    return [
        (one.get_text(), other.get_text())
        for (one, a), (other, b) in itertools.combinations(texts(figure), 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > PIXEL and min(a.y1, b.y1) - max(a.y0, b.y0) > PIXEL
    ]


def points(axes):
    """Where lines and signs of the axes are, in pixels: (points, 2)."""
    parts = [np.empty((0, 2))]
    for line in axes.lines:
        ends = line.get_transform().transform(np.column_stack(line.get_data()).astype(float))
        if line.get_linestyle() != "None" and len(ends) > 1:
            way = np.linspace(0, 1, 30)[:, None]
            ends = np.concatenate([a + (b - a) * way for a, b in itertools.pairwise(ends)])
        parts.append(ends)
    for signs in axes.collections:
        if isinstance(signs, PathCollection) and len(signs.get_offsets()):
            parts.append(signs.get_offset_transform().transform(np.ma.filled(signs.get_offsets(), np.nan)))
    return np.concatenate(parts)


def legends(figure):
    return [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]


def legends_on_data(figure):
    """How many points lie below a legend."""
    found = 0
    for legend in legends(figure):
        box = legend.get_window_extent(figure.canvas.get_renderer())
        for axes in figure.axes:
            x, y = points(axes).T
            found += np.sum((x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1))
    return int(found)


def told_by_colour_alone(figure):
    """Legends of which two entries have one shape."""
    found = []
    for legend in legends(figure):
        shapes = []
        for handle in legend.legend_handles:
            if isinstance(handle, Line2D):
                shapes.append((handle.get_marker(), handle.get_linestyle(), handle.get_fillstyle()))
            elif isinstance(handle, PathCollection):
                shapes.append(handle.get_paths()[0].vertices.tobytes())
        if len(set(shapes)) < len(shapes):
            found.append([text.get_text() for text in legend.get_texts()])
    return found


def assert_readable(figure):
    assert cut_off(figure) <= 0.01  # inches: a pixel
    assert overlaps(figure) == []
    assert legends_on_data(figure) == 0
    assert told_by_colour_alone(figure) == []


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_from_results_alone(name):
    figure = drawn(name)
    assert figure.get_size_inches()[0] == style.WIDTH
    assert figure.get_suptitle()
    for axes in figure.axes:
        assert all(t.get_fontsize() >= style.LABEL for t in axes.get_xticklabels() if t.get_text())
    assert min(text.get_fontsize() for text, _ in texts(figure)) >= style.NOTE


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_read(name):
    """The layout makes room for labels of axes: titles, notes and legends it leaves where they are put."""
    assert_readable(drawn(name))


def test_what_cannot_be_read_is_seen():
    with style._settings():
        figure = Figure(figsize=(4, 3))
        axes = figure.subplots()
        for height in (1, 2):
            axes.plot([0, 1, 2], [0, height, 0], "o-", label=str(height))
        axes.legend(loc="center")
        axes.text(0.2, 0.1, "one text")
        axes.text(0.3, 0.1, "another")
        figure.suptitle("a title that is far too long for a figure of only four inches of width")
    laid_out(figure)
    assert cut_off(figure) > 0.1
    assert overlaps(figure) == [("one text", "another")]
    assert legends_on_data(figure) > 0
    assert told_by_colour_alone(figure) == [["1", "2"]]


# What notebooks draw of what they compute


def test_rearrangements_can_be_read():
    """A zero that is far is a number in the title, a near one is drawn."""
    values = np.concatenate([[3.5], np.linspace(-2, 2, 199)])
    figure = laid_out(trials.rearranged({"energy": values, "whitened frechet": 1000 + values}))
    assert_readable(figure)
    near, far = figure.axes
    assert near.get_title("left") == "energy: p = 0.005"
    assert re.fullmatch(r"whitened frechet: p = 0\.005, 0 is at -8\d\d", far.get_title("left"))
    assert (len(near.lines), len(far.lines)) == (2, 1)


def test_values_around_zero_can_be_read():
    figure = laid_out(trials.around_zero([-0.002, 0.001, 0.003], {"dull": 0.08}))
    assert_readable(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["3 halvings", "dull"]


def test_a_notebook_shows_a_smaller_file_of_the_same_picture():
    figure = trials.around_zero([-0.002, 0.001, 0.003], {"dull": 0.08})
    full = style.png(figure)
    shown = style.show(figure).data
    assert len(shown) < 0.6 * len(full)
    one, other = (np.asarray(Image.open(io.BytesIO(f)).convert("RGB"), int) for f in (full, shown))
    assert np.abs(one - other).max() <= 16  # of 255


# What is measured again has other numbers, other names and more of them


def test_any_number_of_rated_sets_can_be_read(committed):
    changed = copy.deepcopy({key: committed["trials"][key] for key in ("rated", "shipped")})
    for number in range(8):
        name = f"a_set_with_a_name_that_is_rather_long_{number}"
        changed["rated"][name] = changed["rated"]["hifigan_tts"] | {"figures": "second-hand"}
        # Of the last ones the better rated are farther.
        sign = 1 if number < 5 else -1
        values = committed["trials"]["shipped"]["hifigan_tts"]
        changed["shipped"][name] = {system: sign * value for system, value in values.items()}
    figure = laid_out(listening.listeners_scatter(changed))
    assert_readable(figure)
    titles = [axes.get_title("left") for axes in figure.axes if axes.axison]
    assert len(titles) == len(committed["trials"]["rated"]) + 8
    agreements = [float(title.split("\n")[1]) for title in titles]
    assert agreements == sorted(agreements, reverse=True)
    lines = [axes.lines[0] for axes in figure.axes if axes.axison]
    assert [line.get_color() == style.BLUE for line in lines] == [value >= 0 for value in agreements]
    second_hand = sum(line.get_marker() == "s" for line in lines)
    assert second_hand == sum(row["figures"] != "read" for row in changed["rated"].values()) >= 8


def test_titles_say_what_the_results_say(committed):
    """Of results that are measured again: a title that no longer holds is another title."""
    classified = copy.deepcopy(committed["classifier"])
    for low, words in ((0.1, "The farther a new folder, the more"), (-0.1, "does not show how much")):
        classified["prediction"]["all"]["distance"]["interval"] = [low, 0.9]
        assert words in classifier.new_folders(classified).get_suptitle()
    tried = {key: committed["trials"][key] for key in ("settings", "power", "effects")}
    tried["power"] = copy.deepcopy(tried["power"])
    embedding, distance = trials.trials.THIS
    for source, tables in tried["power"].items():
        row = tables[embedding][distance]
        named = zip(tried["effects"][source], row["curve"], strict=True)
        row["curve"] = [0.0 if name in ("noise 5", "codec_mp3 5") else 1.0 for name, _ in named]
    title = trials.severity_curves(tried).get_suptitle()
    assert title.endswith("noise and codec mp3 move this distance least")


def test_laboratories_count_alike_in_the_map_of_agreement(committed):
    """As in the table beside it: of this distance, the number in the frame."""
    kept = committed["trials"]
    each = trials.contrast.listeners(kept, trials.trials.THIS)
    figure = listening.listeners_map(kept)
    framed = next(text.get_text() for text in figure.axes[0].texts if text.get_fontweight() == "bold")
    assert float(framed) == pytest.approx(trials.contrast.listeners_mean(kept, each)["mean"], abs=0.0051)


def test_the_title_of_the_listening_trial_names_who_is_ahead(committed):
    changed = copy.deepcopy(committed["listening"])
    for row in changed["families"].values():
        row["lead_spearman"]["corrected"] = [-0.1, 0.2]
    assert listening.listening(changed).get_suptitle().endswith(": nothing")
    changed["families"]["a"]["lead_spearman"]["corrected"] = [0.1, 0.2]
    assert listening.listening(changed).get_suptitle().endswith(": (a) other windows")
    for row in changed["families"].values():
        row["lead_spearman"]["corrected"] = [0.1, 0.2]
    changed["rival"] = {"name": "a_network / gaussian_mmd", "spearman": changed["shipped"]["spearman"]}
    figure = laid_out(listening.listening(changed))
    assert_readable(figure)
    assert figure.axes[0].get_yticklabels()[1].get_text() == "a network / gaussian mmd"


@pytest.mark.parametrize("scale", [-1.0, 0.0, 20.0])
def test_names_beside_lines_never_collide(committed, scale):
    """Zeros of other signs and sizes, and of all distances the same one."""
    changed = {"bias": copy.deepcopy(committed["trials"]["bias"])}
    for row in next(iter(changed["bias"].values()))[trials.trials.THIS[0]].values():
        for cell in row.values():
            cell["mean"] *= scale
    figure = laid_out(trials.bias_curves(changed))
    assert_readable(figure)
    named = [text.get_text() for text in figure.axes[0].texts]
    assert len(named) == len(trials.ZEROS) and "this distance" in named
    grey = [line for line in figure.axes[0].lines if line.get_color() == style.GREY]
    assert len(grey) + len(named) == len(next(iter(changed["bias"].values()))[trials.trials.THIS[0]])


def test_names_beside_lines_keep_their_order():
    _, axes = style.new_figure(3, "three lines")
    axes.set_ylim(0, 1)
    ends = {"middle": (0.5, "k"), "low": (0.49, "k"), "high": (1.0, "k")}
    style.beside_ends(axes, ends, apart=0.1)
    places = {text.get_text(): text.xyann[1] for text in axes.texts}
    assert places["high"] == 1.0
    assert places["middle"] - places["low"] == pytest.approx(0.1)
    assert places["middle"] + places["low"] == pytest.approx(0.99)  # as near to their lines as may be


def test_damage_in_a_row_of_its_kind(committed):
    """All small effects are in a panel, in one row each, and a cell is the share of all draws of its kind."""
    figure = trials.effects_map(committed["trials"])
    rows = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    kinds = {trials.contrast.kind(effect) for effect in trials.contrast.small_effects(committed["trials"])}
    assert len(rows) == len(set(rows)) == len(kinds)
    found, draws = (
        sum(
            row[trials.trials.THIS[0]][trials.trials.THIS[1]][key][place]
            for source, row in committed["trials"]["power"].items()
            for place, effect in enumerate(committed["trials"]["effects"][source])
            if effect in ("pitch 1", "pitch 2")
        )
        for key in ("found", "draws")
    )
    first = figure.axes[0]
    row = [label.get_text() for label in first.get_yticklabels()].index("pitch")
    columns = len(first.get_xticks()) - 1  # what is distorted has no labels to read
    told = trials.contrast.test_shares(committed["trials"])
    by_test = np.mean([share for (_, effect), share in told.items() if effect.startswith("pitch")])
    cells = [text.get_text() for text in first.texts[row * columns :][:2]]
    assert cells == [f"{by_test:.2f}", f"{found / draws:.2f}"]


def test_style_is_local_and_a_figure_made_twice_is_the_same_file(committed):
    draw, result = FIGURES["challenge"]
    with rc_context({"font.size": 23, "axes.spines.top": True, "font.family": "monospace"}):
        before = dict(rcParams)
        first = style.png(draw(committed[result]))
        assert dict(rcParams) == before
    second = style.png(draw(committed[result]))
    assert first == second
    assert b"Software" not in first and b"Matplotlib" not in first
