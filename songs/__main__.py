"""The command line of a music collection: ``python -m songs COMMAND``.

Conventions
    tables       where rows are kept, ``--tables FOLDER``, by default runs/songs; the songs are only read.
    exit code    0 done, 1 input that cannot be used, or files that could not be read (each is named on
                 standard error), 2 wrong use of the command, 130 interrupted: run it again to go on.
    module       of a command: it offers two functions, ``add_arguments(parser)`` and ``main(arguments)``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from audio_distance.errors import AudioError
from audio_distance.output import complain, printable

TABLES = Path("runs/songs")

_EPILOG = """\
a collection from its files to answers:
  python -m songs fetch catalogue.csv --out music        openly licensed songs, politely
  python -m songs index music --label folder             one row a file
  python -m songs index s3a://bucket/music               the same, of an address that fsspec opens
  python -m songs query "select artist, count(*) from songs group by 1"
  python -m songs features                               30 samples of 5 s a song, as numbers
  python -m songs train --out taste.skops                which songs are good?
  python -m songs like new.ogg --model taste.skops
  python -m songs similar new.ogg                        nearest songs
  python -m songs duplicates                             the same recording under two names
  python -m songs distances --by genre                   how far genres are from each other

python -m songs COMMAND --help tells of each.
"""


@dataclass(frozen=True)
class Command:
    """One command; its two functions are imported when it is called, as ``module:function``."""

    about: str
    add_arguments: str  # (argparse.ArgumentParser) -> None
    main: str  # (argparse.Namespace) -> exit code; it has ``tables``, and ``engine`` where that is asked for
    engine: bool = False  # whether it works through all songs, by processes or Spark


COMMANDS = {
    "fetch": Command("openly licensed songs, politely", "songs.fetch:add_arguments", "songs.fetch:main"),
    "index": Command(
        "one row a file: content, length, rate, tags, label, or its error",
        "songs.commands:add_index_arguments",
        "songs.commands:index",
        engine=True,
    ),
    "samples": Command(
        "excerpts of every song, as mu-law codes",
        "songs.commands:add_samples_arguments",
        "songs.commands:samples",
        engine=True,
    ),
    "features": Command(
        "excerpts of every song, as numbers",
        "songs.commands:add_features_arguments",
        "songs.commands:features",
        engine=True,
    ),
    "train": Command(
        "learn which songs have a label, and how surely",
        "songs.reading:add_train_arguments",
        "songs.reading:train",
    ),
    "roc": Command("the curves of what is learned", "songs.reading:add_roc_arguments", "songs.reading:roc"),
    "like": Command(
        "what a model says of songs, and why", "songs.classifiers:add_like_arguments", "songs.reading:like"
    ),
    "similar": Command(
        "the songs nearest to one", "songs.reading:add_similar_arguments", "songs.reading:similar"
    ),
    "duplicates": Command(
        "the same recording twice: transcoded, cut, filtered, sped up",
        "songs.duplicates:add_duplicates_arguments",
        "songs.reading:duplicates",
        engine=True,
    ),
    "distances": Command(
        "how far genres, artists or labels are from each other",
        "songs.distances:add_arguments",
        "songs.reading:distances",
        engine=True,
    ),
    "query": Command(
        "SQL over the tables, printed", "songs.commands:add_query_arguments", "songs.commands:query"
    ),
}


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """Of all commands; the options only of the one that is chosen, whose module alone is imported."""
    parser = argparse.ArgumentParser(
        prog="python -m songs",
        description="A music collection as tables, on one machine or many.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        own = subparsers.add_parser(name, help=command.about, description=command.about)
        if name != chosen:
            continue
        _imported(command.add_arguments)(own)
        own.add_argument(
            "--tables", type=Path, default=TABLES, metavar="FOLDER", help=f"of the tables, default {TABLES}"
        )
        if command.engine:
            _add_engine(own)
    return parser


def _imported(name: str) -> Callable[[Any], Any]:
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


def _add_engine(parser: argparse.ArgumentParser) -> None:
    from songs.engine import ENGINES
    from songs.terminal import add_workers

    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help=f"default {ENGINES[0]}")
    add_workers(parser)
    parser.add_argument(
        "--master", default="local[*]", help="of Spark: local[N], or spark://HOST:PORT of a running cluster"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = _parser(given[0] if given else None).parse_args(given)
        return _imported(COMMANDS[arguments.command].main)(arguments)
    except AudioError as error:
        complain(f"error: {printable(str(error))}")
        return 1
    except ModuleNotFoundError as error:
        complain(f'error: {error.name} is not installed; pip install "audio-distance[songs]" brings it')
        return 1
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        complain("interrupted; run the same command again to go on")
        return 130


if __name__ == "__main__":
    sys.exit(main())
