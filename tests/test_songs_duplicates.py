"""Near-duplicates: closed forms, edits of synthetic songs, brute force, faults."""

import argparse
import hashlib
import io
import pickle

import numpy as np
import pytest
import soundfile
import soxr

from audio_distance.errors import AudioError
from songs import alignment, duplicates, fingerprint
from songs.alignment import align, candidates
from songs.duplicates import LEAST_SHARE, edits, find_duplicates, score, transcoded
from songs.fingerprint import DIMENSIONS, FINE_ORDERS, Fingerprint, fingerprint_song, from_row

RATE = 16_000  # Hz
FINE = 2 * len(FINE_ORDERS)


def tune(seed, *, notes=80, root=48):
    """(start in beats, MIDI pitch) of a random melody with bass notes."""
    rng = np.random.default_rng(seed)
    scale = root + np.array([0, 2, 3, 5, 7, 8, 10, 12, 14, 15, 17, 19, 20, 22, 24])
    melody = [(0.5 * i, int(rng.choice(scale[5:]))) for i in range(notes) if rng.random() < 0.8]
    return melody + [(2.0 * i, int(rng.choice(scale[:7]))) for i in range(notes // 4)]


def played(score, *, beat=0.5, brightness=1.0, detune=0.0):
    """A tune by decaying tones of six harmonics, (samples,), at 16 kHz; all songs share this instrument."""
    seconds = max(start for start, _ in score) * beat + 1.5
    signal = np.zeros(int(seconds * RATE))
    time = np.arange(RATE) / RATE
    for start, pitch in score:
        frequency = 440 * 2 ** ((pitch + detune - 69) / 12)
        note = sum(np.sin(2 * np.pi * h * frequency * time) / h**brightness for h in range(1, 7))
        place = int(start * beat * RATE)
        signal[place : place + RATE] += 0.05 * np.exp(-4 * time) * note
    return signal


def accompanied(seed, melody):
    """Twelve bars of bass and chords drawn by ``seed``; every other bar of the tune is ``melody``'s."""
    rng, own = np.random.default_rng(seed), np.random.default_rng(melody)
    scale = 48 + np.array([0, 2, 3, 5, 7, 8, 10, 12, 14, 15, 17, 19, 20, 22, 24])
    score = []
    for bar in range(12):
        root, shared = int(rng.choice(7)), rng.choice(scale[7:], 4)
        for beat, pitch in enumerate(own.choice(scale[7:], 4) if bar % 2 else shared):
            score += [(4 * bar + beat, int(scale[root])), (4 * bar + beat, int(pitch) + 12)]
            score += [(4 * bar + beat + 0.5, int(scale[root + third])) for third in (2, 4, 7)]
    return score


@pytest.fixture(scope="module")
def songs():
    """Three songs of 21 s by one instrument, with noise at -60 dB of full scale."""
    rng = np.random.default_rng(0)
    signals = {f"song {seed}": played(tune(seed)) for seed in (1, 2, 3)}
    return {name: signal + rng.normal(0, 1e-3, len(signal)) for name, signal in signals.items()}


def print_of(signal, rate=RATE):
    return fingerprint.fingerprint(np.asarray(signal), rate)


def drawn(seed, anchors):
    """A fingerprint of random vectors: between two of them a cosine of .8 is 8 standard deviations away.

    Spectra are coefficients of one modulus and random phase.
    """
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0, 40, (len(anchors), DIMENSIONS))
    spectra = np.exp(2j * np.pi * rng.random((len(anchors), len(FINE_ORDERS))))
    return Fingerprint(
        np.asarray(anchors, np.float32),
        np.clip(np.round(vectors), -127, 127).astype(np.int8),
        as_bytes(spectra),
        anchors[-1] + 2,
    )


def as_bytes(spectra):
    return np.round(127 * np.concatenate([spectra.real, spectra.imag], axis=1)).astype(np.int8)


def part(whole, kept):
    return Fingerprint(whole.anchors[kept], whole.vectors[kept], whole.spectra[kept], 0.0)


def faster(whole, speed, *, offset=0.0, pitch=None):
    """A song played faster; the factor of its ``pitch`` is by default a tape's."""
    semitones = 12 * np.log2(speed if pitch is None else pitch)
    spectra = (whole.spectra[:, : FINE // 2] + 1j * whole.spectra[:, FINE // 2 :].astype(float)) / 128
    turned = spectra * np.exp(-2j * np.pi * FINE_ORDERS * semitones / 46)
    anchors = (offset + whole.anchors.astype(float) / speed).astype(np.float32)
    return Fingerprint(anchors, whole.vectors, as_bytes(turned), 0.0)


class TestAlign:
    ANCHORS = np.cumsum(np.random.default_rng(0).uniform(0.3, 1.2, 200))

    @pytest.mark.parametrize("speed", [0.975, 0.99, 1.0, 1.01, 1.025, 1.033])
    @pytest.mark.parametrize("offset", [-40.0, 0.0, 7.5])
    def test_closed_form(self, speed, offset):
        first = drawn(1, self.ANCHORS)
        second = faster(first, speed, offset=offset)
        line = align(first, second)
        assert line.matches == 200 and line.share == 1.0
        # Rounded twice to 1/127: each coefficient is off by 1/90 at most, a cosine by half its square.
        assert line.likeness == pytest.approx(1, abs=2e-4)
        # Anchors are float32 of up to 200 s: each is 8e-6 s off at most.
        assert line.speed == pytest.approx(speed, abs=1e-6) and line.offset == pytest.approx(offset, abs=1e-4)
        back = align(second, first)
        assert back.speed == pytest.approx(1 / speed, abs=1e-6)
        assert back.offset == pytest.approx(-offset * speed, abs=1e-4)

    def test_share_counts_the_overlap(self):
        first = drawn(1, self.ANCHORS)
        half = Fingerprint(
            first.anchors[100:] - 50, first.vectors[100:].copy(), first.spectra[100:].copy(), 0.0
        )
        half.vectors[::2] = drawn(2, self.ANCHORS[:50]).vectors
        half.spectra[::2] = 0  # those that agree count alone
        line = align(first, half)
        assert line.matches == 50 and line.share == pytest.approx(0.5) and line.likeness == pytest.approx(1)
        assert line.offset == pytest.approx(-50.0, abs=1e-3)

    def test_a_speed_beyond_the_search_has_few_matches(self):
        first = drawn(1, self.ANCHORS)
        second = faster(first, 1.1)
        # Slopes differ by 0.057 at least: within 0.1 s of the line for 3.5 s, and 12 anchors at most.
        assert align(first, second).matches <= 12

    def test_strangers_and_nothing(self):
        first = drawn(1, self.ANCHORS)
        nothing = part(first, slice(0, 0))
        for second in (drawn(2, self.ANCHORS), nothing):
            line = align(first, second)
            assert (line.matches, line.share, line.speed, line.offset) == (0, 0.0, 1.0, 0.0)
            assert line.likeness == 0.0

    @pytest.mark.parametrize(("speed", "pitch"), [(1.02, 1.0), (0.97, 1.0), (1.0, 1.01), (1.01, 1.025)])
    def test_a_pitch_that_the_speed_does_not_explain(self, speed, pitch):
        """Coefficients have one modulus: their cosine is the mean of those of the turns that are left."""
        first = drawn(1, self.ANCHORS)
        line = align(first, faster(first, speed, pitch=pitch))
        turns = 2 * np.pi * FINE_ORDERS * 12 * np.log2(pitch / speed) / 46
        # Of rounding 1/90 a coefficient, of random sign over 17; 2e-5 of the speed's fit.
        assert line.share == 1.0 and line.likeness == pytest.approx(np.mean(np.cos(turns)), abs=0.01)

    @pytest.mark.parametrize(("others", "alike"), [(10, True), (30, False)])
    def test_likeness_is_of_the_least_tenth(self, others, alike):
        """Of 200 spectra 5 or 15 % are strangers: cosines of mean 0 and deviation .17."""
        first = drawn(1, self.ANCHORS)
        second = faster(first, 1.0)
        second.spectra[:others] = drawn(2, self.ANCHORS).spectra[:others]
        line = align(first, second)
        assert line.share == 1.0 and (line.likeness > 0.99 if alike else line.likeness < 0.7)


class TestFingerprint:
    def test_level_makes_no_difference(self, songs):
        signal = songs["song 1"].astype(np.float32)
        loud, soft = print_of(signal), print_of(signal / 4)  # a power of two, exact
        np.testing.assert_array_equal(loud.anchors, soft.anchors)
        np.testing.assert_array_equal(loud.vectors, soft.vectors)
        np.testing.assert_array_equal(loud.spectra, soft.spectra)

    def test_spectra_of_a_chord_turn_with_its_pitch(self):
        """Coefficient k by 2 pi k / 46 a semitone: two chords a third of a semitone apart."""
        rng = np.random.default_rng(6)
        time = np.arange(20 * RATE) / RATE
        beats = np.exp(-2 * (time % 1.0))
        tones, up = 300 * 2 ** rng.uniform(0, 3, 12), 2 ** (1 / 36)
        chords = [beats * sum(np.sin(2 * np.pi * f * factor * time) for f in tones) for factor in (1, up)]
        one, other = (print_of(0.01 * chord).spectra.astype(float) for chord in chords)
        one, other = (np.mean(s[:, : FINE // 2] + 1j * s[:, FINE // 2 :], axis=0) for s in (one, other))
        turns = np.angle(other * one.conj() * np.exp(2j * np.pi * FINE_ORDERS / 3 / 46))
        # Lines are 8 Hz wide, half a semitone at 262 Hz and a thirtieth at 3.7 kHz: they keep no exact shape.
        assert np.average(np.cos(turns), weights=np.abs(one * other)) > 0.97

    def test_anchors_are_where_bursts_begin(self):
        """Bursts a second apart: an anchor within 0.15 s of each."""
        rng = np.random.default_rng(3)
        signal = rng.normal(0, 1e-4, 20 * RATE)
        starts = np.arange(2, 18)
        for start in starts:
            signal[start * RATE : start * RATE + 1600] += rng.normal(0, 0.1, 1600)
        anchors = print_of(signal).anchors
        # The window is 0.26 s: what begins is seen 0.13 s before it, and the middle of the rise lies between.
        assert all(np.min(np.abs(anchors - start)) < 0.15 for start in starts)

    def test_shapes_and_rate(self, songs):
        found = print_of(songs["song 1"])
        assert found.vectors.shape == (len(found.anchors), DIMENSIONS) and found.vectors.dtype == np.int8
        assert np.all(np.diff(found.anchors) > 0.25) and found.anchors.dtype == np.float32
        assert np.all(np.abs(found.vectors).max(axis=1) == 127)
        assert found.spectra.shape == (len(found.anchors), FINE) and found.spectra.dtype == np.int8
        assert np.all(np.abs(found.spectra).max(axis=1) == 127)
        assert found.seconds == len(songs["song 1"]) / RATE
        other = print_of(soxr.resample(songs["song 1"], RATE, 44_100), 44_100)
        line = align(found, other)
        assert line.share > 0.95 and line.speed == pytest.approx(1, abs=1e-3)

    @pytest.mark.parametrize("samples", [0, 1, RATE, 3 * RATE])
    def test_silence_and_short_sounds_have_no_anchors(self, samples, noise):
        assert len(print_of(np.zeros(samples)).anchors) == 0
        assert len(print_of(noise(0, 10)[:samples]).anchors) == 0

    @pytest.mark.parametrize(
        ("signal", "rate", "message"),
        [
            (np.zeros((9, 2)), 8000, r"float64 of shape \(9, 2\)"),
            (np.zeros(9, np.int16), 8000, "int16"),
            (np.zeros(9), 7999, "rate is 7999 Hz, and at least 8000"),
            (np.zeros(9), float("nan"), "rate is nan Hz"),
            (np.array([0.0, np.nan]), 8000, "not finite"),
        ],
    )
    def test_refusals(self, signal, rate, message):
        with pytest.raises(AudioError, match=message):
            fingerprint.fingerprint(signal, rate)


class TestEdits:
    def test_every_edit_of_every_song_is_found(self, songs):
        rng = np.random.default_rng(5)
        originals = {name: print_of(signal) for name, signal in songs.items()}
        copies = {}
        for name, signal in songs.items():
            for kind, changed in edits(signal, RATE, rng=rng).items():
                copies.setdefault(kind, {})[name] = print_of(changed)
        assert len(copies) == 10
        for found in score(originals, copies):
            assert (found.recall, found.precision, found.false, found.missed) == (1.0, 1.0, (), ()), found

    def test_speed_and_offset_are_told(self, songs):
        signal = songs["song 2"]
        original = print_of(signal)
        for speed in (0.975, 1.01, 1.025):
            line = align(original, print_of(soxr.resample(signal, RATE * speed, RATE)))
            # Anchors lie on a grid of 0.05 s; the fit over 18 s and 25 of them is ten times finer.
            assert line.speed == pytest.approx(speed, abs=1e-3) and line.offset == pytest.approx(0, abs=0.05)
        line = align(original, print_of(signal[10 * RATE :]))
        assert line.speed == pytest.approx(1, abs=1e-3) and line.offset == pytest.approx(-10, abs=0.05)

    def test_lengths_and_seed(self, songs):
        signal = songs["song 1"]
        changed = edits(signal, RATE, rng=np.random.default_rng(1))
        assert len(changed["10 s off the end"]) == len(changed["10 s off the start"]) == len(signal) - 160_000
        assert len(changed["2.5 % faster"]) == pytest.approx(len(signal) / 1.025, abs=2)
        np.testing.assert_allclose(changed["-12 dB"], 0.251189 * signal, rtol=1e-5)
        short, again, other = (
            edits(signal[: 3 * RATE], RATE, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
        )
        assert set(changed) - set(short) == {"10 s off the start", "10 s off the end"}
        assert all(np.array_equal(short[kind], again[kind]) for kind in short)
        assert len(other["all at once"]) != len(short["all at once"])
        with pytest.raises(ValueError, match="rate is 8000 Hz"):
            edits(signal, 8000, rng=np.random.default_rng(1))

    @pytest.mark.parametrize("codec", ["opus", "mp3"])
    def test_bit_rate(self, songs, codec):
        signal, real = transcoded(songs["song 1"], RATE, codec=codec)
        assert 20 < real < 28  # asked for 24, kbit/s
        assert abs(len(signal) - len(songs["song 1"])) < RATE // 4
        assert not np.array_equal(signal[:1000], songs["song 1"][:1000])

    def test_unknown_codec(self):
        with pytest.raises(ValueError, match="codec is 'flac'"):
            transcoded(np.zeros(9), RATE, codec="flac")


class TestDifferentSongs:
    """What must be no duplicate, though much of it is the same."""

    @pytest.mark.parametrize(
        "other",
        [
            {"beat": 0.55},  # the tune by the same instrument, 10 % slower at the same pitch
            {"detune": 2.0},  # and two semitones up
            {"beat": 0.45, "brightness": 2.0},
        ],
    )
    def test_another_performance(self, other):
        pair = {"a": print_of(played(tune(1))), "b": print_of(played(tune(1), **other))}
        assert find_duplicates(pair) == []

    @pytest.mark.parametrize("speed", [0.975, 1.02, 1.03])
    def test_a_tempo_without_its_pitch(self, songs, speed):
        """The same notes agree as a copy's do; only the copy has their pitch raised by its speed."""
        signal = played(tune(1))
        original = print_of(signal)
        again, copy = (
            print_of(played(tune(1), beat=0.5 / speed)),
            print_of(soxr.resample(signal, RATE * speed, RATE)),
        )
        for other in (again, copy):
            line = align(original, other)
            assert line.share > LEAST_SHARE and line.speed == pytest.approx(speed, abs=2e-3)
        assert find_duplicates({"a": original, "b": again}) == []
        (found,) = find_duplicates({"a": original, "b": copy})
        assert found.speed == pytest.approx(speed, abs=2e-3)

    def test_another_tune_in_one_voice_of_several(self):
        """Bass, chords, tempo and every other bar of the tune are one."""
        for seed in range(3):
            pair = {name: print_of(played(accompanied(seed, melody))) for melody, name in enumerate("ab")}
            assert align(pair["a"], pair["b"]).share > LEAST_SHARE
            assert find_duplicates(pair) == []
            assert len(find_duplicates(pair, least_likeness=0.0)) == 1

    def test_the_same_drums_under_other_tunes(self):
        rng = np.random.default_rng(8)
        hits = rng.normal(0, 0.05, 1600) * np.exp(-np.arange(1600) / 300)
        songs = {}
        for seed in (11, 12, 13):
            signal = played(tune(seed))
            for place in range(0, len(signal) - 1600, RATE // 2):
                signal[place : place + 1600] += hits
            songs[f"{seed}"] = print_of(signal)
        assert find_duplicates(songs) == []

    def test_noises(self, noise):
        assert find_duplicates({f"{seed}": print_of(noise(seed, 20)) for seed in range(4)}) == []


class TestFindDuplicates:
    def test_a_loop_is_its_copy(self):
        """Every moment of a loop agrees with many: the line is found all the same."""
        signal = np.tile(played(tune(4, notes=16))[: 8 * RATE], 6)
        pair = {"a": print_of(signal), "b": print_of(soxr.resample(signal[3 * RATE :], RATE * 1.01, RATE))}
        (found,) = find_duplicates(pair)
        assert found.share > 0.8 and found.speed == pytest.approx(1.01, abs=2e-3)

    def test_order_of_songs_makes_no_difference(self, songs):
        prints = {name: print_of(signal) for name, signal in songs.items()}
        prints |= {f"{name} copy": print_of(signal[RATE:]) for name, signal in songs.items()}
        forwards = find_duplicates(prints)
        assert [(p.group, p.first, p.second) for p in forwards] == [
            (i, f"song {i + 1}", f"song {i + 1} copy") for i in range(3)
        ]
        assert find_duplicates(dict(reversed(prints.items()))) == forwards
        assert all(p.offset == pytest.approx(-1, abs=0.05) for p in forwards)

    def test_groups_are_joined_by_a_song_between(self):
        """Ends that have nothing in common are one group through the song that holds both."""
        whole = drawn(1, TestAlign.ANCHORS)
        parts = {
            "b whole": whole,
            "a start": part(whole, slice(80)),
            "c end": part(whole, slice(120, None)),
            "alone": drawn(3, TestAlign.ANCHORS),
        }
        found = find_duplicates(parts)
        assert [(p.group, p.first, p.second) for p in found] == [
            (0, "a start", "b whole"),
            (0, "b whole", "c end"),
        ]

    @pytest.mark.parametrize("at_once", [1_024, 16])
    def test_candidates_are_those_of_brute_force(self, at_once, monkeypatch):
        monkeypatch.setattr(alignment, "SONGS_AT_ONCE", at_once)
        rng = np.random.default_rng(2)
        base = rng.normal(0, 40, (30, DIMENSIONS))
        songs = []
        for count in [*rng.integers(0, 12, 70), 0]:  # more than one block of queries, some without anchors
            vectors = base[rng.integers(0, 30, count)] + rng.normal(0, 15, (count, DIMENSIONS))
            spectra = np.zeros((count, FINE), np.int8)
            songs.append(
                Fingerprint(np.arange(count, dtype=np.float32), vectors.round().astype(np.int8), spectra, 9.0)
            )
        expected = {
            (i, j)
            for i, a in enumerate(songs)
            for j, b in enumerate(songs)
            if i < j and len(a.anchors) and len(b.anchors) and np.max(a.unit() @ b.unit().T) >= 0.8
        }
        assert 100 < len(expected) < 71 * 70 / 2
        assert candidates(songs) == sorted(expected)

    def test_of_no_songs(self):
        assert find_duplicates({}) == []
        assert find_duplicates({"silence": print_of(np.zeros(RATE)), "other": print_of(np.zeros(9))}) == []

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"least_share": 0.0}, "least_share is 0.0"),
            ({"least_share": 1.1}, "least_share is 1.1"),
            ({"least_matches": 1}, "least_matches is 1"),
            ({"least_likeness": -0.1}, "least_likeness is -0.1"),
            ({"least_likeness": float("nan")}, "least_likeness is nan"),
        ],
    )
    def test_refusals(self, options, message):
        with pytest.raises(ValueError, match=message):
            find_duplicates({}, **options)

    def test_score_counts_misses_and_false_pairs(self):
        prints = {name: drawn(seed, TestAlign.ANCHORS) for seed, name in enumerate(["a", "b", "c"])}
        # The copy of b is one of a, and that of c of nothing.
        copies = {"kind": {"a": prints["a"], "b": prints["a"], "c": drawn(9, TestAlign.ANCHORS)}}
        (found,) = score(prints, copies)
        assert (found.found, found.copies, found.missed) == (1, 3, ("b", "c"))
        assert sorted(map(sorted, found.false)) == [["a", "b"], ["a", "b"]]  # with the original, and the copy
        assert found.recall == pytest.approx(1 / 3) and found.precision == pytest.approx(1 / 3)
        (forgiven,) = score(prints, copies, related={frozenset("ab")})
        assert forgiven.false == () and forgiven.precision == 1.0
        (none,) = score({"a": prints["a"]}, {"kind": {"a": prints["b"]}})
        assert none.recall == 0.0 and np.isnan(none.precision)


class TestFiles:
    def test_a_row_is_the_fingerprint(self, songs, tmp_path):
        path = tmp_path / "a song's\nname.flac"
        stereo = np.column_stack([songs["song 1"], 0.5 * songs["song 1"]])
        soundfile.write(path, stereo, RATE)
        (row,) = pickle.loads(pickle.dumps(fingerprint_song))(str(path))
        assert row["song"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert row["rate"] == RATE and row["seconds"] == len(stereo) / RATE
        found, expected = from_row(row), print_of(stereo.mean(axis=1))
        line = align(expected, found)  # rounded to 16 bits
        assert line.share > 0.99 and line.offset == pytest.approx(0, abs=0.01)
        assert found.seconds == row["seconds"]

    def test_faults_are_named(self, songs, tmp_path, monkeypatch):
        def failing(*_, **__):
            raise OSError(5, "Input/output error", "song.ogg")

        path = tmp_path / "song.ogg"
        soundfile.write(path, songs["song 1"], RATE)
        path.write_bytes(path.read_bytes()[:-5000])
        # The reason alone: whoever runs it over many names the path.
        for bad, reason in ((path, "truncated"), (tmp_path, "a folder, where a file is needed")):
            with pytest.raises(AudioError, match=f"^{reason}"):
                fingerprint_song(str(bad))
        with pytest.raises(AudioError, match="No such file"):
            fingerprint_song(str(tmp_path / "missing.wav"))
        monkeypatch.setattr(fingerprint, "read_source", failing)
        with pytest.raises(AudioError, match=r"^unreadable \(Input/output error\); likely a disk"):
            fingerprint_song(str(path))
        monkeypatch.undo()
        opposite = tmp_path / "opposite.wav"
        soundfile.write(opposite, np.column_stack([songs["song 1"], -songs["song 1"]]), RATE)
        with pytest.raises(AudioError, match="cancel"):
            fingerprint_song(str(opposite))

    @pytest.mark.parametrize(("name", "size"), [("vectors", 2 * DIMENSIONS - 1), ("spectra", 2 * FINE + 1)])
    def test_rows_of_another_version(self, name, size):
        row = {"song": "x", "seconds": 1.0, "rate": 8000, "anchors": bytes(8)}
        row |= {"vectors": bytes(2 * DIMENSIONS), "spectra": bytes(2 * FINE)}
        assert len(from_row(row).anchors) == 2
        with pytest.raises(ValueError, match=f"song x: {size} bytes of {name} for 2 anchors"):
            from_row(row | {name: bytes(size)})


class TestCommands:
    def parsed(self, add, *arguments):
        parser = argparse.ArgumentParser()
        add(parser)
        return parser.parse_args(arguments)

    def test_duplicates(self, songs, tmp_path):
        rows = []
        for name, signal in (*songs.items(), ("copy", songs["song 2"][2 * RATE :])):
            soundfile.write(tmp_path / f"{name}.wav", signal, RATE)
            rows += fingerprint_song(str(tmp_path / f"{name}.wav"))
        names = {row["song"]: name for row, name in zip(rows, (*songs, "copy"), strict=True)}
        out = io.StringIO()
        args = self.parsed(duplicates.add_duplicates_arguments, "--share", "0.5")
        assert duplicates.duplicates(args, read=lambda: rows, name_of=names.get, out=out) == 0
        header, line = out.getvalue().splitlines()
        assert header.split("\t") == ["group", "first", "second", "share", "matches", "speed", "offset"]
        group, first, second, *_, speed, offset = line.split("\t")
        assert group == "0" and {first, second} == {"copy", "song 2"}
        assert abs(float(speed) - 1) < 1e-3 and abs(abs(float(offset)) - 2) < 0.05

    def test_names_break_no_row(self):
        whole = drawn(1, TestAlign.ANCHORS)
        row = {name: getattr(whole, name).tobytes() for name in ("anchors", "vectors", "spectra")}
        row["seconds"] = 9.0
        names = {"1": "a\ttab.flac", "2": "b\nline.flac"}
        out = io.StringIO()
        args = self.parsed(duplicates.add_duplicates_arguments)
        rows = [row | {"song": song} for song in names]
        assert duplicates.duplicates(args, read=lambda: rows, name_of=names.get, out=out) == 0
        _, line = out.getvalue().splitlines()
        assert line.split("\t") == ["0", r"a\ttab.flac", r"b\nline.flac", "1.00", "200", "1.0000", "0.00"]

    @pytest.mark.parametrize("share", ["2", "0", "-1", "nan", "half"])
    def test_a_share_out_of_its_limits_is_wrong_use(self, share, capsys):
        with pytest.raises(SystemExit, match="2"):
            self.parsed(duplicates.add_duplicates_arguments, "--share", share)
        assert f"argument --share: '{share}', and a number above 0, and of at" in capsys.readouterr().err
