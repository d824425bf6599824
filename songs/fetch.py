"""Openly licensed songs from the web, politely: ``python -m songs fetch``.

Conventions
    address    of a song or page, http or https; a song is known by its address, whatever it is called.
    key        16 hex digits of SHA-256 of the address; it ends every file name: no two addresses share one.
    network    of a host: "public", "private" (with link-local, where clouds keep their keys) or "loopback".
    named      the address that the user gave: a page leads to other addresses, never into another network.
    fault      why a song did not come: one line, kept as a record. It never ends the run; a full disk does.

A folder of songs holds
    Artist - Title [key].ogg    the songs, each written whole or not at all
    records/key.json            what is known of each (``Record``); key.failed.json of those that did not come
    fetched.csv                 all records as a table: path, license, artist, ... (``songs index --labels``)
    .parts/key.part, key.json   what is half done, and of which version of the file

httpx, because its bytes come as they arrive (so that a slow server is told from a stalled one), and it says
to whom it has connected before anything is sent. Tries are counted here and not in the transport: what breaks
off in the middle of a body, only a request for the rest can mend.

Sources: RFC 9110 (ranges, If-Range, Retry-After), RFC 9309 (robots.txt), schema.org (AudioObject,
MusicRecording), the pages of the Free Music Archive (``data-track-info``).
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urldefrag

from audio_distance.output import complain, printable, say
from songs.catalogues import (
    Song,
    fault_of_address,
    is_open,
    is_sound_address,
    license_in,
    songs_of_file,
    songs_of_page,
)
from songs.fetched import HEAD, DiskFull, Folder, Outcome, Part, refuse_page, telling_full
from songs.polite import Client, Fault, Limits, Unfit, fault_of_status, refuse_encoding

MOST_PAGES = 200  # of one catalogue


def _write(file: BinaryIO, piece: bytes) -> None:
    """All of a piece: a write without a buffer may take less."""
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]


def _attempt(client: Client, song: Song, part: Part, end: float, received: Callable[[int], None]) -> str:
    """Bring a part to its end; the final address. What it holds so far is kept wherever it can be used."""
    offset = part.size if part.validator else 0
    headers = {"Range": f"bytes={offset}-", "If-Range": part.validator} if offset else {}
    named, seconds = song.named or song.address, end - time.monotonic()
    with client.open(song.address, named=named, headers=headers, seconds=seconds) as response:
        status, final = response.status_code, str(response.url)
        told = {
            "address": final,
            "etag": response.headers.get("etag", ""),
            "last_modified": response.headers.get("last-modified", ""),
        }
        first, total = _content_range(response.headers.get("content-range", ""))
        if status == 416 and offset:
            if total == offset:
                return final  # all of it was there
            part.clear()
            raise Fault(f"has no bytes behind {offset}: the file has changed", again=True)
        if status not in {200, 206}:
            raise fault_of_status(response)
        refuse_encoding(response)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in {"text/html", "application/xhtml+xml", "application/json"}:
            raise Fault(f"is a page and no sound: {kind} with status {status}")
        if status == 206:
            if not offset:
                raise Fault("sends a piece (206) to who asks for the whole")
            # Where If-Range was heeded, a piece need not repeat both.
            held = {name: part.version.get(name, "") for name in ("etag", "last_modified") if told[name]}
            changed = [name for name, value in held.items() if told[name] != value]
            if first != offset or changed or (total or 0) != (part.version.get("total") or total or 0):
                part.clear()
                seen = ", ".join(changed) or f"it begins at {first}, of {total}"
                raise Fault(f"the rest from byte {offset} does not fit: another {seen}", again=True)
        else:
            offset, total = 0, int(response.headers.get("content-length", 0)) or None
            client.refuse_size(total)
            part.begin({**told, "total": total})
        _receive(client, response, part, offset, received)
        if total and part.size != total:
            part.clear()
            raise Fault(f"{part.size} bytes came of {total}", again=True)
        return final


def _content_range(text: str) -> tuple[int, int | None]:
    """First byte (-1 if none is told) and length of the whole, of ``bytes 5-9/10`` or ``bytes */10``."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", text.strip())
    if not found:
        return -1, None
    return int(found[1] or -1), int(found[2]) if found[2] != "*" else None


def _receive(client: Client, response: Any, part: Part, held: int, received: Callable[[int], None]) -> None:
    """Append a body to a part, as its bytes come."""
    limits, head, is_looked_at = client.limits, b"", held > 0
    since, counted = time.monotonic(), 0
    with telling_full(), part.path.open("ab", buffering=0) as file:
        for piece in response.iter_raw():
            held += len(piece)
            client.refuse_size(held)
            if not is_looked_at:
                head += piece[:HEAD]
                if len(head) >= HEAD:
                    refuse_page(head)
                    is_looked_at = True
            _write(file, piece)
            received(len(piece))
            counted += len(piece)
            if (spent := time.monotonic() - since) >= limits.speed:
                if counted < limits.lowest_speed * spent:
                    raise Fault(
                        f"too slow: {counted / spent:.0f} bytes/s for {spent:.0f} s, and the limit is "
                        f"{limits.lowest_speed:g}; {held} bytes are kept"
                    )
                since, counted = time.monotonic(), 0
        os.fsync(file.fileno())
    if not held:
        raise Fault("0 bytes came", again=True)


def fetch_song(
    song: Song,
    folder: Folder,
    client: Client,
    *,
    verify: bool = False,
    again: bool = False,
    any_license: bool = False,
    received: Callable[[int], None] = lambda count: None,
) -> Outcome:
    """Bring one song, unless it is there, by the rules above. Raises DiskFull, and OSError of the folder."""
    if record := folder.record(song, verify=verify):
        return Outcome("there", song.address, record=record)
    if not again and (fault := folder.damage(song)):
        return Outcome("damaged", song.address, f"{fault}; as an earlier run found, --again asks for it anew")
    part = folder.part(song)
    whole = False
    try:
        if not song.license and song.page:  # the page of the song may tell what the list did not
            page = client.page(song.page, named=song.named or song.address)
            song = _with_page(song, *page) if page else song
        if not any_license and not is_open(song.license):
            stated = f"its licence is {song.license!r}, not known as open" if song.license else ""
            why = f"{stated or 'no licence known'}; --any-license fetches it all the same"
            outcome = Outcome("refused", song.address, why)
            folder.tell(song, outcome)
            return outcome
        end = time.monotonic() + client.limits.total
        final = client.tried(lambda: _attempt(client, song, part, end, received), song.address)
        whole = bool(part.version.get("total"))  # by the server's own count
        return Outcome("fetched", song.address, record=folder.keep(song, part, final=final))
    except Fault as fault:
        if isinstance(fault, Unfit):
            part.clear()
        outcome = Outcome("damaged" if whole else "failed", song.address, str(fault))
        folder.tell(song, outcome)
        return outcome


def _with_page(song: Song, text: str, address: str) -> Song:
    """A song with the licence and genre that its own page states."""
    from bs4 import BeautifulSoup

    same = next(
        (found for found in songs_of_page(text, address).songs if found.address == song.address), song
    )
    license = same.license or license_in(BeautifulSoup(text, "html.parser"))
    return replace(song, license=license, genre=song.genre or same.genre)


def fetch(
    songs: Iterable[Song],
    out: Path,
    *,
    client: Client,
    verify: bool = False,
    again: bool = False,
    any_license: bool = False,
    received: Callable[[int], None] = lambda count: None,
) -> Iterator[Outcome]:
    """Bring songs into a folder, one after another, and tell what became of each.

    Raises DiskFull, OSError of the folder, AudioError if another process fetches into it. However it ends,
    ``fetched.csv`` tells what is there.
    """
    folder = Folder(out)
    with folder.alone():
        try:
            for song in {song.key: song for song in songs}.values():
                yield fetch_song(
                    song,
                    folder,
                    client,
                    verify=verify,
                    again=again,
                    any_license=any_license,
                    received=received,
                )
        finally:
            with suppress(DiskFull):
                folder.write_table()


def listed(given: Sequence[str], client: Client, *, license: str = "") -> Iterator[Song | Outcome]:
    """The songs of addresses, pages and lists; an Outcome of each page that cannot be read."""
    for name in given:
        if not re.match(r"https?://", name, re.I):
            yield from songs_of_file(Path(name), license=license)
        elif is_sound_address(name):
            yield Song(urldefrag(name).url, license=license)
        else:
            yield from _listed_by_pages(urldefrag(name).url, client, license)


def _listed_by_pages(address: str, client: Client, license: str) -> Iterator[Song | Outcome]:
    """The songs of a page and those behind it; of an address that is no page, itself."""
    seen: set[str] = set()
    following = address
    while following and following not in seen:
        seen.add(following)
        try:
            if len(seen) > MOST_PAGES:
                raise Fault(f"more than {MOST_PAGES} pages")
            page = client.page(following, named=address)
            if page is None and following == address:
                yield Song(address, license=license)
                return
            found = songs_of_page(*(page or ("", following)), named=address)
            if not found.songs:
                raise Fault("a page that lists no songs in a way that is known here")
        except Fault as fault:
            yield Outcome("failed", following, str(fault))
            return
        for song in found.songs:
            yield song if song.license or song.page else replace(song, license=license)
        following = found.following


# The command

_EPILOG = """\
examples:
  python -m songs fetch catalogue.csv --out music
  python -m songs fetch https://example.org/genre/Folk --out music --contact me@example.org
  python -m songs fetch https://example.org/a.ogg --license CC-BY-4.0 --out music
  python -m songs index music --labels music/fetched.csv

what is given:
  an address of a sound, of a page that lists sounds (and of the pages behind it, rel="next"), or a file:
  .csv .tsv .json .jsonl with url, artist, title, genre, license, sha256, or one address a line (# comments)

what is not fetched:
  a song without an open licence (Creative Commons, CC0, public domain, free software), what robots.txt
  forbids, a page in place of a sound, a damaged sound. Each is named, with the reason, here and in
  FOLDER/records; run the command again for those that failed: songs that are there are not asked for, and
  what is half done goes on where it stopped.

exit codes: 0 all are there, 1 some are not, 2 wrong use of the command, 130 interrupted
"""


def _given(text: str) -> str:
    """An address that can be fetched, or a file that is there."""
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.I):
        if fault := fault_of_address(text):
            raise argparse.ArgumentTypeError(fault)
    elif not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f"{printable(text)} is neither an address (http, https) nor a file")
    return text


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: more than 0 is needed")
    return value


def _not_below_zero(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: at least 0 is needed")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``songs fetch``."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, _EPILOG
    limits = Limits()
    parser.add_argument("given", nargs="+", type=_given, metavar="URL|CATALOGUE", help="see below")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="of the songs; made if need be"
    )
    parser.add_argument(
        "--license",
        default="",
        metavar="NAME",
        help="of songs that come without one, as CC-BY-4.0: you have read it, where it stands",
    )
    parser.add_argument(
        "--any-license", action="store_true", help="fetch what is not known to be open as well"
    )
    parser.add_argument(
        "--verify", action="store_true", help="read the songs that are there and compare checksums"
    )
    parser.add_argument("--again", action="store_true", help="ask again for songs that were damaged, too")
    parser.add_argument(
        "--contact",
        default="",
        metavar="TEXT",
        help="an address that goes into the User-Agent, so that a server's owner can reach you",
    )
    parser.add_argument(
        "--delay",
        type=_not_below_zero,
        default=limits.delay,
        metavar="S",
        help=f"between two requests to a host, default {limits.delay:g} s; robots.txt may ask for more",
    )
    parser.add_argument(
        "--tries",
        type=int,
        choices=range(1, 21),
        default=limits.tries,
        metavar="N",
        help=f"of an address, each after a longer wait, default {limits.tries}",
    )
    parser.add_argument(
        "--timeout",
        type=_above_zero,
        default=limits.read,
        metavar="S",
        help=f"without a byte, default {limits.read:g} s",
    )
    parser.add_argument(
        "--total",
        type=_above_zero,
        default=limits.total,
        metavar="S",
        help=f"for one song, default {limits.total:g} s; the next run goes on with it",
    )
    parser.add_argument(
        "--lowest-speed",
        type=_not_below_zero,
        default=limits.lowest_speed,
        metavar="B",
        help=f"bytes a second over {limits.speed:g} s, default {limits.lowest_speed:g}",
    )
    parser.add_argument("--most-bytes", type=_above_zero, default=limits.most_bytes, metavar="B",
                        help=f"of a song, default {limits.most_bytes:g}")  # fmt: skip


def main(arguments: argparse.Namespace) -> int:
    """Fetch, naming on standard error all that did not come; the exit code."""
    from tqdm import tqdm

    limits = Limits(
        delay=arguments.delay, tries=arguments.tries, read=arguments.timeout, total=arguments.total,
        lowest_speed=arguments.lowest_speed, most_bytes=int(arguments.most_bytes),
    )  # fmt: skip
    states = dict.fromkeys(("fetched", "there", "refused", "damaged", "failed"), 0)
    arrived = 0

    def count(outcome: Outcome) -> None:
        states[outcome.state] += 1
        if outcome.fault:
            word = "not fetched" if outcome.state == "refused" else outcome.state
            with tqdm.external_write_mode():
                complain(f"{word}: {printable(outcome.address)}: {outcome.fault}")

    code = 0
    with Client(limits, contact=arguments.contact) as client:
        try:
            songs: list[Song] = []
            known = listed(arguments.given, client, license=arguments.license)
            for found in tqdm(known, unit="song", desc="listing", delay=0.5, leave=False, disable=None):
                count(found) if isinstance(found, Outcome) else songs.append(found)
            with tqdm(
                total=len(songs), unit="song", desc="fetching", delay=0.5, leave=False, disable=None
            ) as bar:

                def received(size: int) -> None:
                    nonlocal arrived
                    arrived += size
                    bar.set_postfix_str(f"{arrived / 1e6:.1f} MB")

                outcomes = fetch(
                    songs,
                    arguments.out,
                    client=client,
                    verify=arguments.verify,
                    again=arguments.again,
                    any_license=arguments.any_license,
                    received=received,
                )
                for outcome in outcomes:
                    count(outcome)
                    bar.update()
        except DiskFull as error:
            complain(f"stopped: {arguments.out}: {error}; make room and run it again, what came is kept")
            code = 1
        except OSError as error:
            complain(f"stopped: {arguments.out}: {error}")
            code = 1
        except KeyboardInterrupt:
            complain("interrupted; run it again to go on, what came is kept")
            code = 130
    say(
        f"{states['fetched']} songs fetched ({arrived / 1e6:.1f} MB), {states['there']} were there, "
        f"{states['refused']} not openly licensed, {states['damaged']} damaged, {states['failed']} failed"
    )
    return code or int(states["refused"] + states["damaged"] + states["failed"] > 0)
