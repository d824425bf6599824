"""The command line of a music collection: ``python -m songs COMMAND``.

Conventions
    tables       where rows are kept, ``--tables FOLDER``, by default runs/songs; the songs are only read.
    exit code    0 done, 1 input that cannot be used, or files that could not be read (each is named on
                 standard error), 2 wrong use of the command, 130 interrupted: run it again to go on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from audio_distance.errors import AudioError
from audio_distance.output import complain, printable, say

TABLES = Path("runs/songs")

_EPILOG = """\
a collection from its files to answers:
  python -m songs fetch catalogue.csv --out music        openly licensed songs, politely
  python -m songs index music --label folder             one row a file
  python -m songs query "select artist, count(*) from songs group by 1"
  python -m songs features                               30 samples of 5 s a song, as numbers
  python -m songs train --out taste.skops                which songs are good?
  python -m songs like new.ogg --model taste.skops
  python -m songs similar new.ogg                        nearest songs
  python -m songs duplicates                             the same recording under two names
  python -m songs distances --by genre                   how far genres are from each other

python -m songs COMMAND --help tells of each.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m songs",
        description="A music collection as tables, on one machine or many.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    command = _command(
        commands, "index", "one row a file: content, length, rate, tags, label, or its error", _index
    )
    command.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="links are followed")
    command.add_argument(
        "--labels", type=Path, metavar="CSV", help="columns path, and label, group, artist, ..."
    )
    command.add_argument(
        "--label", choices=("folder",), help="the label is the name of the folder below FOLDER"
    )
    command.add_argument("--check", action="store_true", help="read every file again, not those that changed")
    _add_engine(command)

    command = _command(commands, "query", "SQL over the tables, printed", _query)
    command.add_argument(
        "sql", help='of files, songs, samples, features: "select artist, count(*) from songs group by 1"'
    )
    command.add_argument("--csv", action="store_true", help="all rows as CSV")
    return parser


def _command(commands, name: str, about: str, action) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=about, description=about)
    command.add_argument(
        "--tables", type=Path, default=TABLES, metavar="FOLDER", help=f"of the tables, default {TABLES}"
    )
    command.set_defaults(action=action)
    return command


def _add_engine(command: argparse.ArgumentParser) -> None:
    from songs.engine import ENGINES

    command.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="default processes")
    command.add_argument("--workers", type=int, metavar="N", help="processes, default one a core")
    command.add_argument(
        "--master", default="local[*]", help="of Spark: local[N], or spark://HOST:PORT of a running cluster"
    )


def _engine(arguments: argparse.Namespace) -> dict:
    return {name: getattr(arguments, name) for name in ("engine", "workers", "master")}


def _index(arguments: argparse.Namespace) -> int:
    from songs.scan import index

    found = index(
        arguments.folders,
        arguments.tables,
        labels=arguments.labels,
        label_by_folder=arguments.label == "folder",
        check=arguments.check,
        **_engine(arguments),
    )
    for one, other in found.moved:
        say(f"moved: {one} -> {other}")
    for path in found.gone:
        say(f"gone: {path}")
    say(
        f"{found.read} files read, {found.unchanged} as they were, {len(found.moved)} moved, "
        f"{len(found.gone)} gone, {found.passed} others passed over"
    )
    return _told(found.faults)


def _query(arguments: argparse.Namespace) -> int:
    import duckdb

    from songs.tables import connect

    with connect(arguments.tables) as connection:
        try:
            rows = connection.sql(arguments.sql)
            if rows is None:
                raise AudioError(
                    "the query gives no rows; only select is of use, the tables are never changed here"
                )
            frame = rows.df()
        except duckdb.Error as error:
            raise AudioError(f"query: {error}") from None
    if arguments.csv:
        frame.to_csv(sys.stdout, index=False)
    else:
        say(frame.to_string(index=False, max_rows=40, max_colwidth=60))
    return 0


def _told(faults: Sequence[tuple[str, str]]) -> int:
    """Name what could not be read; the exit code."""
    for path, reason in faults:
        complain(f"{path}: {reason}")
    return 1 if faults else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.action(arguments)
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
