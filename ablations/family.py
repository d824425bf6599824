"""Several numbers judged as one: the distance, its views, coverage and fidelity.

Conventions
    family    the metrics of one comparison, ``METRICS``. A mean hides: a bug can make one view better and
              another worse, and a lost class shows in the coverage alone.
    member    one metric's ``Verdict``. Its p-value is after Holm's correction for the family; its interval
              and its p of the margin are not.
    weights   half of the level is the distance's and half is shared by the others. So what the one number
              finds is found with hardly more seeds, which equal shares would not do, and what it hides is
              found at all.

    verdict     rule
    worse       any member is worse: corrected, for of many members one is always the worst
    no worse    every member is no worse: not corrected, for all have to show it (the intersection-union
                test, Berger 1982, doi:10.1080/00401706.1982.10487790)
    better      the same, and any member is better (corrected), and none has lost what is within its margin
                and still sure: a gain in one number does not pay for a loss in another
    undecided   everything else

Resampling the seeds would know how the members hang together, and so lose less than Holm. But 3 pairs have 8
arrangements, and no p below 1/4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ablations.statistics import EXIT_CODES, Verdict, decided, holm, judge

VIEWS = ("envelope", "attack", "fine_structure")
METRICS = ("distance", *VIEWS, "coverage", "density")
HIGHER_IS_BETTER = ("coverage", "density")
WEIGHTS = {name: len(METRICS) - 1 if name == "distance" else 1 for name in METRICS}
PASSED = ("no worse", "better")


@dataclass(frozen=True)
class FamilyVerdict:
    """What one comparison of all metrics says; ``str()`` is the sentence to read.

    Attributes
    ----------
    verdict : str
        better, no worse, worse or undecided.
    members : dict, metric -> Verdict
        In the order of ``METRICS``: each with its own effect, interval, margin and corrected p.
    where : dict, metric -> str
        The frequencies at which a member differs most, "257-754 Hz"; without those of which nothing is known.
    """

    verdict: str
    members: Mapping[str, Verdict]
    where: Mapping[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0: better or no worse; 1: worse; 3: undecided."""
        return EXIT_CODES[self.verdict]

    def called(self, verdict: str) -> list[str]:
        """The members of this verdict in words, "envelope (257-754 Hz)"."""
        return [self.named(name) for name, member in self.members.items() if member.verdict == verdict]

    def named(self, metric: str) -> str:
        """A metric in words, with where it differs most if it is better or worse."""
        words = metric.replace("_", " ")
        told = metric in self.where and self.members[metric].verdict in ("better", "worse")
        return f"{words} ({self.where[metric]})" if told else words

    @property
    def more(self) -> int | None:
        """Seeds a side that would decide it in 4 of 5 cases, were effects and spreads as seen.

        Either for one member to be worse, of those that are not shown to be no worse, nor would be sooner; or
        for all to be no worse. None where it is decided, and where it would take over 10,000.
        """
        if self.verdict != "undecided":
            return None
        unsettled = [member for member in self.members.values() if member.verdict not in PASSED]
        passed = [member.seeds_to("no worse") for member in unsettled]
        # Within the margin more seeds show "no worse" sooner, and then a worsening is tolerated.
        counts = [
            worse
            for worse, no_worse in (
                (member.seeds_to("worse"), member.seeds_to("no worse")) for member in unsettled
            )
            if worse is not None and (no_worse is None or worse < no_worse)
        ]
        if None not in passed:
            counts.append(max(count for count in passed if count is not None))
        return min(counts, default=None)

    def to_dict(self) -> dict:
        """What a result keeps of it, in plain types."""
        members = {name: member.to_dict() for name, member in self.members.items()}
        return {"verdict": self.verdict, "members": members, "where": dict(self.where), "more": self.more}

    def __str__(self) -> str:
        said = [
            f"{verdict} in {', '.join(names)}"
            for verdict in ("worse", "better", "undecided", "no worse")
            if (names := self.called(verdict))
        ]
        text = "; ".join(said)
        if lost := [self.named(name) for name, member in self.members.items() if member.tolerated]:
            text += f"; worse within the margin in {', '.join(lost)}"
        if not text.startswith(self.verdict):
            text = f"{self.verdict}: {text}"
        if self.verdict == "undecided":
            count = "more than 10,000" if self.more is None else f"about {self.more}"
            text += f"; {count} seeds a side would decide it"
        return text


def judge_family(
    baseline: Mapping[str, Sequence[float]],
    candidate: Mapping[str, Sequence[float]],
    **settings,
) -> FamilyVerdict:
    """Judge one candidate by several metrics at once: arguments and errors are those of ``judge_alone``."""
    return judged_together({"": judge_alone(baseline, candidate, **settings)})[""]


def judge_alone(
    baseline: Mapping[str, Sequence[float]],
    candidate: Mapping[str, Sequence[float]],
    *,
    paired: bool,
    margins: Mapping[str, float],
    **settings,
) -> dict[str, Verdict]:
    """Judge every metric as if there were no other, for ``judged_together``.

    Parameters
    ----------
    baseline, candidate : mapping, metric -> (seeds,)
        Names of ``METRICS``, the same on both sides; one number a seed, as ``statistics.judge`` takes them.
    margins : mapping, metric -> float
        The worsening that is tolerated, in the metric's unit; see ``amounts``.
    **settings
        Of ``statistics.judge``, for all members alike: level, look, looks, test.

    Raises
    ------
    ValueError
        As ``statistics.judge``; for a metric that is none of the family, and for sides of other metrics.
    """
    if set(baseline) != set(candidate) or not set(baseline) <= set(METRICS):
        raise ValueError(
            f"metrics are {', '.join(baseline)} and {', '.join(candidate)}; both sides need the same, of "
            f"{', '.join(METRICS)}"
        )
    return {
        name: judge(
            baseline[name],
            candidate[name],
            paired=paired,
            margin=margins[name],
            higher_is_better=name in HIGHER_IS_BETTER,
            **settings,
        )
        for name in METRICS
        if name in baseline
    }


def judged_together(
    alone: Mapping[str, Mapping[str, Verdict]], where: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, FamilyVerdict]:
    """The verdict on every candidate from those on its metrics, each by ``statistics.judge``.

    Holm's correction is over all metrics of all candidates. That a candidate is no worse on every metric
    needs none for the metrics; for the candidates it is Bonferroni's.

    Parameters
    ----------
    alone : mapping, candidate -> metric -> Verdict
    where : mapping, candidate -> metric -> text, optional
        See ``FamilyVerdict``.
    """
    claims = [(name, metric) for name, members in alone.items() for metric in members]
    weights = [WEIGHTS[metric] for _, metric in claims]
    adjusted = {
        number: dict(
            zip(claims, holm([getattr(alone[n][m], number) for n, m in claims], weights), strict=True)
        )
        for number in ("p_value", "smallest_p")
    }
    verdicts = {}
    for name, members in alone.items():
        judged = {
            metric: decided(
                member,
                p_value=adjusted["p_value"][name, metric],
                smallest_p=adjusted["smallest_p"][name, metric],
                p_margin=min(1.0, len(alone) * member.p_margin),
                comparisons=len(alone),
                share=WEIGHTS[metric] / sum(weights),
            )
            for metric, member in members.items()
        }
        verdicts[name] = FamilyVerdict(_overall(judged), judged, dict((where or {}).get(name, {})))
    return verdicts


def _overall(members: Mapping[str, Verdict]) -> str:
    """By the rules of the module's conventions."""
    said = {member.verdict for member in members.values()}
    if "worse" in said:
        return "worse"
    if said <= set(PASSED):
        lost = any(member.tolerated for member in members.values())
        return "better" if "better" in said and not lost else "no worse"
    return "undecided"


def amounts(amount: float, share: float) -> dict[str, float]:
    """A margin, or a floor, for every metric, from ``amount`` of the distance and ``share`` of files.

    The views are in the distance's unit and have its margin: a share of their own mean would be next to
    nothing for a view that is almost 0. Coverage and density count files, 1 where nothing is lost or
    unlikely, and may lose ``share``.
    """
    return dict.fromkeys(("distance", *VIEWS), amount) | dict.fromkeys(HIGHER_IS_BETTER, share)


def frequencies(baseline: Mapping[str, float], candidate: Mapping[str, float], *, worse: bool) -> str:
    """Where the envelope worsened most, or improved most: "257-754 Hz"; empty if it nowhere did.

    Parameters
    ----------
    baseline, candidate : mapping, band -> float
        What each band of frequencies, "257-350 Hz", contributes to the envelope, from low to high; of several
        runs the mean. The neighbours of the band with the largest difference that have half of it or more.
    """
    names = list(baseline)
    changes = [(candidate[name] - baseline[name]) * (1 if worse else -1) for name in names]
    peak = max(range(len(names)), key=changes.__getitem__, default=0)
    if not changes or changes[peak] <= 0:
        return ""
    first = last = peak
    while first > 0 and changes[first - 1] >= changes[peak] / 2:
        first -= 1
    while last + 1 < len(names) and changes[last + 1] >= changes[peak] / 2:
        last += 1
    low, high = names[first].split("-")[0], names[last].split("-")[1]
    return f"{low}-{high}"
