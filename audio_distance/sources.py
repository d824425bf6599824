"""What a set consists of: folders, file lists, paths, and sounds in memory; listed, not read yet.

Conventions
    source     one sound that has not been read: a path, the bytes of a whole file, or an array with its rate.
    fault      why a source cannot be read, known without reading it. Nothing of a set is left out without a
               word: what cannot be a sound stays a source, with its fault.
    passed     what a folder holds beside sounds: hidden files, and files without an extension of audio.
    name       unique in a set, and printable: the path below the folder, or ``[3]`` for a sound in memory.
"""

from __future__ import annotations

import csv
import io
import mmap
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audio_distance.containers import RATES
from audio_distance.errors import AudioError
from audio_distance.output import printable

EXTENSIONS = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".mp4", ".aac"}
    | {".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64"}
)
MAPPED_BYTES = 2**27  # a file of more is not read into memory
MOST_CHANNELS = 64  # more is a matrix that lies on its side

# Of the column with the paths, in a list's first line, as pandas, Kaggle and Hugging Face write it.
PATH_HEADERS = frozenset(
    {"path", "file", "filename", "file_name", "name", "audio", "wav"}
    | {"filepath", "file_path", "audio_path", "audio_file", "audio_filepath", "wav_path"}
)
_SET_FORMS = "Give a folder, a .csv or .txt file list, a list of paths, or arrays with rate=."
_SOUND_FORMS = (
    "a sound in memory is an array, a pair (signal, rate), a row {'array': ..., 'sampling_rate': ...}, "
    "or the bytes of a whole file"
)


@dataclass(frozen=True)
class Source:
    """One sound that has not been read yet: a ``path``, ``data``, an ``array``, or a ``fault``."""

    name: str
    path: Path | None = None
    array: NDArray[Any] | None = None  # (samples,) or (samples, channels)
    rate: int = 0  # Hz, of the array
    data: bytes | None = None  # of a whole file
    fault: str = ""  # why it cannot be read

    def opened(self) -> BinaryIO:
        """The file, its bytes as one, or an empty one of an array; AudioError or OSError if there is none."""
        if self.fault:
            raise AudioError(self.fault)
        return io.BytesIO(self.data or b"") if self.path is None else self.path.open("rb")

    def read(self) -> bytes | mmap.mmap:
        """All that is in the file; of a large one a map of it, which takes no memory of its own."""
        with self.opened() as file:
            if self.path is None or os.fstat(file.fileno()).st_size <= MAPPED_BYTES:
                return file.read()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@dataclass(frozen=True)
class Listing:
    """The sounds of a set, in sorted order, and the number of files that were passed over."""

    name: str
    sources: list[Source]
    passed: int = 0


def list_set(source: Any, role: str, rate: int | None) -> Listing:
    """The sounds of a set, not read yet.

    Parameters
    ----------
    source : path, or iterable of paths or of sounds in memory
        A folder (searched recursively, through links too), a ``.csv`` or ``.txt`` file list, paths, or sounds
        in any of the forms that ``compare`` tells of; an iterator is consumed.
    role : str
        What the set is in the call ("reference"), for messages.
    rate : int or None
        In Hz, of the arrays that come without one; files carry their own.

    Raises
    ------
    AudioError
        What does not exist, is one file, is empty, or holds arrays without a rate or with one that cannot be.
    """
    if isinstance(source, (str, os.PathLike)):
        return _list_path(Path(source), role)
    _refuse_one_sound(source, role)
    try:
        items = list(source)
    except TypeError:
        raise AudioError(f"{role}: {_article(source)} is no set of sounds. {_SET_FORMS}") from None
    if not items:
        raise AudioError(f"{role}: the set is empty (0 sounds, at least 2 are needed).")
    if all(isinstance(item, (str, os.PathLike)) for item in items):
        return Listing(role, _sources([Path(item) for item in items]))
    return Listing(role, _list_memory(items, role, rate))


def fault_of(path: Path) -> str:
    """Why ``path`` cannot be read as a file, "" if it can; without opening it, where a FIFO would wait."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        if os.path.islink(path):
            return f"a link to {printable(os.readlink(path))}, which cannot be followed ({_reason(error)})"
        return _reason(error)
    if stat.S_ISDIR(mode):
        if not os.access(path, os.R_OK | os.X_OK):
            return "a folder that cannot be opened; likely another user's"
        return "a folder, where a file is needed"
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISFIFO, "FIFO"), (stat.S_ISSOCK, "socket"))
        kind = next((name for is_kind, name in kinds if is_kind(mode)), "device")
        return f"a {kind}, where a file is needed; copy what it gives to a file"
    if not os.access(path, os.R_OK):
        return "no permission to read it; likely another user's"
    return ""


def _reason(error: Exception) -> str:
    """An error in one printable line."""
    return printable(" ".join(str(error).split()))


def _article(thing: Any) -> str:
    kind = type(thing).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"


# -------------------------------------------------------------------------------------------- folders, paths


def _list_path(path: Path, role: str) -> Listing:
    shown = _shortened(str(path))
    try:
        path.stat()
    except FileNotFoundError:
        raise AudioError(f"{role}: {shown} does not exist (looked in {Path.cwd()}). {_SET_FORMS}") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{role}: {shown} cannot be found ({_reason(error)}). {_SET_FORMS}") from None
    if path.is_dir():
        return list_folder(path, role)
    if path.suffix.lower() in {".csv", ".txt"}:
        return Listing(printable(str(path)), _list_file(path, role))
    raise AudioError(
        f"{role}: {shown} is one file, and a set needs at least 2. "
        "Give a folder, or a .csv or .txt file with one path a line."
    )


def list_folder(folder: Path, role: str) -> Listing:
    """Audio files below ``folder``, by extension, sorted; folders that are links are followed.

    A folder that is reached in two ways, by links or by a loop of them, counts once, by its own name if it
    has one below ``folder``. Folders that cannot be opened, links that lead nowhere and what has an extension
    of audio and is no file are sources with a fault.
    """
    paths, unread, passed = [], [], 0
    errors: list[OSError] = []
    seen: set[str] = set()
    above = {str(parent) for parent in folder.resolve().parents}
    waiting = [folder]  # links come after all that lies below the folder itself
    while waiting:
        for root, folders, names in os.walk(waiting.pop(0), onerror=errors.append):
            here = os.path.realpath(root)
            if here in seen:
                folders.clear()
                continue
            seen.add(here)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for link in (Path(root, name) for name in folders if os.path.islink(Path(root, name))):
                if (target := os.path.realpath(link)) in above:
                    fault = f"a link to {printable(target)}, which holds this set: not followed"
                    unread.append((link, fault))
                else:
                    waiting.append(link)
            for path in (Path(root, name) for name in names):
                leads_nowhere = path.is_symlink() and not os.path.exists(path)
                if path.name.startswith("."):
                    passed += 1
                elif path.suffix.lower() in EXTENSIONS:
                    paths.append(path)
                elif leads_nowhere:  # to a folder of sounds, for all that can be known
                    unread.append((path, fault_of(path)))
                else:
                    passed += 1
    unread += [
        (Path(error.filename), f"a folder that cannot be opened ({_reason(error)})") for error in errors
    ]
    if not paths:
        raise AudioError(
            f"{role}: {printable(str(folder))} holds no audio files ({passed} other files passed over). "
            f"Known extensions: {' '.join(sorted(EXTENSIONS))}."
            + "".join(f"\n  {_below(path, folder)}: {fault}" for path, fault in sorted(unread))
        )
    sources = _sources(paths, folder) + [Source(_below(p, folder), p, fault=fault) for p, fault in unread]
    return Listing(printable(str(folder)), sorted(sources, key=lambda source: source.path or Path()), passed)


def _below(path: Path, folder: Path) -> str:
    return printable(path.relative_to(folder).as_posix())


def _sources(paths: Sequence[Path], folder: Path | None = None) -> list[Source]:
    """Named by the path below the folder; without one, below the deepest common folder."""
    paths = sorted(paths)
    if folder is None:
        folder = Path(os.path.commonpath([path.absolute().parent for path in paths]))
        names = [_below(path.absolute(), folder) for path in paths]
    else:
        names = [_below(path, folder) for path in paths]
    return [Source(name, path, fault=fault_of(path)) for name, path in zip(names, paths, strict=True)]


# ------------------------------------------------------------------------------------------------ file lists


def _list_file(path: Path, role: str) -> list[Source]:
    """Paths of a file list, relative to the working directory, else to the list's folder.

    Of a ``.csv`` the column with a name of ``PATH_HEADERS``, else the first; of a ``.txt`` the whole line.
    Lines that are empty or begin with # are left out, unless # begins the name of a file.
    """
    where = f"{role}: the file list {printable(str(path))}"
    if fault := fault_of(path):
        raise AudioError(f"{where}: {fault}")
    lines = _lines(path, where)
    rows = list(_rows(lines, where)) if path.suffix.lower() == ".csv" else [(n, [line]) for n, line in lines]
    rows = [(number, row) for number, row in rows if not _is_left_out(row, path.parent)]
    column = _path_column(rows[0][1], path.parent) if rows else None
    entries = rows if column is None else rows[1:]
    if not entries:
        raise AudioError(f"{where} names no files.")
    found, missing = [], []
    for number, row in entries:
        entry = row[column or 0] if len(row) > (column or 0) else ""
        file = _found(entry, path.parent)
        if file is None:
            missing.append((number, entry))
        else:
            found.append(file)
    if missing:
        number, entry = missing[0]
        more = f" (then lines {', '.join(str(n) for n, _ in missing[1:6])})" if len(missing) > 1 else ""
        raise AudioError(
            f"{role}: {len(missing)} of {len(entries)} files in {printable(str(path))} do not exist, the "
            f"first is {_shortened(entry.strip()) or 'an empty name'} in line {number}{more}. "
            f"{_likely(entry, path.parent)}Paths are taken relative to the working directory ({Path.cwd()}) "
            "or to the list's folder."
        )
    return _sources(found)


def _lines(path: Path, where: str) -> list[tuple[int, str]]:
    """Line numbers and lines as editors end them: a name may hold what Unicode calls an end of line."""
    data = path.read_bytes()
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise AudioError(
            f'{where} is not UTF-8 but UTF-16; likely saved as "Unicode text" by a spreadsheet, or by > in '
            "PowerShell: save it as UTF-8"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise AudioError(
            f"{where} is not UTF-8 in line {number} ({error}); likely saved by a spreadsheet in another "
            "encoding"
        ) from None
    lines = list(enumerate(io.StringIO(text, newline=None), 1))
    for number, line in lines:
        if "\0" in line:
            raise AudioError(f"{where} holds a NUL byte in line {number}; likely damaged, or no text")
    return lines


def _rows(lines: Sequence[tuple[int, str]], where: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and rows of a CSV; a quote that is not closed would swallow all lines behind it."""
    reader = csv.reader((line for _, line in lines), skipinitialspace=True, strict=True)
    number = 1
    try:
        for row in reader:
            yield number, row
            number = reader.line_num + 1
    except csv.Error as error:
        raise AudioError(
            f"{where} cannot be split into columns in line {number} ({error}); likely a quote that is not "
            'closed, or not doubled inside of quotes ("say ""hello"".wav")'
        ) from None


def _path_column(first: Sequence[str], folder: Path) -> int | None:
    """The column that the first line gives to paths; None if that line is no header, but names a file."""
    path = _found(first[0], folder)
    if path is not None and not path.is_dir():
        return None
    return next((i for i, cell in enumerate(first) if cell.strip().lower() in PATH_HEADERS), None)


def _is_left_out(row: Sequence[str], folder: Path) -> bool:
    """An empty line, or a comment; "#3 take.wav" is none if there is such a file."""
    if not any(cell.strip() for cell in row):
        return True
    return row[0].lstrip().startswith("#") and _found(row[0], folder) is None


def _found(entry: str, folder: Path) -> Path | None:
    """What an entry of a list in ``folder`` names; spaces around it rarely belong to the name.

    An accent may be written in another way (NFC, NFD) in a list that comes from another system.
    """
    name = entry.strip()
    spellings = (name, entry.rstrip("\n"), *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))
    for path in (place / spelling for spelling in spellings for place in (Path(), folder)):
        if name and os.path.exists(path):  # False too for what no path can be, such as 300 letters
            return path
    return None


def _likely(entry: str, folder: Path) -> str:
    """What the line may be instead of a path, if a part of it is one."""
    for mark, name in (("|", "|"), (";", ";"), ("\t", "a tab"), (",", "a comma")):
        part = entry.partition(mark)[0]
        if part != entry and _found(part.strip("\"' "), folder) is not None:
            return f"Likely several columns with {name} between them: keep the first. "
    if _found(entry.strip("\"' \n"), folder) is not None:
        return "Likely the quotes around it: a .txt list has none. "
    if not Path(entry.strip()).suffix:
        return f"If it is a header: a column of paths is known as {', '.join(sorted(PATH_HEADERS))}. "
    return ""


def _shortened(text: str, longest: int = 200) -> str:
    text = printable(text)
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"


# ------------------------------------------------------------------------------------------ sounds in memory


def _refuse_one_sound(source: Any, role: str) -> None:
    """What would fall apart into meaningless items: one sound, or a table, given as the set."""
    if isinstance(source, (bytes, bytearray, memoryview)) or hasattr(source, "read"):
        raise AudioError(
            f"{role}: {_article(source)} is one file, and a set needs at least 2: give a list of them"
        )
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        names = ", ".join(map(str, list(source.columns)[:5]))
        raise AudioError(
            f"{role}: {_article(source)} with the columns {names}; give the one that holds the sounds"
        )
    if isinstance(source, Mapping):
        keys = ", ".join(map(str, list(source)[:5]))
        raise AudioError(
            f"{role}: {_article(source)} with the keys {keys}; a set is a list of its values, or of such rows"
        )
    if _is_pair(source) and not any(isinstance(part, (str, os.PathLike)) for part in source):
        raise AudioError(f"{role}: one pair (signal, rate) given as the set; a set is a list of such pairs")
    shape = tuple(getattr(source, "shape", ()))
    if len(shape) == 2 and shape[1] <= MOST_CHANNELS < shape[0]:
        raise AudioError(
            f"{role}: an array of shape {shape} is likely one signal of {shape[1]} channels given as the set"
            "; give a list of signals"
        )


def _list_memory(items: Sequence[Any], role: str, rate: int | None) -> list[Source]:
    """Sounds in memory, named by their position; items that are none are sources with a fault."""
    if rate is not None and (fault := _fault_of_rate(rate)):
        raise AudioError(f"{role}: {fault}")
    width = len(str(len(items)))
    sources = [_in_memory(item, f"[{i:0{width}d}]") for i, item in enumerate(items)]
    if all(isinstance(item, (int, float, np.generic)) or getattr(item, "ndim", 1) == 0 for item in items):
        raise AudioError(
            f"{role}: a set of arrays is a list of signals, and this one holds single values; likely one "
            "signal given as the set"
        )
    strays = [i for i, item in enumerate(items) if isinstance(item, (str, os.PathLike))]
    if strays:
        other = next(i for i in range(len(items)) if i not in set(strays))
        raise AudioError(
            f"{role}: paths and arrays in one list: [{strays[0]}] is {_shortened(str(items[strays[0]]))!r} "
            f"and [{other}] is {_article(items[other])}; give one or the other"
        )
    unrated = next((source for source in sources if source.array is not None and not source.rate), None)
    if unrated is not None and rate is None:
        raise AudioError(
            f"{role}: arrays need rate= in Hz (one number, or a pair for reference and candidate) or a rate "
            f"each, as in (signal, rate), and {unrated.name} has none; a rate that is guessed wrong changes "
            "the result silently."
        )
    if rate is None:
        return sources
    return [replace(s, rate=int(rate)) if s.array is not None and not s.rate else s for s in sources]


def _in_memory(item: Any, name: str) -> Source:
    """One sound in any of the forms that loaders give; its rate is 0 where the form has none.

    Forms that are not plain become a fault that says what to pass instead.
    """
    try:
        if isinstance(item, Mapping):
            return _of_row(item, name)
        if hasattr(item, "get_all_samples"):  # the decoder of torchcodec, and so of datasets from version 4
            decoded = item.get_all_samples()
            return _of_array(_channels_last(_array(decoded.data)), name, decoded.sample_rate)
        if isinstance(item, (bytes, bytearray, memoryview)):
            return Source(name, data=bytes(item))
        if hasattr(item, "read"):
            return _of_file(item, name)
        if _is_pair(item):
            signal, rate = item if np.ndim(item[0]) else item[::-1]  # scipy puts the rate first
            return _of_array(_array(signal), name, rate)
        return _of_array(_array(item), name)
    except AudioError as error:
        return Source(name, fault=str(error))
    except Exception as error:  # of a caller's own type, in whatever way it fails to be an array
        return Source(
            name, fault=f"{_article(item)} that gives no samples ({_reason(error)}); {_SOUND_FORMS}"
        )


def _is_pair(item: Any) -> bool:
    """A signal and one thing that is none, in either order."""
    if not isinstance(item, (tuple, list)) or len(item) != 2 or isinstance(item[0], Mapping):
        return False
    try:
        return {np.ndim(part) > 0 for part in item} == {True, False}
    except ValueError:  # a list of lists of several lengths
        return False


def _of_row(row: Mapping[Any, Any], name: str) -> Source:
    """A row of ``datasets``: decoded, not decoded (bytes, or a path), or with one of these as "audio"."""
    if "array" in row and "sampling_rate" in row:
        return _of_array(_channels_last(_array(row["array"])), name, row["sampling_rate"])
    if row.get("bytes") is not None:
        return Source(name, data=bytes(row["bytes"]))
    for key, value in row.items():
        if str(key).lower() in PATH_HEADERS and isinstance(value, (str, os.PathLike)):
            return Source(name, Path(value), fault=fault_of(Path(value)))
    if "audio" in row:
        return _in_memory(row["audio"], name)
    raise AudioError(f"a row with {', '.join(map(repr, list(row)[:5])) or 'nothing in it'}; {_SOUND_FORMS}")


def _of_array(array: NDArray[Any], name: str, rate: Any = None) -> Source:
    if array.ndim == 0:
        raise AudioError(f"{_shortened(repr(array.item()))}; {_SOUND_FORMS}")
    if rate is None:
        return Source(name, array=array)
    if fault := _fault_of_rate(rate):
        raise AudioError(fault)
    return Source(name, array=array, rate=int(rate))


def _fault_of_rate(rate: Any) -> str:
    """Why no sound has this sample rate; "" if it can be one."""
    try:
        possible = RATES[0] <= rate <= RATES[1]
    except (TypeError, ValueError):
        return f"rate {rate!r} is no number of Hz"
    return "" if possible else f"rate {rate} Hz is outside {RATES[0]} to {RATES[1]} Hz. Was it given in kHz?"


def _of_file(file: Any, name: str) -> Source:
    """All that an open file holds, wherever it has been read or written to; ``soundfile``'s give samples."""
    if hasattr(file, "seekable") and file.seekable():
        file.seek(0)
    data = file.read()
    if hasattr(file, "samplerate"):
        return _of_array(_array(data), name, file.samplerate)
    if not isinstance(data, bytes):
        raise AudioError(f"a file opened as text ({_article(file)}); open it with 'rb'")
    return Source(name, data=data)


def _array(signal: Any) -> NDArray[Any]:
    """Samples as numpy has them; tensors of any device, with gradients, and of types that numpy has not.

    By what they can do, not by what they are: nothing is imported for it.
    """
    if np.ma.is_masked(signal):
        raise AudioError(f"{int(np.ma.getmaskarray(signal).sum())} samples are masked; fill or cut them")
    if hasattr(signal, "detach"):
        signal = signal.detach()
        signal = signal.cpu() if hasattr(signal, "cpu") else signal
        if "bfloat16" in str(getattr(signal, "dtype", "")):
            signal = signal.float()  # exact: float32 has all of its values
    array = np.asarray(signal)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array  # of JAX


def _channels_last(array: NDArray[Any]) -> NDArray[Any]:
    """Of loaders that are known to give (channels, samples)."""
    return array.T if array.ndim == 2 and array.shape[0] <= MOST_CHANNELS < array.shape[1] else array


def samples_of(array: NDArray[Any], peak_limit: float) -> NDArray[np.float32]:
    """An array as (samples, channels) float32; integers by their full scale.

    One row, (1, samples), is mono as tensors have it. ``AudioError`` for what is no sound, and for float
    samples beyond ``peak_limit``.
    """
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiu":
        raise AudioError(
            f"array of shape {array.shape} and type {array.dtype}; a sound is (samples,) or "
            "(samples, channels) of float or integer type"
        )
    if array.ndim == 2 and array.shape[0] == 1 and array.shape[1] > 1:
        array = array[0]
    if array.ndim == 2 and array.shape[1] > MOST_CHANNELS:
        raise AudioError(
            f"array of shape {array.shape} has {array.shape[1]} channels (limit {MOST_CHANNELS}); "
            "is it (channels, samples)? Transpose it"
        )
    if array.dtype.kind in "iu":
        if array.dtype.itemsize not in (2, 4) or array.dtype.kind == "u":
            raise AudioError(
                f"array of type {array.dtype}; integer samples must be int16 or int32, whose full scale is "
                "known: samples of 16 bits are .astype(numpy.int16)"
            )
        return np.atleast_2d((array / -float(np.iinfo(array.dtype).min)).astype(np.float32).T).T
    samples = np.atleast_2d(array.astype(np.float32).T).T
    refuse_out_of_range(float(np.abs(samples).max(initial=0)), peak_limit)
    return samples


def refuse_out_of_range(peak: float, peak_limit: float) -> None:
    """Float samples beyond the limit, in full scales; what is not finite is told of elsewhere."""
    if np.isfinite(peak) and peak > peak_limit:
        cause = "integer samples stored as float" if peak > 64 else "a signal that was never limited"
        raise AudioError(
            f"float samples reach {peak:.6g}, and the limit is {peak_limit:g}: a player would clip them. "
            f"Likely {cause}; scale it, or pass peak_limit="
        )
