"""Large sets in blocks, and many windows in parts: what is left out, and that nothing is biased by it."""

import dataclasses
import hashlib
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metrics
from audio_distance import control_variate, kernel, resampling, units
from audio_distance.description import Description, Sound
from audio_distance.views import PARTS

DISTANCE = sys.modules["audio_distance.distance"]  # the module: in the package, the name is the function's
RATE = metrics.RATE
NUMBERS = sum(metrics.VIEWS.values())


def pool_with(members, pairs=0, windows=1):
    """Units of one number each: ``members`` of the free ones, then ``pairs`` of partners."""
    members = np.array([*members, *([1, 2] * pairs)])
    partner = np.full(len(members), -1)
    first = len(members) - 2 * pairs
    for i in range(first, len(members), 2):
        partner[i], partner[i + 1] = i + 1, i
    counts = np.broadcast_to(windows, len(members))
    total = int(counts.sum())
    return units.Pool(
        vectors=np.arange(float(total))[:, None],
        starts=np.cumsum(counts) - counts,
        weights=np.repeat(1 / counts, counts),
        files=np.repeat(np.arange(len(members)), counts),
        members=members,
        partner=partner,
        names=tuple(f"{i:04d}" for i in range(len(members))),
        levels=np.arange(float(len(members))),
        sounding=np.ones(len(members)),
    )


class TestBlocks:
    @given(
        st.lists(st.sampled_from([1, 2, 3]), min_size=6, max_size=80),
        st.integers(0, 15),
    )
    @settings(max_examples=200)
    def test_every_unit_is_in_one_block_and_partners_in_the_same(self, members, pairs):
        pool = pool_with([1, 1, 2, 2, *members], pairs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(units, "BLOCK_UNITS", 12)
            patch.setattr(units, "BLOCK_LEAST", 3)
            blocks = units.block_units(pool)
            shares = units.block_shares(pool, blocks)
        used = np.concatenate(blocks)
        assert len(used) == len(set(used.tolist()))
        assert sum(shares) == pytest.approx(1, abs=1e-12)
        for block in blocks:
            assert np.all(np.diff(block) > 0)
            partners = pool.partner[block]
            assert np.isin(partners[partners >= 0], block).all()
        # Only units that are of the larger set alone may stay out, and only beyond what a block holds.
        missing = np.setdiff1d(np.arange(pool.size), used)
        assert len(set(pool.members[missing])) <= 1 and np.all(pool.partner[missing] < 0)
        if len(missing):
            assert max(map(len, blocks)) >= 12

    def test_up_to_the_limit_there_is_one_block_with_all(self):
        at, beyond = (pool_with([1, 2] * (units.BLOCK_UNITS // 2) + more) for more in ([], [1]))
        assert [len(b) for b in units.block_units(at)] == [units.BLOCK_UNITS]
        assert [len(b) for b in units.block_units(beyond)] == [1025, 1024]

    def test_none_is_left_out_for_what_the_kinds_leave_over(self):
        """2,047 and 2,049 are 1,024 + 1,023 and 1,025 + 1,024: a block has one more than the limit."""
        assert [len(b) for b in units.block_units(pool_with([1] * 2047 + [2] * 2049))] == [2049, 2047]

    def test_a_small_set_against_a_very_large_one(self):
        """50 units meet as many of 5,000 as a block holds; 1,000 of 20,000 make five blocks."""
        few = pool_with([2] * 50 + [1] * 5000)
        (block,) = units.block_units(few)
        assert len(block) == units.BLOCK_UNITS and (few.members[block] == 2).sum() == 50
        more = pool_with([2] * 1000 + [1] * 20000)
        blocks = units.block_units(more)
        assert [(len(b), int((more.members[b] == 2).sum())) for b in blocks] == [(2048, 200)] * 5

    def test_taken_units_keep_what_is_theirs(self):
        pool = pool_with([1, 2, 1], pairs=2, windows=[2, 1, 3, 1, 2, 2, 1])
        chosen = np.array([1, 2, 5, 6])
        found = units.taken(pool, chosen)
        assert found.vectors[:, 0].tolist() == [2, 3, 4, 5, 9, 10, 11]
        assert found.starts.tolist() == [0, 1, 4, 6] and found.counts.tolist() == [1, 3, 2, 1]
        assert found.weights == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3, 0.5, 0.5, 1])
        assert found.files.tolist() == [0, 1, 1, 1, 2, 2, 3]
        assert found.members.tolist() == [2, 1, 1, 2] and found.partner.tolist() == [-1, -1, 3, 2]
        assert found.names == ("0001", "0002", "0005", "0006") and found.levels.tolist() == [1, 2, 5, 6]
        assert units.taken(pool, np.arange(7)) is pool


class TestParts:
    @given(
        st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=2, max_size=8),
        st.integers(2, 40),
    )
    @settings(max_examples=200)
    def test_every_unit_is_in_every_part_with_its_files_alike(self, files, most):
        """``files``: windows of each file of each unit."""
        pool = pool_of_files(files)
        owner = np.repeat(np.arange(pool.size), pool.counts)
        parts = units.window_parts(pool, most)
        for rows, weights in parts:
            assert np.all(np.diff(rows) > 0)
            assert np.bincount(owner[rows], weights, pool.size) == pytest.approx(np.ones(pool.size))
            if len(parts) == 1:
                assert weights == pytest.approx(pool.weights)
            of_file = np.bincount(pool.files[rows], weights)
            for unit in range(pool.size):
                mine = np.unique(pool.files[rows[owner[rows] == unit]])
                assert of_file[mine] == pytest.approx(np.full(len(mine), 1 / len(mine)))
        assert len(np.unique(np.concatenate([rows for rows, _ in parts]))) == len(pool.vectors)

    def test_parts_that_divide_evenly_weigh_as_the_whole(self):
        pool = pool_of_files([[6], [3, 9]])
        parts = units.window_parts(pool, most=6)
        assert len(parts) == 3
        total = sum(np.bincount(rows, weights, len(pool.vectors)) for rows, weights in parts) / 3
        assert total == pytest.approx(pool.weights)

    def test_the_kernel_of_parts_is_unbiased(self):
        """Units of 1 to 7 windows, one of two files; the mean over 400 orders of the windows of each file is
        within 5 standard errors of the kernel of all pairs, in each of its 15 cells: by chance not so with
        probability 1e-5."""
        rng = np.random.default_rng(3)
        pool = pool_of_files([[1], [7], [4], [2, 5], [3], [6]])
        pool = dataclasses.replace(pool, vectors=rng.normal(size=(len(pool.vectors), 2)) ** 3)
        whole = kernel.unit_kernel(pool.vectors, pool)
        found = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "window_parts", lambda pool: units.window_parts(pool, most=10))
            for _ in range(400):
                order = np.lexsort((rng.random(len(pool.files)), pool.files))
                shuffled = dataclasses.replace(pool, vectors=pool.vectors[order])
                found.append(kernel.unit_kernel(shuffled.vectors, shuffled))
        upper = np.triu_indices(pool.size, 1)
        found = np.array([table[upper] for table in found])
        error = found.std(axis=0, ddof=1) / 20
        assert error.max() > 0.001  # parts do leave pairs out
        assert np.all(np.abs(found.mean(axis=0) - whole[upper]) < 5 * error + 1e-12)


def pool_of_files(files):
    """Units whose files have so many windows: ``files[unit][file]``."""
    counts = [sum(unit) for unit in files]
    weights = [np.full(n, 1 / (n * len(unit))) for unit in files for n in unit]
    lengths = [n for unit in files for n in unit]
    return units.Pool(
        vectors=np.arange(float(sum(counts)))[:, None],
        starts=np.cumsum([0, *counts[:-1]]),
        weights=np.concatenate(weights),
        files=np.repeat(np.arange(len(lengths)), lengths),
        members=np.array([1 + i % 2 for i in range(len(files))]),
        partner=np.full(len(files), -1),
        names=tuple(f"{i:03d}" for i in range(len(files))),
        levels=np.zeros(len(files)),
        sounding=np.ones(len(files)),
    )


def described(vectors, name):
    """A set of sounds of one window each, which have these numbers in the first column and no others."""
    scale = metrics.constants()[0]
    sounds = []
    for i, row in enumerate(np.atleast_2d(vectors)):
        numbers = np.zeros((1, sum(PARTS.values())), np.float32)
        numbers[0, : len(row)] = row * scale[: len(row)]
        content = hashlib.sha256(numbers.tobytes() + name.encode()).hexdigest()
        sounds.append(Sound(f"{name}{i:04d}", content, RATE, 1.0, 1.0, -20.0, numbers))
    return Description(name, RATE, metrics.constants()[1], (), tuple(sounds))


class TestComparisons:
    @pytest.fixture(autouse=True)
    def small_blocks(self, monkeypatch):
        monkeypatch.setattr(units, "BLOCK_UNITS", 24)
        monkeypatch.setattr(units, "BLOCK_LEAST", 6)

    def sides(self, seed, n=50, m=46, shift=0.0):
        rng = np.random.default_rng(seed)
        return described(rng.normal(size=(n, 6)), "x"), described(rng.normal(shift, 1, size=(m, 6)), "y")

    @pytest.mark.parametrize("landmarks", [0, 20])
    def test_the_value_is_the_mean_over_blocks_of_their_comparisons(self, landmarks, monkeypatch):
        """But for what the control variate moves each block by: nothing, if it is switched off."""
        if landmarks:
            monkeypatch.setattr(control_variate, "LANDMARKS", landmarks)
        else:
            monkeypatch.setattr(DISTANCE, "smooth_kernels", lambda *_: ())
        x, y = self.sides(0)
        found = metrics.compare(x, y, paired=False, permutations=99)
        pool, _, _ = units.make_pool(*(metrics_set(side) for side in (x, y)), paired=False)
        blocks = units.block_units(pool)
        assert len(blocks) == 4
        monkeypatch.setattr(units, "BLOCK_UNITS", 96)  # a block of 25 is one
        parts, moved = [], []
        for block in blocks:
            names = {(int(pool.members[i]), pool.names[i]) for i in block}
            mine = [
                dataclasses.replace(side, sounds=tuple(s for s in side.sounds if (member, s.name) in names))
                for member, side in ((1, x), (2, y))
            ]
            parts.append(metrics.compare(*mine, paired=False, permutations=99))
            for of_all, of_block in (
                (found.units, parts[-1].units),
                (found.reference_units, parts[-1].reference_units),
            ):
                alone = {unit.name: unit.value for unit in of_block}
                by = [unit.value - alone[unit.name] for unit in of_all if unit.name in alone]
                moved += [by[0]]
                assert by == pytest.approx([by[0]] * len(alone), abs=1e-12)
        assert (np.abs(moved) > 1e-4).all() if landmarks else moved == pytest.approx([0] * 8, abs=1e-12)
        shares = np.array([len(part.units) / 46 for part in parts])
        assert moved[::2] == pytest.approx(moved[1::2], abs=1e-12)
        mean = shares @ ([part.value for part in parts] + np.array(moved[::2]))
        assert found.value == pytest.approx(mean, abs=1e-12)
        assert np.mean([u.value for u in found.units]) == pytest.approx(found.value, abs=1e-12)
        assert np.mean(list(found.views.values())) == pytest.approx(found.value, abs=1e-12)
        monkeypatch.setattr(units, "BLOCK_UNITS", 24)
        assert metrics.distance(x, y, paired=False) == pytest.approx(found.value, abs=1e-12)
        assert found.interval[0] < found.value < found.interval[1]
        assert found.moments.value == pytest.approx(found.value, abs=1e-12)

    @pytest.mark.parametrize("exchanged", [False, True])
    def test_where_every_unit_is_a_landmark_nothing_is_left_out(self, exchanged, monkeypatch):
        """Of units of one window, and not softened, the smooth kernel is the kernel: the value is that of
        all pairs."""
        monkeypatch.setattr(control_variate, "SOFTNESS", 0)
        monkeypatch.setattr(control_variate, "_landmark_windows", lambda pool: np.arange(pool.size))
        x, y = self.sides(7, shift=0.3)[:: -1 if exchanged else 1]
        found = metrics.distance(x, y, paired=False)
        monkeypatch.setattr(units, "BLOCK_UNITS", 96)
        of_all = metrics.distance(x, y, paired=False)
        monkeypatch.setattr(units, "BLOCK_UNITS", 24)
        monkeypatch.setattr(DISTANCE, "smooth_kernels", lambda *_: ())
        assert abs(metrics.distance(x, y, paired=False) - of_all) > 1e-3
        assert found == pytest.approx(of_all, abs=1e-6)

    @pytest.mark.parametrize("chunk", [1, 30])
    def test_chunks_of_arrangements_change_nothing(self, chunk, monkeypatch):
        """The differences of single numbers are added up over the blocks, a chunk at a time."""
        x, y = self.sides(4, shift=0.2)
        whole = metrics.compare(x, y, paired=False, permutations=99)
        monkeypatch.setattr(resampling, "CHUNK", chunk)
        chunked = metrics.compare(x, y, paired=False, permutations=99)
        assert chunked.p_value == whole.p_value and chunked.value == whole.value
        assert chunked.null_distribution == pytest.approx(whole.null_distribution, abs=1e-9)
        assert [n.name for n in chunked.numbers] == [n.name for n in whole.numbers]

    def test_nothing_hangs_on_the_order_of_files(self):
        x, y = self.sides(1)
        again = dataclasses.replace(x, sounds=tuple(reversed(x.sounds)))
        one, other = (metrics.compare(side, y, paired=False, permutations=99) for side in (x, again))
        assert one.to_dict() == other.to_dict()

    def test_a_set_against_itself(self):
        x, _ = self.sides(2)
        found = metrics.compare(x, x, permutations=99)
        assert (found.value, found.p_value, found.verdict) == (0.0, 1.0, "the same set")

    @pytest.mark.parametrize("inside", [30, 60])
    def test_a_set_against_a_part_of_itself(self, inside, monkeypatch):
        """Nothing can change places: p is 1, also where sums are of float32 and equal arrangements would be
        rounded to different values."""
        monkeypatch.setattr(resampling, "TIED_UNITS", 1)
        x, _ = self.sides(2, n=70)
        part = dataclasses.replace(x, name="part", sounds=x.sounds[:inside])
        found = metrics.compare(x, part, permutations=199, paired=False)
        assert (found.p_value, found.smallest_p) == (1.0, 1.0)
        assert found.verdict == "too few files to tell"

    def test_one_file_of_many_can_show_little(self, monkeypatch):
        """All but one file of either set are the same: two arrangements, however many blocks there are."""
        monkeypatch.setattr(resampling, "TIED_UNITS", 1)
        x, y = self.sides(6, n=50, m=1)
        other = dataclasses.replace(x, sounds=(*x.sounds[:-1], y.sounds[0]))
        found = metrics.compare(x, other, permutations=199, paired=False)
        assert found.smallest_p == 0.5 and found.p_value >= 0.4 and found.shared == 49

    def test_pairs_are_swapped_within_their_blocks(self):
        """40 pairs, each shifted by a tenth of the spread: seen at once in pairs, in several blocks too."""
        rng = np.random.default_rng(3)
        x = rng.normal(size=(40, 6))
        sides = [described(rows, "x") for rows in (x, x + 0.1)]
        found = metrics.compare(*sides, permutations=199)
        assert found.paired and found.p_value == 1 / 200

    def test_what_takes_no_part_is_said(self):
        rng = np.random.default_rng(4)
        x, y = described(rng.normal(size=(90, 6)), "x"), described(rng.normal(size=(5, 6)), "y")
        found = metrics.compare(x, y, paired=False, permutations=99)
        assert any("19 of the 90 reference files take part" in line for line in found.warnings)

    def test_difference_of_candidates_that_meet_other_parts_of_the_reference(self):
        rng = np.random.default_rng(5)
        reference = described(rng.normal(size=(90, 6)), "x")
        near, far = described(rng.normal(size=(5, 6)), "y"), described(rng.normal(8, 1, size=(7, 6)), "z")
        both = metrics.compare_each(reference, {"near": near, "far": far}, paired=False, permutations=99)
        found = metrics.difference(both["near"], both["far"])
        assert found.value == pytest.approx(both["near"].value - both["far"].value, abs=1e-12)
        assert found.interval[0] < found.value < found.interval[1] and 0 < found.p_value < 0.05
        with pytest.raises(metrics.AudioError, match="need one reference"):
            metrics.difference(both["near"], metrics.compare(far, near, paired=False, permutations=99))

    def test_false_alarms(self):
        """300 pairs of samples of one source at 5 %: more than 31 alarms by chance with probability 1e-4;
        values add up to 0 within 4 of their standard errors, by chance not once in 16,000."""
        alarms, values = 0, []
        for seed in range(300):
            found = metrics.compare(*self.sides(100 + seed, 32, 32), paired=False, permutations=99, seed=seed)
            alarms += found.p_value <= 0.05
            values.append(found.value)
        assert alarms <= 31
        assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(300)
        assert np.min(values) < 0 < np.max(values)


def metrics_set(side):
    from audio_distance.description import SoundSet

    return SoundSet(side.name, side.sounds, (), 0)


def test_rows_of_many_sounds_are_those_of_one_array():
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(n, 3)).astype(np.float32) for n in (2, 1, 4, 1, 3)]
    rows, whole = units.Rows(parts), np.concatenate(parts)
    assert rows.shape == whole.shape and len(rows) == len(whole)
    for chosen in ([0], [1, 2, 3], [0, 4, 6, 7, 10], list(range(11)), []):
        assert np.array_equal(rows[np.array(chosen, int)], whole[chosen])
    some = np.array([1, 2, 5, 6, 9])
    view, expected = rows.only(some)[..., 1:3], whole[some][:, 1:3]
    assert view.shape == expected.shape and len(view) == 5
    assert np.array_equal(view[np.array([0, 3, 4])], expected[[0, 3, 4]])
    assert np.array_equal(view.only(some[:2])[..., 1:][np.arange(2)], expected[1:3, 1:])


@pytest.mark.parametrize(("block_units", "held"), [(24, 1), (24, 40), (2048, 1)])
def test_where_windows_lie_changes_no_number(monkeypatch, block_units, held):
    """Files of 1 to 5 windows, fewer in one set, so that windows are matched; some are pooled in groups."""
    rng = np.random.default_rng(6)
    sides = []
    for name, most in (("x", 6), ("y", 4)):
        sounds = []
        for i in range(30):
            vectors = rng.normal(size=(rng.integers(1, most), sum(PARTS.values()))).astype(np.float32)
            content = hashlib.sha256(vectors.tobytes()).hexdigest()
            sounds.append(Sound(f"{i // 2:02d}/{name}{i}", content, RATE, 6.0, 6.0, -20.0 - i, vectors))
        sides.append(Description(name, RATE, metrics.constants()[1], (), tuple(sounds)))
    monkeypatch.setattr(units, "BLOCK_UNITS", block_units)
    monkeypatch.setattr(units, "BLOCK_LEAST", 6)
    monkeypatch.setattr(kernel, "window_parts", lambda pool: units.window_parts(pool, 30))
    for groups in (None, "folder"):
        options = {"paired": False, "groups": groups, "permutations": 99}
        expected = metrics.compare(*sides, **options).to_dict()
        with monkeypatch.context() as patch:
            patch.setattr(units, "HELD_WINDOWS", held)
            pool, _, _ = units.make_pool(*map(metrics_set, sides), groups=groups, paired=False)
            assert isinstance(pool.vectors, units.Rows)
            for some in (np.arange(4), np.arange(1, 20)):
                vectors = units.taken(pool, some).vectors
                assert isinstance(vectors, units.Rows) == (len(vectors) > held)
            assert metrics.compare(*sides, **options).to_dict() == expected
