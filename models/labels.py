"""Labels as numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def indices(labels: Sequence[str] | None, count: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Index of each label among the sorted names, (count,) int64, and the names.

    Without labels every sound has the one name "", so that a prior need not tell the two cases apart.
    """
    if labels is None:
        return np.zeros(count, dtype=np.int64), ("",)
    names, index = np.unique(np.asarray(labels), return_inverse=True)
    return index.astype(np.int64), tuple(str(name) for name in names)
