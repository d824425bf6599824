"""How good speech sounds to a network trained on ratings: the direction that a distance does not have.

    >>> metrics.compare("recordings/", "generated/", quality="distillmos").quality     # better, or worse?

A distance says how far two sets are apart, not which of them people would rather listen to. A network that
predicts ratings of single files, without a reference, has that sign. It is no part of the distance: it stands
beside it, as the level does.

Conventions
    score      the predicted mean opinion score of one file, 1 (bad) to 5 (excellent).
    predictor  what gives scores: the name of a network, or a function (signal, rate) -> score of one's own.
    segment    what the network looks at: 7.68 s at 16 kHz.

The network
    "distillmos" is Distill-MOS (Stahl and Gamper 2025, arXiv:2502.05356; MIT licence, weights included), for
    speech: made from a larger network that was trained on ratings of English speech in calls, conferences,
    noise suppression and synthesis. Its authors warn of other sounds, languages and tasks, and so does this
    package. The weights, 17 MB, lie in the package ``distillmos``, which is not imported: it wants
    torchaudio, and prints. They are read as data, and nothing is downloaded. PyTorch is imported with the
    first score. On processors with and without AVX2 and AVX512, and with one thread or two, scores differ by
    less than 1e-5; ``print`` tells them to .01.

    A sound is read as the distance reads it: mean of the channels, offset and rumble removed, silence cut at
    both ends; then soxr brings it to 16 kHz, whatever the bandwidth of the comparison is. As in the authors'
    code, zeros follow a sound of less than 7.68 s; of a longer one the score is the mean over segments that
    lie 1 s apart or closer, each brought to a peak of 1. Not as there, segments are 16 at most, evenly
    placed (sounds of more than 22.68 s are looked at with wider steps), and those that are silent beside the
    rest do not count.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.errors import AudioError
from audio_distance.features import TRIM, resample
from audio_distance.intervals import jackknife_interval
from audio_distance.resampling import arrangements
from audio_distance.units import Pool

Predictor = Callable[[NDArray[np.float32], int], float]

NAMES = ("distillmos",)
READ_AS = 1  # counts up when a network is read in another way: what a cache holds is then made again
RATE = 16_000  # Hz
SEGMENT = 122_880  # samples: 7.68 s
HOP = 16_000  # samples: the widest step between segments
MOST_SEGMENTS = 16
SPEECH_LEAST = 2.2  # mean score: if no set has it, they may not be speech
TIE = 1e-9  # differences that are smaller are none up to rounding, and so are statistics
AT_ONCE = 1  # segments; each takes 0.1 GB
INSTALL = 'pip install --no-deps distillmos, and the extra quality: pip install "audio-distance[quality]"'

# Of the network: channels of its convolutions, and its transformer.
CHANNELS = (2, 64, 64, 128, 256, 256, 256)
WIDTH, HEADS, LAYERS, FRAMES = 200, 8, 7, 384
FFT, FFT_HOP = 320, 160  # samples


def refuse_missing(quality: str | Predictor, *, needed: bool = True) -> None:
    """Raise ``ValueError`` for a name that is none; ``AudioError`` for a network that is needed and not here.

    Looks for packages, and imports none.
    """
    if callable(quality):
        return
    if quality not in NAMES:
        known = ", ".join(map(repr, NAMES))
        raise ValueError(f"quality={quality!r}; {known} is there, or a function (signal, rate) -> score")
    if not needed:
        return
    missing = [name for name in ("torch", quality) if importlib.util.find_spec(name) is None]
    if not missing and not _weights(quality).is_file():
        missing.append(f"{_weights(quality).name}, which another release of {quality} has,")
    if missing:
        raise AudioError(f'quality="{quality}" needs {" and ".join(missing)}, not installed: {INSTALL}')


def stamp_of(name: str) -> str:
    """What the scores of a network depend on, for a cache of them: its release, and how it is read here."""
    return f"{name} {importlib.metadata.version(name)} {READ_AS}"


def name_of(quality: str | Predictor) -> str:
    """What results call a predictor."""
    return quality if isinstance(quality, str) else str(getattr(quality, "__name__", "a function"))


def predicted(quality: str | Predictor, signal: NDArray[np.float32], rate: int) -> float:
    """The score of one sound, trimmed: mono float32, (samples,), at ``rate`` Hz.

    Raises
    ------
    AudioError
        A function that gives something else than one finite number.
    """
    given = (_loaded(quality) if isinstance(quality, str) else quality)(signal, rate)
    try:
        score = float(given)
    except (TypeError, ValueError) as error:
        raise AudioError(f"{name_of(quality)} gave no score ({error}); one number is needed") from None
    if not math.isfinite(score):
        raise AudioError(f"{name_of(quality)} gave the score {score}; a finite number is needed")
    return score


def _weights(name: str) -> Path:
    """The file of weights inside the installed package, which is not imported."""
    place = importlib.util.find_spec(name)
    assert place is not None and place.submodule_search_locations is not None
    return Path(place.submodule_search_locations[0], "weights", "distill_mos_v7.pt")


@cache
def _loaded(name: str) -> Predictor:
    """``score`` of the network, built here; its weights are read as data, which runs no code of theirs."""
    import torch

    network = _network()
    network.load_state_dict(torch.load(_weights(name), map_location="cpu", weights_only=True)["model"])
    network.eval().to(memory_format=torch.channels_last)  # a seventh faster on a processor

    def score(signal: NDArray[np.float32], rate: int) -> float:
        parts = torch.from_numpy(segments(resample(signal, rate, RATE))).split(AT_ONCE)
        with torch.inference_mode():
            return float(torch.cat([network(part) for part in parts]).mean())

    return score


def segments(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the network looks at, (segments, ``SEGMENT``), each of peak 1; ``signal`` (samples,) at 16 kHz."""
    excess = len(signal) - SEGMENT
    if excess <= 0:
        starts = np.zeros(1, int)
        signal = np.pad(signal, (0, -excess))
    else:
        count = min(math.ceil(excess / HOP) + 1, MOST_SEGMENTS)
        starts = (np.linspace(0, 1, count) * excess).astype(int)
    cut = np.stack([signal[start : start + SEGMENT] for start in starts])
    peaks = np.abs(cut).max(axis=1, keepdims=True)
    heard = peaks[:, 0] > TRIM * peaks.max()
    return np.asarray(cut[heard] / (peaks[heard] + 1e-8), np.float32)  # 1e-8 as in the authors' code


def _network() -> Any:
    """Distill-MOS without its weights, (segments, ``SEGMENT``) -> scores, (segments,).

    Spectra compressed by the power .3, six convolutions, a transformer of seven layers, attention over time.
    Modules are called as in the file of weights.
    """
    import torch
    from torch import nn

    class Pool(nn.Module):  # type: ignore[misc]
        """A weighted mean over time, and of that one number."""

        def __init__(self) -> None:
            super().__init__()
            self.linear1, self.linear2 = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, 1)
            self.linear3 = nn.Linear(WIDTH, 1)

        def forward(self, x: Any) -> Any:
            attention = self.linear2(torch.relu(self.linear1(x))).softmax(dim=1)
            return self.linear3((attention * x).sum(dim=1))[:, 0]

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            bands, last = FFT // 2 + 1, len(CHANNELS) - 2
            for i, (before, after) in enumerate(itertools.pairwise(CHANNELS)):
                step = 2 if i else 1  # in frequency
                layers.append(nn.Conv2d(before, after, 3, (step, 2 if i == last else 1), (0, 1)))
                layers.append(nn.LeakyReLU(0.1))
                bands = (bands - 3) // step + 1
            size = bands * CHANNELS[-1]
            encoder = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, dropout=0.0, batch_first=True)
            position = nn.Module()
            position.register_buffer("pe", torch.zeros(1, FRAMES, WIDTH))  # filled by the weights
            self.cnn = nn.ModuleDict({"cnn": nn.Sequential(*layers)})
            self.transformer_pool_attn = nn.ModuleDict(
                {
                    "norm_input": nn.BatchNorm1d(size),
                    "transformer": nn.ModuleDict(
                        {
                            "norm": nn.BatchNorm1d(size),
                            "position_encoding": position,
                            "linear_proj": nn.Linear(size, WIDTH),
                            "transformer_encoder": nn.TransformerEncoder(encoder, LAYERS),
                        }
                    ),
                    "norm_trans": nn.BatchNorm1d(WIDTH),
                    "pool": Pool(),
                }
            )
            self.register_buffer("window", torch.hann_window(FFT), persistent=False)

        def forward(self, x: Any) -> Any:
            parts, edge = self.transformer_pool_attn, (FFT - FFT_HOP) // 2
            x = nn.functional.pad(x, (edge, edge), mode="reflect")
            spectra = torch.stft(x, FFT, FFT_HOP, window=self.window, center=False, return_complex=True)
            magnitude = spectra.abs().clip(1e-12)
            x = torch.view_as_real(magnitude**0.3 * spectra / magnitude).permute(0, 3, 1, 2)
            x = self.cnn["cnn"](x).flatten(1, 2)  # (segments, channels * bands, frames)
            part = parts["transformer"]
            x = part["norm"](parts["norm_input"](x)).transpose(1, 2)
            x = part["transformer_encoder"](part["linear_proj"](x) + part["position_encoding"].pe)
            x = parts["norm_trans"](x.transpose(1, 2)).transpose(1, 2)
            return 1 + 4 * parts["pool"](x).sigmoid()

    return Network()


# ------------------------------------------------------------------------------- what two sets differ by


@dataclass(frozen=True)
class Quality:
    """How good two sets sound to a predictor, and how sure their difference is.

    Attributes
    ----------
    by : str
        The predictor: "distillmos", or the name of a function.
    reference, candidate : float
        Mean score of the units: files, or groups, each the mean of its files.
    difference : float
        Candidate minus reference: above zero the candidate sounds better to the predictor.
    interval : (float, float) or None
        95 %: t with the degrees of freedom of Welch, of pairs that of their differences; None with fewer than
        3 units a side.
    p_value : float
        Permutation p-value of "no difference", two-sided, of the same rearrangements as the distance's.
    """

    by: str
    reference: float
    candidate: float
    difference: float
    interval: tuple[float, float] | None
    p_value: float


@dataclass(frozen=True)
class Scored:
    """The scores of one block of units, under every arrangement; the observed one first.

    Attributes
    ----------
    means : (float, float)
        Of the reference and of the candidate, as observed.
    differences, variances : (arrangements,)
        Candidate minus reference, and the variance of that.
    without : tuple of arrays
        The observed difference without each draw in turn, an array for each kind of draw that varies on its
        own: units of the reference, of the candidate, pairs, units in both sets.
    smaller : int
        Units of the smaller set.
    """

    means: tuple[float, float]
    differences: NDArray[np.float64]
    variances: NDArray[np.float64]
    without: tuple[NDArray[np.float64], ...]
    smaller: int


def scored(pool: Pool, *, permutations: int, seed: int, block: int | None = None) -> Scored:
    """Difference of the mean scores of a block, and its variance, under the arrangements of its units.

    ``pool`` has ``scores``; the other arguments are those of ``resampling.arrangements``. The variance is
    that of leaving out one draw at a time (``intervals.jackknife_variance``): Welch's where nothing is
    paired, and where all is, that of the mean of the differences.
    """
    assert pool.scores is not None
    members = arrangements(pool, permutations, seed, block=block)[0].astype(float)
    scores = pool.scores - pool.scores.mean()  # so that little is lost in the squares
    both = pool.members == 3
    inside = (members, np.where(both[:, None], 1.0, 1 - members))  # of either set
    n, m = (int(part[:, 0].sum()) for part in inside)
    reference, candidate = scores @ inside[0] / n, scores @ inside[1] / m
    left = np.flatnonzero((pool.partner >= 0) & (pool.members == 1))
    right = pool.partner[left]
    swapped = members[left] == 0
    first = np.where(swapped, scores[right, None], scores[left, None])  # of a pair, in the reference
    second = np.where(swapped, scores[left, None], scores[right, None])
    free = (pool.partner < 0) & ~both
    variances = np.zeros(members.shape[1])
    for part, size in zip(inside, (n, m), strict=True):
        if count := int(part[free, 0].sum()):
            mean, square = (scores[free] ** power @ part[free] / count for power in (1, 2))
            variances += (count - 1) * (square - mean**2) / (size - 1) ** 2
    joint = (second / (m - 1) - first / (n - 1), scores[both, None] * (1 / (m - 1) - 1 / (n - 1)))
    variances += sum((len(part) - 1) * part.var(axis=0) for part in joint if len(part))
    observed = candidate[0] - reference[0]
    alone = [scores[free & (pool.members == member)] for member in (1, 2)]
    without = (
        observed + (alone[0] - reference[0]) / (n - 1),
        observed - (alone[1] - candidate[0]) / (m - 1),
        *(m * candidate[0] / (m - 1) - n * reference[0] / (n - 1) - part[:, 0] for part in joint),
    )
    centre = float(pool.scores.mean())
    return Scored(
        means=(centre + float(reference[0]), centre + float(candidate[0])),
        differences=candidate - reference,
        # What is left of equal scores is rounding.
        variances=np.where(variances > 1e-18 * np.square(pool.scores).max(), variances, 0.0),
        without=without,
        smaller=min(n, m),
    )


def quality_of(by: str, blocks: Sequence[tuple[float, Scored]]) -> Quality:
    """The result of all blocks; ``blocks`` are shares that add up to 1, and what ``scored`` gives.

    Notes
    -----
    The statistic of the test is the difference over its standard error, in each arrangement its own
    (Janssen 1997, doi:10.1016/S0167-7152(97)00043-6): exact where both sets are draws of one source, and in
    large sets right where only their spread differs, which the difference alone would take for a shift when
    the sets are of unequal size.
    """
    difference = sum(share * block.differences for share, block in blocks)
    variance = sum(share**2 * block.variances for share, block in blocks)
    assert isinstance(difference, np.ndarray) and isinstance(variance, np.ndarray)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.abs(difference) / np.sqrt(variance)
    statistic[np.abs(difference) <= TIE] = 0.0  # also where nothing varies at all
    # Arrangements that are equal up to rounding are ties, and ties count as reached.
    reached = statistic >= statistic[0] * (1 - TIE) if np.isfinite(statistic[0]) else np.isinf(statistic)
    value = float(difference[0])
    without = [share * part for share, block in blocks for part in block.without]
    known = min(block.smaller for _, block in blocks) >= 3
    reference, candidate = (float(sum(share * block.means[i] for share, block in blocks)) for i in (0, 1))
    return Quality(
        by=by,
        reference=reference,
        candidate=candidate,
        difference=value,
        interval=jackknife_interval(value, without) if known else None,
        p_value=float(reached.mean()),
    )


def doubt_of(quality: Quality) -> str:
    """A sentence where the network may have been given something else than speech, "" where it was not seen.

    It gives noises, music and single notes about 1 to 2, and speech more, unless that is badly damaged; short
    words at 8 kHz lie in between. So the note is given if neither set reaches ``SPEECH_LEAST``. How often
    that errs stands in the report.
    """
    if quality.by not in NAMES or max(quality.reference, quality.candidate) >= SPEECH_LEAST:
        return ""
    return (
        f"quality: these sounds may not be speech, and {quality.by} was trained on speech only: it gives "
        f"both sets less than {SPEECH_LEAST:g} of 5, as it does music and noises, of which it is no judge"
    )
