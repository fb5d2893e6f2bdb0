"""How long the access record is kept, and where else it goes: what `ostiary up` is told, and leaves for the gateway's keeper.

The keeper outlives whoever started it. So it reads this from a file of the data directory (`Paths.recording`), and again when
that has changed. No secret is in it: what a collector wants to see is in files of its own, which are only named here.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from ostiary.errors import Invalid

Kind = Literal["udp", "tcp", "tls", "otlp"]

MIB: Final = 1024 * 1024
_LARGEST_MIB: Final = 1024
_MOST_FILES: Final = 100_000
_LONGEST_SPAN: Final = timedelta(days=3660)
_MOST_TARGETS: Final = 8
_LONGEST_URL: Final = 2048
_SPAN: Final = re.compile(r"(\d{1,5})([mhdw])")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_EXPORT: Final = "--access-log-export"

# Scheme → kind, whether over TLS, and the port where none is named (RFC 5426, 6587, 5425; OTLP goes by its web server's).
_SCHEMES: Final[Mapping[str, tuple[Kind, bool, int]]] = {
    "syslog+udp": ("udp", False, 514),
    "syslog+tcp": ("tcp", False, 601),
    "syslog+tls": ("tls", True, 6514),
    "otlp+http": ("otlp", False, 80),
    "otlp+https": ("otlp", True, 443),
}
_FACILITIES: Final[Mapping[str, int]] = {
    "user": 1,
    "daemon": 3,
    "auth": 4,
    "authpriv": 10,
    "audit": 13,
    **{f"local{number}": 16 + number for number in range(8)},
}


@dataclass(frozen=True)
class Target:
    """Where the record is sent too. `name` is its URL without options: by it, what was sent already is remembered.

    `ca_file` is whom to trust in place of the system's authorities; `certificate_file` and `key_file` are what to show;
    `headers_file` has a header a line, such as `Authorization: Bearer …`. `facility` is syslog's.
    """

    name: str
    kind: Kind
    host: str
    port: int
    path: str = ""
    tls: bool = False
    facility: int = _FACILITIES["local0"]
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    headers_file: Path | None = None

    @property
    def url(self) -> str:
        """As `target` reads it."""
        files = {"ca": self.ca_file, "cert": self.certificate_file, "key": self.key_file, "headers": self.headers_file}
        options = [f"{name}={file}" for name, file in files.items() if file is not None]
        if self.kind != "otlp":
            options.append(next(f"facility={name}" for name, number in _FACILITIES.items() if number == self.facility))
        return "#".join((self.name, ",".join(options))) if options else self.name


@dataclass(frozen=True)
class Recording:
    """A file of the record grows to `largest` octets and gets as old as `max_age`; `files` of them are kept, for `keep`."""

    largest: int = 32 * MIB
    max_age: timedelta = timedelta(days=1)
    keep: timedelta = timedelta(days=90)
    files: int = 100
    exports: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        """Raises `Invalid`, naming the option."""
        _within("--access-log-max-mib", self.largest, MIB, _LARGEST_MIB * MIB, f"1 to {_LARGEST_MIB} MiB")
        _within("--access-log-max-age", self.max_age, timedelta(minutes=1), _LONGEST_SPAN, "1m to 3660d")
        _within("--access-log-keep", self.keep, timedelta(minutes=1), _LONGEST_SPAN, "1m to 3660d")
        _within("--access-log-keep-files", self.files, 2, _MOST_FILES, f"2 to {_MOST_FILES}")
        if len(self.exports) > _MOST_TARGETS:
            raise Invalid(_EXPORT, f"at most {_MOST_TARGETS} targets")
        names = [one.name for one in self.exports]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise Invalid(_EXPORT, f"{twice} is there twice; give each target once")

    def dump(self) -> bytes:
        """For `load`."""
        return json.dumps(
            {
                "largest": self.largest,
                "max_age": self.max_age.total_seconds(),
                "keep": self.keep.total_seconds(),
                "files": self.files,
                "exports": [one.url for one in self.exports],
            }
        ).encode()


def load(content: bytes) -> Recording:
    """What `dump` wrote, also by an older or newer version: what it does not say is as usual. Raises `Invalid`."""
    try:
        said: Any = json.loads(content)
        usual = Recording()
        return Recording(
            largest=int(said.get("largest", usual.largest)),
            max_age=timedelta(seconds=said.get("max_age", usual.max_age.total_seconds())),
            keep=timedelta(seconds=said.get("keep", usual.keep.total_seconds())),
            files=int(said.get("files", usual.files)),
            exports=tuple(map(target, said.get("exports", ()))),
        )
    except (ValueError, TypeError, AttributeError, OverflowError) as err:
        raise Invalid("recording", "cannot be read") from err


def span(text: str, option: str) -> timedelta:
    """`30m`, `24h`, `7d`, `4w`. Raises `Invalid` naming the option."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise Invalid(option, f"'{text}' is no time such as 30m, 24h, 7d or 4w")
    return int(found[1]) * _UNITS[found[2]]


def target(url: str) -> Target:
    """`syslog+tls://logs.example:6514#ca=/etc/ca.pem,facility=local4`, `otlp+https://otel.example:4318/v1/logs#headers=FILE`.

    Options stand in the fragment, which is sent to nobody. Raises `Invalid`, without quoting what may be a secret.
    """
    if len(url) > _LONGEST_URL or not url.isascii() or not all("!" <= one <= "~" for one in url):
        raise Invalid(_EXPORT, f"a URL of at most {_LONGEST_URL} ASCII characters without blanks is needed")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Invalid(_EXPORT, "this is no URL") from None
    if parts.scheme not in _SCHEMES:
        raise Invalid(_EXPORT, f"it begins with none of {', '.join(f'{scheme}://' for scheme in _SCHEMES)}")
    if "@" in parts.netloc or "?" in url.partition("#")[0]:
        raise Invalid(_EXPORT, "a URL with a password, a token or a query would show it to others; use #headers=FILE")
    kind, tls, usual_port = _SCHEMES[parts.scheme]
    if not host or port == 0:
        raise Invalid(_EXPORT, f"{parts.scheme}:// needs a HOST, and may have a :PORT from 1 to 65535")
    path = (parts.path if parts.path not in {"", "/"} else "/v1/logs") if kind == "otlp" else ""
    if kind != "otlp" and parts.path not in {"", "/"}:
        raise Invalid(_EXPORT, f"{parts.scheme}:// has no path")
    port = usual_port if port is None else port
    name = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}{path}"
    options = _options(parts)
    given = {option: Path(value).absolute() for option, value in options.items() if option != "facility"}
    _refuse_what_does_not_fit(kind, parts.scheme, options, tls=tls)
    return Target(
        name=name,
        kind=kind,
        host=host,
        port=port,
        path=path,
        tls=tls,
        facility=_FACILITIES[options.get("facility", "local0")],
        ca_file=given.get("ca"),
        certificate_file=given.get("cert"),
        key_file=given.get("key"),
        headers_file=given.get("headers"),
    )


def _options(parts: SplitResult) -> dict[str, str]:
    options: dict[str, str] = {}
    for option in filter(None, parts.fragment.split(",")):
        name, _, value = option.partition("=")
        if name not in {"ca", "cert", "key", "headers", "facility"} or not value or name in options:
            raise Invalid(_EXPORT, "after the # stand ca=FILE, cert=FILE, key=FILE, headers=FILE or facility=NAME, with commas")
        options[name] = value
    if options.get("facility", "local0") not in _FACILITIES:
        raise Invalid(_EXPORT, f"facility is one of {', '.join(_FACILITIES)}")
    return options


def _refuse_what_does_not_fit(kind: Kind, scheme: str, options: Mapping[str, str], *, tls: bool) -> None:
    if not tls and options.keys() & {"ca", "cert", "key"}:
        raise Invalid(_EXPORT, f"ca, cert and key are for TLS, which {scheme}:// does not speak")
    if ("cert" in options) != ("key" in options):
        raise Invalid(_EXPORT, "cert and key go together")
    if kind != "otlp" and "headers" in options:
        raise Invalid(_EXPORT, "headers are for otlp+https:// and otlp+http://")
    if kind == "otlp" and "facility" in options:
        raise Invalid(_EXPORT, "facility is for syslog")


def _within(option: str, value: Any, least: Any, most: Any, words: str) -> None:
    if not least <= value <= most:
        raise Invalid(option, f"it must be {words}")
