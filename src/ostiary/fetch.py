"""Ask a web server that somebody else named: the address in a certificate, or one that an operator gave.

Such an address may be chosen by an attacker, to have this machine speak to what only this machine can reach (SSRF). So a name is
resolved once, what it resolves to is judged, and exactly that is connected to; every redirect goes the same way again. How long
it may take, how much may come and what is said about it when it fails are limited too.
"""

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import SplitResult, urljoin, urlsplit

import httpcore

from ostiary.errors import Unavailable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
Headers = Sequence[tuple[bytes, bytes]]

REDIRECTS_MAX: Final = 5
WEB_PORTS: Final = (80, 443)
_URL_MAX: Final = 2048
_ADDRESSES_MAX: Final = 4  # of one name, tried in turn
_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_KEEPS_METHOD: Final = frozenset({307, 308})  # RFC 9110 15.4
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")

# What an address outside the open Internet is, and the networks that hold such addresses (IANA's special-purpose registries, and
# the ways of writing an IPv4 address in an IPv6 one, behind which anything can hide). The first that fits names it.
_NOT_PUBLIC: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("this machine", ("127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128")),
    ("a cloud's metadata service", ("169.254.169.254/32", "169.254.170.0/24", "fd00:ec2::254/128", "100.100.100.200/32")),
    ("a link-local address", ("169.254.0.0/16", "fe80::/10")),
    ("a private address", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
    ("an address behind a carrier's NAT", ("100.64.0.0/10",)),
    ("a multicast address", ("224.0.0.0/4", "ff00::/8")),
    ("an IPv4 address in disguise", ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")),
    ("a reserved address", ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4", "100::/64", "5f00::/16")),
    ("an address for examples", ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")),
)
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")  # all of IPv6 that has been given out (RFC 4291 2.4)
_KINDS: Final = tuple((what, ipaddress.ip_network(text)) for what, texts in _NOT_PUBLIC for text in texts)


class NotFetched(Unavailable):
    """It was not fetched. The message says why, and nothing of what the server said but its status."""


@dataclass(frozen=True)
class Limits:
    """How much may come (octets), how long all of it may take (seconds, redirects included), and which ports are asked."""

    size: int
    seconds: float
    ports: tuple[int, ...] = WEB_PORTS


@dataclass(frozen=True)
class Post:
    """What to send instead of only asking."""

    body: bytes = field(repr=False)
    content_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Fetched:
    """What came. `body` is None when it is still what `etag` or `last_modified` name."""

    body: bytes | None = field(repr=False)
    etag: str | None
    last_modified: str | None
    final_url: str


@dataclass(frozen=True)
class _Target:
    """One URL, taken apart once: what is judged is what is asked."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str

    @property
    def place(self) -> str:
        """Where it is, without what might be secret in it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


def system_addresses(host: str, port: int) -> tuple[str, ...]:
    """The addresses this machine's resolver has for a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def addresses(host: str, port: int, allow: Sequence[Network] = (), resolve: Resolve = system_addresses) -> tuple[str, ...]:
    """The addresses of a server that somebody named, where all of them may be asked. Raises `NotFetched`.

    For whoever then speaks something else than HTTP: exactly these are to be connected to.
    """
    if not _is_host(host):
        raise NotFetched("there is no host name that can be asked.")
    return tuple(map(str, _judged(_Target("https", host, port, ""), allow, resolve)))


def deliver(
    url: str,
    *,
    post: Post,
    headers: Mapping[str, str],
    limits: Limits,
    allow: Sequence[Network] = (),
    resolve: Resolve = system_addresses,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Hand something to `url` by POST; the status of the answer. What is in it is not looked at, and no redirect followed.

    Without TLS only to networks in `allow`. Any port, as whoever gave the address said which. Raises `NotFetched`.
    """
    target = _target(url)
    judged = _judged(target, allow, resolve)
    if target.scheme == "http" and not all(_within(one, allow) for one in judged):
        raise NotFetched(f"{target.place}: http is not encrypted, and that address is not in your own networks; use https.")
    every = [*_headers(post, None, None), *((name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items())]
    answer = _ask(target, judged, post, every, limits, _Deadline(limits.seconds), tls, _status)
    return answer.status


def place_of(url: str) -> str:
    """Where a URL leads, without what might be secret in it. Raises `NotFetched` for what is none."""
    return _target(url).place


def fetch(
    url: str,
    *,
    limits: Limits,
    allow: Sequence[Network] = (),
    post: Post | None = None,
    etag: str | None = None,
    last_modified: str | None = None,
    resolve: Resolve = system_addresses,
    tls: ssl.SSLContext | None = None,
) -> Fetched:
    """Ask for `url`, by GET or, with `post`, by POST. `allow` are networks outside the open Internet that may be asked too.

    With `etag` or `last_modified` of an earlier answer the body comes only if it changed. `tls` is who may vouch for an https
    server, in place of the authorities this system trusts. Raises `NotFetched`. How long a name server may take is the resolver's
    own setting (resolv.conf); all that comes after is within `limits.seconds`.
    """
    deadline = _Deadline(limits.seconds)
    headers = _headers(post, etag, last_modified)
    target, asked_as = _target(url), url
    for _ in range(REDIRECTS_MAX + 1):
        _refuse_port(target, limits)
        judged = _judged(target, allow, resolve)
        answer = _ask(target, judged, post, headers, limits, deadline, tls, _read)
        if answer.location is None:
            return Fetched(answer.body, answer.etag, answer.last_modified, asked_as)
        if post is not None and answer.status not in _KEEPS_METHOD:
            raise NotFetched(f"{target.place} redirects a question ({answer.status}); give the address it leads to.")
        asked_as = _led_to(asked_as, answer.location)
        before, target = target, _target(asked_as)
        if before.scheme == "https" and target.scheme != "https":
            raise NotFetched(f"{before.place} redirects to plain http; give the address it leads to, if that is meant.")
    raise NotFetched(f"{target.place}: more than {REDIRECTS_MAX} redirects.")


class _Deadline:
    """By when everything must have happened."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left. Raises what a connection that took too long raises."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left


class _Timed(httpcore.NetworkStream):
    """A connection on which every wait ends at the deadline, however slowly the other side keeps it busy."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 (the deadline takes its place)
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 (as above)
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 (as above)
    ) -> httpcore.NetworkStream:
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, self._deadline.left()), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Pinned(httpcore.NetworkBackend):
    """Connects to the addresses that were judged, whatever the name may resolve to by now."""

    def __init__(self, addresses: Sequence[Address], deadline: _Deadline) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 (judged already)
        port: int,
        timeout: float | None = None,  # noqa: ARG002 (the deadline takes its place)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        refused: Exception = httpcore.ConnectError()
        for number, address in enumerate(self._addresses):
            others = len(self._addresses) - number  # an address that does not answer leaves the others their share of the time
            try:
                stream = self._network.connect_tcp(
                    str(address), port, self._deadline.left() / others, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refused = error
            else:
                return _Timed(stream, self._deadline)
        raise refused


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes | None = field(repr=False)
    etag: str | None
    last_modified: str | None
    location: str | None


def _target(url: str) -> _Target:
    """Take a URL apart. Raises `NotFetched` for what is not a plain http or https one."""
    if len(url) > _URL_MAX or not url.isascii() or any(not "!" <= character <= "~" for character in url) or "\\" in url:
        raise NotFetched("the address is not a URL of at most 2048 ASCII characters without blanks; write other names as xn--….")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise NotFetched("the address is not a URL that can be read.") from None
    if parts.scheme not in _PORTS:
        raise NotFetched(_other_scheme(parts))
    if "@" in parts.netloc:
        raise NotFetched("the address holds a user name or password, which is not sent; leave it out.")
    if not _is_host(host):
        raise NotFetched("the address has no host name that can be asked.")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(scheme, host, _PORTS[scheme] if port is None else port, path)


def _led_to(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise NotFetched("a redirect leads to what is not a URL.") from None


def _other_scheme(parts: SplitResult) -> str:
    if parts.scheme in {"ldap", "ldaps"}:
        return "the address is an LDAP one, which is not asked; have the list published over http, or upload it."
    return "the address is neither an http nor an https URL."


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host).scope_id is None
        except ValueError:
            return False
    return bool(_HOST.fullmatch(host))


def _refuse_port(target: _Target, limits: Limits) -> None:
    if target.port not in limits.ports:
        raise NotFetched(
            f"{target.place}: only ports {', '.join(map(str, limits.ports))} are asked; allow {target.port} too if that is meant."
        )


def _judged(target: _Target, allow: Sequence[Network], resolve: Resolve) -> tuple[Address, ...]:
    """The addresses to connect to. A name with any address that may not be asked is refused whole: so looks rebinding."""
    try:
        addresses = tuple(map(ipaddress.ip_address, resolve(target.host, target.port)))
    except (OSError, UnicodeError, ValueError):
        raise NotFetched(f"{target.place}: the name cannot be resolved.") from None
    if not addresses:
        raise NotFetched(f"{target.place}: the name has no address.")
    for address in addresses:
        refusal = _refusal(address, allow)
        if refusal:
            raise NotFetched(f"{target.place} is {refusal} ({address}), which is not asked; allow its network if that is meant.")
    return addresses[:_ADDRESSES_MAX]


def _refusal(address: Address, allow: Sequence[Network]) -> str | None:
    """What an address is that may not be asked; None when it may."""
    if _within(address, allow):
        return None
    for what, network in _KINDS:
        if network.version == address.version and address in network:
            return what
    is_public = address.is_global and (address.version == 4 or address in _GLOBAL_UNICAST)
    return None if is_public else "an address outside the open Internet"


def _headers(post: Post | None, etag: str | None, last_modified: str | None) -> Headers:
    # `identity`: what is counted is what is handed on, so nothing small can unpack into something huge.
    given = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "ostiary", "Connection": "close"}
    if post is not None:
        given |= {"Content-Type": post.content_type, "Content-Length": str(len(post.body))}
    if etag is not None:
        given["If-None-Match"] = etag
    if last_modified is not None:
        given["If-Modified-Since"] = last_modified
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in given.items()]


def _ask(
    target: _Target,
    addresses: Sequence[Address],
    post: Post | None,
    headers: Headers,
    limits: Limits,
    deadline: _Deadline,
    tls: ssl.SSLContext | None,
    read: Callable[[_Target, httpcore.Response, Limits], _Answer],
) -> _Answer:
    """One request, on a connection of its own."""
    origin = httpcore.Origin(target.scheme.encode(), target.host.encode(), target.port)
    url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=target.port, target=target.path.encode("ascii"))
    backend = _Pinned(addresses, deadline)
    context = (tls or ssl.create_default_context()) if target.scheme == "https" else None  # made only for use: it costs 20 ms
    method, content = ("GET", None) if post is None else ("POST", post.body)
    try:
        with (
            httpcore.HTTPConnection(origin, context, network_backend=backend) as connection,
            connection.stream(method, url, headers=headers, content=content) as response,
        ):
            return read(target, response, limits)
    except (httpcore.TimeoutException, TimeoutError):
        raise NotFetched(f"{target.place} did not answer within {limits.seconds:g} seconds.") from None
    except (httpcore.NetworkError, ssl.SSLError, OSError) as error:
        raise NotFetched(f"{target.place}: {_why(error)}.") from None
    except (httpcore.ProtocolError, UnicodeError):
        raise NotFetched(f"{target.place} answered with something that is not HTTP.") from None


def _read(target: _Target, response: httpcore.Response, limits: Limits) -> _Answer:
    status = response.status
    # Header names are compared without case (RFC 9110 5.1); latin-1 maps every octet.
    found: Mapping[str, str] = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    etag, last_modified = found.get("etag"), found.get("last-modified")
    if status in _REDIRECTS and "location" in found:
        return _Answer(status, None, None, None, found["location"])
    if status == 304:
        return _Answer(status, None, etag, last_modified, None)
    if status != 200:
        raise NotFetched(f"{target.place} answered with status {status}.")
    if found.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise NotFetched(f"{target.place} answered with packed content, though it was asked not to.")
    body = bytearray()
    for piece in response.iter_stream():
        body += piece
        if len(body) > limits.size:
            raise NotFetched(f"{target.place} answered with more than {limits.size // 1024} KiB.")
    return _Answer(status, bytes(body), etag, last_modified, None)


def _status(_target: _Target, response: httpcore.Response, _limits: Limits) -> _Answer:
    return _Answer(response.status, None, None, None, None)


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _why(error: Exception) -> str:
    """What went wrong with a connection, without quoting the other side."""
    root: BaseException | None = error
    while root is not None:
        if isinstance(root, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({root.verify_message})"
        if isinstance(root, ssl.SSLError):
            return "TLS failed"
        if isinstance(root, OSError) and root.strerror:
            return f"no connection ({root.strerror})"
        root = root.__cause__ or root.__context__
    return "the connection broke"
