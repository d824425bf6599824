"""The page: what is in the file, and what must never be."""

import base64
import hashlib
import json
import os
import re
import struct
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audio_distance
from audio_distance.command import main
from audio_distance.description import Sound
from audio_distance.distance import described_each
from audio_distance.energy import Contribution
from audio_distance.page import write_page
from audio_distance.page.clips import bandwidth_of, encoded, hear, with_serial
from audio_distance.page.contents import (
    chosen,
    curve_of,
    difference_of_means,
    map_of,
    pairs_of,
    with_partners,
)
from audio_distance.page.landmarks import landmarks_of
from audio_distance.page.markup import shown, text
from audio_distance.reading import Reading
from audio_distance.sources import Source
from audio_distance.views import PARTS, number_names

pytest.importorskip("bokeh", reason="the extra page")

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>",
    "--><img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    '"><b>bold</b>',
    "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)',
    "`${alert(1)}`",
    "{{7*7}}",
    "@name{safe}",
    "$name",
    "%s%d",
    "javascript:alert(1)",
    "data:text\\html,x",
    "&lt;b&gt;",
    "&#60;b&#62;",
    "a\nb",
    "a\tb",
    "a\rb",
    "\u202egpj.exe",
    "\u200bnothing",
    "\u2028line",
    "e\u0301 and \u00e9",
    "\u05e9\u05dc\u05d5\u05dd",
    "\U0001f600",
    "a" * 251,  # 255 bytes with the extension
    os.fsdecode(b"caf\xe9"),
    "\\u003cscript\\u003e",
    "C:\\temp\\..",
    "__proto__",
]


class Page(HTMLParser):
    """Tags with their attributes, and the text of scripts by their id."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.scripts, self._in = [], [], None
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append((dict(attributes), ""))
            self._in = "script"

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        if self._in:
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)

    @property
    def content(self):
        return json.loads(next(words for a, words in self.scripts if a.get("id") == "content"))

    @property
    def run(self):
        """Scripts that a browser runs."""
        return [words for a, words in self.scripts if "type" not in a]

    @property
    def clips(self):
        return {a["id"]: words for a, words in self.scripts if a.get("id", "").startswith("clip-")}

    @property
    def spare(self):
        return {a["id"]: words for a, words in self.scripts if a.get("id", "").startswith("mp3-")}

    @property
    def policy(self):
        (found,) = (a["content"] for tag, a in self.tags if "http-equiv" in a)
        return dict(part.split(" ", 1) for part in found.split("; "))


@pytest.fixture(scope="module")
def sets(tmp_path_factory, noise):
    """Three sets of 10 noises: white, white again, and a darker one."""
    folder = tmp_path_factory.mktemp("sets")
    for name, first, smooth in (("real", 0, 1), ("good", 20, 1), ("dark", 40, 3)):
        (folder / name).mkdir()
        for i in range(10):
            samples = np.convolve(noise(first + i, 1.0), np.ones(smooth) / smooth, "same")
            soundfile.write(folder / name / f"{name}_{i}.wav", samples, 16000)
    return folder


def arguments(sets, out):
    folders = [str(sets / name) for name in ("real", "good", "dark")]
    return [*folders, "--page", str(out), "--workers", "1", "--permutations", "99"]


@pytest.fixture(scope="module")
def written(sets):
    out = sets / "page.html"
    assert main(arguments(sets, out)) == 0
    return out


@pytest.fixture(scope="module")
def page(written):
    return Page(written)


class TestFile:
    def test_nothing_is_fetched(self, page):
        """No attribute leads out of the file, and the policy would stop what did."""
        leading = {"src", "href", "srcset", "action", "poster", "data", "background"}
        found = [(tag, key, value) for tag, a in page.tags for key, value in a.items() if key in leading]
        assert found == [("a", "href", "#main")]
        (style,) = re.findall(r"<style>(.*?)</style>", page.html, re.S)
        assert "url(" not in style and "@import" not in style
        assert "sourceMappingURL" not in page.html

    def test_the_policy(self, page):
        digests = {
            f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
            for script in page.run
        }
        assert len(digests) == 2
        assert set(page.policy["script-src"].split()) == digests  # no eval, no inline, no host
        assert page.policy["default-src"] == "'none'" and "connect-src" not in page.policy
        assert not [
            source for source in " ".join(page.policy.values()).split() if "//" in source or "*" in source
        ]
        place = page.html.index("Content-Security-Policy")
        assert place < page.html.index("<style") and place < page.html.index("<script")

    def test_no_handler_and_no_script_address_in_markup(self, page):
        assert not [a for _, a in page.tags for key in a if key.startswith("on")]

    def test_every_kind_of_section(self, page):
        heads = re.findall(r"<h2>(.*?)</h2>", page.html)
        one = ["Verdict", "Map", "What differs", "Files", "Blind test"]
        assert heads == ["Candidates", *one, *one, "About this page"]

    def test_the_same_bytes(self, sets, written):
        again = sets / "again.html"
        main(arguments(sets, again))
        assert again.read_bytes() == written.read_bytes()

    def test_clips_are_inert_and_sound(self, page, sets):
        assert page.content["clips"] == [*range(30)] and len(page.clips) == 30
        assert {a["type"] for a, _ in page.scripts if "type" in a} == {"text/plain", "application/json"}
        samples, rate = soundfile.read(BytesIO(base64.b64decode(page.clips["clip-0"])))
        assert rate == 24_000 and len(samples) == pytest.approx(24_000, abs=600)
        original, _ = soundfile.read(sets / "real" / "real_0.wav")
        assert np.std(samples) == pytest.approx(np.std(original), rel=0.2)

    def test_what_the_tabs_hold(self, page, sets):
        results = audio_distance.compare_each(
            sets / "real", {"good": sets / "good", "dark": sets / "dark"}, workers=1
        )
        sounds = page.content["sounds"]
        for tab, result in zip(page.content["tabs"], results.values(), strict=True):
            for side, parts in enumerate((result.reference_units, result.units)):
                own = {part.name: part.value for part in parts}
                found = {
                    sounds[position]["name"]: value
                    for position, value in zip(tab["positions"], tab["contribution"], strict=True)
                    if sounds[position]["side"] == side
                }
                assert found == pytest.approx(own, abs=1e-3) and np.mean([*found.values()]) == pytest.approx(
                    result.value, abs=1e-3
                )
            assert all(
                sounds[p]["side"] != sounds[q]["side"]
                for p, q in zip(tab["positions"], tab["nearest"], strict=True)
            )
            assert {*tab["roots"]} == {"scale", "null", "map", "curve", "parts"}

    def test_the_ranking(self, page):
        caption = page.html.index("The nearest first")
        assert page.html.index("good</bdi>", caption) < page.html.index("dark</bdi>", caption)
        assert "farther (p = " in page.html


def test_largest_bytes(sets, tmp_path):
    """Less room, fewer clips, and it is said; no room, no page, and the old one stays."""
    real, dark, out = sets / "real", sets / "dark", tmp_path / "page.html"
    result = audio_distance.compare(real, dark, workers=1)
    result.to_html(out, real, dark, workers=1)
    whole = Page(out)
    sound = sum(len(words) for words in whole.clips.values())
    limit = out.stat().st_size - sound - sum(map(len, whole.spare.values())) + 20_000
    result.to_html(out, real, dark, largest_bytes=limit, workers=1)
    some = Page(out)
    assert not some.spare and whole.spare  # copies in MP3 come after what all can play
    assert 0 < len(some.clips) < 20 and out.stat().st_size <= limit
    assert (
        f"{len(some.clips)} of 20 files, those that contribute most and their nearest, can be played"
        in some.html
    )
    assert "at 24 kbit/s" in some.html and "at 64 kbit/s" in whole.html
    before = out.read_bytes()
    with pytest.raises(
        audio_distance.AudioError, match=r"without any sound takes [\d,]+ bytes, and the limit"
    ):
        result.to_html(out, real, dark, largest_bytes=100_000, workers=1)
    assert out.read_bytes() == before and [*tmp_path.iterdir()] == [out]


def test_what_is_not_listed_is_said(sets, tmp_path, monkeypatch):
    from audio_distance.page import document

    monkeypatch.setattr(document, "MOST_FILES", 12)
    real, dark, out = sets / "real", sets / "dark", tmp_path / "page.html"
    audio_distance.compare(real, dark, workers=1, permutations=99).to_html(out, real, dark, workers=1)
    found = Page(out)
    assert len(found.content["sounds"]) == len(found.clips) == 12
    assert found.html.count("6 of 10 files of") == 2 and "files listed here" in found.html


def test_pairs(sets, tmp_path, monkeypatch):
    """Both of a pair are known of each other, heard before others, and on the page together if it is cut."""
    from audio_distance.page import document

    made = tmp_path / "made"
    made.mkdir()
    for path in (sets / "real").iterdir():
        samples, rate = soundfile.read(path)
        soundfile.write(made / f"{path.stem}.flac", 0.5 * samples, rate)
    out, real = tmp_path / "page.html", sets / "real"
    result = audio_distance.compare(real, made, workers=1, permutations=99)
    result.to_html(out, real, made, workers=1)
    (tab,), whole = Page(out).content["tabs"], Page(out)
    assert tab["pairs"] == [[i, i + 10] for i in range(10)]
    spare = whole.content["spare"]
    assert len(spare) == 10 and {p for p in spare if p < 10} == {p - 10 for p in spare if p >= 10}
    monkeypatch.setattr(document, "MOST_FILES", 8)
    result.to_html(out, real, made, workers=1)
    found = Page(out)
    assert found.content["tabs"][0]["pairs"] == [[i, i + 4] for i in range(4)]
    names = [sound["name"].rpartition(".")[0] for sound in found.content["sounds"]]
    assert names[:4] == names[4:]


def test_copies_in_mp3(page, sets):
    """Of the ten that contribute most or are the nearest of these: they sound as the others do."""
    spare = page.content["spare"]
    assert len(spare) == 10 and {f"mp3-{i}" for i in spare} == {*page.spare}
    samples, rate = soundfile.read(BytesIO(base64.b64decode(page.spare[f"mp3-{spare[0]}"])))
    opus, _ = soundfile.read(BytesIO(base64.b64decode(page.clips[f"clip-{spare[0]}"])))
    assert rate == 24_000 and len(samples) == pytest.approx(len(opus), abs=2400)
    assert np.std(samples) == pytest.approx(np.std(opus), rel=0.2)
    assert "do not play that: 10." in page.html


def test_hostile_names(tmp_path, noise):
    folder = tmp_path / "a<b>&'\""
    (folder).mkdir()
    for i, name in enumerate(HOSTILE):
        path = folder / f"{name.replace('/', '∕')}.wav"
        with path.open("wb") as file:
            soundfile.write(file, noise(i, 0.2), 16000, format="WAV")
    names = {path.name for path in folder.iterdir()}
    assert len(names) == len(HOSTILE) > 30
    out = tmp_path / "page.html"
    assert main([str(folder), str(folder), "--page", str(out), "--workers", "1", "--permutations", "99"]) == 0
    found = Page(out)
    assert len(found.run) == 2  # no script but ours
    allowed = {"html", "head", "meta", "title", "style", "body", "a", "header", "main", "footer", "script"}
    allowed |= {"section", "div", "span", "h1", "h2", "h3", "p", "ul", "li", "bdi"}
    allowed |= {"table", "caption", "thead", "tbody", "tr", "th", "td", "noscript"}
    assert {tag for tag, _ in found.tags} <= allowed
    listed = {sound["name"] for sound in found.content["sounds"]}
    assert listed == {shown(name) for name in names}
    assert not re.search("[\u202e\u200b\u2028]", found.html)


def test_what_names_become():
    assert shown("a\nb\u202ec\u2028d\udce9") == "a\\nb\\u202ec\\u2028d\\udce9"
    assert shown("שלום é 😀") == "שלום é 😀"
    assert text('<a href="x">\'&') == "&lt;a href=&quot;x&quot;&gt;&#x27;&amp;"


class TestOtherSets:
    def test_descriptions_are_mute_and_say_so(self, sets, tmp_path):
        parts = [audio_distance.describe(sets / name, workers=1) for name in ("real", "dark")]
        out = tmp_path / "page.html"
        audio_distance.compare(*parts).to_html(out, *parts)
        found = Page(out)
        assert not found.clips and "hold no audio: nothing can be played" in found.html
        assert len(found.content["sounds"]) == 20

    def test_arrays_pairs_and_an_embedding(self, noise, tmp_path):
        real = [noise(i, 0.5) for i in range(6)]
        made = [np.clip(2 * x, -1, 1) for x in real]

        def embedding(signal, rate):
            return np.array([np.std(signal), np.abs(signal).max(), rate / 1e4])

        out = tmp_path / "page.html"
        result = audio_distance.compare(real, made, rate=16000, paired=True, embedding=embedding)
        result.to_html(out, real, made, embedding=embedding, rate=16000)
        (tab,) = Page(out).content["tabs"]
        assert tab["pairs"] == [[i, i + 6] for i in range(6)] and tab["nearest"] == [*range(6, 12), *range(6)]
        assert tab["band"] is None and {*tab["roots"]} == {"scale", "null", "map"}

    def test_of_groups_the_contributions_are_listed(self, sets, tmp_path):
        real, made = sets / "real", sets / "dark"
        groups = {f"{side}_{i}.wav": f"speaker {i % 5}" for side in ("real", "dark") for i in range(10)}
        result = audio_distance.compare(real, made, groups=groups, workers=1, permutations=99)
        out = tmp_path / "page.html"
        result.to_html(out, real, made, workers=1)
        found = Page(out)
        (tab,) = found.content["tabs"]
        assert {*tab["contribution"]} == {None} and tab["pairs"] == []
        assert "Groups of the candidate, by contribution" in found.html
        assert all(f"<bdi>{unit.name}</bdi></th><td>{unit.value:.3f}" in found.html for unit in result.units)

    def test_two_files_a_side(self, folder_of, tmp_path):
        out = tmp_path / "page.html"
        real, made = folder_of("real", range(2)), folder_of("made", range(5, 7))
        audio_distance.compare(real, made).to_html(out, real, made, title="A <title>", about="CC BY 4.0")
        found = Page(out)
        assert (
            "too few files to tell" in found.html and "<h1>A &lt;title&gt;</h1><p>CC BY 4.0</p>" in found.html
        )

    def test_a_set_that_was_not_compared_is_refused(self, sets, tmp_path):
        result = audio_distance.compare(sets / "real", sets / "dark", workers=1)
        (tmp_path / "fewer").mkdir()
        for path in sorted((sets / "dark").iterdir())[:5]:
            (tmp_path / "fewer" / path.name).write_bytes(path.read_bytes())
        with pytest.raises(
            audio_distance.AudioError, match=r"10 files of .*dark \(10.0 s\) were compared, .* has 5"
        ):
            result.to_html(tmp_path / "page.html", sets / "real", tmp_path / "fewer", workers=1)
        assert not (tmp_path / "page.html").exists()

    def test_a_file_that_is_gone_is_said(self, sets, tmp_path, folder_of):
        real, made = folder_of("real", range(4)), folder_of("made", range(5, 9))
        loaded = described_each(
            real, {"made": made}, embedding=None, permutations=99, seed=0, reading=Reading(workers=1)
        )
        result = audio_distance.compare(real, made, workers=1)
        sources = {"reference": real, "candidates": {"made": made}}
        (made / "made_05.wav").write_bytes(b"")
        write_page(tmp_path / "page.html", {"made": result}, described=loaded, **sources)
        found = Page(tmp_path / "page.html")
        assert "made_05.wav could not be read again: 0 bytes" in found.html and len(found.clips) == 7


class TestCommand:
    def test_an_unwritable_page_is_an_error_and_no_trace(self, sets, capsys):
        (sets / "file").write_text("")
        code = main([str(sets / "real"), str(sets / "good"), "--page", str(sets / "file" / "x.html")])
        assert code == 1 and "x.html cannot be written" in capsys.readouterr().err

    def test_without_bokeh_it_is_said_before_anything_is_read(self, tmp_path, capsys, monkeypatch):
        from audio_distance.page import document

        document.bokeh_script.cache_clear()
        monkeypatch.setitem(__import__("sys").modules, "bokeh", None)
        assert main([str(tmp_path / "none"), str(tmp_path / "none2"), "--page", "x.html"]) == 1
        assert "the page needs Bokeh, which is not installed" in capsys.readouterr().err


class TestMeasures:
    def test_landmarks(self):
        """Of tones below 2 kHz over soft noise: noise counts, so does a line, two samples do not."""
        rng = np.random.default_rng(0)
        sources = []
        for i in range(12):
            t = np.arange(22_050) / 22_050
            tone = 0.2 * np.sin(2 * np.pi * rng.uniform(300, 2000) * t) + rng.normal(0, 1e-3, len(t))
            sources.append(Source(str(i), array=tone.astype(np.float32), rate=22_050))
        found = {m.name: m for m in landmarks_of(sources, common=22_050, seed=0, reading=Reading())}
        assert [*found] == [
            *("two samples of it", "mp3 at 64 kbit/s", "8 kHz telephone line", "noise at 20 dB"),
        ]
        assert abs(found["two samples of it"].value) < found["noise at 20 dB"].value
        assert found["two samples of it"].interval[0] < 0 < found["two samples of it"].interval[1]
        assert all(mark.interval[0] < mark.value < mark.interval[1] for mark in found.values())
        assert found["8 kHz telephone line"].interval[0] > 0.05
        assert found["noise at 20 dB"].interval[0] > 0.05
        again = landmarks_of(sources, common=22_050, seed=0, reading=Reading())
        assert [*again] == [*found.values()]
        names = [m.name for m in landmarks_of(sources, common=8000, seed=0, reading=Reading())]
        assert "8 kHz telephone line" not in names  # every sound of that rate is one behind it
        gone = [Source(str(i), Path("none")) for i in range(9)]
        assert landmarks_of([*sources[:3], *gone], common=22_050, seed=0, reading=Reading()) == ()

    def test_an_opus_stream_with_a_number(self, noise):
        samples = noise(0, 1.0, 24_000).astype(np.float32)
        one, two = (encoded(samples, kilobits=24, serial=7) for _ in range(2))
        assert one == two and struct.unpack("<I", one[14:18]) == (7,)
        assert 24_000 / 8 * 0.5 < len(one) < 24_000 / 8 * 1.5
        decoded = [soundfile.read(BytesIO(data))[0] for data in (one, with_serial(one, 12345))]
        assert np.array_equal(*decoded)  # libogg drops a page whose checksum is wrong

    def test_bandwidth(self, noise):
        white = noise(3, 5.0, 22_050).astype(np.float32)
        assert bandwidth_of(white, 22_050) == pytest.approx(0.99 * 11_025, rel=0.01)
        tone = np.sin(2 * np.pi * 1000 * np.arange(22_050) / 22_050).astype(np.float32)
        assert bandwidth_of(tone, 22_050) == pytest.approx(1000, abs=25)

    def test_a_clip_begins_where_the_sound_does(self):
        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000 * 7) / 16_000)
        source = Source("x", array=np.concatenate([np.zeros(16_000), tone]), rate=16_000)
        heard = hear(source, reading=Reading())
        assert len(heard.samples) == 5 * 24_000 and np.abs(heard.samples[:100]).max() > 0.1
        bands = np.asarray(heard.picture).mean(axis=1)
        assert heard.picture.shape == (32, 48) and bands.argmax() > 24  # low frequencies are last

    def test_the_map_by_hand(self):
        """On a line, the variance is one component's; a far point is alone, a near one is not."""
        points = np.zeros((14, 3))
        points[:, 0] = [*range(6), 20.0, *np.arange(7) + 0.25]
        found = map_of(points, 7)
        assert found.explained == pytest.approx([1, 0], abs=1e-12)
        assert found.nearest[:3].tolist() == [7, 8, 9] and found.gaps[0] == pytest.approx(0.25)
        assert np.flatnonzero(found.alone).tolist() == [6]
        distances = np.abs(found.places[:, None, 0] - found.places[None, :, 0])
        assert distances == pytest.approx(np.abs(points[:, None, 0] - points[None, :, 0]), abs=1e-9)

    def test_the_curve_by_hand(self):
        """A band that is twice as strong in power is 3.01 dB up, and no other."""
        names = number_names()
        chosen = [
            i
            for i, n in enumerate(names)
            if n.startswith("envelope mean, ") and n.split(", ")[1] == names[0].split(", ")[1]
        ]
        assert len(chosen) == 3

        def sounds(extra):
            made = []
            for i in range(4):
                vectors = np.full((2, sum(PARTS.values())), i / 10, np.float32)
                vectors[:, chosen] += extra
                made.append(Sound(f"{extra}{i}", str(i), 22_050, 2.0, 2.0, 0.0, vectors))
            return made

        curve = curve_of(sounds(0.0), sounds(np.log(2)))
        assert curve.decibels[0] == pytest.approx(10 * np.log10(2), abs=1e-4)
        assert curve.decibels[1:] == pytest.approx(np.zeros(39), abs=1e-5)
        assert (curve.low < curve.decibels).all() and (curve.decibels < curve.high).all()

    def test_of_many_files_some_are_chosen(self):
        def sounds(count):
            empty = np.zeros((1, 1), np.float32)
            return [Sound(f"{i:03d}", str(i), 16_000, 1.0, 1.0, 0.0, empty) for i in range(count)]

        parts = [Contribution(f"{i:03d}", float(i)) for i in range(100)]
        names = [int(sound.name) for sound in chosen(sounds(100), [parts], 20)]
        assert len({*names}) == 20 and names == sorted(names)
        assert {*range(90, 100)} < {*names} and {0, 89} < {*names}  # the top, and others from end to end
        assert max(np.diff(names)) <= 10
        assert chosen(sounds(20), [parts], 20) == sounds(20)

    def test_a_difference_of_means_is_welch_s(self):
        import scipy.stats

        one, two = np.array([1.0, 2, 4, 7, 1]), np.array([3.0, 9, 4])
        value, span = difference_of_means(one, two)
        known = scipy.stats.ttest_ind(two, one, equal_var=False).confidence_interval(0.95)
        assert value == pytest.approx(two.mean() - one.mean())
        assert span == pytest.approx((known.low, known.high))
        assert difference_of_means(one, two[:2])[1] is None

    def test_of_pairs_it_is_student_s(self):
        import scipy.stats

        one, two = np.array([1.0, 2, 4, 7, 1]), np.array([1.5, 2, 4, 8, 2])
        value, span = difference_of_means(one, two, paired=True)
        known = scipy.stats.ttest_rel(two, one).confidence_interval(0.95)
        assert value == pytest.approx(0.5) and span == pytest.approx((known.low, known.high))

    def test_pairs_by_name(self):
        """Extensions and ways to write an accent differ; what has no partner is in no pair."""

        def sounds(*names):
            return [Sound(name, name, 16_000, 1.0, 1.0, 0.0, np.zeros((1, 1), np.float32)) for name in names]

        reference = sounds("a/caf\u00e9.wav", "b.wav", "only.wav")
        candidate = sounds("b.mp3", "x/b.wav", "a/cafe\u0301.flac")
        assert pairs_of(reference, candidate) == [(0, 5), (1, 3)]
        points = np.array([0.0, 10, 11, 12, 11, 5])[:, None]
        found = with_partners(map_of(points, 3), points, [(0, 5), (1, 3)])
        assert found.nearest.tolist() == [5, 3, 4, 1, 2, 0]
        assert found.gaps.tolist() == [5, 2, 0, 2, 0, 5]
