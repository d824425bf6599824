"""Damaged files of every kind, read: what is refused, what is read, and what is read wrongly without a word.

    python -m tests.fuzz --count 10000 --seed 0      # or: make fuzz

Small files of fifty kinds are made, one damage is done to each, and ``metrics.read`` reads it in a process
that may die. What comes out is one of

    refused     an AudioError
    equal       the samples of the file before the damage (of both files, where two were joined)
    unseen      other samples, and nothing in the container could have told
    wrong       other samples, although the container carries the evidence: the silent errors
    crash       any other exception, or the end of the process
    hang        longer than ten seconds

A container carries the evidence of a damage if

    checksum    it has checksums over all of its sound (Ogg; FLAC; the LAME tag of an MP3, while its first
                frame is there): of any damage that changes what is read;
    frames      every frame says where the next begins (ADTS, MP3 without a tag): of any change of length but
                by a number of whole frames;
    sizes       it states how long it is (all others): of any change of length, unless zeros are all that is
                too much (padding), and of a change in a field that it states twice (of a WAV: channels, rate,
                bytes a second, block, bits, bytes of samples).

A name that does not fit the content is no damage: such a file has to be read as if it did.

Two runs with one seed and count print the same table; the exit code is 1 if a mutant crashed or hung, or more
than one in a thousand was read wrongly. Nothing is written but in a temporary folder; ``--keep`` names a
folder for the mutants that were read wrongly, crashed or hung.
"""

from __future__ import annotations

import argparse
import io
import os
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing import connection, get_context
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

LIMIT = 10.0  # seconds
OUTCOMES = ("refused", "equal", "unseen", "wrong", "crash", "hang")
RATE = 16000


# Whole files


def sound(seed, rate=RATE, channels=1, seconds=0.4):
    """A tone in noise, no part of which is like another: every damage shows."""
    draws = np.random.RandomState(seed)
    count = int(rate * seconds)
    tone = 0.2 * np.sin(np.arange(count) * draws.uniform(0.05, 0.3))[:, None]
    return np.clip(tone + draws.normal(0, 0.06, (count, channels)), -0.6, 0.6)


def by_soundfile(form, subtype, rate=RATE, channels=1, **options):
    def make(seed):
        data = io.BytesIO()
        samples = sound(seed, rate, channels)
        soundfile.write(data, samples, rate, format=form, subtype=subtype, **options)
        return data.getvalue()

    return make


def by_av(form, rate=44100, **options):
    def make(seed):
        import av

        samples = np.ascontiguousarray(sound(seed, rate).astype(np.float32).T)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "made")
            with av.open(str(path), "w", format=form, options=options) as container:
                stream = container.add_stream("mp3" if form == "mp3" else "aac", rate=rate)
                stream.layout = "mono"
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.sample_rate = rate
                for packet in [*stream.encode(frame), *stream.encode(None)]:
                    container.mux(packet)
            return path.read_bytes()

    return make


def riff_chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def with_riff_size(data):
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def chunk_before(make):
    def made(seed):
        data = make(seed)
        where = data.index(b"data")
        return with_riff_size(data[:where] + riff_chunk(b"note", b"odd") + data[where:])

    return made


def chunk_behind(make):
    return lambda seed: with_riff_size(make(seed) + riff_chunk(b"LIST", b"INFOISFT\5\0\0\0fuzz\0\0"))


def without_md5(make):
    def made(seed):
        data = make(seed)
        return data[:26] + bytes(16) + data[42:]

    return made


def of_unknown_length(make):
    def made(seed):
        data = bytearray(make(seed))
        data[21] &= 0xF0
        data[22:26] = bytes(4)
        return bytes(data)

    return made


def without_tag(make):
    def made(seed):
        data = make(seed)
        return data[units(data)[1] :]

    return made


def with_tags(make):
    front = b"ID3\3\0\0\0\0\0\x14" + b"TIT2\0\0\0\5\0\0\0fuzz" + bytes(5)
    return lambda seed: front + make(seed) + b"TAG" + bytes(125)


@dataclass(frozen=True)
class Kind:
    make: Callable[[int], bytes]
    extension: str
    evidence: str


def kinds():
    wav = by_soundfile("WAV", "PCM_16")
    flac = by_soundfile("FLAC", "PCM_16")
    mp3 = by_soundfile("MP3", "MPEG_LAYER_III", 44100)
    made = {}
    for subtype in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "PCM_U8", "ALAW", "ULAW"):
        made[f"WAV {subtype}"] = Kind(by_soundfile("WAV", subtype), "wav", "sizes")
    for subtype in ("IMA_ADPCM", "MS_ADPCM", "GSM610"):
        made[f"WAV {subtype}"] = Kind(by_soundfile("WAV", subtype), "wav", "sizes")
    made["WAV stereo"] = Kind(by_soundfile("WAV", "PCM_16", 44100, 2), "wav", "sizes")
    made["WAV big-endian"] = Kind(by_soundfile("WAV", "PCM_16", endian="BIG"), "wav", "sizes")
    made["WAV chunk before"] = Kind(chunk_before(wav), "wav", "sizes")
    made["WAV chunk behind"] = Kind(chunk_behind(wav), "wav", "sizes")
    made["WAV extensible 16"] = Kind(by_soundfile("WAVEX", "PCM_16", channels=2), "wav", "sizes")
    made["WAV extensible float"] = Kind(by_soundfile("WAVEX", "FLOAT"), "wav", "sizes")
    made["RF64"] = Kind(by_soundfile("RF64", "PCM_16"), "rf64", "sizes")
    for form, subtypes in {
        "W64": ("PCM_16", "PCM_24", "FLOAT"),
        "CAF": ("PCM_16", "PCM_24", "FLOAT", "ALAC_16"),
        "AIFF": ("PCM_16", "PCM_24", "FLOAT", "ALAW"),
        "AU": ("PCM_16", "FLOAT", "ULAW"),
    }.items():
        for subtype in subtypes:
            made[f"{form} {subtype}"] = Kind(by_soundfile(form, subtype), form.lower(), "sizes")
    made["AIFC little-endian"] = Kind(by_soundfile("AIFF", "PCM_16", endian="LITTLE"), "aiff", "sizes")
    made["AU little-endian"] = Kind(by_soundfile("AU", "PCM_16", endian="LITTLE"), "au", "sizes")
    made["FLAC 16"] = Kind(flac, "flac", "checksum")
    made["FLAC 24 stereo"] = Kind(by_soundfile("FLAC", "PCM_24", 44100, 2), "flac", "checksum")
    made["FLAC no MD5"] = Kind(without_md5(flac), "flac", "checksum")
    made["FLAC no length"] = Kind(of_unknown_length(flac), "flac", "checksum")
    made["Vorbis mono"] = Kind(by_soundfile("OGG", "VORBIS"), "ogg", "checksum")
    made["Vorbis stereo"] = Kind(by_soundfile("OGG", "VORBIS", 44100, 2), "ogg", "checksum")
    made["Opus"] = Kind(by_soundfile("OGG", "OPUS", 48000), "opus", "checksum")
    made["MP3"] = Kind(mp3, "mp3", "checksum")
    made["MP3 variable"] = Kind(
        by_soundfile("MP3", "MPEG_LAYER_III", 44100, 2, bitrate_mode="VARIABLE", compression_level=0.5),
        "mp3",
        "checksum",
    )
    made["MP3 low rate"] = Kind(by_soundfile("MP3", "MPEG_LAYER_III", RATE), "mp3", "checksum")
    made["MP3 FFmpeg"] = Kind(by_av("mp3"), "mp3", "checksum")
    made["MP3 no tag"] = Kind(without_tag(mp3), "mp3", "frames")
    made["MP3 ID3"] = Kind(with_tags(mp3), "mp3", "checksum")
    made["m4a"] = Kind(by_av("mp4"), "m4a", "sizes")
    made["m4a, tables first"] = Kind(by_av("mp4", movflags="faststart"), "m4a", "sizes")
    made["ADTS"] = Kind(by_av("adts"), "aac", "frames")
    return made


@cache
def original(name, seed):
    return kinds()[name].make(seed)


# Damage: each takes a file and a source of draws


def flip_a_bit(data, draws):
    return flip(data, draws, 1)


def flip_bits(data, draws):
    return flip(data, draws, 8)


def flip(data, draws, count, end=None):
    changed = bytearray(data)
    for _ in range(count):
        changed[draws.randint(end or len(data))] ^= 1 << draws.randint(8)
    return bytes(changed)


def flip_in_head(data, draws):
    return flip(data, draws, 1, min(128, len(data)))


def field_in_head(data, draws):
    """Four bytes of the head become a number that programs write, or nonsense."""
    at = draws.randint(0, min(96, len(data) - 4)) // 2 * 2
    values = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFF000, draws.randint(2**31))
    value = int(values[draws.randint(len(values))])
    return data[:at] + struct.pack("<>"[draws.randint(2)] + "I", value) + data[at + 4 :]


def cut(data, draws):
    return data[: draws.randint(1, len(data))]


def cut_the_front(data, draws):
    return data[draws.randint(1, len(data)) :]


def zeros(data, draws):
    length = draws.randint(8, 1024)
    at = draws.randint(len(data))
    return data[:at] + bytes(min(length, len(data) - at)) + data[at + length :]


def noise(data, draws):
    length = draws.randint(8, 1024)
    at = draws.randint(len(data))
    return data[:at] + draws.bytes(min(length, len(data) - at)) + data[at + length :]


def a_block(data, draws):
    length = draws.randint(1, max(2, len(data) // 4))
    at = draws.randint(len(data) - length + 1)
    return at, at + length


def drop(data, draws):
    start, end = a_block(data, draws)
    return data[:start] + data[end:]


def double(data, draws):
    start, end = a_block(data, draws)
    return data[:end] + data[start:]


def insert(data, draws):
    at = draws.randint(len(data))
    return data[:at] + draws.bytes(draws.randint(1, 1024)) + data[at:]


def append(data, draws):
    """Zeros behind the end: padding, which changes nothing."""
    return data + bytes(draws.randint(1, 1024))


def units(data):
    """Where pages, chunks or frames begin, and the end."""
    marks = [b"OggS"] if data[:4] == b"OggS" else [b"\xff\xf8"] if data[:4] == b"fLaC" else []
    if not marks and data[:1] == b"\xff":
        from audio_distance.containers.mpeg import adts_frame, mpeg_frame  # only to know where to cut

        places, frame_of = [0], mpeg_frame if data[1] & 6 else lambda head: adts_frame(head)
        while places[-1] < len(data):
            length = frame_of(data[places[-1] : places[-1] + (4 if data[1] & 6 else 7)]).length
            if not length:
                break
            places.append(places[-1] + length)
        return places
    marks = marks or [b"fmt ", b"data", b"SSND", b"COMM", b"desc", b"LIST", b"moov", b"mdat", b"note"]
    places = {at for mark in marks for at in all_places(data, mark)}
    return sorted({0, *places, len(data)})


def all_places(data, mark):
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


def cut_at_a_unit(data, draws):
    places = units(data)[1:]
    return data[: places[draws.randint(max(1, len(places) - 1))]]


def a_unit(data, draws):
    places = units(data)
    first = draws.randint(len(places) - 1)
    return places[first], places[first + 1]


def drop_a_unit(data, draws):
    start, end = a_unit(data, draws)
    return data[:start] + data[end:]


def double_a_unit(data, draws):
    start, end = a_unit(data, draws)
    return data[:end] + data[start:]


def swap_units(data, draws):
    places = units(data)
    if len(places) < 4:
        return drop_a_unit(data, draws)
    first = draws.randint(1, len(places) - 2)
    a, b, c = places[first : first + 3]
    return data[:a] + data[b:c] + data[a:b] + data[c:]


DAMAGE = {
    "a bit": flip_a_bit,
    "8 bits": flip_bits,
    "a bit of the head": flip_in_head,
    "a field of the head": field_in_head,
    "cut": cut,
    "cut at a unit": cut_at_a_unit,
    "front cut": cut_the_front,
    "zeros inside": zeros,
    "noise inside": noise,
    "block dropped": drop,
    "block doubled": double,
    "block inserted": insert,
    "zeros behind": append,
    "unit dropped": drop_a_unit,
    "unit doubled": double_a_unit,
    "units swapped": swap_units,
    "joined": None,
    "other name": None,
}


def fields_stated_twice(data):
    """Bytes of the head that another part of the file contradicts if they change."""
    found = set()
    for mark, first, last in (
        (b"fmt ", 10, 24),  # WAV: channels to bits
        (b"COMM", 8, 16),  # AIFF: channels, samples, bits
        (b"SSND", 4, 8),
    ):
        if (at := data.find(mark, 0, 4096)) >= 0 and data[:4] in (b"RIFF", b"FORM"):
            found |= set(range(at + first, at + last))
    if data[:4] == b"RIFF" and (at := data.find(b"data", 0, 4096)) >= 0:
        found |= set(range(at + 4, at + 8))
    if data[:4] == b".snd":
        found |= set(range(8, 12))
    return found


@dataclass(frozen=True)
class Mutant:
    kind: str
    damage: str
    data: bytes
    extension: str
    parts: tuple[int, ...]  # seeds of the sounds that are to be heard
    evident: bool


def mutant(index, seed):
    """The ``index``-th mutant of a seed: kinds in turn, damages in turn within each."""
    names = list(kinds())
    name = names[index % len(names)]
    kind = kinds()[name]
    damage = list(DAMAGE)[index // len(names) % len(DAMAGE)]
    draws = np.random.RandomState([seed, index])
    data = original(name, 0)
    if damage == "joined":
        return Mutant(
            name, damage, data + original(name, 1), kind.extension, (0, 1), kind.evidence != "frames"
        )
    if damage == "other name":
        others = sorted({one.extension for one in kinds().values()} - {kind.extension})
        return Mutant(name, damage, data, others[draws.randint(len(others))], (0,), True)
    changed = DAMAGE[damage](data, draws)
    if kind.evidence == "checksum":
        # The checksum of an MP3 goes with its first frame.
        evident = (
            data[:1] != b"\xff" or not data.endswith(changed) or len(data) - len(changed) not in units(data)
        )
    elif len(changed) != len(data):
        if kind.evidence == "frames":
            evident = "unit" not in damage and len(changed) not in units(data)
        else:
            evident = len(changed) < len(data) or any(changed[len(data) :])
    else:
        where = np.flatnonzero(np.frombuffer(data, np.uint8) != np.frombuffer(changed, np.uint8))
        evident = not fields_stated_twice(data).isdisjoint(where.tolist())
    parts = (0, 0) if changed == data + data else (0,)  # a file of one unit, doubled
    return Mutant(name, damage, changed, kind.extension, parts, evident)


# Reading


def expected(name, seeds, folder):
    import metrics

    found = []
    for seed in seeds:
        path = folder / f"whole.{kinds()[name].extension}"
        path.write_bytes(original(name, seed))
        found.append(metrics.read(path, minimum_bits=8))
    return np.concatenate([samples for samples, _ in found]), found[0][1]


def outcome(one, folder, wanted):
    import metrics

    path = folder / f"mutant.{one.extension}"
    path.write_bytes(one.data)
    try:
        samples, rate = metrics.read(path, minimum_bits=8)
    except metrics.AudioError as error:
        return "refused", str(error)
    except Exception as error:
        return "crash", repr(error)
    finally:
        path.unlink()
    if rate == wanted[1] and samples.shape == wanted[0].shape and np.allclose(samples, wanted[0], atol=1e-4):
        return "equal", ""
    words = f"{samples.shape} at {rate} Hz for {wanted[0].shape} at {wanted[1]} Hz"
    return ("wrong" if one.evident else "unseen"), words


def work(pipe, seed):
    """A process that reads one mutant after another: receives its number, sends what came out."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # decoders write there what they think
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    wanted = cache(lambda name, seeds: expected(name, seeds, folder))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        while (index := pipe.recv()) is not None:
            one = mutant(index, seed)
            target = wanted(one.kind, one.parts)
            pipe.send("ready")
            pipe.send(outcome(one, folder, target))


class Worker:
    """A process that can be ended when it hangs, and started anew when it died."""

    def __init__(self, seed, task):
        self.pipe, other = get_context("spawn").Pipe()
        self.process = get_context("spawn").Process(target=task, args=(other, seed), daemon=True)
        self.process.start()
        other.close()
        self.index, self.since = None, None

    def give(self, index):
        self.index, self.since = index, None
        self.pipe.send(index)

    def end(self):
        self.process.kill()
        self.process.join()
        self.pipe.close()


def run(count, seed, workers, *, progress=True, task=work, limit=LIMIT):
    """Outcomes of all mutants in order: (outcome, words). A ``task`` is what a process does."""
    results = {}
    waiting = iter(range(count))
    pool = [Worker(seed, task) for _ in range(min(workers, count))]
    bar = tqdm(total=count, unit="file", disable=None if progress else True)
    for worker in pool:
        worker.give(next(waiting))
    while pool:
        ready = connection.wait([worker.pipe for worker in pool], timeout=0.5)
        for place, worker in enumerate(pool):
            result = None
            if worker.pipe in ready:
                try:
                    result = worker.pipe.recv()
                except EOFError:
                    worker.process.join()
                    result = ("crash", f"the process ended with {worker.process.exitcode}")
            elif worker.since is not None and time.monotonic() - worker.since > limit:
                result = ("hang", f"more than {limit:g} s")
            if result == "ready":
                worker.since = time.monotonic()
            elif result is not None:
                results[worker.index] = result
                bar.update()
                following = next(waiting, None)
                if not worker.process.is_alive() or result[0] == "hang":
                    worker.end()
                    pool[place] = worker = Worker(seed, task)
                if following is not None:
                    worker.give(following)
                else:
                    worker.index = None
        for worker in [worker for worker in pool if worker.index is None]:
            worker.end()
            pool.remove(worker)
    bar.close()
    return [results[index] for index in range(count)]


def table(rows, title):
    width = max(len(title), *map(len, rows))
    lines = [f"{title:{width}}" + "".join(f"{name:>9}" for name in OUTCOMES)]
    lines += [f"{name:{width}}" + "".join(f"{row[key]:9}" for key in OUTCOMES) for name, row in rows.items()]
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10000, help="mutants (default: 10000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument(
        "--keep", type=Path, help="folder for mutants that were read wrongly, crashed or hung"
    )
    parser.add_argument("--show", type=int, default=20, help="of these, how many are named (default: 20)")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        for name in kinds():
            expected(name, (0, 1), Path(folder))  # an undamaged file is no fuzz: what refuses it stops here
    results = run(given.count, given.seed, given.workers)
    by_kind, by_damage, bad = {}, {}, []
    for index, (result, words) in enumerate(results):
        one = mutant(index, given.seed)
        by_kind.setdefault(one.kind, Counter())[result] += 1
        by_damage.setdefault(one.damage, Counter())[result] += 1
        if result in ("wrong", "crash", "hang"):
            bad.append(f"{result} {index}: {one.kind}, {one.damage}: {words}")
            if given.keep:
                given.keep.mkdir(parents=True, exist_ok=True)
                (given.keep / f"{result}_{index}.{one.extension}").write_bytes(one.data)
    total = sum(by_kind.values(), Counter())
    print(table(by_kind, "kind"), table(by_damage, "damage"), table({"all": total}, ""), sep="\n\n")
    print(*bad[: given.show], sep="\n")
    return int(total["crash"] + total["hang"] > 0 or total["wrong"] > given.count / 1000)


if __name__ == "__main__":
    sys.exit(main())
