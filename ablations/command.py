"""A command of several words: chooses what was asked for, and says what is wrong in one line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence

from ablations.config import ConfigError
from ablations.run import RunError
from metrics import AudioError
from study.datasets import MissingData


def answer(
    commands: Mapping[str, Callable[[Sequence[str]], int]], arguments: Sequence[str] | None, *, usage: str
) -> int:
    """Call the command that the first argument names with the others; return its exit code.

    ``usage`` is printed where help is asked for, or no command is named. Exit code 2 for an unknown command,
    for input that cannot be used and for a mistake of this program, 130 for an interrupt. None takes the
    arguments of the process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] not in commands:
        asked = bool(arguments) and arguments[0] in ("-h", "--help")
        print(usage, file=sys.stdout if asked else sys.stderr)
        if arguments and not asked:
            print(f"error: no command {arguments[0]!r}; there are {', '.join(commands)}", file=sys.stderr)
        return 0 if asked else 2
    try:
        return commands[arguments[0]](arguments[1:])
    except (ConfigError, RunError, AudioError, MissingData, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except Exception:  # a mistake of this program; Python's own exit code would be 1, "worse"
        traceback.print_exc()
        return 2
