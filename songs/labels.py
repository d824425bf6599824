"""A list of labels: what a CSV says of files.

Conventions
    path    as the system has it: absolute, or relative to the folder of the list; or an address, beginning as
            that of the folder which is indexed (``songs.places``). Not the file's content.
    said    of a file are the cells that are not empty. They go before the file's own tags.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from pathlib import Path
from typing import Any

from audio_distance.errors import AudioError
from audio_distance.output import printable
from audio_distance.sources import PATH_HEADERS, fault_of
from songs.places import is_address, normal

COLUMNS = ("label", "group", "license", "title", "artist", "album", "genre", "year")

Row = dict[str, Any]


def labels_of(path: Path) -> dict[bytes, Row]:
    """What a CSV says of files: path -> columns among ``COLUMNS``.

    Its first line names the columns: one of paths (path, file, file_name, ...), absolute or relative to the
    folder of the list, and any of label, group, license, title, artist, album, genre, year. Empty cells say
    nothing. It is UTF-8, but for paths, which are bytes.

    Raises
    ------
    AudioError
        No such file, another encoding, no column of paths, none of the others, an empty path, two rows of one
        path that differ, a year that is no number.
    """
    where = f"labels: {printable(str(path))}"
    if fault := fault_of(path):
        raise AudioError(f"{where}: {fault}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AudioError(f"{where} cannot be read ({error.strerror})") from None
    if data[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        raise AudioError(f"{where} is UTF-16, and UTF-8 is needed; likely saved as Unicode by a spreadsheet")
    if b"\0" in data:
        raise AudioError(f"{where} holds a NUL byte; likely damaged, or no text")
    text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    # newline="": a line may end inside of quotes, where it belongs to the cell.
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    found: dict[bytes, Row] = {}
    try:
        columns = {name.strip().lower(): name for name in reader.fieldnames or () if name}
        paths = next((columns[name] for name in columns if name in PATH_HEADERS), None)
        told = [name for name in COLUMNS if name in columns]
        if paths is None or not told:
            raise AudioError(
                f"{where} has the columns {printable(', '.join(columns)) or '(none)'}; one of paths (path, "
                f"file, ...) is needed, and at least one of {', '.join(COLUMNS)}, with commas between them"
            )
        for row in reader:
            here = f"{where}, line {reader.line_num}"
            if not (row[paths] or "").strip():
                raise AudioError(f"{here}: no path; likely a row that is too short")
            cells = _cells({name: row[columns[name]] or "" for name in told}, here)
            place = row[paths] if is_address(row[paths]) else path.parent / row[paths]
            name = os.fsencode(normal(place))
            if found.setdefault(name, cells) != cells:
                raise AudioError(f"{here}: {printable(row[paths])} stands in it twice, and is said to differ")
    except (csv.Error, ValueError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(
            f"{where}, line {reader.line_num}: {printable(str(error))}; likely a quote that is not "
            "closed, or no CSV"
        ) from None
    return found


def _cells(cells: Row, where: str) -> Row:
    """Those of a row that say something."""
    row: Row = {name: text.strip() for name, text in cells.items() if text.strip()}
    for name, text in row.items():
        if printable(text) != text:
            raise AudioError(
                f"{where}: {name} is {printable(text)}, which is not UTF-8; save the list as UTF-8"
            )
    if not re.fullmatch("[0-9]{1,4}", row.get("year", "0")):
        raise AudioError(f"{where}: the year is {row['year']!r}, and a number of up to 4 digits is needed")
    return {**row, "year": int(row["year"])} if "year" in row else row
