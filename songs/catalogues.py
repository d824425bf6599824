"""What may be fetched: lists of songs, pages that list them, and their licences.

Conventions
    address    of a song or page, http or https; a song is known by its address, whatever it is called.
    named      the address that the user gave, which led to a song.
    ""         what a catalogue does not say.

Sources: schema.org (AudioObject, MusicRecording), the pages of the Free Music Archive (``data-track-info``).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urldefrag, urljoin, urlsplit

from audio_distance.errors import AudioError
from audio_distance.output import printable

EXTENSIONS = {
    "wav": "wav", "w64": "w64", "aiff": "aiff", "caf": "caf", "au": "au",
    "mpeg": "mp3", "adts": "aac", "mp4": "m4a", "ogg": "ogg", "flac": "flac",
}  # fmt: skip


@dataclass(frozen=True)
class Song:
    """What a catalogue says of a song; "" where it says nothing."""

    address: str
    artist: str = ""
    title: str = ""
    genre: str = ""
    license: str = ""
    sha256: str = ""  # checked if it is stated
    page: str = ""  # of the song, where its licence may stand
    named: str = ""  # by the user; "": the address itself

    @property
    def key(self) -> str:
        return hashlib.sha256(self.address.encode("utf-8", "surrogateescape")).hexdigest()[:16]


_CC_ADDRESS = re.compile(
    r"(https?:)?//(www\.)?creativecommons\.org/(licenses/by(-nc)?(-nd|-sa)?(-nc)?/|publicdomain/(zero|mark)/|"
    r"licenses/publicdomain)",
    re.I,
)
_VERSION = (
    r"( v?\d(\.\d)?( international| unported| generic| universal| united (states|kingdom)| [a-z]{2})*)?"
    r"( public domain dedication)?( licen[sc]e)?( deed)?"
)
_TERMS = (
    r"( non ?commercial)?( no ?deriv(s|ative|atives)?( works)?| share ?alike)?( non ?commercial)?"
    r"( aka music sharing)?"
)
_OPEN = re.compile(
    rf"cc by( nc)?( nd| sa)?( nc)?{_VERSION}|(cc )?attribution{_TERMS}{_VERSION}"
    rf"|cc ?(0|zero){_VERSION}|(cc )?(pd|pdm|public domain)( mark| dedication)?{_VERSION}"
    r"|(gnu )?[al]?gpl( ?v?\d(\.\d)?)?\+?( only| or later)?|gfdl( \d\.\d)?|(mit|isc|apache|bsd)( license)?"
    r"|expat|bsd \d clause|apache 2\.0|oga by( \d\.\d)?|free art( license)?( \d\.\d)?|licence art libre"
    r"|lal( \d\.\d)?|unlicense",
    re.I,
)


def is_open(license: str) -> bool:
    """Whether a licence, stated as an address or by its name, lets everybody copy the song.

    Creative Commons with all its conditions, CC0, public domain, and the licences of free software, which
    games give their music. Sampling licences, which forbid copies of the whole, are not; nor is what only
    mentions such a name ("not in the public domain").
    """
    text = license.strip()
    if _CC_ADDRESS.match(text):
        return True
    name = re.sub(r"[\s_/(),-]+", " ", text).strip()
    name = re.sub(r"^creative commons (cc ?)?", "cc ", name, flags=re.I)
    return bool(_OPEN.fullmatch(name))


def songs_of_file(path: Path, *, license: str = "") -> list[Song]:
    """The songs of a list: .csv, .tsv, .json, .jsonl with columns url, artist, title, genre, license, sha256;
    any other file has one address a line, and comments behind #.

    ``license`` is that of songs which state none. Raises AudioError naming file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AudioError(f"{path}: cannot be read as a list ({error})") from None
    kind = path.suffix.lower()
    try:
        if kind in {".csv", ".tsv"}:
            table = csv.DictReader(io.StringIO(text, newline=""), delimiter="," if kind == ".csv" else "\t")
            rows: list[Any] = list(table)
            if "url" not in (table.fieldnames or ()):
                raise AudioError(
                    f"{path}: has no column url, only {', '.join(table.fieldnames or ['nothing'])}"
                )
        elif kind == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        elif kind == ".json":
            held = json.loads(text)
            rows = held if isinstance(held, list) else next(filter(_is_list, held.values()), [])
        else:
            lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
            rows = [{"url": line} for line in lines if line]
    except (ValueError, AttributeError, csv.Error) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"{path}: is no {kind[1:]} ({error}); likely cut off, or another format") from None
    songs = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not isinstance(row.get("url"), str) or not row["url"].strip():
            raise AudioError(f"{path}: entry {number} has no url")
        address = row["url"].strip()
        if fault := fault_of_address(address):
            raise AudioError(f"{path}: entry {number}: {fault}")
        told = {name: _line(row.get(name)) for name in ("artist", "title", "genre", "license", "sha256")}
        told["license"] = told["license"] or license
        songs.append(Song(urldefrag(address).url, **told))
    return songs


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _line(value: object) -> str:
    """Text of a catalogue in one line; names in a dict or list of schema.org are taken out of it."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("@id") or value.get("url")
    if isinstance(value, list):
        return ", ".join(filter(None, map(_line, value)))
    return " ".join(str(value).split()) if value else ""


def fault_of_address(address: str) -> str:
    """Why an address cannot be fetched, "" if it can."""
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        return f"{printable(address)} is no address ({error})"
    if parts.scheme not in {"http", "https"}:
        return f"{printable(address)} is neither http nor https"
    if not host or port == 0:
        return f"{printable(address)} names no host"
    if parts.username or parts.password:
        return f"an address of {host} carries a password; what is openly licensed needs none"
    return ""


class Listed(NamedTuple):
    """What a page lists: songs, and the address of the next page, "" on the last."""

    songs: list[Song]
    following: str


def songs_of_page(text: str, address: str, *, named: str = "") -> Listed:
    """The songs that an HTML page lists, in its order, each address once.

    Four ways of saying it are known, and one page may mix them:

    1. ``<div data-track-info='{"title", "artistName", "fileUrl" or "downloadUrl", "url"}'>``, as on the Free
       Music Archive. Its lists state no licence; the page of the song does, to which "url" leads.
    2. JSON-LD: an AudioObject or MusicRecording with contentUrl (or audio), name, byArtist, genre, license.
    3. The same as microdata: itemscope, itemtype and itemprop.
    4. A row (li, tr, article) that holds one link to a sound file; artist and title have such a class.

    A licence is a link with ``rel="license"`` or to Creative Commons, inside the element of the song.
    """
    from bs4 import BeautifulSoup

    page = BeautifulSoup(text, "html.parser")
    found: list[dict[str, str]] = []
    for script in page.select('script[type="application/ld+json"]'):
        with suppress(ValueError):
            found += _linked_data(json.loads(script.get_text()))
    for item in page.select("[data-track-info]"):
        with suppress(ValueError, AttributeError):
            info = json.loads(item["data-track-info"])
            told = {"address": info.get("fileUrl") or info.get("downloadUrl") or info.get("playbackUrl"),
                    "artist": info.get("artistName"), "title": info.get("title"), "page": info.get("url"),
                    "genre": info.get("genre") or _text(item, '.ptxt-genre, [class*="genre"]'),
                    "license": info.get("license") or license_in(item)}  # fmt: skip
            found.append({name: _line(value) for name, value in told.items()})
    for item in page.select('[itemtype$="/AudioObject"], [itemtype$="/MusicRecording"]'):
        told = {name: _property(item, *properties) for name, properties in _PROPERTIES.items()}
        found.append({**told, "license": told["license"] or license_in(item)})
    for item in page.select("li, tr, article"):
        links = {link["href"]: link for link in item.select("a[href], audio[src], source[src]")
                 if link.get("href") and is_sound_address(link["href"])}  # fmt: skip
        if len(links) == 1:
            ((target, link),) = links.items()
            found.append({
                "address": target, "artist": _text(item, '[class*="artist"]'),
                "title": _text(item, '[class*="title"]') or _line(link.get_text()),
                "genre": _text(item, '[class*="genre"]'), "license": license_in(item),
            })  # fmt: skip
    songs: dict[str, Song] = {}
    for told in found:
        if not told["address"]:
            continue
        told.update({name: joined(address, told[name]) for name in ("address", "page") if told.get(name)})
        song = Song(**told, named=named or address)
        before = songs.setdefault(song.address, song)  # the more exact way of saying it comes first,
        songs[song.address] = Song(  # the others fill what it leaves open
            **{name: value or getattr(song, name) for name, value in asdict(before).items()}
        )
    following = page.select_one('link[rel~="next"][href], a[rel~="next"][href]')
    return Listed(list(songs.values()), joined(address, following["href"]) if following else "")


def joined(base: str, address: str) -> str:
    """An address in full; what is none stays as it is, and is refused when its turn comes."""
    try:
        return urldefrag(urljoin(base, address)).url
    except ValueError:
        return address


_PROPERTIES = {
    "address": ("contentUrl", "audio", "url"),
    "artist": ("byArtist", "creator"),
    "title": ("name",),
    "genre": ("genre",),
    "license": ("license",),
}  # of schema.org


def is_sound_address(address: str) -> bool:
    suffix = address.partition("?")[0].partition("#")[0].rpartition(".")[2].lower()
    return suffix in {*EXTENSIONS.values(), "opus", "oga", "aif", "aifc", "wave", "mp4"}


def _text(item: Any, selector: str) -> str:
    found = item.select_one(selector)
    return _line(found.get_text()) if found else ""


def _property(item: Any, *names: str) -> str:
    """The first of these itemprops that is stated: its content, address or text."""
    for name in names:
        if found := item.select_one(f'[itemprop~="{name}"]'):
            value = found.get("content") or found.get("href") or found.get("src")
            if text := _line(value or _text(found, '[itemprop~="name"]') or found.get_text()):
                return text
    return ""


def _linked_data(value: Any) -> Iterator[dict[str, str]]:
    """The recordings anywhere in JSON-LD."""
    if isinstance(value, list):
        for part in value:
            yield from _linked_data(part)
    if not isinstance(value, dict):
        return
    kinds = value.get("@type")
    if {"AudioObject", "MusicRecording"} & set(kinds if _is_list(kinds) else [kinds]):
        audio = value.get("audio")
        audio = audio[0] if audio and _is_list(audio) else audio
        inner = audio if isinstance(audio, dict) else {"contentUrl": audio}
        both = {**inner, **{name: given for name, given in value.items() if given}}
        yield {
            "address": _line(both.get("contentUrl") or both.get("url")), "title": _line(both.get("name")),
            "artist": _line(both.get("byArtist") or both.get("creator")), "genre": _line(both.get("genre")),
            "license": _line(both.get("license")),
        }  # fmt: skip
        return
    for part in value.values():
        yield from _linked_data(part)


def license_in(item: Any) -> str:
    """The licence that an element links to, "" if there is none or several that differ."""
    stated = {link["href"] for link in item.select('a[rel~="license"][href], link[rel~="license"][href]')}
    linked = {link["href"] for link in item.select("a[href]") if _CC_ADDRESS.match(link["href"])}
    found = {address.rstrip("/") + "/" for address in stated or linked}
    return found.pop() if len(found) == 1 else ""
