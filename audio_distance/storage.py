"""Files that are written whole or not at all, and the folder for what can be made again."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, in a folder of its own beside ``path``, whose place it takes at the end.

    Whoever reads ``path`` meanwhile sees the old file or the new one, never a part; after an error inside the
    block, the old one stays. Folders above are made; nothing is left behind but after a kill.

        with replacing("result.json") as part:
            part.write_text(text)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".", suffix=".part") as folder:
        part = Path(folder, path.name)
        yield part
        os.replace(part, path)


def cache_folder() -> Path:
    """The user's cache folder for embeddings: $AUDIO_DISTANCE_CACHE, else the platform's usual place."""
    if os.environ.get("AUDIO_DISTANCE_CACHE"):
        return Path(os.environ["AUDIO_DISTANCE_CACHE"])
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"], "audio-distance")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "audio-distance"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audio-distance"
