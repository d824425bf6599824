"""Text for a terminal, a file or a pipe that may not take it: an encoding, a reader who left, a full disk.

Conventions
    printable   a text that every UTF-8 stream and file takes: what no Unicode character stands for (a byte of
                a file name in another encoding) is written as an escape, such as ``caf\\udce9.wav``.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO


def printable(text: str) -> str:
    """``text`` with lone surrogates, which stand for the bytes of a name that is not UTF-8, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def encodable(text: str, stream: TextIO | None) -> str:
    """``text`` with what the encoding of ``stream`` lacks as escapes: cp1252 has no Chinese letters."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def say(text: str, stream: TextIO | None = None, *, end: str = "\n") -> None:
    """Print a line on ``stream``, by default the standard output, at once and whatever its encoding.

    Raises
    ------
    BrokenPipeError, OSError
        The reader has left (``| head``), or the disk is full. The stream leads nowhere from then on, so that
        nothing fails on what is still in its buffer when the interpreter ends:
        https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    stream = sys.stdout if stream is None else stream
    if stream is None:  # a process that was started without one, as pythonw is
        return
    try:
        print(encodable(text, stream), end=end, file=stream, flush=True)
    except OSError:
        lead_nowhere(stream)
        raise


def complain(text: str) -> None:
    """``say`` on standard error; where nobody reads that either, nothing is left to be done."""
    try:
        say(text, sys.stderr)
    except OSError:
        return


def lead_nowhere(stream: TextIO) -> None:
    """All that is written to ``stream``, and all that waits in its buffer, is dropped."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
