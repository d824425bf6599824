"""Several numbers judged as one: the distance, its views, coverage and fidelity.

Conventions
    family      the metrics of one comparison, ``METRICS``. A mean hides: a bug can make one view better and
                another worse, and a lost class shows in the coverage alone.
    member      one metric's ``Verdict``, its p-values and interval corrected for the family.

    verdict     rule
    worse       any member is worse
    no worse    every member is no worse, or better
    better      the same, and any member is better
    undecided   everything else
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ablations.statistics import EXIT_CODES, Verdict

VIEWS = ("envelope", "attack", "fine_structure")
METRICS = ("distance", *VIEWS, "coverage", "density")
HIGHER_IS_BETTER = ("coverage", "density")


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
        """A metric in words, with where it differs most."""
        words = metric.replace("_", " ")
        return f"{words} ({self.where[metric]})" if metric in self.where else words

    @property
    def more(self) -> int | None:
        """Seeds a side that would probably decide it: as ``Verdict.more``."""
        return None

    def to_dict(self) -> dict:
        """What a result keeps of it, in plain types."""
        members = {name: member.to_dict() for name, member in self.members.items()}
        return {"verdict": self.verdict, "members": members, "where": dict(self.where)}

    def __str__(self) -> str:
        said = [
            f"{verdict} in {', '.join(names)}"
            for verdict in ("worse", "better", "undecided", "no worse")
            if (names := self.called(verdict))
        ]
        return f"{self.verdict}: {'; '.join(said)}"
