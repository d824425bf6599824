"""Helpers that several test modules share: seeded noises, and folders of them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import settings

# Each run on each machine tries the same examples, however long one takes; `make test-examples` tries others.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("others", deadline=None)
settings.load_profile("same")


@pytest.fixture(scope="session")
def noise():
    """Seeded white noise of sigma 0.1, which stays inside full scale: 10 sigma are never drawn."""

    def make(seed, seconds=0.3, rate=16000):
        return np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate))

    return make


@pytest.fixture
def folder_of(tmp_path, noise):
    """Write a folder of noises with the given seeds, and return its path."""

    def write(name, seeds, *, extension="wav", seconds=0.3, rate=16000, **options) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            path = folder / f"{name}_{seed:02d}.{extension}"
            soundfile.write(path, noise(seed, seconds, rate), rate, **options)
        return folder

    return write


@pytest.fixture
def in_this_process(monkeypatch):
    """What ``songs.engine`` gives to a pool is done here, one path after another: no process is started."""
    from songs import engine

    def one_by_one(function, paths, schema, workers):
        return (engine.rows_of(function, path, schema) for path in paths)

    monkeypatch.setattr(engine, "_by_processes", one_by_one)
