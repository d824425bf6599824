"""A comparison in a notebook's cell, and on axes."""

from html.parser import HTMLParser

import numpy as np
import pytest

import audio_distance


@pytest.fixture(scope="module")
def result(noise):
    dark = [np.convolve(noise(20 + i, 1.0), np.ones(3) / 3, "same") for i in range(8)]
    return audio_distance.compare([noise(i, 1.0) for i in range(8)], dark, rate=16000)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        if tag not in {"rect", "line", "circle"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        if tag not in {"rect", "line", "circle"}:
            assert self.open.pop() == tag


class TestCell:
    def test_what_it_says(self, result):
        text = result._repr_html_()
        assert "differs from the reference" in text and f"distance {result.value:.3f}" in text
        assert "8 files of the reference (8.0 s)" in text and "compared below 8000 Hz" in text
        assert all(f"<td>{value:.3f}</td>" in text for value in result.views.values())
        for unit in (*result.units[:3], *result.units[-3:]):
            assert f"<td>{unit.name}</td><td>{unit.value:.3f}</td>" in text
        tags = Tags(text)
        assert not tags.open and "script" not in tags.seen and len(text) < 5000

    def test_names_are_text(self, tmp_path, folder_of):
        real, made = folder_of("real", range(3)), folder_of("<img src=x>", range(5, 8))
        text = audio_distance.compare(real, made)._repr_html_()
        assert "<img" not in text and "&lt;img src=x&gt;" in text

    def test_without_an_interval(self, noise):
        text = audio_distance.compare([noise(0), noise(1)], [noise(2), noise(3)], rate=16000)._repr_html_()
        assert "interval not available" in text and "nan" not in text


class TestPlot:
    pyplot = pytest.importorskip("matplotlib.pyplot")

    def test_axes_in_axes_out(self, result):
        figure = __import__("matplotlib.figure").figure.Figure()
        axes = figure.add_subplot()
        assert result.plot(axes) is axes
        assert sum(patch.get_height() for patch in axes.patches) == len(result.null_values)
        drawn = [line.get_xdata() for line in axes.lines]
        assert any(np.allclose(x, result.interval) for x in drawn if len(x) == 2)
        assert any(np.allclose(x, [result.value]) for x in drawn)
        assert axes.get_title() == "different"

    def test_by_default_the_current_ones(self, result):
        figure, axes = self.pyplot.subplots()
        assert result.plot() is axes
        self.pyplot.close(figure)
