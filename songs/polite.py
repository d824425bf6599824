"""A client that asks as a guest does: robots.txt, one thing at a time, and every hop looked at.

Conventions
    network    of a host: "public", "private" (with link-local, where clouds keep their keys) or "loopback".
    named      the address that the user gave: what it leads to is never in another network.
    fault      why something cannot be had: one line; it never ends a run.

Sources: RFC 9110 (Retry-After), RFC 9309 (robots.txt).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from audio_distance import __version__
from audio_distance.output import printable
from songs.catalogues import fault_of_address, joined

if TYPE_CHECKING:
    from protego import Protego

AGENT = "audio-distance"  # what robots.txt may call us
PAGE_BYTES = 2**24  # of a page, at most
REDIRECTS = {301, 302, 303, 307, 308}
PASSING = {408, 425, 429, 500, 502, 503, 504}  # statuses that another try may mend


@dataclass(frozen=True)
class Limits:
    """What a download may take. Seconds and bytes.

    delay : between two requests to one host; a longer Crawl-delay of its robots.txt goes before.
    tries, backoff : of one address; the waits between them are backoff, 2 backoff, 4 backoff, ...
    longest_wait : a server that asks for more (Retry-After) is left alone until the next run.
    read : without one byte; ``total`` for one address, all tries together.
    lowest_speed : bytes a second, judged every ``speed`` seconds.
    most_bytes : of a song.
    most_redirects : of an address.
    """

    delay: float = 1.0
    tries: int = 5
    backoff: float = 2.0
    longest_wait: float = 120.0
    connect: float = 15.0
    read: float = 30.0
    total: float = 1800.0
    lowest_speed: float = 1000.0
    speed: float = 30.0
    most_bytes: int = 500_000_000
    most_redirects: int = 10


@dataclass(frozen=True)
class Clock:
    """Of the waits between requests, so that tests need not wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Fault(Exception):
    """Why an address cannot be had; ``again`` if another try may mend it, at the earliest in ``wait`` s."""

    def __init__(self, reason: str, *, again: bool = False, wait: float = 0.0) -> None:
        super().__init__(printable(" ".join(reason.split())))
        self.again, self.wait = again, wait


class Unfit(Fault):
    """What came is not what was wanted: nothing of it is kept, or the next run would go on with it."""


def network_of(host: str) -> str:
    """ "public", "private" or "loopback": the least public of all addresses that a host name stands for.

    A name that is not found counts as public: connecting will say so.
    """
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, ValueError):  # ValueError: a name that cannot be one
        return "public"
    kinds = {_network_of_number(str(number)) for number in found}
    return next(kind for kind in ("loopback", "private", "public") if kind in kinds)


def _network_of_number(number: str) -> str:
    address = ipaddress.ip_address(number.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return "loopback"
    return "public" if address.is_global and not address.is_multicast else "private"


class _Watch:
    """Of one request: ends it when its time is over, and refuses a peer that is in another network.

    The name was looked up before; that it leads elsewhere when the connection is made is an old trick.
    """

    def __init__(self, allowed: Callable[[str], bool], seconds: float) -> None:
        self._allowed, self._socket, self.late = allowed, None, False
        self._timer = threading.Timer(max(seconds, 0.001), self._end)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """What httpcore calls at every event of a request (its extension "trace")."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._socket = info["return_value"].get_extra_info("socket")
            peer = info["return_value"].get_extra_info("server_addr")
            if peer and not self._allowed(peer[0]):
                raise Fault(
                    f"its host name leads to {peer[0]}, which is not in the network of what was asked for"
                )
            if self.late:
                self._end()

    def _end(self) -> None:
        self.late = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class Client:
    """Asks one thing at a time, and never what robots.txt forbids or sooner than a host wants to be asked.

    Parameters
    ----------
    limits, clock
        See there.
    contact : str
        How to reach who runs this, for those who run the servers: it goes into the User-Agent.
    network : callable
        Host name -> network, ``network_of`` but in tests.
    """

    def __init__(self, limits: Limits, *, contact: str = "", clock: Clock | None = None,
                 network: Callable[[str], str] = network_of) -> None:  # fmt: skip
        import httpx

        self.limits, self.clock, self._network = limits, clock or Clock(), network
        reach = f"; {contact}" if contact else ""
        self.agent = f"{AGENT}/{__version__} (songs fetch{reach})"
        self._http = httpx.Client(
            headers={"User-Agent": self.agent, "Accept": "*/*", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(limits.read, connect=limits.connect),
            limits=httpx.Limits(max_keepalive_connections=0),  # each request shows its peer
            follow_redirects=False,  # each hop is looked at
        )
        proxies = {"http_proxy", "https_proxy", "all_proxy"}
        self._proxied = bool(proxies & {name.lower() for name in os.environ})  # then every peer is the proxy
        self._robots: dict[str, Protego | str] = {}  # or why there is none
        self._next: dict[str, float] = {}  # host -> when it may be asked again

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @contextmanager
    def open(self, address: str, *, named: str, headers: Mapping[str, str] | None = None, seconds: float,
             robots: bool = True) -> Iterator[Any]:  # fmt: skip
        """The response at the end of all redirects; its body has not been read. Raises Fault."""
        seen = [address]
        end = time.monotonic() + seconds
        while True:
            self._refuse(seen[-1], named)
            if robots:
                self._obey(seen[-1], named)
            self._take_turn(seen[-1])
            with self._request(seen[-1], named, headers or {}, end - time.monotonic()) as response:
                if response.status_code not in REDIRECTS:
                    yield response
                    return
                target = response.headers.get("location", "")
            if not target:
                raise Fault(f"status {response.status_code} without a place to go to")
            seen.append(joined(seen[-1], target))
            if seen[-1] in seen[:-1]:
                raise Fault(f"redirects for ever: {seen[-1]} leads back to itself")
            if len(seen) > self.limits.most_redirects + 1:
                raise Fault(f"more than {self.limits.most_redirects} redirects, the last to {seen[-1]}")

    def _refuse(self, address: str, named: str) -> None:
        """A redirect, or a page, may lead to what is public or as private as what the user named."""
        if fault := fault_of_address(address):
            raise Fault(f"leads to what is not fetched: {fault}")
        host = urlsplit(address).hostname or ""
        if not self._allowed(host, named):
            raise Fault(
                f"leads to {host} in a {self._network(host)} network, and {urlsplit(named).hostname} is "
                f"{self._network(urlsplit(named).hostname or '')}; likely an attack on this machine's network"
            )

    def _allowed(self, host: str, named: str) -> bool:
        return self._network(host) in {"public", self._network(urlsplit(named).hostname or "")}

    @contextmanager
    def _request(self, address: str, named: str, headers: Mapping[str, str], seconds: float) -> Iterator[Any]:
        import httpx

        def allowed(peer: str) -> bool:
            return self._proxied or self._allowed(peer, named)

        limits = self.limits
        late = f"took longer than {limits.total:g} s, or as a page {4 * limits.read:g} s, tries and all"
        with _Watch(allowed, seconds) as watch:
            try:
                with self._http.stream(
                    "GET", address, headers=dict(headers), extensions={"trace": watch}
                ) as found:
                    yield found
                if watch.late:  # where no length was told, the end of the connection is that of the body
                    raise Fault(late)
            except httpx.ConnectTimeout:
                raise Fault(f"no connection within {limits.connect:g} s", again=True) from None
            except httpx.TimeoutException:
                raise Fault(f"stalled: not one byte for {limits.read:g} s", again=True) from None
            except (httpx.InvalidURL, UnicodeError) as error:
                raise Fault(f"is, or leads to, what is no address: {error}") from None
            except httpx.ConnectError as error:
                raise Fault(f"no connection: {error}", again=True) from None
            except httpx.HTTPError as error:
                if watch.late:
                    raise Fault(late) from None
                raise Fault(f"broke off: {str(error) or type(error).__name__}", again=True) from None

    def _take_turn(self, address: str) -> None:
        """Wait until the host of an address may be asked."""
        host = urlsplit(address).netloc.lower()
        if (wait := self._next.get(host, 0.0) - self.clock.now()) > 0:
            self.clock.sleep(wait)
        self._next[host] = self.clock.now() + max(self.limits.delay, self._crawl_delay(address))

    def hold_off(self, address: str, seconds: float) -> None:
        """Ask nothing of a host for this long."""
        host = urlsplit(address).netloc.lower()
        self._next[host] = max(self._next.get(host, 0.0), self.clock.now() + seconds)

    def _crawl_delay(self, address: str) -> float:
        rules = self._robots.get(_root(address))
        if rules is None or isinstance(rules, str):
            return 0.0
        rate = rules.request_rate(AGENT)
        return max(float(rules.crawl_delay(AGENT) or 0), rate.seconds / rate.requests if rate else 0.0)

    def _obey(self, address: str, named: str) -> None:
        """RFC 9309: no robots.txt (4xx) allows all, one that cannot be had forbids all."""
        root = _root(address)
        if root not in self._robots:
            try:
                self._robots[root] = self._rules(root, named)
            except Fault as fault:
                self._robots[root] = str(fault)
        rules = self._robots[root]
        if isinstance(rules, str):
            raise Fault(f"{root}/robots.txt cannot be had ({rules}), so nothing there may be asked for")
        if not rules.can_fetch(address, AGENT):
            raise Fault(f"{root}/robots.txt forbids {urlsplit(address).path or '/'} to {AGENT}")
        if (delay := self._crawl_delay(address)) > self.limits.longest_wait:
            raise Fault(f"{root}/robots.txt asks for {delay:g} s between requests, more than "
                        f"{self.limits.longest_wait:g} s")  # fmt: skip

    def _rules(self, root: str, named: str) -> Protego:
        # Python's own parser takes the first rule that matches and knows no * and $: the longest counts.
        from protego import Protego

        text, status, _ = self.tried(lambda: self._read(f"{root}/robots.txt", named, robots=False), root)
        return Protego.parse(text if status == 200 else "")

    def _read(
        self, address: str, named: str, *, robots: bool = True, html: bool = False
    ) -> tuple[str | None, int, str]:
        """Text, status and final address; no text of what is no page if ``html`` is asked for."""
        with self.open(address, named=named, seconds=4 * self.limits.read, robots=robots) as response:
            if response.status_code in PASSING or response.status_code >= 500:
                raise fault_of_status(response)
            final = str(response.url)
            if html and "html" not in response.headers.get("content-type", "").lower():
                return None, response.status_code, final
            refuse_encoding(response)
            data = bytearray()
            for piece in response.iter_raw():
                data += piece
                if len(data) > PAGE_BYTES:
                    raise Fault(f"a page of more than {PAGE_BYTES} bytes")
            try:
                text = data.decode(response.charset_encoding or "utf-8", "replace")
            except LookupError:  # a charset that nobody knows
                text = data.decode("utf-8", "replace")
            return text.removeprefix("\ufeff"), response.status_code, final

    def refuse_size(self, count: int | None) -> None:
        """Unfit if a song has, or would have, more bytes than are allowed."""
        if count and count > self.limits.most_bytes:
            raise Unfit(
                f"has {count} bytes or more, and the limit is {self.limits.most_bytes} (--most-bytes)"
            )

    def page(self, address: str, *, named: str) -> tuple[str, str] | None:
        """Text and final address of a page; None of what is no HTML, whose body stays where it is."""
        text, status, final = self.tried(lambda: self._read(address, named, html=True), address)
        if status != 200:
            raise Fault(f"status {status}")
        return None if text is None else (text, final)

    def tried(self, action: Callable[[], Any], address: str) -> Any:
        """What ``action`` returns, tried again after a Fault that may pass, each time after a longer wait."""
        for count in range(self.limits.tries):
            try:
                return action()
            except Fault as fault:
                if not fault.again:
                    raise
                wait = max(fault.wait, self.limits.backoff * 2**count)
                if fault.wait > self.limits.longest_wait:
                    self.hold_off(address, fault.wait)
                    raise Fault(f"{fault}; it asks to wait {fault.wait:g} s, more than "
                                f"{self.limits.longest_wait:g} s: run it again later") from None  # fmt: skip
                if count + 1 == self.limits.tries:
                    raise Fault(f"{fault}; tried {count + 1} times" if count else str(fault)) from None
                self.hold_off(address, wait)
        raise AssertionError("at least one try")


def _root(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def fault_of_status(response: Any) -> Fault:
    """A status that is no success; what Retry-After asks for, in seconds or as a date."""
    again, wait = response.status_code in PASSING, 0.0
    asked = response.headers.get("retry-after", "").strip()
    if asked.isdigit():
        wait = float(asked)
    elif asked:
        with suppress(ValueError, TypeError):
            date = parsedate_to_datetime(asked)
            wait = max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return Fault(f"status {response.status_code} {response.reason_phrase}", again=again, wait=wait)


def refuse_encoding(response: Any) -> None:
    """Nothing is unpacked: what was packed, though asked not to be, may become any size."""
    if (encoding := response.headers.get("content-encoding", "identity").lower()) != "identity":
        raise Fault(f"packed as {printable(encoding)}, which was not asked for and is not unpacked")
