"""What an earlier study of one owner's songs published, and its faults in small: numbers that show each.

    >>> from songs import history
    >>> history.always_yes(1601, 5626)["f05"]                      # doctest: +SKIP
    0.332

The study: 5,626 songs of one owner, 1,601 of them "good", 30 samples of 5 s each at 44,100 Hz. Nothing here
needs its data: the faults are of arithmetic and of procedure, and show on data without any signal.

Conventions
    no signal   labels are dealt by chance, so that every honest score has the mean 0.5 (AUC). What a
                procedure reports beyond it is its optimism.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import warnings
from multiprocessing.connection import Connection

import librosa
import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import fbeta_score, precision_score, recall_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

SONGS, GOOD = 5626, 1601
PUBLISHED = {  # per sample
    "tree": {"precision": 0.329, "recall": 0.531, "f05": 0.356, "auc": 0.55},
    "network": {"precision": 0.402, "recall": 0.335, "f05": 0.387, "auc": 0.62},
}


def always_yes(yes: int, songs: int) -> dict[str, float]:
    """Precision, recall and F0.5 of who calls all ``songs`` good, ``yes`` of which are."""
    if not 0 < yes <= songs:
        raise ValueError(f"{yes} of {songs} songs; 1 to {songs} are needed")
    truth, called = np.arange(songs) < yes, np.ones(songs, bool)
    return {
        "precision": float(precision_score(truth, called)),
        "recall": float(recall_score(truth, called)),
        "f05": float(fbeta_score(truth, called, beta=0.5)),
    }


def operating_point(precision: float, recall: float, share: float) -> tuple[float, float]:
    """Shares of no and of yes that are called yes, by precision, recall and the ``share`` of yes.

    Where a published pair lies in the plane of ROC curves, if the test set had that share.
    """
    for name, value in (("precision", precision), ("share", share)):
        if not 0 < value < 1:
            raise ValueError(f"{name} {value}; above 0 and below 1 is needed")
    return recall * share / (1 - share) * (1 - precision) / precision, recall


def hop_taken_for_window(
    rate: int = 44_100, *, seconds: float = 5.0, hop_length: int = 32_768, n_fft: int = 4096
) -> dict[str, object]:
    """What frames of ``n_fft`` every ``hop_length`` samples see of a sound.

    Returns
    -------
    dict
        ``frames``: their number, centred as librosa does. ``seen``: their samples, as a share of the sound's
        (the first is half padding, so the true share is a little lower). ``tempi``: beats a minute that
        an autocorrelation over so few frames can tell, fast to slow.
    """
    length = round(seconds * rate)
    frames = 1 + length // hop_length
    tempi = librosa.tempo_frequencies(frames, hop_length=hop_length, sr=rate)[1:]  # the first is of no lag
    return {"frames": frames, "seen": frames * n_fft / length, "tempi": tempi.tolist()}


def checkpoint_optimism(
    seed: int = 0, *, songs: int = 60, features: int = 20, epochs: int = 30, repeats: int = 20
) -> dict[str, float]:
    """Mean AUC of a small network on data without signal, by which of its epochs is reported.

    ``songs`` are learned from, as many are reported on, and as many more are kept apart. One sample a song.

    Returns
    -------
    dict
        ``best on what is reported``: of the epoch that is best on the reported songs, there. ``last``: of the
        last epoch, there. ``best, elsewhere``: of the same best epoch on the songs kept apart.
    """
    rng = np.random.default_rng(seed)
    found = []
    for repeat in range(repeats):
        learned, reported, apart = rng.normal(size=(3, songs, features))
        label = np.arange(songs) % 2
        network = MLPClassifier((16,), learning_rate_init=0.01, random_state=seed + repeat)
        of_epochs = []
        for _ in range(epochs):
            network.partial_fit(learned, label, classes=[0, 1])
            of_epochs.append([_auc(label, network.predict_proba(side)[:, 1]) for side in (reported, apart)])
        best = int(np.argmax([on_reported for on_reported, _ in of_epochs]))
        found.append([of_epochs[best][0], of_epochs[-1][0], of_epochs[best][1]])
    return dict(zip(("best on what is reported", "last", "best, elsewhere"), _means(found), strict=True))


def grid_optimism(
    seed: int = 0, *, songs: int = 40, samples: int = 6, features: int = 8, repeats: int = 10
) -> dict[str, float]:
    """Mean AUC that a grid search reports on songs without signal, by its folds, and the AUC on new songs.

    Half of the variance of ``samples`` is their song's, whose label is chance. The grid: 1 to 15 neighbours.

    Returns
    -------
    dict
        ``folds of samples``, ``folds of songs``: best mean score of the grid; all that is left to the second
        is that it is the best of three. ``new songs``: AUC on as many others, by what folds of samples chose.
    """
    rng = np.random.default_rng(seed)
    song, grid, found = np.repeat(np.arange(songs), samples), {"n_neighbors": [1, 5, 15]}, []
    for _ in range(repeats):
        learned, new = (
            rng.normal(size=(songs, features))[song] + rng.normal(size=(len(song), features))
            for _ in range(2)
        )
        label = rng.permutation(np.arange(songs) % 2)[song]
        by_sample, by_song = (
            GridSearchCV(KNeighborsClassifier(), grid, scoring="roc_auc", cv=list(parts)).fit(learned, label)
            for parts in (
                StratifiedKFold(4, shuffle=True, random_state=seed).split(learned, label),
                StratifiedGroupKFold(4).split(learned, label, song),
            )
        )
        on_new = _auc(label, by_sample.predict_proba(new)[:, 1])
        found.append([by_sample.best_score_, by_song.best_score_, on_new])
    return dict(zip(("folds of samples", "folds of songs", "new songs"), _means(found), strict=True))


def _auc(label: np.ndarray, score: np.ndarray) -> float:
    """By the ranks of the ones; scikit-learn's asks so much of its input that it takes most of the time."""
    ones = label.sum()
    return float((rankdata(score)[label == 1].mean() - (ones + 1) / 2) / (len(label) - ones))


def forked_draws(workers: int = 4, *, draws: int = 5) -> dict[str, int]:
    """How many different draws forked workers make: with the generator they inherit, and with one by song.

    Returns
    -------
    dict
        ``workers``; ``inherited``: different results of as many workers that draw from numpy's global
        generator, whose state a fork copies; ``by content``: of workers that seed theirs by their song.

    Raises
    ------
    RuntimeError
        Where processes cannot be forked (Windows).
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        raise RuntimeError("this system cannot fork processes, and has not this fault")
    found = {"workers": workers}
    for name, seeded in (("inherited", False), ("by content", True)):
        found[name] = len({_in_a_fork(number if seeded else None, draws) for number in range(workers)})
    return found


def _in_a_fork(song: int | None, draws: int) -> tuple[float, ...]:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    with warnings.catch_warnings():
        # Python 3.12 warns of forks with threads about; this child draws some numbers and ends.
        warnings.simplefilter("ignore", DeprecationWarning)
        worker = context.Process(target=_draw, args=(sender, song, draws))
        worker.start()
    result = receiver.recv()
    worker.join()
    return result


def _draw(sender: Connection, song: int | None, draws: int) -> None:
    if song is None:
        numbers = np.random.random(draws)
    else:
        content = hashlib.sha256(f"song {song}".encode()).digest()
        numbers = np.random.default_rng(int.from_bytes(content[:8], "big")).random(draws)
    sender.send(tuple(numbers.tolist()))


def complex_contrast(rate: int = 22_050, *, seconds: float = 2.0, seed: int = 0) -> dict[str, float]:
    """Mean spectral contrast, in dB, of a tone in noise: of magnitudes, and of the complex spectrum itself.

    librosa sorts what it is given by value, so that a complex bin counts by its real part, and phase decides.
    """
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.1, len(time))
    spectrum = librosa.stft(np.sin(2 * np.pi * 440 * time) + noise)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)  # the one sign that there was of it
        contrasts = [librosa.feature.spectral_contrast(S=S, sr=rate) for S in (np.abs(spectrum), spectrum)]
    return dict(zip(("magnitudes", "complex"), (float(c.mean()) for c in contrasts), strict=True))


def _means(rows: list[list[float]]) -> list[float]:
    return np.mean(rows, axis=0).tolist()
