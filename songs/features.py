"""A song's samples as numbers: what they sound like, in units, and what the whole song's tempo and key are.

Conventions
    signal      mono float32, (samples,), full scale 1.0; ``rate`` in Hz and never assumed.
    frame       n_fft samples, a power of two of about 93 ms, every n_fft / 4 (Hann, not padded: a frame that
                hangs over the edge would hear a click there). Pitch is read of frames four times as long:
                bins 11 Hz apart do not tell semitones apart below 180 Hz.
    magnitude   |X|, (bins, frames), scaled so that the squares of a full-scale sine add up to 1 over the
                bins. Never complex: as numbers, complex spectra pass through contrast and chroma unnoticed.
    dB          10 log10 of power, 0 of a full-scale sine, not below -100.
    mean, sd    over the frames of a sample.
    key         "C major", "F# minor": tonic and mode, 24 in all.
    NaN, ""     what a sound has not: the tempo of a steady tone, the key of a sound without pitch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
import scipy.signal
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audio_distance.errors import AudioError
from audio_distance.features import check_signal, describe_signal, divided
from audio_distance.views import VIEWS
from songs import sampling
from songs.tempo_and_key import Key, Tempo, key_of, pulse_of, tempo_of

FRAME_SECONDS = 2048 / 22050
PITCH_SECONDS = 8192 / 22050
LOWEST_RATE = 16_000  # Hz: below it the upper bands of contrast would be empty
MEL_BANDS, MFCC, CONTRAST_BANDS = 64, 20, 6
LOWEST_HZ, LOW_HZ = 30.0, 150.0
FLOOR_DB = -100.0
# Below the loudest band of a sample: what rises further down, as noise of 16 bits does, begins nothing.
ONSET_RANGE_DB = 60.0
ROLLOFF = 0.85  # of the magnitude, librosa's default
DELTA_FRAMES = 9  # of the line whose slope is the delta, librosa's default
PITCHES_HZ = (65.0, 2100.0)  # C2 to C7: below, bins tell no semitones apart; above, overtones prevail


class Column(NamedTuple):
    """A column: ``size`` numbers of float32 (1: one number), or a name if ``size`` is 0."""

    name: str
    size: int
    unit: str
    meaning: str


COLUMNS = (
    Column("level_db", 1, "dB", "root mean square; 0 of a full-scale sine"),
    Column("log_mel_mean_db", MEL_BANDS, "dB", "mean of each mel band, 30 Hz to half the rate"),
    Column("log_mel_sd_db", MEL_BANDS, "dB", "its standard deviation"),
    Column("mfcc_mean_db", MFCC, "dB", "mean of the mel-frequency cepstral coefficients 0 to 19"),
    Column("mfcc_sd_db", MFCC, "dB", "their standard deviation"),
    Column("mfcc_delta_mean_db_per_s", MFCC, "dB/s", "mean of their slope over 9 frames"),
    Column("mfcc_delta_sd_db_per_s", MFCC, "dB/s", "its standard deviation"),
    Column("chroma", 12, "share", "of the power from 65 to 2,100 Hz by pitch class, C first; adds up to 1"),
    Column("contrast_mean_db", CONTRAST_BANDS + 1, "dB", "peaks over valleys, by octaves from 200 Hz"),
    Column("contrast_sd_db", CONTRAST_BANDS + 1, "dB", "its standard deviation"),
    Column("flux_mean_db_per_s", 1, "dB/s", "rises of the mel bands within 60 dB of the loudest, mean"),
    Column("flux_sd_db_per_s", 1, "dB/s", "standard deviation over frames of their mean over bands"),
    Column("centroid_mean_hz", 1, "Hz", "frequency, weighted by magnitude"),
    Column("centroid_sd_hz", 1, "Hz", "its standard deviation"),
    Column("rolloff_mean_hz", 1, "Hz", "below which 85 % of the magnitude lie"),
    Column("rolloff_sd_hz", 1, "Hz", "its standard deviation"),
    Column("peak_hz", 1, "Hz", "bin with the most power, of the mean over frames"),
    Column("zero_crossings_per_s", 1, "1/s", "changes of sign"),
    Column("tempo_bpm", 1, "BPM", "beats a minute, of the sample alone"),
    Column("tempo_strength", 1, "correlation", "of the onsets with themselves a beat later; 1: a metronome"),
    Column("key", 0, "name", "of the sample alone"),
    Column("key_strength", 1, "correlation", "of the chroma with the profile of that key"),
    Column("low_share", 1, "share", "of the power below 150 Hz"),
    Column("harmonic_db", 1, "dB", "harmonic over percussive power; NaN unless asked for"),
    Column("views", sum(VIEWS.values()), "divisors", "the views of metrics over their divisors, mean of all"),
)
SONG_COLUMNS = (  # the same in every row of a song
    Column("song_tempo_bpm", 1, "BPM", "beats a minute, of all samples of the song"),
    Column("song_tempo_strength", 1, "correlation", "of the onsets with themselves one beat later"),
    Column("song_key", 0, "name", "of all samples of the song"),
    Column("song_key_strength", 1, "correlation", "of the chroma with the profile of that key"),
)


@dataclass(frozen=True)
class Settings(sampling.Settings):
    """Which samples are drawn (``sampling.Settings``), and what is measured of them.

    Parameters
    ----------
    harmonic : bool
        Split harmonic from percussive sound: two median filters over every spectrum, which take five times as
        long as all the rest. Off by default.

    Raises
    ------
    ValueError
        As ``sampling.Settings``, and for a rate below 16,000 Hz.
    """

    harmonic: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate < LOWEST_RATE:
            raise ValueError(_too_low(self.rate))

    @property
    def digest(self) -> str:
        return f"features-2{'-harmonic' if self.harmonic else ''}-{super().digest}"


# --------------------------------------------------------------------------------------------- spectra


class _Heard(NamedTuple):
    """What the tempo and the key of a song need of one signal, and no more: thirty spectrograms are 50 MB."""

    onsets: NDArray[np.float32]
    frames_per_second: float
    pitch_power: NDArray[np.float64]


class _Spectra(NamedTuple):
    """What all features of one signal share."""

    rate: int
    hop: int  # samples
    signal: NDArray[np.float32]  # without offset
    frequencies: NDArray[np.float64]  # Hz, (bins,)
    magnitude: NDArray[np.float32]  # (bins, frames)
    power: NDArray[np.float32]
    log_mel: NDArray[np.float32]  # dB, (bands, frames)
    onsets: NDArray[np.float32]  # dB/s, (frames - 1,): mean over bands of what rises, if it is audible
    pitch_power: NDArray[np.float64]  # (12,) power of each pitch class

    @property
    def heard(self) -> _Heard:
        return _Heard(self.onsets, self.rate / self.hop, self.pitch_power)


def frame_sizes(rate: int, *, seconds: float = FRAME_SECONDS) -> tuple[int, int]:
    """n_fft and hop length, in samples at ``rate`` in Hz: 2048 and 512 at 22,050 Hz, 4096 and 1024 at 44,100.

    Two numbers and not one: a hop of 32,768 that was taken for the window once left 7 frames of 4096 samples
    of five seconds at 44.1 kHz, which see 13 % of the sound.
    """
    n_fft = 2 ** round(math.log2(seconds * rate))
    return n_fft, n_fft // 4


def magnitudes(signal: NDArray[np.float32], n_fft: int, hop: int) -> NDArray[np.float32]:
    """|X|, (samples,) -> (bins, frames); a signal shorter than one frame is followed by zeros.

    Whole frames alone, at least one: less than a hop behind the last is not seen.
    """
    signal = np.pad(signal, (0, max(0, n_fft - len(signal))))
    window = scipy.signal.get_window("hann", n_fft).astype(np.float32)
    frames = sliding_window_view(signal, n_fft)[::hop] * window
    scale = np.float32(2 / window.sum() / math.sqrt(1.5))  # 1.5: squares of Hann's three bins
    return np.abs(scipy.fft.rfft(frames, axis=1, overwrite_x=True)).T * scale


def _spectra(signal: NDArray[np.float32], rate: int) -> _Spectra:
    """A constant offset is nothing that sounds: it would count as low power, and shift what crosses zero."""
    signal = signal - np.float32(signal.mean(dtype=np.float64))
    n_fft, hop = frame_sizes(rate)
    magnitude = magnitudes(signal, n_fft, hop)
    power = magnitude * magnitude
    log_mel = _db(_mel(rate, n_fft) @ power)
    audible = np.maximum(log_mel, log_mel.max() - np.float32(ONSET_RANGE_DB))
    rises = np.maximum(np.diff(audible, axis=1), 0).mean(axis=0) * np.float32(rate / hop)
    long, _ = frame_sizes(rate, seconds=PITCH_SECONDS)
    by_pitch = _pitch_classes(rate, long) @ (magnitudes(signal, long, long // 2) ** 2).mean(axis=1)
    frequencies = np.arange(n_fft // 2 + 1) * (rate / n_fft)
    return _Spectra(rate, hop, signal, frequencies, magnitude, power, log_mel, rises, by_pitch.astype(float))


@cache
def _mel(rate: int, n_fft: int) -> NDArray[np.float32]:
    """Triangles of height 1, not of area 1: what a band holds adds up, whatever its width."""
    from librosa import filters

    return filters.mel(sr=rate, n_fft=n_fft, n_mels=MEL_BANDS, fmin=LOWEST_HZ, fmax=rate / 2, norm=None)


@cache
def _pitch_classes(rate: int, n_fft: int) -> NDArray[np.float32]:
    """(12, bins), C first, A4 at 440 Hz."""
    from librosa import filters

    frequencies = np.arange(n_fft // 2 + 1) * (rate / n_fft)
    inside = (frequencies >= PITCHES_HZ[0]) & (frequencies <= PITCHES_HZ[1])
    return filters.chroma(sr=rate, n_fft=n_fft, tuning=0.0) * inside


def _db(power: NDArray[np.float32]) -> NDArray[np.float32]:
    return 10 * np.log10(np.maximum(power, np.float32(10 ** (FLOOR_DB / 10))))


# -------------------------------------------------------------------------------------------- features


def features_of(
    signal: NDArray[np.float32], rate: int, *, harmonic: bool = False
) -> dict[str, NDArray[np.float32] | float | str]:
    """The numbers of one sample, by the names of ``COLUMNS``.

    Parameters
    ----------
    signal : (samples,) float32
        Mono, 11.6 ms or more; from 3 s on it has a tempo.
    rate : int
        Hz, at least 16,000; a file of a lower rate is resampled upwards first (``sampling``).
    harmonic : bool
        See ``Settings``.

    Raises
    ------
    AudioError
        A rate below the limit; silence, no samples, NaN; nothing above 30 Hz.
    """
    return _features(_checked_spectra(signal, rate), harmonic)


def _checked_spectra(signal: NDArray[np.float32], rate: int) -> _Spectra:
    check_signal(signal, rate)
    if rate < LOWEST_RATE:
        raise AudioError(_too_low(rate))
    return _spectra(signal, rate)


def _too_low(rate: int) -> str:
    return (
        f"rate {rate} Hz, and the limit is {LOWEST_RATE} Hz: contrast has a band from 6,400 Hz on; likely "
        "samples drawn at too low a rate, and 22,050 Hz is usual"
    )


def _features(spectra: _Spectra, harmonic: bool) -> dict[str, NDArray[np.float32] | float | str]:
    signal, rate, per_second = spectra.signal, spectra.rate, spectra.heard.frames_per_second
    magnitude, frequencies = spectra.magnitude, spectra.frequencies
    # The DCT takes the logarithm of mel bands: of their power itself it would be no cepstrum.
    mfcc = scipy.fft.dct(spectra.log_mel, axis=0, norm="ortho")[:MFCC]
    delta = per_second * scipy.signal.savgol_filter(mfcc, DELTA_FRAMES, 1, deriv=1, axis=1, mode="nearest")
    contrast = _contrast(magnitude, rate)
    sums = np.maximum(magnitude.sum(axis=0), np.finfo(np.float32).tiny)
    sounding = magnitude.max(axis=0) > 10 ** (FLOOR_DB / 20)  # a silent frame has neither of the two
    sounding |= not sounding.any()
    centroid = (frequencies @ magnitude / sums)[sounding]
    # In Hz: over its own norm, as it once was, it tells how long a sample is and not how bright.
    reached = np.cumsum(magnitude, axis=0) >= np.float32(ROLLOFF) * sums
    rolloff = frequencies[reached.argmax(axis=0)][sounding]
    mean_power = spectra.power.mean(axis=1)
    tempo = tempo_of([pulse_of(spectra.onsets, per_second)])
    key = key_of(spectra.pitch_power)
    vectors = describe_signal(signal, rate).vectors
    level = 10 * math.log10(2 * float(np.mean(np.square(signal, dtype=np.float64))))
    flux = spectra.onsets if len(spectra.onsets) else np.zeros(1, np.float32)
    return {
        "level_db": level,
        "log_mel_mean_db": spectra.log_mel.mean(axis=1),
        "log_mel_sd_db": spectra.log_mel.std(axis=1),
        "mfcc_mean_db": mfcc.mean(axis=1),
        "mfcc_sd_db": mfcc.std(axis=1),
        "mfcc_delta_mean_db_per_s": delta.mean(axis=1).astype(np.float32),
        "mfcc_delta_sd_db_per_s": delta.std(axis=1).astype(np.float32),
        "chroma": _shares(spectra.pitch_power),
        "contrast_mean_db": contrast.mean(axis=1).astype(np.float32),
        "contrast_sd_db": contrast.std(axis=1).astype(np.float32),
        "flux_mean_db_per_s": float(flux.mean()),
        "flux_sd_db_per_s": float(flux.std()),
        "centroid_mean_hz": float(centroid.mean()),
        "centroid_sd_hz": float(centroid.std()),
        "rolloff_mean_hz": float(rolloff.mean()),
        "rolloff_sd_hz": float(rolloff.std()),
        "peak_hz": float(frequencies[mean_power.argmax()]),
        "zero_crossings_per_s": float(np.count_nonzero(np.diff(signal >= 0))) * rate / len(signal),
        "tempo_bpm": tempo.bpm,
        "tempo_strength": tempo.strength,
        "key": key.name,
        "key_strength": key.strength,
        "low_share": float(mean_power[frequencies < LOW_HZ].sum() / max(mean_power.sum(), 1e-30)),
        "harmonic_db": _harmonic_db(magnitude) if harmonic else math.nan,
        "views": divided(vectors).mean(axis=0).astype(np.float32),
    }


def _shares(pitch_power: NDArray[np.float64]) -> NDArray[np.float32]:
    """Adds up to 1; NaN of a sound without power where pitches are."""
    total = pitch_power.sum()
    return (pitch_power / total if total > 1e-20 else np.full(12, math.nan)).astype(np.float32)


def _contrast(magnitude: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Jiang et al. 2002, by librosa; (7, frames) in dB. Of magnitudes, as the function expects them."""
    import librosa

    n_fft = 2 * (len(magnitude) - 1)
    frequencies = np.arange(len(magnitude)) * (rate / n_fft)
    return librosa.feature.spectral_contrast(
        S=magnitude, sr=rate, n_fft=n_fft, freq=frequencies, n_bands=CONTRAST_BANDS
    )


def _harmonic_db(magnitude: NDArray[np.float32]) -> float:
    """Fitzgerald 2010, by librosa: medians along time against medians along frequency."""
    import librosa

    harmonic, percussive = librosa.decompose.hpss(magnitude)
    least = 10 ** (FLOOR_DB / 10)
    return 10 * math.log10(max(float((harmonic**2).sum()), least) / max(float((percussive**2).sum()), least))


# --------------------------------------------------------------------------------------------- songs


def song_features(signals: Iterable[NDArray[np.float32]], rate: int) -> dict[str, float | str]:
    """Tempo and key of a whole song from its samples, by the names of ``SONG_COLUMNS``.

    Five seconds are short for either: how onsets repeat, and the power of each pitch class, are added up
    over all samples before anything is decided. ``signals`` are mono float32, (samples,), at ``rate`` in Hz;
    silent ones say nothing. ``AudioError`` if all of them are.
    """
    heard, fault = [], "0 samples; likely an empty list"
    for signal in signals:
        try:
            heard.append(_checked_spectra(signal, rate).heard)
        except AudioError as error:
            fault = str(error)
    if not heard:
        raise AudioError(fault)
    return _song(heard)


def _song(heard: Sequence[_Heard]) -> dict[str, float | str]:
    tempo = tempo_of(pulse_of(each.onsets, each.frames_per_second) for each in heard)
    key = key_of(np.sum([each.pitch_power for each in heard], axis=0))
    values = tempo.bpm, tempo.strength, key.name, key.strength
    return dict(zip((column.name for column in SONG_COLUMNS), values, strict=True))


def key_and_tempo(song: Any, settings: sampling.Settings) -> tuple[Key, Tempo]:
    """Of one song, by its samples: a path, an address or bytes, as ``sampling.samples_of`` takes them."""
    samples = sampling.samples_in_turn(song, settings)
    found = song_features((sample.signal for sample in samples), settings.rate)
    bpm, tempo_strength, name, key_strength = (found[column.name] for column in SONG_COLUMNS)
    return Key(str(name), float(key_strength)), Tempo(float(bpm), float(tempo_strength))


def describe_song(path: str, settings: Settings) -> list[dict[str, Any]]:
    """The samples of one song as rows of numbers, for ``songs.engine``: pure, and picklable.

    A row has what ``sampling.row_of`` says of a sample, the ``COLUMNS`` (lists of float32 as arrays), the
    ``SONG_COLUMNS``, and ``fault``: "" or why this sample has no numbers (it is silent), which are None then.
    ``AudioError`` of a file that cannot be read, or of which every sample is silent.
    """
    rows, heard, fault = [], [], ""
    for sample in sampling.samples_in_turn(path, settings):
        row = sampling.row_of(sample)
        try:
            spectra = _checked_spectra(sample.signal, sample.rate)
            row |= _features(spectra, settings.harmonic) | {"fault": ""}
            heard.append(spectra.heard)
        except AudioError as error:
            fault = str(error)
            row |= dict.fromkeys((column.name for column in COLUMNS), None) | {"fault": fault}
        rows.append(row)
    if not heard:
        raise AudioError(f"none of {len(rows)} samples can be described: {fault}")
    song = _song(heard)
    return [row | song for row in rows]
