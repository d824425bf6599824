"""A comparison to be read by people: a Markdown summary, as for a pull request's comment, and a picture.

``python -m ablations compare base new --report DIR`` writes ``DIR/summary.md`` and ``DIR/effects.png``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from ablations.config import keys
from ablations.family import FamilyVerdict
from ablations.run import ELSEWHERE
from ablations.run_sets import RunSet
from ablations.statistics import Verdict
from audio_distance.storage import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colour-blind safe (Okabe and Ito), and a marker each, for who sees none of them.
STYLES = {
    "worse": ("#D55E00", "^"),
    "undecided": ("#555555", "s"),
    "no worse": ("#0072B2", "o"),
    "better": ("#0072B2", "v"),
}
UNTOLD = ("name", "seed", *ELSEWHERE)  # keys that say nothing of a model


def write(
    folder: Path,
    baseline: RunSet,
    candidates: Sequence[RunSet],
    verdicts: Mapping[str, Verdict | FamilyVerdict],
    *,
    metric: str,
    command: str,
) -> None:
    """Write ``summary.md`` and ``effects.png`` into ``folder``, each whole or not at all.

    Parameters
    ----------
    baseline, candidates : RunSet
        Their folders hold the configs whose differences are told.
    verdicts : mapping
        By name of a candidate.
    metric : str
        What a verdict that is no family's was judged by.
    command : str
        That makes this again.
    """
    tables = {name: _members(verdict, metric) for name, verdict in verdicts.items()}
    with replacing(folder / "effects.png") as part:
        effects(tables, baseline.name).savefig(part, dpi=150, format="png", metadata={"Software": None})
    blocks = [_block(baseline, side, verdicts[side.name], tables[side.name]) for side in candidates]
    text = "\n\n".join([*blocks, "![Effects beside their margins](effects.png)", f"    {command}"])
    with replacing(folder / "summary.md") as part:
        part.write_text(text + "\n", encoding="utf-8")


def _members(verdict: Verdict | FamilyVerdict, metric: str) -> dict[str, Verdict]:
    return dict(verdict.members) if isinstance(verdict, FamilyVerdict) else {metric: verdict}


def _block(
    baseline: RunSet, side: RunSet, verdict: Verdict | FamilyVerdict, members: Mapping[str, Verdict]
) -> str:
    """The verdict, a table of its metrics, and which settings differ."""
    one = next(iter(members.values()))
    seeds = f"{len(one.baseline)} {'pairs of seeds' if one.paired else f'and {len(one.candidate)} seeds'}"
    heading, *rows = _rows(verdict, members)
    changes = [f"- `{line}`" for line in differences(baseline, side)] or ["- none"]
    return "\n".join(
        [
            f"## {side.name} against {baseline.name}: {verdict.verdict}",
            "",
            f"{str(verdict)[0].upper()}{str(verdict)[1:]}. {seeds}; an effect above 0 is for the worse.",
            "",
            *(f"| {' | '.join(cells)} |" for cells in (heading, ["---"] * len(heading), *rows)),
            "",
            "Settings that differ:",
            "",
            *changes,
        ]
    )


def table(verdict: Verdict | FamilyVerdict, *, metric: str) -> str:
    """The members of a verdict as lines of text, for a terminal; ``metric`` as in ``write``."""
    rows = _rows(verdict, _members(verdict, metric))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _rows(verdict: Verdict | FamilyVerdict, members: Mapping[str, Verdict]) -> list[list[str]]:
    """A heading, and a row a metric."""
    where = verdict.where if isinstance(verdict, FamilyVerdict) else {}
    level = next(iter(members.values())).level
    heading = ["metric", "verdict", "effect", f"{100 * (1 - level):.4g} % interval", "margin", "p", "most at"]
    return [heading] + [
        [
            name.replace("_", " "),
            member.verdict,
            f"{member.effect:+.4g}",
            f"{member.interval[0]:+.4g} to {member.interval[1]:+.4g}",
            f"{member.margin:.4g}",
            f"{member.p_value:.2g}",
            where.get(name, "") if member.verdict in ("better", "worse") else "",
        ]
        for name, member in members.items()
    ]


def differences(baseline: RunSet, candidate: RunSet) -> list[str]:
    """``key: there -> here`` of every setting in which the configs of two sides' first runs differ."""
    before, after = (_settings(side) for side in (baseline, candidate))
    missing = object()
    told = []
    for key in sorted(before | after):
        old, new = before.get(key, missing), after.get(key, missing)
        if old != new and key not in UNTOLD:
            told.append(f"{key}: {_value(old, missing)} -> {_value(new, missing)}")
    return told


def _value(value: object, missing: object) -> str:
    return "not set" if value is missing else str(value)


def _settings(side: RunSet) -> dict[str, object]:
    """Every setting of the first run; none of values that are no run's."""
    path = side.folder / str(min(side.values)) / "config.yaml"
    return keys(OmegaConf.load(path)) if path.exists() else {}


def effects(tables: Mapping[str, Mapping[str, Verdict]], baseline: str) -> Figure:
    """A panel a candidate: every metric's effect with its interval, in margins; right is worse.

    Metrics have different units, so each is divided by its own margin, the line at 1; without one, by the
    farther end of its interval. ``tables``: candidate -> metric -> Verdict.
    """
    from matplotlib.figure import Figure

    names = list(next(iter(tables.values())))
    figure = Figure(figsize=(8, 0.9 + len(tables) * (0.8 + 0.34 * len(names))), layout="constrained")
    for axes, (candidate, members) in zip(
        figure.subplots(len(tables), squeeze=False)[:, 0], tables.items(), strict=True
    ):
        for place, member in enumerate(members.values()):
            unit = member.margin or max(map(abs, member.interval)) or 1.0
            colour, marker = STYLES[member.verdict]
            low, high = (end / unit for end in member.interval)
            axes.plot([low, high], [place, place], color=colour, lw=2)
            axes.plot(member.effect / unit, place, marker=marker, color=colour, ms=7)
            axes.annotate(
                f"{member.effect:+.3g}, {member.verdict}", (1.01, place), xycoords=("axes fraction", "data"),
                va="center", fontsize=9, color=colour,
            )  # fmt: skip
        axes.axvline(0, color="black", lw=0.8)
        axes.axvline(1, color="black", lw=0.8, ls=":")
        axes.set_yticks(range(len(members)), [name.replace("_", " ") for name in members])
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(f"{candidate} against {baseline}", loc="left", fontsize=11)
    axes.set_xlabel("effect with its interval, in margins (dotted: the margin); right is worse")
    return figure
