"""Progress on standard error: on a terminal, for what takes long, and nowhere else."""

import functools
import io
import re
import sys

import pytest
import tqdm

import metrics
from audio_distance import progress

RATE = 16000
QUICK = {"rate": RATE, "permutations": 99}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """A terminal in place of standard error, and bars that wait for nothing (not a fixture: pytest puts its
    own standard error back behind those)."""
    fake = Terminal()
    monkeypatch.setattr(sys, "stderr", fake)
    monkeypatch.setattr(progress, "DELAY", 0)
    monkeypatch.setattr(tqdm, "tqdm", functools.partial(tqdm.tqdm, mininterval=0))
    return fake


@pytest.fixture(scope="module")
def sounds(noise):
    return [noise(i) for i in range(6)], [noise(10 + i, 0.4) for i in range(5)]


def test_both_stages_are_named_and_counted(sounds, monkeypatch):
    stderr = terminal(monkeypatch)
    metrics.compare(*sounds, **QUICK)
    shown = stderr.getvalue()
    assert re.search(r"reading:\s+0%.* 0/11 ", shown)
    assert shown.index("reading") < shown.index("comparing")
    percent = [int(found) for found in re.findall(r"comparing:\s+(\d+)%", shown)]
    assert len(percent) == 8 and percent == sorted(percent) and percent[-1] == 100


def test_candidates_by_name_and_the_value_alone(sounds, monkeypatch):
    stderr = terminal(monkeypatch)
    metrics.compare_each(sounds[0], {"vocoder": sounds[1], "codec": sounds[1]}, **QUICK)
    assert "comparing vocoder:" in stderr.getvalue() and "comparing codec:" in stderr.getvalue()
    stderr.truncate(0)
    metrics.distance(*sounds, rate=RATE)
    assert "comparing:" in stderr.getvalue()


@pytest.mark.parametrize("call", [metrics.distance, metrics.compare])
def test_a_bar_ends_at_all_of_its_passes(sounds, monkeypatch, call):
    """Of 11 units in one block or in two; a pass is one kernel, of a view of the value or of the test."""
    terminal(monkeypatch)
    bars = []

    class Kept(tqdm.std.tqdm):
        def close(self):
            bars.append((self.desc, self.n, self.total))
            super().close()

    monkeypatch.setattr(tqdm, "tqdm", Kept)
    monkeypatch.setattr("audio_distance.units.BLOCK_LEAST", 2)
    for blocks, most in ((1, 11), (2, 6)):
        monkeypatch.setattr("audio_distance.units.BLOCK_UNITS", most)
        bars.clear()
        call(*sounds, rate=RATE)
        passes = blocks * (3 if call is metrics.distance else 7)
        assert ("comparing", passes, passes) in bars


def test_nothing_where_nobody_looks(sounds, monkeypatch):
    stderr = terminal(monkeypatch)
    expected = metrics.compare(*sounds, progress=False, **QUICK)
    assert stderr.getvalue() == ""
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    assert metrics.compare(*sounds, **QUICK).to_dict() == expected.to_dict()
    assert pipe.getvalue() == ""
    assert metrics.compare(*sounds, progress=True, **QUICK).to_dict() == expected.to_dict()
    assert "comparing" in pipe.getvalue()


def test_nothing_of_what_is_over_at_once(sounds, monkeypatch):
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    metrics.distance(*sounds, rate=RATE)
    assert stderr.getvalue() == ""
