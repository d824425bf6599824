"""How the sounds of a call are read: one ``Reading`` for all its sets, in place of seven keywords each."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypedDict


@dataclass(frozen=True)
class Reading:
    """How the sounds of a call are read. Every function that reads takes one, or its fields as keywords.

    >>> strict = Reading(minimum_bits=24, workers=2)
    >>> strict == Reading().changed(minimum_bits=24, workers=2)
    True

    Parameters
    ----------
    rate : int or (int, int), optional
        Sample rate in Hz of the arrays that come without one, for all sets, or one for the reference and one
        for the candidates; files carry their own. It has no default, because a rate that is guessed wrong
        changes the result without a word.
    on_error : "raise" or "skip"
        One bad file stops the run and all bad files are named; "skip" leaves them out and counts them.
    workers : int, optional
        Processes; by default what ``joblib.parallel_config`` has set (threads, a dask cluster), else all
        cores once there is a minute of audio, and one with an ``embedding`` of your own, which may not be
        able to travel. No result depends on it.
    cache : bool or path
        Keep descriptions in the user's cache folder (``cache_folder()``) or the folder given, keyed by the
        content of each file; an interrupted run resumes from them. A cache that cannot be used is a warning,
        and changes no result. Off by default: nothing is written unasked.
    progress : bool, optional
        Progress bars of what takes longer than half a second; by default only on a terminal.
    minimum_bits : int
        Refuse linear files of fewer bits. 16 by default: the noise of 8 bits, about 50 dB below the sound,
        counts as a difference.
    peak_limit : float
        Refuse float samples beyond it. 1.0 by default, full scale: more is often integers stored as float.

    Raises
    ------
    ValueError
        An ``on_error`` that is neither word, workers or a rate that are no numbers, fewer than one worker.
    """

    rate: int | tuple[int, int] | Sequence[int] | None = None
    on_error: str = "raise"
    workers: int | None = None
    cache: bool | str | os.PathLike[str] = False
    progress: bool | None = None
    minimum_bits: int = 16
    peak_limit: float = 1.0

    def __post_init__(self) -> None:
        if self.on_error not in {"raise", "skip"}:
            raise ValueError(f"on_error={self.on_error!r}; it is 'raise' or 'skip'")
        if self.workers is not None and not isinstance(self.workers, Integral):
            raise ValueError(f"workers={self.workers!r}; a whole number is needed")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers={self.workers}; at least 1 is needed")
        if self.rate is None or isinstance(self.rate, (int, float, Real)):
            return
        rates = () if isinstance(self.rate, str) else tuple(self.rate)
        if not rates or not all(rate is None or isinstance(rate, Real) for rate in rates):
            raise ValueError(f"rate={self.rate!r}; a number of Hz is needed, or one for each side")
        object.__setattr__(self, "rate", rates)  # a list or an array would be neither frozen nor hashable

    def changed(self, **fields: Any) -> Reading:
        """The same with other values of some fields; TypeError names one that does not exist."""
        return with_fields(self, fields, Reading)


def with_fields(reading: Any, fields: Mapping[str, Any], function: Callable[..., Any]) -> Reading:
    """``reading`` with the keywords that ``function`` was given beside it.

    Raises TypeError for something that is no Reading, and for a keyword that neither a Reading nor the
    function knows: the message names the function and the nearest keyword that exists.
    """
    if not isinstance(reading, Reading):
        raise TypeError(f"reading={reading!r}; an audio_distance.Reading is needed")
    known = {field.name for field in dataclasses.fields(Reading)}
    known |= {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    for name in fields:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}; {hint}")
    return dataclasses.replace(reading, **fields)


class ReadingFields(TypedDict, total=False):
    """The fields of ``Reading`` as keyword arguments, for type checkers and editors."""

    rate: int | tuple[int, int] | Sequence[int] | None
    on_error: str
    workers: int | None
    cache: bool | str | os.PathLike[str]
    progress: bool | None
    minimum_bits: int
    peak_limit: float
