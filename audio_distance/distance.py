"""The distance between two sets of sounds: ``distance``, ``compare``, ``compare_each``, ``difference``.

How a call runs, from sets to a result::

    sets, common = load_sets({"reference": ..., "candidate": ...})  every sound read and described once
    pool     = make_pool(reference, candidate)                     units, pairs, what both sets share
    block    = taken(pool, units) for units in block_units(pool)   all of them, or a part of very many
    kernels  = view_kernels(block)                                 from unit to unit, in each view
    observed = observe(kernels, block)                             value, interval, what makes it
    observed = corrected(...)                                      of several blocks: control_variate
    test     = permutation_test(rearranged(kernels.mean(axis=0), block, ...))    p-value

``metrics`` has the definition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from audio_distance.comparison import Comparison, Difference, Side, warnings_of
from audio_distance.control_variate import Sums, corrected, smooth_kernels, sums_of
from audio_distance.description import Description, SoundSet
from audio_distance.energy import (
    Contribution,
    Observed,
    band_contributions,
    level_difference,
    mean_of_blocks,
    observe,
    view_kernels,
)
from audio_distance.errors import AudioError
from audio_distance.extraction import Embedding, load_sets
from audio_distance.features import constants
from audio_distance.intervals import difference_of
from audio_distance.kernel import Kernel
from audio_distance.matching import matched, short_clips_differ
from audio_distance.pooling import usable_numbers
from audio_distance.progress import comparing
from audio_distance.quality import Predictor, Scored, doubt_of, name_of, quality_of, scored
from audio_distance.reading import Reading, ReadingFields, with_fields
from audio_distance.resampling import (
    Arranged,
    permutation_test,
    rearranged,
)
from audio_distance.transforms import RATE
from audio_distance.units import block_shares, block_units, make_pool, own_scale, taken
from audio_distance.views import VIEWS, number_names

DEFAULT = Reading()


def distance(
    reference: Any,
    candidate: Any,
    *,
    groups: Any = None,
    paired: bool | None = None,
    embedding: Embedding | None = None,
    reading: Reading = DEFAULT,
    **fields: Unpack[ReadingFields],
) -> float:
    """Distance from one set of sounds to another: signed, 0 on average for two samples of one source.

    The value of ``compare`` without its test, interval and causes; arguments and errors are the same.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(0, 0.1, (8, 22050))
    >>> distance(noise, noise, rate=22050)
    0.0
    """
    reading = with_fields(reading, fields, distance)
    sets, _ = load_sets(
        {"reference": reference, "candidate": candidate}, reading=reading, embedding=embedding
    )
    pool, _, _ = make_pool(*sets, groups=groups, paired=paired)
    own = own_scale(sets[0]) if embedding is not None else None
    blocks = block_units(pool)
    smooth = smooth_kernels(pool, blocks, own)
    with comparing(len(blocks) * _views_of(own), "", progress=reading.progress) as kernel:
        found, sums = [], []
        for part in (taken(pool, units) for units in blocks):
            found.append(observe(view_kernels(part, own, kernel=kernel), part, causes=False))
            sums.append(sums_of(smooth, part, own))
    return mean_of_blocks(block_shares(pool, blocks), corrected(found, smooth, sums)).value


def compare(
    reference: Any,
    candidate: Any,
    *,
    groups: Any = None,
    paired: bool | None = None,
    embedding: Embedding | None = None,
    permutations: int = 999,
    seed: int = 0,
    quality: str | Predictor | None = None,
    reading: Reading = DEFAULT,
    **fields: Unpack[ReadingFields],
) -> Comparison:
    """Distance from a reference to a candidate set, with its test, interval and causes.

    Parameters
    ----------
    reference, candidate : path, iterable of paths or of sounds in memory, or Description
        At least 2 sounds each; 20 or more tell something. One of:

        - a folder: all files below it with an extension of audio, through links to folders too, each once;
          what cannot be read of it is named;
        - a file list: ``.txt``, one path a line, or ``.csv``, the column called path (or file, filename,
          audio, ...), else the first. UTF-8; relative to the working directory, else to the list;
        - a list, iterator or column of paths;
        - the same of sounds in memory: arrays or tensors of shape (samples,), (1, samples) or (samples,
          channels), float with full scale 1.0, int16 or int32, with ``rate=``; pairs (signal, rate) or
          (rate, signal); rows of ``datasets`` ({"array": ..., "sampling_rate": ...}, {"bytes": ...} or these
          under "audio"); ``bytes`` and open files that hold a whole file. A rate that a sound brings itself
          counts before ``rate``;
        - a ``Description``, or the path of one saved as ``.npz``.

        Sets of different rates are compared over the bandwidth of the lowest rate found, which the result
        states. With a ``Description``, over its bandwidth; what files of a lower rate lack above it is then
        part of the value, and ``warnings`` says so. Several need one ``bandwidth_rate``.
    groups : optional
        Makes the group (speaker, song, source) the unit of the value, test and interval: a regular
        expression whose first group is searched in the file name, ``"folder"``, a mapping from name to
        group, a callable on the name, a list of labels in sorted file order, or a pair of any of these.
        Groups of one name in both sets are swapped in the test, the others dealt anew. By default every file
        is a draw of its own: right only if files of one source are no more alike than any others.
    paired : bool, optional
        Files of the same name in both sets are two versions of one thing (a vocoder's output beside the
        recording): the test swaps them, and the pair leaves the cross term. Extensions may differ, and so
        may the way an accent is written (NFC, NFD). By default (None) done if all names match, and said; if
        at least half of them do, ``warnings`` says which do not. False never; True demands it (arrays: by
        position) of all but files whose partner was left out with ``on_error="skip"``.
    embedding : callable, optional
        From (signal, rate) to (d,) or (frames, d), in place of the three views. ``signal`` is mono as
        recorded, at the common rate. Its numbers are scaled by their spread on the reference, so the value
        is no longer symmetric. Not with a ``Description``, which holds no audio.
    permutations : int
        Rearrangements in the test; all of them if there are no more than that. 999 by default: p is known to
        .007 near .05, and can be as small as .001. At least 99. Memory hardly grows with them: by 4 KB for
        each thousand and each unit, and beyond 2,048 units by 30 MB for each thousand.
    seed : int
        Of the permutations, 0 to 2**63 - 1: the same p-value on every run.
    quality : str or callable, optional
        Which set sounds better, beside the distance: "distillmos", a network trained on ratings of speech
        (the extra ``quality``; ``audio_distance.quality`` tells its licence and limits), or a function
        (signal, rate) -> score, high for good, of the trimmed mono sound at its own rate. With a
        ``Description`` only the network with which it was described. By default (None) nobody is asked.
        The network takes .3 s of processor time for a file of up to 7.68 s, 5 s for any at most. Each sound
        is held as a whole.
    reading : Reading, optional
        How files and arrays are read: ``rate`` of arrays, ``on_error``, ``workers``, ``cache``, ``progress``,
        ``minimum_bits``, ``peak_limit``; see ``Reading``.
    **fields
        The same by name, over those of ``reading``: ``compare(x, y, rate=16000, workers=2)``.

    Returns
    -------
    Comparison

    Raises
    ------
    AudioError
        A set that cannot be measured; the message names each file, the value, the limit, the cause.
    ValueError, TypeError
        A seed, number of permutations or field that cannot be.

    Notes
    -----
    Memory: sounds of more than 128 MiB of samples are read in blocks; what is described takes 7 KiB a second
    of audio, and nothing in memory where a saved ``Description`` of 256 MiB or more is mapped; comparing up
    to 900 MiB more, for windows are looked at in parts, and 1 KiB a file and .2 KiB a window. More than 2,048
    units are compared in blocks (``units.block_units``): the value is then the mean over the blocks, less
    most of what that adds to its error (``control_variate``).
    """
    return compare_each(
        reference,
        {"candidate": candidate},
        groups=groups,
        paired=paired,
        embedding=embedding,
        permutations=permutations,
        seed=seed,
        quality=quality,
        reading=with_fields(reading, fields, compare),
    )["candidate"]


def compare_each(
    reference: Any,
    candidates: Mapping[str, Any],
    *,
    groups: Any = None,
    paired: bool | None = None,
    embedding: Embedding | None = None,
    permutations: int = 999,
    seed: int = 0,
    quality: str | Predictor | None = None,
    reading: Reading = DEFAULT,
    **fields: Unpack[ReadingFields],
) -> dict[str, Comparison]:
    """``compare`` of several candidates, name -> set, with one reference, which is read once.

    All sets are brought to the bandwidth of the lowest sample rate among them (of the Descriptions, if there
    are any), so that the values can be held against each other; ``difference`` then tells which is closer.
    Arguments and errors as in ``compare``; ``rate`` may be a pair, for the reference and all candidates.
    """
    reading = with_fields(reading, fields, compare_each)
    sets, common = described_each(
        reference,
        candidates,
        embedding=embedding,
        permutations=permutations,
        seed=seed,
        quality=quality,
        reading=reading,
    )
    return compare_described(
        sets,
        common,
        tuple(candidates),
        groups=groups,
        paired=paired,
        own=embedding is not None,
        permutations=int(permutations),  # numbers of numpy's are no JSON
        seed=int(seed),
        quality=quality,
        progress=reading.progress,
    )


def described_each(
    reference: Any,
    candidates: Mapping[str, Any],
    *,
    embedding: Embedding | None,
    permutations: int,
    seed: int,
    quality: str | Predictor | None = None,
    reading: Reading,
) -> tuple[list[SoundSet], int]:
    """The sets of ``compare_each``, the reference first, and their common rate in Hz; its errors."""
    if permutations < 99:
        raise ValueError(f"permutations={permutations}; at least 99 are needed for a test at 5 %")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed={seed}; 0 to 2**63 - 1 is needed")
    if not candidates:
        raise AudioError("no candidate set is given")
    if isinstance(reading.rate, tuple):
        if len(reading.rate) != 2:
            raise ValueError(
                f"rate={reading.rate}; one number is needed, or two, for the reference and for all candidates"
            )
        first, others = reading.rate
        reading = reading.changed(rate=(first, *[others] * len(candidates)))
    # A candidate may be called "reference"; what messages call the sets has to differ.
    roles = [f"candidate {name}" if name == "reference" else name for name in candidates]
    return load_sets(
        {"reference": reference, **dict(zip(roles, candidates.values(), strict=True))},
        reading=reading,
        embedding=embedding,
        quality=quality,
    )


def compare_described(
    sets: Sequence[SoundSet],
    common: int,
    names: Sequence[str],
    *,
    groups: Any,
    paired: bool | None,
    own: bool,
    permutations: int,
    seed: int,
    quality: str | Predictor | None = None,
    progress: bool | None,
) -> dict[str, Comparison]:
    """``compare_each`` of ``sets`` that are described at the ``common`` rate (Hz), the reference first.

    ``names`` are the candidates'; ``own`` says that a caller's embedding described them; ``quality`` is who
    gave their sounds scores.
    """
    scale = own_scale(sets[0]) if own else None
    return {
        name: _compare_loaded(
            sets[0],
            loaded,
            common,
            scale,
            groups=groups,
            paired=paired,
            permutations=permutations,
            seed=seed,
            quality=quality,
            stage=name if len(names) > 1 else "",
            progress=progress,
        )
        for name, loaded in zip(names, sets[1:], strict=True)
    }


def _compare_loaded(
    reference: SoundSet,
    candidate: SoundSet,
    common: int,
    own: NDArray[np.float64] | None,
    *,
    groups: Any,
    paired: bool | None,
    permutations: int,
    seed: int,
    quality: str | Predictor | None,
    stage: str,
    progress: bool | None,
) -> Comparison:
    """Two described sets at the ``common`` rate; ``own`` divisors with a caller's embedding."""
    pool, is_paired, shared = make_pool(reference, candidate, groups=groups, paired=paired)
    blocks = block_units(pool)
    shares = block_shares(pool, blocks)
    # At full bandwidth ``common`` says no more: a Description has 22,050 Hz at most, whatever its files have.
    lowest = min(sound.rate for side in (reference, candidate) for sound in side.sounds)
    usable = usable_numbers(common if common < RATE else lowest)
    parts = usable if own is None else {"embedding": np.arange(pool.vectors.shape[1])}
    smooth = smooth_kernels(pool, blocks, own)
    observed_blocks: list[Observed] = []
    sums: list[tuple[Sums, ...]] = []
    scored_blocks: list[tuple[float, Scored]] = []

    def rearranged_blocks(kernel: Kernel) -> Iterator[tuple[float, Arranged]]:
        """Of one block after another, so that the kernels of one at a time are held."""
        for number, (share, units) in enumerate(zip(shares, blocks, strict=True)):
            block = taken(pool, units)
            kernels = view_kernels(block, own, kernel=kernel)
            observed_blocks.append(observe(kernels, block))
            sums.append(sums_of(smooth, block, own))
            part = number if len(blocks) > 1 else None
            if quality is not None:
                found = scored(block, permutations=permutations, seed=seed, block=part)
                scored_blocks.append((share, found))
            arranged = rearranged(
                kernels.mean(axis=0),
                block,
                matched(block, seed=seed),
                parts=parts,
                permutations=permutations,
                seed=seed,
                block=part,
                unit_kernel=kernel,
            )
            yield share, arranged

    with comparing(len(blocks) * (_views_of(own) + _tested(own)), stage, progress=progress) as kernel:
        test = permutation_test(rearranged_blocks(kernel))
    observed = mean_of_blocks(shares, corrected(observed_blocks, smooth, sums))
    heard = None if quality is None else quality_of(name_of(quality), scored_blocks)
    doubt = "" if heard is None else doubt_of(heard)
    level, level_interval = level_difference(pool)
    # Of very many units one block tells it: they are dealt to it at random.
    short_clips = own is None and short_clips_differ(taken(pool, blocks[0]), seed=seed)
    return Comparison(
        value=observed.value,
        interval=observed.interval,
        null_spread=test.null_spread,
        p_value=test.p_value,
        permutations=test.permutations,
        exact=test.exact,
        smallest_p=test.smallest_p,
        views=dict(zip(VIEWS if own is None else ["embedding"], map(float, observed.views), strict=True)),
        bands=band_contributions(pool) if own is None else (),
        units=observed.contributions,
        scores=test.scores,
        numbers=_largest_numbers(test.differences, parts) if own is None else (),
        short_clips=short_clips,
        level_difference_db=level,
        level_interval_db=level_interval,
        reference=_side(reference, int(pool.in_reference.sum())),
        candidate=_side(candidate, int(pool.in_candidate.sum())),
        paired=is_paired,
        shared=shared,
        bandwidth_hz=min(common, RATE) / 2,
        seed=seed,
        recipe=constants()[1] if own is None else "own embedding, scaled on the reference",
        warnings=(
            *warnings_of(
                reference,
                candidate,
                common,
                pool,
                shared=shared,
                short_clips=short_clips,
                test=test,
                grouped=groups is not None,
                taking_part=np.concatenate(blocks),
            ),
            *([doubt] if doubt else []),
        ),
        quality=heard,
        statistic=test.statistic,
        null_distribution=test.null_distribution,
        null_values=test.null_values,
        leave_one_out=observed.leave_one_out,
        moments=observed.moments,
        reference_units=observed.reference_contributions,
    )


def _largest_numbers(
    differences: NDArray[np.float64], parts: Mapping[str, NDArray[np.int_]], count: int = 10
) -> tuple[Contribution, ...]:
    """The numbers that differ most, by name, one of a kind: its neighbours in frequency differ alike."""
    columns, names = np.concatenate(list(parts.values())), number_names()
    found: dict[str, Contribution] = {}
    for i in np.argsort(-np.abs(differences), kind="stable"):
        name = names[columns[i]]
        kind = re.sub(r"\s[\d.]+(-[\d.]+)? (Hz|ms).*", "", name.partition(",")[0])
        found.setdefault(kind, Contribution(name, float(differences[i])))
        if len(found) == count:
            break
    return tuple(found.values())


def _views_of(own: NDArray[np.float64] | None) -> int:
    """Kernels of the value."""
    return len(VIEWS) if own is None else 1


def _tested(own: NDArray[np.float64] | None) -> int:
    """Kernels of the test: of standardised views, and of whitened numbers."""
    return _views_of(own) + 1


def _side(loaded: SoundSet, units: int) -> Side:
    sounds = loaded.sounds
    return Side(
        name=loaded.name,
        files=len(sounds),
        units=units,
        seconds=float(sum(s.seconds for s in sounds)),
        rates=tuple(sorted({s.rate for s in sounds})),
        level_db=float(np.mean([s.level_db for s in sounds])),
        skipped=loaded.skipped,
        not_audio=loaded.not_audio,
    )


def difference(first: Comparison, second: Comparison) -> Difference:
    """Is the first candidate closer to the reference than the second, and how sure is that?

    Value: first minus second, so below zero the first is closer. Interval and p-value: as of one value
    (``intervals``), a reference unit left out of both at once, candidate units of one name too, so that what
    both comparisons share does not count as noise.

    Parameters
    ----------
    first, second : Comparison
        With the same reference and bandwidth, as ``compare_each`` gives them.

    Raises
    ------
    AudioError
        Comparisons of another recipe, bandwidth or reference, or with fewer than 3 units a side.
    """
    if first.recipe != second.recipe or first.bandwidth_hz != second.bandwidth_hz:
        kinds = " and ".join(f"{c.recipe}, {c.bandwidth_hz:.0f} Hz" for c in (first, second))
        raise AudioError(
            f"the two comparisons differ in recipe or bandwidth ({kinds}): make both with compare_each"
        )
    # Which of its units take part may differ, where candidates of different sizes are compared in blocks.
    used = [{name for role, name in c.leave_one_out if role == "reference"} for c in (first, second)]
    if first.reference != second.reference or not used[0] & used[1]:
        raise AudioError("the two comparisons need one reference of at least 3 units: use compare_each")
    assert first.moments is not None and second.moments is not None  # as units could be left out
    keys = (list(first.leave_one_out), list(second.leave_one_out))
    return Difference(*difference_of(first.moments, second.moments, keys=keys))


def describe(
    source: Any,
    *,
    bandwidth_rate: int | None = None,
    name: str | None = None,
    quality: str | None = None,
    reading: Reading = DEFAULT,
    **fields: Unpack[ReadingFields],
) -> Description:
    """Describe a set once, to compare with it often, or where its audio is not at hand.

    ``compare(describe(a, bandwidth_rate=r), b)`` is ``compare(a, b)`` if ``r`` is the lowest sample rate of
    both. ``source``, ``reading``, its fields and the errors are those of ``compare``.

    Parameters
    ----------
    bandwidth_rate : int, optional
        Hz: the sample rate to whose bandwidth the description is limited; by default the lowest in the set.
        At most 22,050 counts, for nothing is described above 11,025 Hz. Files of a lower rate stay as they
        are; what they lack above is then a difference, and results say so.
    name : str, optional
        By default the path of the folder or file list, else "set".
    quality : str, optional
        "distillmos": keep the score of each sound, too, for the ``quality=`` of ``compare``. Not a function,
        of which nothing would tell whether it is the same in another session.
    """
    if quality is not None and not isinstance(quality, str):
        raise TypeError(f"describe: quality={quality!r}; the name of a network is needed, not a function")
    if bandwidth_rate is not None:
        if not 1000 <= bandwidth_rate <= 768_000:
            raise AudioError(
                f"bandwidth_rate {bandwidth_rate} Hz is outside 1000 to 768000 Hz. Was it in kHz?"
            )
        bandwidth_rate = min(int(bandwidth_rate), RATE)
    (loaded,), common = load_sets(
        {"set": source},
        reading=with_fields(reading, fields, describe),
        bandwidth_rate=bandwidth_rate,
        quality=quality,
    )
    name = loaded.name if name is None else str(name)
    return Description(name, min(common, RATE), constants()[1], loaded.skipped, loaded.sounds, quality or "")
