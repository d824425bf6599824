"""TEMPORARY: until the real one is merged."""

import numpy as np
from dataclasses import dataclass

from audio_distance.views import VIEW_COLUMNS


@dataclass(frozen=True)
class Pooled:
    described: dict
    numbers: dict


def usable_numbers(rate):
    return {name: np.arange(c.start, c.stop) for name, c in VIEW_COLUMNS.items()}


def standardise(v, w):
    c = v - w @ v
    s = np.sqrt(w @ c**2)
    return (
        c
        / np.sqrt(s**2 + (0.1 * (np.median(s[s > 0]) if (s > 0).any() else 1)) ** 2)
        / np.sqrt(2 * v.shape[1])
    )


def principal(v, w, ridge):
    c = v - w @ v
    a = np.sqrt(w)[:, None] * c
    if len(v) <= v.shape[1]:
        variance, u = np.linalg.eigh(a @ a.T)
        keep = variance > 1e-10 * max(variance[-1], 1e-300)
        axes = a.T @ u[:, keep] / np.sqrt(variance[keep])
    else:
        variance, axes = np.linalg.eigh(a.T @ a)
        keep = variance > 1e-10 * max(variance[-1], 1e-300)
        axes = axes[:, keep]
    variance = variance[keep]
    if not keep.any():
        return np.zeros((len(v), 1)), np.zeros((v.shape[1], 1))
    return c @ axes / np.sqrt(variance + ridge * variance.mean()) / np.sqrt(2 * len(variance)), axes


def families(vectors, w, parts):
    own = {name: standardise(vectors[:, c].astype(float), w) for name, c in parts.items()}
    joint = np.hstack([v * v.shape[1] ** 0.25 for name, v in own.items() if name != "attack"])
    freed = [s @ a.T for name, v in own.items() if name != "attack" for s, a in [principal(v, w, 0.1)]]
    views = [own[n] for n in VIEW_COLUMNS if n in own] or list(own.values())
    return Pooled(
        {"standardised": views, "whitened": [principal(joint, w, 0.01)[0]]},
        {"plain": np.hstack(list(own.values())), "freed": np.hstack(freed)},
    )


def differences(unit, contrasts):
    unit = unit - unit.mean(0)
    spread = np.sqrt((unit**2).mean(0))
    varied = spread > 1e-9 * max(spread.max(initial=0), 1e-300)
    unit = np.where(varied, unit / np.where(varied, spread, 1), 0)
    return contrasts.T @ unit.astype(np.float32)


def largest(t, count):
    sq = t.astype(float) ** 2
    count = min(count, sq.shape[1])
    return sq.max(1) if count == 1 else np.partition(sq, -count, axis=1)[:, -count:].sum(1)


def normal_scores(values):
    s = values.std()
    if s <= 1e-12:
        return np.zeros_like(values)
    z = (values - values.mean()) / s
    shape = 4 / np.clip((z**3).mean(), 0.1, 3) ** 2
    return np.sqrt(9 * shape) * (
        np.cbrt(np.maximum(shape + z * np.sqrt(shape), 0) / shape) - 1 + 1 / (9 * shape)
    )
