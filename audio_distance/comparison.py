"""What comes out of a comparison, and its words.

Conventions
    value      signed, no unit: 0 on average for two samples of one source.
    interval   (low, high), 95 %; None where too few units tell nothing of the spread.
    level      dB relative to full scale; differences are candidate minus reference.
    warnings   whole sentences on what a reader should know before quoting the value.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.description import SoundSet
from audio_distance.display import Listening, cell_of, listening_to, plot_on
from audio_distance.energy import Contribution
from audio_distance.features import WINDOW_SECONDS
from audio_distance.intervals import Moments
from audio_distance.quality import NAMES, Quality
from audio_distance.reading import Reading, with_fields
from audio_distance.resampling import PermutationTest
from audio_distance.transforms import RATE
from audio_distance.units import Pool

SIGNIFICANCE_LEVEL = 0.05  # of a verdict
NEARLY_ALL = 0.9  # of the windows: if the test takes fewer, it is said


@dataclass(frozen=True)
class Side:
    """One set as it was read: how many draws, how much sound, and what was left out."""

    name: str
    files: int
    units: int
    seconds: float
    rates: tuple[int, ...]  # Hz
    level_db: float  # mean level of the sounding part, dB relative to full scale
    skipped: tuple[str, ...]  # one line a file that was left out with on_error="skip"
    not_audio: int  # hidden and non-audio files passed over in a folder


def _none() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True)
class Comparison:
    """The distance from a reference to a candidate set, and how far it can be trusted.

    Attributes
    ----------
    value : float
        Energy distance, mean over the views; signed, 0 on average for two samples of one source.
    interval : (float, float) or None
        95 % confidence interval (``intervals``); None with fewer than 3 units a side.
    null_spread : float
        Standard deviation of the value when the units are dealt to the two sets at random; of more than 2,048
        units that of the value without its control variate, which is larger.
    p_value : float
        Permutation p-value of "both sets are draws of one source".
    permutations : int
        Number of rearrangements behind ``p_value``; ``exact`` tells that they are all there are.
    smallest_p : float
        The smallest p-value that these numbers of units can give.
    views : dict
        The value of each view; their mean is ``value``.
    bands : tuple of Contribution
        Share of each mel band in the envelope view; they add up to ``views["envelope"]`` (of the units used).
    units : tuple of Contribution
        The candidate's units that take part, the largest contribution first; their mean is ``value``.
    level_difference_db, level_interval_db
        Candidate minus reference; level is no part of the value.
    scores : dict
        Of each statistic of the test, its normal score among the rearrangements: the largest counts.
    numbers : tuple of Contribution
        The single numbers that differ most, one of a kind and ten at most: candidate mean minus reference
        mean, in standard deviations of what rearrangements make of it.
    short_clips : bool
        What sounds for less than a window differs in length between the sets by more than chance
        (``matching.short_clips_differ``).
    paired : bool
        True if units were matched by name and swapped in the test.
    shared : int
        Units with the same content in both sets.
    bandwidth_hz : float
        All sounds were compared below it.
    seed : int
        Of the rearrangements.
    recipe : str
        Version of the recipe and checksum of its constants; only values of one recipe may be compared.
    warnings : tuple of str
    quality : Quality or None
        Which set sounds better to a predictor; None, and not in ``to_dict``, unless it was asked for.
    statistic : float
        Of the test: the largest of four statistics, each as a normal score.
    null_distribution : array, (arrangements,)
        The statistic when the units are dealt anew, the observed one first; ``p_value`` is the share that
        reaches ``statistic``.
    null_values : array, (permutations,)
        The value when the units are dealt anew: on the scale of ``value``; ``null_spread`` is its spread, and
        what is said there of many units holds here too.
    leave_one_out : dict, (set, unit's name) -> value
        Without that unit.
    moments : Moments or None
        How much each unit moves the value, for ``interval`` and ``difference``: see ``intervals``.
    reference_units : tuple of Contribution
        As ``units``, of the reference's: what each contributes with the two sets exchanged.

    The last six are the evidence: neither printed nor part of ``to_dict`` and ``==``.
    """

    value: float
    interval: tuple[float, float] | None
    null_spread: float
    p_value: float
    permutations: int
    exact: bool
    smallest_p: float
    views: dict[str, float]
    bands: tuple[Contribution, ...]
    units: tuple[Contribution, ...]
    scores: dict[str, float]
    numbers: tuple[Contribution, ...]
    short_clips: bool
    level_difference_db: float
    level_interval_db: tuple[float, float] | None
    reference: Side
    candidate: Side
    paired: bool
    shared: int
    bandwidth_hz: float
    seed: int
    recipe: str
    warnings: tuple[str, ...]
    quality: Quality | None = None
    statistic: float = field(default=0.0, repr=False, compare=False)
    null_distribution: NDArray[np.float64] = field(default_factory=_none, repr=False, compare=False)
    null_values: NDArray[np.float64] = field(default_factory=_none, repr=False, compare=False)
    leave_one_out: dict[tuple[str, str], float] = field(default_factory=dict, repr=False, compare=False)
    moments: Moments | None = field(default=None, repr=False, compare=False)
    reference_units: tuple[Contribution, ...] = field(default=(), repr=False, compare=False)

    @property
    def verdict(self) -> str:
        """The result in words."""
        return verdict_of(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON, without the evidence."""
        result = asdict(self)
        for name in EVIDENCE:
            del result[name]
        if self.quality is None:
            del result["quality"]
        return {**result, "verdict": self.verdict}

    def to_html(
        self,
        path: str | os.PathLike[str],
        reference: Any,
        candidate: Any,
        *,
        embedding: Any = None,
        reading: Reading | None = None,
        **fields: Any,
    ) -> None:
        """Write a page to look at and listen to: one file, which needs no server and no network.

        Parameters
        ----------
        path
            Of the HTML file.
        reference, candidate
            The sets that were compared: a comparison keeps none of their sounds. They are described once
            more, for the map; ``cache=True`` spares it, if the comparison had it too.
        embedding, reading
            Those of the comparison.
        **fields
            Of ``reading``, and ``largest_bytes`` (5,000,000), ``title``, ``about``, ``credits`` of
            ``page.write_page``, which has the errors too; the extra ``page`` is needed.
        """
        from audio_distance.page import write_page

        words = ("largest_bytes", "title", "about", "credits")
        own = {key: fields.pop(key) for key in words if key in fields}
        name = self.candidate.name
        write_page(
            path,
            {name: self},
            reference=reference,
            candidates={name: candidate},
            embedding=embedding,
            reading=with_fields(Reading() if reading is None else reading, fields, Comparison.to_html),
            **own,
        )

    def listen(
        self, reference: Any, candidate: Any, *, reading: Reading | None = None, **fields: Any
    ) -> Listening:
        """Players for a notebook's cell: the three farthest and the three nearest files of either set.

        Twelve clips at most, the first 5 s of what sounds, as MP3 at 48 kbit/s: half a megabyte. They are in
        no other output of a cell, for encoders round differently on every processor, so that a notebook run
        again elsewhere would not be the same bytes. What is described holds no audio, and it is said.

        Parameters
        ----------
        reference, candidate
            The sets that were compared: a comparison keeps none of their sounds.
        reading, **fields
            Of the comparison: ``rate=`` of arrays. ``AudioError`` if a file that was compared is missing.
        """
        return listening_to(
            self,
            reference,
            candidate,
            interval=interval_text(self.interval),
            p=p_text(self),
            reading=with_fields(Reading() if reading is None else reading, fields, Comparison.listen),
        )

    def plot(self, axes: Any = None) -> Any:
        """Draw value, interval and null on ``axes`` of matplotlib, by default the current ones; returns them.

        The null is ``null_values``: what the value is when the units are dealt to the two sets anew.
        """
        if axes is None:
            from matplotlib import pyplot

            axes = pyplot.gca()
        return plot_on(axes, self)

    def _repr_html_(self) -> str:
        """What a notebook shows of a cell that ends with a comparison."""
        quality = "" if self.quality is None else quality_text(self.quality)
        return cell_of(self, interval=interval_text(self.interval), p=p_text(self), quality=quality)

    def __str__(self) -> str:
        return text_of(self)


EVIDENCE = (  # not in to_dict
    *("statistic", "null_distribution", "null_values", "leave_one_out", "moments", "reference_units"),
)


@dataclass(frozen=True)
class Difference:
    """Which of two candidates is closer to one reference: ``value`` = first minus second.

    ``interval`` and ``p_value`` leave out a unit of the reference from both comparisons at once, and
    candidate units of the same name together; they are approximate, not exact (``intervals``).
    """

    value: float
    interval: tuple[float, float]
    p_value: float


def warnings_of(
    reference: SoundSet,
    candidate: SoundSet,
    common: int,
    pool: Pool,
    *,
    shared: int,
    short_clips: bool,
    test: PermutationTest,
    grouped: bool,
    taking_part: NDArray[np.int_],
) -> tuple[str, ...]:
    """What a reader should know before quoting the value, a sentence each.

    Parameters
    ----------
    reference, candidate : SoundSet
    common : int
        Sample rate in Hz to whose bandwidth both were brought.
    pool : Pool
    shared : int
        Units with the same content in both sets.
    short_clips : bool
        See ``Comparison``.
    test : PermutationTest
    grouped : bool
        True if groups, not files, are the draws.
    taking_part : array of int
        Units of the pool that are compared: see ``units.block_units``.

    Notes
    -----
    In the order of what they concern: bandwidth, sharing, pairing, files left out, copies, number of units,
    durations. Nothing that holds for every comparison is said.
    """
    unit = "groups" if grouped else "files"
    lines = _bandwidth_warnings(reference, candidate, common)
    if shared:
        lines.append(
            f"{shared} {unit} have the same content in both sets: each is one draw, and its pair is left out"
        )
    if pairs := int((pool.partner >= 0).sum()) // 2:
        lines.append(
            f"{pairs} pairs of {unit} found by name: the test swaps them (paired=False switches this off)"
        )
    if pool.pairing:
        lines.append(pool.pairing)
    for side, loaded in (("reference", reference), ("candidate", candidate)):
        if loaded.skipped:
            lines.append(
                f"{len(loaded.skipped)} files of the {side} were left out, the first: {loaded.skipped[0]}"
            )
        notes = Counter(note for sound in loaded.sounds for note in sound.notes)
        lines += [f"{count} files of the {side}: {note}" for note, count in sorted(notes.items())]
        copies = len(loaded.sounds) - len({sound.content for sound in loaded.sounds})
        if copies:
            lines.append(f"{copies} files of the {side} are copies of others in it")
    for role, inside in (("reference", pool.in_reference), ("candidate", pool.in_candidate)):
        if (used := int(inside[taking_part].sum())) < inside.sum():
            lines.append(
                f"{used} of the {inside.sum()} {role} {unit} take part, chosen by the digest of their "
                "contents: beside a much smaller set more of them would hardly make the result surer"
            )
    if test.smallest_p > SIGNIFICANCE_LEVEL:
        lines.append(
            f"with these numbers of units no p-value below {test.smallest_p:.2g} is possible: "
            "nothing can be shown, whatever the sounds are"
        )
    windows = int(pool.counts[taking_part].sum())
    return (*lines, *_length_warnings(reference, candidate, windows, short_clips=short_clips, test=test))


def _length_warnings(
    reference: SoundSet, candidate: SoundSet, windows: int, *, short_clips: bool, test: PermutationTest
) -> list[str]:
    """Lengths that differ between the sets, and what was done about it."""
    lines = []
    if short_clips:
        means = [np.mean([s.sounding_seconds for s in loaded.sounds]) for loaded in (reference, candidate)]
        lines.append(
            f"clips that sound for less than {WINDOW_SECONDS:g} s differ in length (means {means[0]:.2f} s "
            f"and {means[1]:.2f} s, without silent ends), by more than chance: what is measured of such a "
            "clip depends on its length, so part of the value and of a small p-value may be that alone; cut "
            "them alike"
        )
    if test.windows < NEARLY_ALL * windows:
        lines.append(
            f"the test looks at {test.windows} of {windows} windows, chosen at random, so that units of both "
            "sets have as many: units of more windows vary less, which is no difference in kind"
        )
    return lines


def _bandwidth_warnings(reference: SoundSet, candidate: SoundSet, common: int) -> list[str]:
    """Below which frequency the sets were compared, and why; nothing at full bandwidth."""
    rates = Counter(sound.rate for sound in (*reference.sounds, *candidate.sounds))
    lower = sorted(rate for rate in rates if rate < common)  # none without a Description
    if lower:
        seen = ", ".join(f"{rates[rate]} at {rate} Hz" for rate in lower)
        return [
            f"sample rates below the description's {common} Hz ({seen}): compared below {common / 2:.0f} Hz "
            f"all the same, so what these files lack above {lower[0] / 2:.0f} Hz is a difference"
        ]
    if reference.fixed and common not in rates and common < RATE:
        return [f"compared below {common / 2:.0f} Hz, the bandwidth of the description ({common} Hz)"]
    if len(rates) > 1:
        seen = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(rates.items()))
        return [f"mixed sample rates ({seen}): compared below {common / 2:.0f} Hz, the bandwidth all have"]
    if common < RATE:
        whose = "all files have" if common in rates else "another candidate has"
        return [f"compared below {common / 2:.0f} Hz: {whose} a rate of {common} Hz"]
    return []


def verdict_of(result: Comparison) -> str:
    """The result in a few words.

    One of "the same set", "too few files to tell", "no difference shown", "different", "different, in the
    length of short clips at least" (which may be all of it: see ``short_clips``), and "different in kind,
    though not in the value" (p is small and the value not above zero: the test also hears what the three
    views' energy distance does not).
    """
    if result.shared and result.shared == result.reference.units == result.candidate.units:
        return "the same set"
    if result.smallest_p > SIGNIFICANCE_LEVEL:
        return "too few files to tell"
    if result.p_value <= SIGNIFICANCE_LEVEL:
        if result.short_clips:
            return "different, in the length of short clips at least"
        if result.value <= 0:
            return "different in kind, though not in the value"
        return "different"
    return "no difference shown"


def interval_text(interval: tuple[float, float] | None, digits: int = 3) -> str:
    """An interval as people read it."""
    if interval is None:
        return "not available"
    low, high = (round(end, digits) + 0.0 for end in interval)  # no "-0.0"
    return f"{low:.{digits}f} to {high:.{digits}f}"


def p_text(result: Comparison | Quality) -> str:
    """The p-value with the digits that it has: two, and one below .001, which few rearrangements resolve."""
    return f"{result.p_value:.2g}" if result.p_value >= 0.001 else f"{result.p_value:.1g}"


def quality_text(quality: Quality) -> str:
    """Which set sounds better, to whom, and how sure that is, in one line."""
    if quality.by in NAMES:
        whom = f"a network trained on ratings of speech ({quality.by})"
    else:
        whom = f"the function {quality.by}"
    if quality.p_value > SIGNIFICANCE_LEVEL:
        words = f"no difference shown to {whom}"
    else:
        words = f"sounds {'better' if quality.difference > 0 else 'worse'} than the reference to {whom}"
    interval = f" ({interval_text(quality.interval, 2)})" if quality.interval else ""
    return (
        f"{words}: {quality.candidate:.2f} against {quality.reference:.2f}, difference "
        f"{round(quality.difference, 2) + 0.0:+.2f}{interval}, p = {p_text(quality)}"
    )


def _regions(bands: Sequence[Contribution], width: int = 8) -> str:
    """Neighbouring mel bands together, as text."""
    parts = []
    for first in range(0, len(bands), width):
        some = bands[first : first + width]
        low, high = some[0].name.split("-")[0], some[-1].name.split("-")[1]
        parts.append(f"{low}-{high} {sum(band.value for band in some):.3f}")
    return ", ".join(parts)


def text_of(result: Comparison) -> str:
    """All that a reader needs, in lines: what ``print`` shows.

    Bands, numbers and files are named only where the test found a difference: the parts of a value that is
    zero on average are noise, and would be read as causes.
    """
    r = result
    kind = "all" if r.exact else "random"
    interval = interval_text(r.interval)
    lines = [
        f"distance {r.value:.3f}   95 % interval {interval}   p = {p_text(r)}   {r.verdict}",
        f"  {r.reference.files} reference files ({r.reference.seconds:.1f} s), "
        f"{r.candidate.files} candidate files ({r.candidate.seconds:.1f} s)",
        f"  {r.permutations} {kind} rearrangements; null spread {r.null_spread:.3f}",
        "  views: " + ", ".join(f"{name} {value:.3f}" for name, value in r.views.items()),
    ]
    if r.bands and r.p_value <= SIGNIFICANCE_LEVEL:
        lines.append("  envelope by band: " + _regions(r.bands))
    if r.numbers and r.p_value <= SIGNIFICANCE_LEVEL:
        lines.append("  numbers: " + "; ".join(f"{n.name} {n.value:+.1f} sd" for n in r.numbers[:3]))
    if r.p_value <= SIGNIFICANCE_LEVEL:
        lines.append("  farthest candidates: " + ", ".join(f"{u.name} {u.value:.2f}" for u in r.units[:3]))
    interval = f" ({interval_text(r.level_interval_db, 1)})" if r.level_interval_db else ""
    lines.append(
        f"  level, not part of the distance: {round(r.level_difference_db, 1) + 0.0:+.1f} dB{interval}"
    )
    if r.quality is not None:
        lines.append(f"  quality, not part of the distance: {quality_text(r.quality)}")
    return "\n".join(lines + [f"  note: {line}" for line in r.warnings])


def table(results: Mapping[str, Comparison]) -> str:
    """A line a candidate, in columns: name -> comparison becomes the table that the command prints."""
    rows = [("candidate", "distance", "95 % interval", "p", "files", "verdict")]
    rows += [
        (
            name,
            f"{r.value:.3f}",
            interval_text(r.interval),
            p_text(r),
            f"{r.reference.files} / {r.candidate.files}",
            r.verdict,
        )
        for name, r in results.items()
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
