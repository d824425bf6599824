"""``python -m study.datasets``: see ``recordings.main``."""

import sys

from study.datasets.recordings import main

if __name__ == "__main__":
    sys.exit(main())
