"""Sound from a WaveNet, from the shell: ``python -m models generate`` and ``resume``.

Conventions
    folder   of a generation: one WAV file a clip, written at the end, and what is needed to go on:
             ``codes.npy`` (clips, samples), ``state.npz`` (``models.sampler.State``), ``generation.json``.
    piece    ``PIECE`` seconds, after which codes and then the state are kept, each whole or not at all. What
             was interrupted goes on from its last piece, to the same bits as if it had not been.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audio_distance.storage import replacing

PIECE = 5.0
CODES, STATE, FACTS = "codes.npy", "state.npz", "generation.json"


def generate(arguments: Sequence[str]) -> int:
    """Sound from a WaveNet, as WAV files in a new folder; interrupted, `resume` goes on with it."""
    parser = argparse.ArgumentParser(prog="python -m models generate", description=generate.__doc__)
    parser.add_argument("model", type=Path, help="a model file, of `python -m models train wavenet`")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to be made")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each clip (default %(default)g)")
    parser.add_argument("--count", type=int, default=1, help="clips (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default 0)")
    parser.add_argument(
        "--prime", type=Path, metavar="FILE", help="audio that all clips go on from; it is not repeated"
    )
    parser.add_argument("--label", help="of a network that was trained on labels")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="1, the default: as it was learned; less is tamer"
    )
    parser.add_argument(
        "--top-p", type=float, default=1.0, help="only the likeliest codes of this probability (default 1)"
    )
    options = parser.parse_args(arguments)
    if options.out.exists() and any(options.out.iterdir()):
        raise ValueError(f"{options.out} is not empty; give a new folder to --out, or go on with: resume")
    from models.sampler import Sampler  # which compiles; mistakes above should not wait for it

    network = Sampler.load(options.model)
    facts = {
        "model": str(options.model.resolve()),
        "samples": _samples(options.seconds, network.rate),
        "temperature": options.temperature,
        "top_p": options.top_p,
    }
    first = {
        "seed": options.seed,
        "batch": options.count,
        "label": options.label,
        "prime": None if options.prime is None else _prime(options.prime, network.rate),
    }
    return _made(network, facts, options.out, None, first)


def resume(arguments: Sequence[str]) -> int:
    """Go on with a generation: to the length that was wanted, or by --seconds more than there are."""
    parser = argparse.ArgumentParser(prog="python -m models resume", description=resume.__doc__)
    parser.add_argument("folder", type=Path, help="what `python -m models generate --out` made")
    parser.add_argument("--seconds", type=float, help="more of each clip than there is")
    options = parser.parse_args(arguments)
    try:
        facts = json.loads((options.folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{options.folder}: no generation that was begun ({error}); see `python -m models generate`"
        ) from None
    from models.sampler import Sampler, State

    network, state = Sampler.load(facts["model"]), State.load(options.folder / STATE)
    if options.seconds is not None:
        facts["samples"] = state.drawn + _samples(options.seconds, network.rate)
    return _made(network, facts, options.folder, state, {"seed": state.seed})


def _made(network, facts: dict, out: Path, state, first: dict) -> int:
    """Piece by piece to ``facts["samples"]``; ``first`` are the arguments of the first piece. Exit code."""
    from models import sampler

    out.mkdir(parents=True, exist_ok=True)
    begun = [] if state is None else [_kept(out / CODES)[:, : state.drawn]]
    drawn = 0 if state is None else state.drawn
    options = {"temperature": facts["temperature"], "top_p": facts["top_p"]}
    while drawn < facts["samples"]:
        size = min(round(PIECE * network.rate), facts["samples"] - drawn)
        try:
            made = sampler.generate(network, size, state=state, **options, **first)
        except KeyboardInterrupt:
            way = f"python -m models resume {out}" if drawn else "the same command"
            kept = f"{drawn / network.rate:g} of {facts['samples'] / network.rate:g} s are kept"
            print(f"interrupted: {kept}; {way} goes on", file=sys.stderr)
            return 130
        state, first = made.state, {"seed": made.state.seed}
        begun, drawn = [np.concatenate([*begun, made.codes], axis=1)], state.drawn
        with replacing(out / CODES) as part:
            np.save(part, begun[0])
        state.save(out / STATE)
        with replacing(out / FACTS) as part:
            part.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    for clip, codes in enumerate(begun[0]):
        sampler.write_wav(codes, out / f"{clip:05d}.wav", network.rate)
    print(f"{len(begun[0])} clips of {drawn / network.rate:g} s in {out}")
    return 0


def _samples(seconds: float, rate: int) -> int:
    if not 0 < seconds < float("inf") or round(seconds * rate) < 1:
        raise ValueError(
            f"--seconds {seconds:g}; a positive length is needed, of one sample at {rate} Hz or more"
        )
    return round(seconds * rate)


def _prime(path: Path, rate: int) -> np.ndarray:
    """Codes of an audio file at the network's rate. ValueError, naming it, for what cannot be read."""
    from models.code_windows import clip_of

    with tempfile.TemporaryDirectory() as folder:
        clip = clip_of(path, rate, cache=Path(folder))
        return clip.read(0, clip.length)


def _kept(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: no codes of a generation ({error}); begin anew") from None
