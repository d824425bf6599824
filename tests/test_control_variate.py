"""The control variate of sets in blocks: by definition, by enumeration of all deals, and what it is for."""

import itertools

import numpy as np
import pytest

from audio_distance import control_variate, energy, kernel, units
from audio_distance.control_variate import corrected, smooth_kernels, sums_of

OWN = np.ones(7)  # divisors of an embedding of seven numbers


def small_pool(seed=0, copies=0, far=1.0):
    """Ten units of one to four windows of seven numbers: two pairs, one in both sets, three and two alone.

    The first windows are ``copies``, and that of a unit of the reference is ``far`` times as far off.
    """
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
    pool.vectors[12] *= far
    return pool


def literal(smooth, pool):
    """A between all units, from the definition."""
    z = smooth.landmarks
    count = len(z)
    squared = [np.sum((one - other) ** 2) for one, other in itertools.combinations(z, 2)]
    typical = np.median(squared)
    slope = 0.25 * typical**-0.75 if typical else 0.0

    def near(x):
        return np.append((np.sum((x - z) ** 2, axis=1) + 0.01 * typical) ** 0.25, 1.0)

    bordered = np.array([*(near(row) for row in z), np.append(np.ones(count), 0.0)])
    inverse = np.linalg.pinv(bordered, rcond=1e-7)
    spans = [slice(s, s + n) for s, n in zip(pool.starts, pool.counts, strict=True)]
    windows = pool.vectors - smooth.centre
    k = [np.mean([near(x) for x in windows[span]], axis=0) for span in spans]
    others = np.median(np.sum((z[:, None] - z) ** 2, axis=2), axis=1)
    used = np.append(others <= 100 * typical, True)  # landmarks that are not far off, and the border
    of_used = np.linalg.pinv(bordered[np.ix_(used, used)], rcond=1e-7)
    weights = [(of_used @ of[used])[:-1] for of in k]
    rest = [windows[at].mean(axis=0) - w @ z[used[:-1]] for at, w in zip(spans, weights, strict=True)]
    rest = [r / max(1, np.linalg.norm(r) / typical**0.5) if typical else 0 * r for r in rest]
    return np.array(
        [
            [one @ inverse @ other - 2 * slope * r @ q for other, q in zip(k, rest, strict=True)]
            for one, r in zip(k, rest, strict=True)
        ]
    )


def two_blocks(pool):
    return [np.arange(5), np.arange(5, pool.size)]


@pytest.mark.parametrize("copies, far", [(0, 1), (6, 1), (0, 200)])
@pytest.mark.parametrize("landmarks", [2, 4, 10])
@pytest.mark.parametrize("chunk", [3, 4096])
def test_by_definition(copies, far, landmarks, chunk, monkeypatch):
    """A of all pairs of units, and its value; also with copies, so that C has no inverse, and
    with a file far off."""
    monkeypatch.setattr(control_variate, "LANDMARKS", landmarks)
    monkeypatch.setattr(control_variate, "CHUNK_WINDOWS", chunk)
    pool = small_pool(copies=copies, far=far)
    (smooth,) = smooth_kernels(pool, two_blocks(pool), OWN)
    assert len(smooth.landmarks) == min(landmarks, 6)  # units of the reference
    table = literal(smooth, pool)
    f = smooth.of_units(pool.vectors, pool, OWN)
    assert (f * smooth.signs) @ f.T == pytest.approx(table, abs=2e-4 * np.abs(table).max())
    np.fill_diagonal(table, 0)
    paired = np.flatnonzero(pool.partner >= 0)
    table[paired, pool.partner[paired]] = 0
    expected = energy.observe(table[None], pool, causes=False).value
    (sums,) = sums_of([smooth], pool, OWN)
    assert sums.value(smooth) == pytest.approx(expected, abs=1e-3 * np.abs(table).max())


def test_blocks_add_up():
    pool = small_pool()
    smooth = smooth_kernels(pool, two_blocks(pool), OWN)
    parts = [sums_of(smooth, units.taken(pool, block), OWN)[0] for block in two_blocks(pool)]
    (whole,) = sums_of(smooth, pool, OWN)
    added = parts[0] + parts[1]
    assert added.counts == whole.counts
    for name in ("reference", "candidate", "self_reference", "self_candidate", "matched"):
        assert getattr(added, name) == pytest.approx(getattr(whole, name), abs=1e-9)


def values(pool, blocks, own=OWN):
    """Of all pairs, of the blocks, and of the blocks after the correction; blocks count alike."""
    smooth = smooth_kernels(pool, blocks, own)
    parts = [units.taken(pool, np.asarray(block)) for block in blocks]
    found = [energy.observe(energy.view_kernels(part, own), part, causes=False) for part in parts]
    after = corrected(found, smooth, [sums_of(smooth, part, own) for part in parts])
    whole = energy.observe(energy.view_kernels(pool, own), pool, causes=False).value
    return whole, np.mean([block.value for block in found]), np.mean([block.value for block in after])


@pytest.mark.parametrize("all_are", [False, True])
def test_no_bias_over_all_deals(all_are, monkeypatch):
    """Four units a side, dealt to two blocks of two a side in all 18 ways: the mean of the values of blocks
    is that of all pairs, of the kernel and so after the correction, whatever the landmarks are. Where all
    are landmarks and nothing is softened, each deal has that value."""
    if all_are:
        monkeypatch.setattr(control_variate, "SOFTNESS", 0)
        monkeypatch.setattr(control_variate, "_landmark_windows", lambda pool: np.arange(8))
    pool = units.pool_of_vectors(*np.random.default_rng(1).normal(size=(2, 4, 7)))
    found = []
    for mine, others in itertools.product(range(1, 4), itertools.combinations(range(4, 8), 2)):
        first = np.array([0, mine, *others])
        found.append(values(pool, [first, np.setdiff1d(np.arange(8), first)]))
    whole, plain, better = np.transpose(found)
    assert len(plain) == 18 and np.std(plain) > 0.1
    assert plain.mean() == pytest.approx(whole[0], abs=1e-9)
    assert better.mean() == pytest.approx(whole[0], abs=1e-9)
    if all_are:
        assert better == pytest.approx(whole, abs=1e-3)


def noises(rng):
    return rng.normal(size=(2, 300, 20))


def far_files(rng):
    x, y = noises(rng)
    x[:3] *= 1e5
    return x, y


def a_far_landmark(rng):
    """Of the reference: a tenth and more of such files are landmarks."""
    x, y = noises(rng)
    x[:8, 0] += 1e6
    return x, y


def heavy_tails(rng):
    return noises(rng) * rng.lognormal(0, 2, size=(2, 300, 1))


def hardly_varied(rng):
    """Two files unlike all others, which are as good as copies."""
    x, y = 1e-6 * noises(rng)
    x[5] += 1
    y[7] -= 1
    return x, y


def near_copies(rng):
    x = noises(rng)[0]
    return x, x + 0.01 * rng.normal(size=x.shape)


@pytest.mark.parametrize(
    "sets, share",
    [
        (noises, 0.3),
        (far_files, 0.5),
        (a_far_landmark, 0.5),
        (heavy_tails, 0.45),
        (hardly_varied, 1.05),
        (near_copies, 0.6),
    ],
)
def test_what_is_left_of_what_blocks_add(sets, share, monkeypatch):
    """Root mean square over 20 draws, six blocks and 40 landmarks, beside that without the correction:
    most is taken off, and nothing is added where the error is of two files that no landmark is like."""
    monkeypatch.setattr(control_variate, "LANDMARKS", 40)
    errors = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pool = units.pool_of_vectors(*sets(rng), paired=sets is near_copies)
        order = rng.permutation(300)
        sides = (order, order + 300) if sets is near_copies else (order, rng.permutation(300) + 300)
        blocks = [np.sort(np.concatenate([side[i::6] for side in sides])) for i in range(6)]
        whole, plain, better = values(pool, blocks, np.ones(20))
        errors.append((plain - whole, better - whole))
    plain, better = np.sqrt(np.mean(np.square(errors), axis=0))
    assert better < share * plain


def test_comparisons_with_one_reference_have_one_kernel():
    """Also where a candidate has files of the reference, and where some take no part."""
    rng = np.random.default_rng(2)
    reference, near = rng.normal(size=(2, 300, 7))
    pool = units.pool_of_vectors(reference, near)
    (one,) = smooth_kernels(pool, [np.arange(300), np.arange(300, 600)], OWN)
    (other,) = smooth_kernels(
        units.pool_of_vectors(reference, 5 * near[:40]), [np.arange(100), np.arange(200, 310)], OWN
    )
    assert np.array_equal(one.landmarks, other.landmarks) and np.array_equal(one.factors, other.factors)


def test_landmarks_that_are_copies():
    smooth = control_variate.smooth_kernel(np.repeat([[0.0, 1.0], [2.0, 3.0]], [9, 1], axis=0))
    pool = units.pool_of_vectors(np.array([[0.0, 1.0], [7.0, 7.0]]), np.array([[2.0, 3.0], [1.0, 5.0]]))
    f = smooth.of_units(pool.vectors, pool, np.ones(2))
    assert smooth.typical == 0 and np.isfinite(f).all() and np.all(f[:, -2:] == 0)


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
