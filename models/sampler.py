"""Sound from a WaveNet, sample by sample: codes, and the state to go on from. Needs numba, not PyTorch.

Conventions
    codes      of mu-law, uint8; an output of the network is of the NEXT code. R, the receptive field, is how
               many codes an output depends on.
    silence    what a clip begins after, where it is not primed, and what comes before a prime shorter than R:
               R codes of the middle, ``codes // 2``, which mu-law gives to 0. No output ever depends on
               padding.
    clip       one of a batch. Clip i has random numbers of its own, by (seed, i): it is the same alone and
               in any batch, in one run and in pieces, on any processor. See ``models.sampling_kernels``.
    cached     what each layer has heard is kept (van den Oord et al. 2016 for the network, arXiv:1609.03499;
               Le Paine et al. 2016 for the cache, arXiv:1611.09482): a sample costs one product with each
               matrix. ``models.wavenet_parameters.recompute`` is the definition, which has no cache.
    compiling  happens at the first call on a machine and takes 5 to 30 seconds; the result is kept in the
               cache folder of the package. Later processes take a second to import numba and to load it.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import ArrayLike
from tqdm import tqdm

from audio_distance.storage import replacing
from models import sampling_kernels as kernels
from models.wavenet_parameters import Settings, checked, checked_codes, log_softmax

KIND, VERSION = "wavenet", 1  # of the model file, as ``models.files`` writes it
STATE_VERSION = 1
CHUNK = 1000  # samples a clip between two looks at the bar and the keyboard: under a second


class Sampler:
    """A network, ready to generate.

    Parameters
    ----------
    parameters : mapping
        Arrays by name (``Settings.shapes``), as ``safetensors.numpy`` reads them. The last layer's residual
        leads nowhere and may be missing.
    settings : Settings
    labels : sequence of str
        Names of the labels, in the order of the label's rows; none: labels are told by number.
    rate : int, optional
        Hz, of what the network was trained on.

    Raises
    ------
    ValueError
        For a parameter that is missing, of another shape, not finite, or that the settings do not know.
    """

    def __init__(
        self,
        parameters: Mapping[str, np.ndarray],
        settings: Settings,
        *,
        labels: Sequence[str] = (),
        rate: int | None = None,
    ):
        if labels and len(labels) != settings.labels:
            raise ValueError(f"{len(labels)} names for {settings.labels} labels")
        arrays = checked(parameters, settings)
        self.settings, self.labels, self.rate = settings, tuple(labels), rate
        self.network, self._biases = _packed(arrays, settings)
        self._dilations = np.array(settings.dilations)
        facts = json.dumps(asdict(settings)).encode()
        data = b"".join(name.encode() + arrays[name].tobytes() for name in settings.shapes())
        self.digest = hashlib.sha256(facts + data).hexdigest()

    @classmethod
    def load(cls, path: Path | str) -> Sampler:
        """From a model file (safetensors). ValueError, naming it, for what is no model file of a WaveNet."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="np") as file:
                header = json.loads((file.metadata() or {}).get(KIND, "{}"))
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path}: no model file ({error})") from None
        if header.get("version") != VERSION:
            raise ValueError(
                f"{path}: version {header.get('version', 'unknown')} of the {KIND}'s model file; this code "
                f"reads version {VERSION}. Use the code that wrote it, or train again"
            )
        try:
            settings = Settings(**header["settings"])
            return cls(arrays, settings, labels=header.get("labels", ()), rate=header.get("rate"))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: {error}") from None

    def label_number(self, label: str | int | None) -> int:
        """Row of a label, by its name or number; -1 for none. ValueError for one that the network lacks."""
        if label is None and not self.settings.labels:
            return -1
        known = self.labels or range(self.settings.labels)
        if label is not None and label in known:
            return known.index(label)
        if isinstance(label, (int, np.integer)) and 0 <= label < self.settings.labels:
            return int(label)
        if not self.settings.labels:
            raise ValueError(f"label {label!r}: this network was trained without labels")
        told = "no label" if label is None else f"label {label!r} is unknown"
        raise ValueError(f"{told}; this network was trained on {', '.join(map(str, known))}")

    def biases(self, labels: Sequence[int]) -> np.ndarray:
        """Of the gates with the label's share, (clips, layers, 2 gate), for labels by number."""
        bias, of_labels = self._biases
        return np.stack([bias if label < 0 else bias + of_labels[:, label] for label in labels])


@dataclass(frozen=True)
class State:
    """All that the next sample depends on, but temperature and top-p, which may change between pieces.

    ``rings`` (clips, sum of dilations, residual) is what the layers have heard, ``last`` (clips,) the codes
    not yet fed, ``position`` how many were fed, ``drawn`` how many samples were made. ``digest`` is that of
    the network; clips ``first``, ``first + 1``, ... of ``seed`` have ``labels``, by number, -1 for none.
    """

    digest: str
    seed: int
    first: int
    labels: np.ndarray
    position: int
    drawn: int
    last: np.ndarray
    rings: np.ndarray

    def save(self, path: Path | str) -> None:
        """Write a state file (npz), whole or not at all."""
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, version=STATE_VERSION, **vars(self))

    @classmethod
    def load(cls, path: Path | str) -> State:
        """From a state file. ValueError, naming it, for one that is damaged or of another version."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                found = dict(arrays)
            version = found.pop("version")
            scalars = {name: found[name].item() for name in ("digest", "seed", "first", "position", "drawn")}
            state = cls(**(found | scalars))
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: no state of a generation, or a damaged one ({error})") from None
        if version != STATE_VERSION:
            raise ValueError(f"{path}: state of version {version}; this code reads {STATE_VERSION}")
        return state


@dataclass(frozen=True)
class Generated:
    """Codes, (clips, samples) uint8, and the state after them."""

    codes: np.ndarray
    state: State


def generate(
    sampler: Sampler,
    count: int,
    *,
    seed: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    prime: ArrayLike | None = None,
    label: str | int | Sequence[str | int] | None = None,
    batch: int = 1,
    first: int = 0,
    state: State | None = None,
    progress: bool | None = None,
) -> Generated:
    """Draw ``count`` codes for each clip of a batch.

    Parameters
    ----------
    sampler : Sampler
    count : int
        Samples of each clip; the prime is not among them.
    seed : int
        0 or more. Clips of one seed differ by their numbers, ``first`` to ``first + batch - 1``.
    temperature : float
        Divides the logits: 1, the default, draws what was learned, less is tamer, more is wilder.
    top_p : float
        Draws only among the likeliest codes that together have this probability (Holtzman et al. 2020,
        arXiv:1904.09751), and ties of the last of them; 1, the default: among all.
    prime : (n,) codes, optional
        What every clip goes on from; the last R of them matter. Without: silence.
    label : str, int or one of these a clip
        For a network with labels; by name or number.
    state : State, optional
        To go on from: seed, clips and labels are the state's, and giving others is an error. Pieces joined
        are the same bits as one run.
    progress : bool, optional
        A bar on stderr; None, the default: on a terminal.

    Raises
    ------
    ValueError
        For a value out of its bounds, a label the network lacks, and the state of another network.
    """
    _check_numbers(count=count, seed=seed, batch=batch, first=first)
    if not (0 < temperature < math.inf):
        raise ValueError(f"temperature {temperature:g}; above 0, and 1 draws what was learned")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p {top_p:g}; above 0, at most 1, which is all codes")
    if state is None:
        state = _begin(sampler, prime, label, seed=seed, batch=batch, first=first)
    else:
        _check_state(sampler, state, prime, label, seed=seed, batch=batch, first=first)
    rings, last = state.rings.copy(), state.last.copy()
    clips = range(state.first, state.first + len(last))
    biases, codes = sampler.biases(state.labels), np.empty((len(last), count), np.uint8)
    draw = kernels.kept(kernels.sample)
    sharpness = np.float32(min(1 / temperature, 1e30))  # beyond, only the likeliest is drawn anyway
    made = 0
    with tqdm(total=count, unit="sample", disable=None if progress is None else not progress) as bar:
        while made < count:
            bar.set_description("generating" if made else "compiling, once a machine")
            size = min(CHUNK if made else 1, count - made)
            uniforms = np.stack([_uniforms(seed, clip, state.drawn + made, size) for clip in clips])
            piece = np.empty((len(last), size), np.uint8)
            position = state.position + made
            draw(
                *(sampler.network, biases, sampler._dilations, rings, position),
                *(last, uniforms, sharpness, float(top_p), piece),
            )
            codes[:, made : made + size] = piece
            made += size
            bar.update(size)
    after = replace(state, position=state.position + count, drawn=state.drawn + count, last=last, rings=rings)
    return Generated(codes, after)


def log_probabilities(sampler: Sampler, codes: ArrayLike, *, label: str | int | None = None) -> np.ndarray:
    """log p of every code at every place of a clip, given what came before it, in nats: (n, codes) float64.

    ``codes`` (n,) begins after silence: row t is given silence and ``codes[:t]``, and does not know
    ``codes[t]``. ValueError for codes that are none, and for a label the network lacks.
    """
    codes = checked_codes(codes, sampler.settings, "codes")
    before = np.full(sampler.settings.receptive_field, sampler.settings.codes // 2)
    inputs = np.concatenate([before, codes[:-1]])[None]
    logits = np.empty((1, len(codes), sampler.settings.codes), np.float32)
    biases = sampler.biases([sampler.label_number(label)])
    kernels.kept(kernels.listen)(
        sampler.network, biases, sampler._dilations, _rings(sampler, 1), 0, inputs, logits
    )
    return log_softmax(logits[0].astype(np.float64))


def write_wav(codes: ArrayLike, path: Path | str, rate: int) -> None:
    """Write one clip, (n,) mu-law codes, as a WAV file of 16 bits, whole or not at all; ``rate`` in Hz."""
    codes = np.asarray(codes)
    if codes.ndim != 1 or codes.dtype != np.uint8 or not len(codes):
        raise ValueError(f"{path}: one clip is (n,) uint8 codes, not {codes.shape} {codes.dtype}")
    if not rate > 0:
        raise ValueError(f"{path}: a rate of {rate} Hz")
    from study.datasets.mu_law import decode

    with replacing(path) as part:
        soundfile.write(part, decode(codes), int(rate), subtype="PCM_16", format="WAV")


def _packed(arrays: Mapping[str, np.ndarray], settings: Settings):
    """The kernels' network, and the gates' biases: (layers, 2 gate), (layers, labels, 2 gate)."""

    def layers(name: str) -> np.ndarray:
        return np.stack([arrays[f"layers.{place}.{name}"] for place in range(len(settings.dilations))])

    halved = np.repeat(np.float32([1, 0.5]), settings.gate)

    def inputs_first(matrices: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.swapaxes(matrices, -1, -2))

    network = kernels.Network(
        embedding=arrays["embedding"],
        taps=inputs_first(np.concatenate([layers("then"), layers("now")], axis=2) * halved[:, None]),
        mix=inputs_first(np.concatenate([layers("residual"), layers("skip")], axis=1)),
        residual_bias=layers("residual_bias"),
        skip_bias=layers("skip_bias").sum(axis=0, dtype=np.float64).astype(np.float32),
        head=inputs_first(arrays["head"]),
        head_bias=arrays["head_bias"],
        output=inputs_first(arrays["output"]),
        output_bias=arrays["output_bias"],
    )
    of_labels = layers("label") * halved if settings.labels else None
    return network, (layers("bias") * halved, of_labels)


def _begin(sampler: Sampler, prime, label, *, seed: int, batch: int, first: int) -> State:
    """The state after a prime, or after silence."""
    settings, field = sampler.settings, sampler.settings.receptive_field
    each = [label] * batch if label is None or isinstance(label, (str, int, np.integer)) else list(label)
    if len(each) != batch:
        raise ValueError(f"{len(each)} labels for {batch} clips; one for all, or one a clip")
    labels = np.array([sampler.label_number(one) for one in each], np.int64)
    heard = np.full(field, settings.codes // 2, np.int64)
    if prime is not None:
        heard = np.concatenate([heard, checked_codes(prime, settings, "prime")])[-field:]
    # Clips of one label are in one state until the first draw.
    some, which = np.unique(labels, return_inverse=True)
    rings, inputs = _rings(sampler, len(some)), np.tile(heard[:-1], (len(some), 1))
    nothing = np.empty((len(some), 0, settings.codes), np.float32)
    listen = kernels.kept(kernels.listen)
    listen(sampler.network, sampler.biases(some), sampler._dilations, rings, 0, inputs, nothing)
    last = np.full(batch, heard[-1])
    return State(sampler.digest, seed, first, labels, field - 1, 0, last, rings[which])


def _rings(sampler: Sampler, clips: int) -> np.ndarray:
    return np.zeros((clips, sum(sampler.settings.dilations), sampler.settings.residual), np.float32)


def _uniforms(seed: int, clip: int, start: int, count: int) -> np.ndarray:
    """Numbers start, start + 1, ... of the stream of a clip: which piece asks for them does not matter."""
    return np.random.Generator(np.random.PCG64([seed, clip]).advance(start)).random(count)


def _check_numbers(**numbers: int) -> None:
    for name, value in numbers.items():
        least = 1 if name in ("count", "batch") else 0
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name} is {value!r}; a whole number, {least} or more")


def _is_whole(sampler: Sampler, state: State) -> bool:
    """Whether the kernels, which check no index, may read it."""
    rings, last, labels = state.rings, state.last, state.labels
    clips = rings.shape[:1]
    return (
        rings.shape[1:] == _rings(sampler, 1).shape[1:]
        and last.shape == labels.shape == clips != (0,)
        and (rings.dtype, last.dtype, labels.dtype) == (np.float32, np.int64, np.int64)
        and bool(np.isfinite(rings).all())
        and 0 <= last.min() <= last.max() < sampler.settings.codes
        and set(labels.tolist()) <= ({*range(sampler.settings.labels)} or {-1})
        and min(state.position, state.drawn) >= 0
    )


def _check_state(sampler: Sampler, state: State, prime, label, *, seed: int, batch: int, first: int) -> None:
    if state.digest != sampler.digest:
        raise ValueError("the state is of another network; go on with the one that it was made with")
    if not _is_whole(sampler, state):
        raise ValueError("the state is damaged: its arrays are none that a generation leaves; begin again")
    for name, value, own in (("seed", seed, state.seed), ("first", first, state.first)):
        if value != own:
            raise ValueError(f"{name} is {value}; the state goes on with {own}")
    if batch not in (1, len(state.last)):
        raise ValueError(f"batch is {batch}; the state has {len(state.last)} clips")
    for name, value in (("prime", prime), ("label", label)):
        if value is not None:
            raise ValueError(f"a {name} and a state; the state has its own, give one of the two")
