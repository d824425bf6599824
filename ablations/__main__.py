"""The gate by one command.

$ python -m ablations run -m ablation=base,dropped_class seed=range(0,5)    # five seeds of two models
$ python -m ablations compare base dropped_class --margin 5%                # better, no worse, worse?
$ python -m ablations plan base --margin 5%                                 # how many seeds are needed
$ python -m ablations study                                                 # the planted bugs of the report
$ python -m ablations calibrate                                             # how far verdicts can be trusted

``run --help`` is Hydra's; ``compare --help`` and ``plan --help`` explain themselves.
"""

from __future__ import annotations

import sys

from ablations import calibration, compare, plan, run, study
from ablations.config import ConfigError
from ablations.run import RunError
from metrics import AudioError
from study.sets import MissingData

COMMANDS = {
    "run": run.main,
    "compare": compare.main,
    "plan": plan.main,
    "calibrate": calibration.main,
    "study": study.main,
}


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 (better or no worse), 1 (worse), 2 (undecided, or something is wrong)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] not in COMMANDS:
        asked = bool(arguments) and arguments[0] in ("-h", "--help")
        print(__doc__, file=sys.stdout if asked else sys.stderr)
        if arguments and not asked:
            print(f"error: no command {arguments[0]!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 0 if asked else 2
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except (ConfigError, RunError, AudioError, MissingData, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
