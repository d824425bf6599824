"""The control variate of sets in blocks: by definition, by enumeration of all deals, and what it is for."""

import dataclasses
import itertools

import numpy as np
import pytest

from audio_distance import control_variate, energy, kernel, units
from audio_distance.control_variate import corrected, smooth_kernels, sums_of

OWN = np.ones(7)  # divisors of an embedding of seven numbers


def small_pool(seed=0, copies=0):
    """Ten units of one to four windows of seven numbers: two pairs, one in both sets, three and two alone."""
    rng = np.random.default_rng(seed)
    counts = np.array([2, 1, 4, 1, 3, 1, 1, 2, 1, 1])
    pool = units.Pool(
        vectors=rng.normal(size=(counts.sum(), 7)) ** 3,
        starts=np.cumsum(counts) - counts,
        weights=np.repeat(1 / counts, counts),
        files=np.repeat(np.arange(10), counts),
        members=np.array([1, 2, 1, 2, 3, 1, 1, 2, 2, 1]),
        partner=np.array([1, 0, 3, 2, -1, -1, -1, -1, -1, -1]),
        names=tuple("abcdefghij"),
        levels=np.zeros(10),
        sounding=np.ones(10),
    )
    pool.vectors[:copies] = pool.vectors[0]
    return pool


def literal(smooth, pool):
    """A between all units, from the definition: pair by pair of windows."""
    z = smooth.landmarks
    count = len(z)

    def near(x):
        return np.append(np.linalg.norm(x - z, axis=1) ** 0.5, 1.0)

    bordered = np.array([*(near(row) for row in z), np.append(np.ones(count), 0.0)])
    inverse = np.linalg.pinv(bordered, rcond=1e-7)
    distances = [np.sum((one - other) ** 2) for one, other in itertools.combinations(z, 2)]
    slope = 0.25 * np.mean(distances) ** -0.75
    windows = pool.vectors - smooth.centre

    def of_windows(x, y):
        weights = [(inverse @ near(v))[:count] for v in (x, y)]
        left = [v - w @ z for v, w in zip((x, y), weights, strict=True)]
        return near(x) @ inverse @ near(y) - 2 * slope * left[0] @ left[1]

    table = np.zeros((pool.size, pool.size))
    spans = [slice(s, s + n) for s, n in zip(pool.starts, pool.counts, strict=True)]
    for i, j in itertools.product(range(pool.size), repeat=2):
        table[i, j] = np.mean([of_windows(x, y) for x in windows[spans[i]] for y in windows[spans[j]]])
    return table


def two_blocks(pool):
    return [np.arange(5), np.arange(5, pool.size)]


@pytest.mark.parametrize("copies", [0, 6])
@pytest.mark.parametrize("landmarks", [2, 4, 10])
@pytest.mark.parametrize("chunk", [3, 4096])
def test_by_definition(copies, landmarks, chunk, monkeypatch):
    """A of all pairs of units, and its value; also with windows that are copies, so that C has no inverse."""
    monkeypatch.setattr(control_variate, "LANDMARKS", landmarks)
    monkeypatch.setattr(control_variate, "CHUNK_WINDOWS", chunk)
    pool = small_pool(copies=copies)
    (smooth,) = smooth_kernels(pool, two_blocks(pool), OWN)
    assert len(smooth.landmarks) == landmarks
    table = literal(smooth, pool)
    f = smooth.of_units(pool.vectors, pool, OWN)
    assert (f * smooth.signs) @ f.T == pytest.approx(table, abs=2e-4 * np.abs(table).max())
    np.fill_diagonal(table, 0)
    paired = np.flatnonzero(pool.partner >= 0)
    table[paired, pool.partner[paired]] = 0
    expected = energy.observe(table[None], pool, causes=False).value
    (sums,) = sums_of([smooth], pool, OWN)
    assert sums.value(smooth.signs) == pytest.approx(expected, abs=1e-3 * np.abs(table).max())


def test_blocks_add_up():
    pool = small_pool()
    smooth = smooth_kernels(pool, two_blocks(pool), OWN)
    parts = [sums_of(smooth, units.taken(pool, block), OWN)[0] for block in two_blocks(pool)]
    (whole,) = sums_of(smooth, pool, OWN)
    added = parts[0] + parts[1]
    assert added.counts == whole.counts
    for name in ("reference", "candidate", "own_reference", "own_candidate", "matched"):
        assert getattr(added, name) == pytest.approx(getattr(whole, name), abs=1e-9)


@pytest.mark.parametrize("landmarks", [3, 8])
def test_no_bias_over_all_deals(landmarks, monkeypatch):
    """Four units a side, dealt to two blocks of two a side in all 18 ways: the mean of the values of blocks
    is that of all pairs, of the kernel and so after the correction, whatever the landmarks are. Where all
    are landmarks, each deal has that value."""
    monkeypatch.setattr(control_variate, "LANDMARKS", landmarks)
    rng = np.random.default_rng(1)
    pool = dataclasses.replace(
        small_pool(),
        vectors=rng.normal(size=(8, 7)),
        starts=np.arange(8),
        weights=np.ones(8),
        files=np.arange(8),
        members=np.repeat([1, 2], 4),
        partner=np.full(8, -1),
        names=tuple("abcdefgh"),
    )
    whole = energy.observe(energy.view_kernels(pool, OWN), pool, causes=False).value
    smooth = smooth_kernels(pool, two_blocks(pool), OWN)
    plain, better = [], []
    for mine, others in itertools.product(range(1, 4), itertools.combinations(range(4, 8), 2)):
        first = np.array([0, mine, *others])
        blocks = [units.taken(pool, b) for b in (first, np.setdiff1d(np.arange(8), first))]
        found = [energy.observe(energy.view_kernels(b, OWN), b, causes=False) for b in blocks]
        after = corrected(found, smooth, [sums_of(smooth, b, OWN) for b in blocks])
        plain.append(np.mean([block.value for block in found]))
        better.append(np.mean([block.value for block in after]))
    assert np.mean(plain) == pytest.approx(whole, abs=1e-9)
    assert np.mean(better) == pytest.approx(whole, abs=1e-9)
    assert np.std(plain) > 0.1
    if landmarks == 8:
        assert better == pytest.approx([whole] * 18, abs=1e-3)


def test_one_block_is_left_as_it_is():
    pool = small_pool()
    assert smooth_kernels(pool, [np.arange(10)], OWN) == () and sums_of((), pool, OWN) == ()
    found = [energy.observe(kernel.unit_kernel(pool.vectors, pool, OWN)[None], pool)]
    assert corrected(found, (), [()]) == found


def test_what_is_moved_is_all_on_the_scale_of_the_value():
    pool = small_pool()
    found = energy.observe(energy.view_kernels(pool, OWN), pool)
    up = energy.moved(found, np.array([0.25]))
    assert up.value == found.value + 0.25 and up.draws == found.draws
    for name in ("contributions", "reference_contributions"):
        assert [part.name for part in getattr(up, name)] == [part.name for part in getattr(found, name)]
        assert [part.value - 0.25 for part in getattr(up, name)] == pytest.approx(
            [part.value for part in getattr(found, name)]
        )
    assert up.interval == pytest.approx([end + 0.25 for end in found.interval])
    assert up.leave_one_out == pytest.approx({key: v + 0.25 for key, v in found.leave_one_out.items()})
