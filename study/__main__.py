"""The study by one command: run the trials, or list what they would use.

$ python -m study run                        # all that is installed and present; resumes
$ python -m study run --quick                # a few minutes, writes nothing
$ python -m study listen                     # ideas for agreeing with listeners, nested by laboratory
$ python -m study list                       # sources, embeddings and distances of this machine
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time

from study import datasets, embeddings, listening, results, sources, trials


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, or 1 for data or networks that are missing; argparse exits with 2 for misuse."""
    parser = argparse.ArgumentParser(
        prog="python -m study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="what this machine has")
    listing.set_defaults(act=_list)
    running = commands.add_parser(
        "run",
        help="every candidate distance x embedding through every trial, into results/trials.json",
        description="Finished parts are kept in the cache folder: an interrupted run goes on.",
    )
    running.add_argument("--quick", action="store_true", help="few files and draws; prints, writes nothing")
    running.add_argument(
        "--embeddings",
        metavar="A,B",
        help="which embeddings (default: the handcrafted ones and every network that is installed); "
        "FILE.pt2: one that `python -m models export` wrote",
    )
    running.add_argument("--sources", metavar="A,B", help=f"of {', '.join(sources.SOURCES)} (default: all)")
    running.add_argument(
        "--out", metavar="NAME", default="trials", help="results/NAME.json (default %(default)s)"
    )
    running.add_argument("--workers", type=int, default=-1, help="processes; -1: one a core (default)")
    running.add_argument("--fresh", action="store_true", help="compute again what the cache holds")
    running.set_defaults(act=_run)
    hearing = commands.add_parser(
        "listen",
        help="ideas for agreeing better with listeners, into results/listening.json (needs the rated sets)",
        description="Each idea is judged on laboratories that its choice did not see: see study.listening.",
    )
    hearing.add_argument("--workers", type=int, default=-1, help="processes; -1: one a core (default)")
    hearing.add_argument("--fresh", action="store_true", help="compute again what the cache holds")
    hearing.set_defaults(act=_listen)
    arguments = parser.parse_args(argv)
    try:
        return arguments.act(arguments, parser)
    except (datasets.MissingData, embeddings.MissingNetwork) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _list(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    installed = embeddings.installed()
    for name in embeddings.NAMES:
        print(f"embedding  {name:18} {'here' if name in installed else 'not installed'}")
    for name in (*sources.SOURCES, "rated"):
        here = name == "instruments" or datasets.available(name)
        print(f"source     {name:18} {'here' if here else 'missing'}")
    for name in trials.GENERAL_DISTANCES:
        print(f"distance   {name}")
    return 0


def _run(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    settings = trials.Settings(embeddings=trials.GENERAL_EMBEDDINGS + networks())
    if arguments.embeddings:
        chosen = tuple(arguments.embeddings.split(","))
        if unknown := {c for c in chosen if not c.endswith(embeddings.EXPORTED)} - set(embeddings.NAMES):
            parser.error(f"--embeddings: unknown {', '.join(sorted(unknown))}; see python -m study list")
        settings = dataclasses.replace(settings, embeddings=chosen)
    if arguments.sources:
        chosen = tuple(arguments.sources.split(","))
        if unknown := set(chosen) - set(sources.SOURCES):
            parser.error(f"--sources: unknown {', '.join(sorted(unknown))}; of {', '.join(sources.SOURCES)}")
        settings = dataclasses.replace(settings, sources=chosen)
    if arguments.quick:
        settings = dataclasses.replace(
            settings, files=210, null_draws=20, effect_draws=2, bias_draws=3, unit_trials=5
        )
    if arguments.workers == 0:
        parser.error("--workers: 0 processes; give 1 or more, or -1 for one a core")
    started = time.perf_counter()
    found = trials.run(settings, workers=arguments.workers, keep=not arguments.fresh)
    if arguments.quick:
        print(trials.summary(found))
    else:
        recordings = [name for name in (*settings.sources, "rated") if name != "instruments"]
        data = [name for name in recordings if datasets.available(name)]
        print(results.write(arguments.out, found, made_by="python -m study run", seed=0, data=data))
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    return 0


def _listen(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if arguments.workers == 0:
        parser.error("--workers: 0 processes; give 1 or more, or -1 for one a core")
    found = listening.run(workers=arguments.workers, keep=not arguments.fresh)
    print(results.write("listening", found, made_by="python -m study listen", seed=0, data=["rated"]))
    return 0


def networks() -> tuple[str, ...]:
    """Networks that are installed, beside the handcrafted embeddings."""
    return tuple(n for n in embeddings.installed() if n in trials.NETWORKS)


if __name__ == "__main__":
    sys.exit(main())
