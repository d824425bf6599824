"""``python -m audio_distance REAL MADE [MADE ...]``."""

import sys

from audio_distance.command import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m audio_distance"))
