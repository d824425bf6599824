"""A long measurement in parts, each kept when it is done: what was interrupted goes on where it was.

A part is a JSON file in a folder of the cache, named by its key and by a digest of everything it depends on
(rows, code, settings). Made with other data or code it has another name, so a stale part is never read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import metrics
from audio_distance.storage import replacing
from study import results

Key = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """``function(*arguments)``, which returns plain types; ``stamp`` is what it depends on, for JSON."""

    function: Callable
    arguments: tuple
    stamp: object = field(default="")


def computed(
    parts: Mapping[Key, Part], which: str, *, workers: int = -1, keep: bool = True, unit: str = "part"
) -> dict[Key, dict]:
    """The content of every part, in their order.

    ``which``: the folder below ``metrics.cache_folder() / "study"``. ``keep=False`` computes again what is
    there. Each worker holds linear algebra to one thread.
    """
    places = {key: _place(key, part, which) for key, part in parts.items()}
    jobs = [
        delayed(_compute)(place, parts[key]) for key, place in places.items() if not (keep and place.exists())
    ]
    done = Parallel(n_jobs=workers, return_as="generator_unordered")(jobs)
    for _ in tqdm(done, total=len(jobs), desc=which, unit=unit):
        pass
    return {key: json.loads(place.read_text(encoding="utf-8")) for key, place in places.items()}


def _place(key: Key, part: Part, which: str) -> Path:
    digest = hashlib.sha256(json.dumps([key, part.stamp]).encode()).hexdigest()[:20]
    name = " ".join(Path(word).name for word in key)  # an embedding may be a path
    return metrics.cache_folder() / "study" / which / f"{name} {digest}.json"


def _compute(place: Path, part: Part) -> None:
    """Compute a part and keep it, whole or not at all."""
    with threadpool_limits(1):
        content = results.plain(part.function(*part.arguments))
    with replacing(place) as part_file, part_file.open("w", encoding="utf-8") as file:
        json.dump(content, file)
