"""A comparison in a notebook's cell, and on axes."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

import audio_distance


@pytest.fixture(scope="module")
def result(noise):
    dark = [np.convolve(noise(20 + i, 1.0), np.ones(3) / 3, "same") for i in range(8)]
    return audio_distance.compare([noise(i, 1.0) for i in range(8)], dark, rate=16000)


@pytest.fixture
def sets_of_groups(folder_of):
    """Two folders of six files, two a speaker."""
    real, made = folder_of("real", range(6)), folder_of("made", range(10, 16))
    groups = {
        path.name: f"speaker {i // 2}"
        for side in (real, made)
        for i, path in enumerate(sorted(side.iterdir()))
    }
    return real, made, groups


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


class TestListen:
    """Players on demand; what a cell shows of a comparison has none."""

    def sounds(self, noise):
        dark = [np.convolve(noise(20 + i, 1.0), np.ones(3) / 3, "same") for i in range(8)]
        return [noise(i, 1.0) for i in range(8)], dark

    def test_the_ends_of_both_sets_can_be_heard(self, result, noise):
        real, dark = self.sounds(noise)
        text = result.listen(real, dark, rate=16000)._repr_html_()
        clips = re.findall(r'aria-label="(.*?)" src="data:audio/mpeg;base64,(.*?)"', text)
        ends = [
            unit.name
            for units in (result.reference_units, result.units)
            for unit in (*units[:3], *units[:-4:-1])
        ]
        assert [name for name, _ in clips] == ends and len(text) < 12 * 12_000  # 1 s at 48 kbit/s is 8,000
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(clips[6][1])))
        original = dark[int(ends[6].strip("[]"))]
        assert rate == 24_000 and np.std(samples) == pytest.approx(np.std(original), rel=0.2)
        assert "<audio" not in result._repr_html_() and not Tags(text).open

    def test_what_is_described_is_mute(self, result, noise):
        parts = [audio_distance.describe(sounds, rate=16000) for sounds in self.sounds(noise)]
        text = audio_distance.compare(*parts).listen(*parts).html
        assert text.count("described: it holds no audio to play") == 2 and "<audio" not in text

    def test_groups_are_no_files(self, sets_of_groups):
        real, made, groups = sets_of_groups
        text = audio_distance.compare(real, made, groups=groups).listen(real, made).html
        assert text.count("its units are groups, not files") == 2

    def test_other_sets_are_refused(self, result, noise):
        real, dark = self.sounds(noise)
        with pytest.raises(
            audio_distance.AudioError, match=r"the candidate has no file \[\d\], which was compared"
        ):
            result.listen(real, dark[:2], rate=16000)

    def test_a_file_that_is_gone_is_said(self, folder_of):
        real, made = folder_of("real", range(3)), folder_of("made", range(5, 8))
        result = audio_distance.compare(real, made)
        (made / "made_05.wav").write_bytes(b"")
        assert "cannot be read again: 0 bytes" in result.listen(real, made).html


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
