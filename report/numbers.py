"""Numbers as the report writes them: rounded once, here, for tables and prose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def num(value: float, digits: int = 3) -> str:
    """Fixed digits, and no minus sign before a zero: a result that rounds to 0 has no direction."""
    text = f"{float(value):.{digits}f}"  # float() also refuses an undefined value by name
    return text.lstrip("-") if float(text) == 0 else text


def signed(value: float, digits: int = 1) -> str:
    """Fixed digits with the sign."""
    return f"{float(value):+.{digits}f}"


def percent(share: float, digits: int = 0) -> str:
    """A share of one as a percentage."""
    return f"{num(100 * share, digits)} %"


def p_text(value: float) -> str:
    """A p-value: two significant digits, below a thousandth one."""
    return f"{value:.2g}" if value >= 0.001 else f"{value:.1g}"


def interval(pair: Sequence[float], digits: int = 3) -> str:
    """The two ends of an interval."""
    return f"{num(pair[0], digits)} to {num(pair[1], digits)}"


def signed_interval(pair: Sequence[float], digits: int = 3) -> str:
    """The two ends of an interval of a difference."""
    return f"{signed(pair[0], digits)} to {signed(pair[1], digits)}"


def mean_text(row: Mapping, digits: int = 3) -> str:
    """A mean with its interval, which are the row's ``mean`` and ``interval``: "0.31 (0.20 to 0.42)"."""
    return f"{num(row['mean'], digits)} ({interval(row['interval'], digits)})"


def lead_text(row: Mapping, digits: int = 3) -> str:
    """The same of a difference, with signs: "+0.31 (-0.10 to +0.72)"."""
    return f"{signed(row['mean'], digits)} ({signed_interval(row['interval'], digits)})"


def points(row: Mapping, digits: int = 1) -> str:
    """A mean difference of shares in percentage points, with its interval."""
    return lead_text({"mean": 100 * row["mean"], "interval": [100 * end for end in row["interval"]]}, digits)


def effect_text(row: Mapping, digits: int = 3) -> str:
    """A verdict's ``effect`` with its ``interval``, in the metric's unit; above 0 is worse."""
    return f"{signed(row['effect'], digits)} ({signed_interval(row['interval'], digits)})"


def share_text(share: float, ends: Iterable[float], digits: int = 0) -> str:
    """A share of one as a percentage of one digit, with the two ``ends`` of its interval in brackets."""
    low, high = (percent(end, digits) for end in ends)
    return f"{percent(share, 1)} ({low} to {high})"
