"""The fuzzer itself: seeded, outlives what it reads, and sorts what comes out; and a first harvest of it."""

import os
import time
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("av")

import metrics
from tests import fuzz

COUNT = 2 * len(fuzz.kinds())


@pytest.mark.parametrize("name", fuzz.kinds())
def test_whole_files_are_read(name, tmp_path):
    samples, rate = fuzz.expected(name, (0,), tmp_path)
    assert len(samples) >= 0.39 * rate and 0.1 < np.abs(samples).max() < 1.5
    other, _ = fuzz.expected(name, (1,), tmp_path)
    assert not np.array_equal(samples, other)


def test_a_mutant_is_that_of_its_seed_and_number():
    for index in range(0, 1000, 37):
        assert fuzz.mutant(index, 5) == fuzz.mutant(index, 5)
    flips = [fuzz.mutant(index, seed).data for index in range(3) for seed in range(3)]
    assert len(set(flips)) == 9


def test_every_kind_meets_every_damage():
    met = {
        (one.kind, one.damage)
        for one in (fuzz.mutant(i, 0) for i in range(len(fuzz.kinds()) * len(fuzz.DAMAGE)))
    }
    assert len(met) == len(fuzz.kinds()) * len(fuzz.DAMAGE)


def test_what_came_out_is_sorted(tmp_path):
    wanted = fuzz.expected("WAV PCM_16", (0,), tmp_path)
    data, other = fuzz.original("WAV PCM_16", 0), fuzz.original("WAV PCM_16", 1)

    def sorted_as(data, evident=True):
        return fuzz.outcome(fuzz.Mutant("", "", data, "wav", (0,), evident), tmp_path, wanted)[0]

    assert [sorted_as(data), sorted_as(data[:-1]), sorted_as(other), sorted_as(other, False)] == [
        "equal",
        "refused",
        "wrong",
        "unseen",
    ]


def test_a_decoder_that_raises_is_a_crash(tmp_path, monkeypatch):
    wanted = fuzz.expected("WAV PCM_16", (0,), tmp_path)
    monkeypatch.setattr(metrics, "read", lambda *args, **options: 1 / 0)
    one = fuzz.mutant(0, 0)
    assert fuzz.outcome(one, tmp_path, wanted) == ("crash", "ZeroDivisionError('division by zero')")


def dying(pipe, seed):
    """Dies at 3, hangs at 5."""
    while (index := pipe.recv()) is not None:
        pipe.send("ready")
        if index == 3:
            os._exit(7)
        if index == 5:
            time.sleep(60)
        pipe.send(("equal", ""))


@pytest.mark.parametrize("workers", [1, 2])
def test_it_outlives_what_it_reads(workers):
    found = fuzz.run(9, 0, workers, progress=False, task=dying, limit=0.5)
    others = [("equal", "")]
    assert (
        found
        == 3 * others
        + [("crash", "the process ended with 7")]
        + others
        + [("hang", "more than 0.5 s")]
        + 3 * others
    )


def test_a_small_harvest(capsys):
    """The same table from one and from two processes; nothing crashes, hangs, or is wrong without a word."""
    results = fuzz.run(COUNT, 3, 2, progress=False)
    assert [result for result, _ in results] == [
        result for result, _ in fuzz.run(COUNT, 3, 1, progress=False)
    ]
    counts = Counter(result for result, _ in results)
    assert counts["refused"] > COUNT / 4 and set(counts) <= {"refused", "equal", "unseen"}
