"""One experiment a result: ``python -m experiments NAME`` measures, and writes results/NAME.json.

$ python -m experiments                       # what there is, what it needs, how long it takes
$ python -m experiments challenge             # writes results/challenge.json
$ python -m experiments trials --help         # what it measures, on what, and what it can be told
$ python -m experiments trials --quick        # a small part, to see it run: prints, writes nothing
$ python -m experiments list                  # sources, embeddings and distances of this machine

Of what an experiment needs, digits, sounds, rated and rated_more are recordings: see README.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import inspect
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from study import datasets, embeddings, results, sources
from study.trials import GENERAL_DISTANCES

# An experiment is found by its file: there is no list to forget it in.
NAMES = tuple(sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py")))


@dataclass(frozen=True)
class Facts:
    """What the listing says of an experiment."""

    question: str
    needs: tuple[str, ...]
    takes: str


def facts(name: str) -> Facts:
    """What the listing says of an experiment; ``name`` is one of ``NAMES``.

    Read from its source, which is not run: PyTorch takes a second to import, and may not be there. ``DATA``,
    ``NEEDS`` and ``TAKES`` must therefore be literals.
    """
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    constants = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    data, needs, takes = (
        ast.literal_eval(constants[key]) if key in constants else () for key in ("DATA", "NEEDS", "TAKES")
    )
    return Facts(ast.get_docstring(tree).splitlines()[0], (*data, *needs), takes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; by default with the arguments of this process.

    Exit code 0; 1 for data, networks or packages that are missing, 2 for misuse (a name or option that there
    is not, a value that an experiment refuses), 130 for an interrupt. Errors are one line on stderr.
    """
    name, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or [""]
    if name in ("", "-h", "--help"):
        print(listing())
        return 0
    if name == "list":
        print(on_this_machine())
        return 0
    if name not in NAMES:
        near = difflib.get_close_matches(name, (*NAMES, "list"), n=1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
        print(f"error: no experiment {name!r}; {meant}", file=sys.stderr)
        return 2
    try:
        experiment = importlib.import_module(f"experiments.{name}")  # one: others may need PyTorch
    except ModuleNotFoundError as error:
        print(f"error: {error}; {name} needs {', '.join(facts(name).needs)}", file=sys.stderr)
        return 1
    # Runs and parts are kept one by one; any other experiment writes once, at the end.
    resumes = bool({"runs", "fresh"} & _keywords(experiment))
    try:
        perform(name, experiment, rest)
    except (datasets.MissingData, embeddings.MissingNetwork) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ValueError as error:  # what an experiment refuses: an option out of its bounds
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        after = "the same command goes on from here" if resumes else "nothing was written"
        print(f"interrupted; {after}", file=sys.stderr)
        return 130
    return 0


def perform(name: str, experiment: ModuleType, arguments: Sequence[str]) -> None:
    """Measure as the arguments say, write the result with its header, print what it says.

    ``experiment`` is the module. Nothing is written for ``--quick``: a part of the measurement must not take
    the place of the whole. The header's checksums are those of the sets in the module's ``DATA``, or of what
    its ``measured_on(content)`` names where that depends on the options.
    """
    options = vars(parser(name, experiment).parse_args(arguments))
    out = options.pop("out")
    started = time.perf_counter()
    measured = experiment.run(**options)
    if not options.get("quick"):
        on = experiment.measured_on(measured) if hasattr(experiment, "measured_on") else experiment.DATA
        # Every generator is seeded by names below one seed, which is 0 in all experiments.
        path = results.write(out, measured, made_by=f"python -m experiments {name}", seed=0, data=on)
        print(f"{path.parent.name}/{path.name}")
    if hasattr(experiment, "summary"):
        print(experiment.summary(measured))
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)


def parser(name: str, experiment: ModuleType) -> argparse.ArgumentParser:
    """The command line of an experiment: the keywords of its ``run`` as options.

    Those that several experiments have (``quick``, ``runs``, ``workers``, ``fresh``) are explained here
    once, and offered where ``run`` takes them; others come from the module's ``options``. ``--out`` is the
    name of the result, so that a variant does not overwrite the one the report shows.
    """
    made = argparse.ArgumentParser(
        prog=f"python -m experiments {name}",
        description=experiment.__doc__,
        epilog=_epilog(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,  # the docstrings have tables
    )
    if hasattr(experiment, "options"):
        experiment.options(made)
    shared = {
        "quick": {"action": "store_true", "help": "a small part, to see it run: prints, writes nothing"},
        "runs": {"default": "runs", "help": "folder of the runs (default %(default)s)"},
        "workers": {"type": _processes, "default": -1, "help": "processes; -1: one a core (default)"},
        "fresh": {"action": "store_true", "help": "compute again what the cache holds"},
    }
    for keyword, settings in shared.items():
        if keyword in _keywords(experiment):
            made.add_argument(f"--{keyword}", **settings)
    made.add_argument("--out", metavar="NAME", default=name, help="results/NAME.json (default %(default)s)")
    return made


def _keywords(experiment: ModuleType) -> set[str]:
    return set(inspect.signature(experiment.run).parameters)


def _epilog(name: str) -> str:
    known = facts(name)
    return f"Needs {', '.join(known.needs) or 'nothing'}. Takes {known.takes} on two cores."


def _processes(text: str) -> int:
    if int(text) == 0:
        raise argparse.ArgumentTypeError("0 processes; give 1 or more, or -1 for one a core")
    return int(text)


def listing() -> str:
    """How the command is used, and every experiment with what it asks, needs and takes."""
    lines = [__doc__.strip(), ""]
    for name in NAMES:
        known = facts(name)
        lines.append(f"{name:15} {known.question}")
        lines.append(f"{'':15} needs {', '.join(known.needs) or 'nothing'}; {known.takes} on two cores")
    return "\n".join(lines)


def on_this_machine() -> str:
    """What the trials can be run on here: a line each embedding, source of sounds, and distance.

    Looks for files and packages; no network is loaded.
    """
    installed = embeddings.installed()
    lines = [f"embedding  {e:18} {'here' if e in installed else 'not installed'}" for e in embeddings.NAMES]
    lines += [
        f"source     {name:18} {'here' if datasets.available(name) else 'missing'}"
        for name in (*sources.SOURCES, *datasets.RATED_FOLDERS)
    ]
    lines += [f"distance   {name}" for name in GENERAL_DISTANCES]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
