"""The gate by one command.

$ python -m ablations run -m ablation=base,dropped_class seed=range(0,5)    # five seeds of two models
$ python -m ablations compare base dropped_class --margin 5%                # better, no worse, worse?
$ python -m ablations plan base --margin 5%                                 # how many seeds are needed

Exit codes of compare: 0 better or no worse, 1 worse, 3 undecided, 2 wrong use or damaged runs.
``run --help`` is Hydra's; ``compare --help`` and ``plan --help`` explain themselves.
"""

from __future__ import annotations

import sys

from ablations import compare, plan, run
from ablations.command import answer

COMMANDS = {
    "run": run.main,
    "compare": compare.main,
    "plan": plan.main,
}


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 (better or no worse), 1 (worse), 3 (undecided), 2 (wrong use, or damaged runs)."""
    return answer(COMMANDS, arguments, usage=__doc__)


if __name__ == "__main__":
    sys.exit(main())
