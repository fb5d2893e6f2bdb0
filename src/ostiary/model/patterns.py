"""How rules write names, hosts and paths: plain text, with a star where anything may stand, and only where that is no trap."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN: Final = re.compile(rf"(?:\*\*?\.)?{_LABEL}(?:\.{_LABEL})*\.?")
_ADDRESS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]{2,45}\]")
_PRINTABLE: Final = re.compile(r"[!-~]+")
_SPIFFE: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}(?:/[A-Za-z0-9._-]+)*(?:/\*)?")
_DOT_SEGMENT: Final = re.compile(r"/\.{1,2}(?:/|$)")


def _domain(text: str) -> str:
    if not _DOMAIN.fullmatch(text):
        raise ValueError(
            f"'{text}' is not a DNS name such as a.test, *.a.test (one label more) or **.a.test (all below); "
            "a star stands for whole labels and only in front"
        )
    return text.lower().rstrip(".")


def _host(text: str) -> str:
    return text.lower() if _ADDRESS.fullmatch(text) else _domain(text)


def _stars(text: str) -> str:
    """At most one star, at the start or at the end."""
    if "*" in text[1:-1] or text.count("*") > 1:
        raise ValueError(f"'{text}': a star may stand at the start or at the end, once")
    return text


def _uri(text: str) -> str:
    if not _PRINTABLE.fullmatch(text) or "," in text:
        raise ValueError(f"'{text}' is not a URI: no blanks, no commas, ASCII only")
    if text == "*":
        return text
    if text.endswith("*") and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:(?://[^/*]+/|[^/*])", text):
        raise ValueError(f"'{text}': name at least the scheme and the whole authority, such as spiffe://domain/*")
    return _stars(text)


def _email(text: str) -> str:
    if not _PRINTABLE.fullmatch(text) or "," in text or text.count("@") != 1:
        raise ValueError(f"'{text}' is not an e-mail address such as ann@a.test or *@a.test")
    if text.startswith("*") and not text.startswith("*@"):
        raise ValueError(f"'{text}': *@a.test is everybody there; a star within a name is not understood")
    if "*" in text.partition("@")[2]:
        raise ValueError(f"'{text}': the part after @ is written whole")
    return _stars(text).lower()


def _spiffe(text: str) -> str:
    if not _SPIFFE.fullmatch(text):
        raise ValueError(f"'{text}' is not a SPIFFE id such as spiffe://domain/path, or spiffe://domain/* for all below")
    return text


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"'{text}' is not a path: it begins with /")
    if not _PRINTABLE.fullmatch(text) or any(sign in text for sign in "?#;\\"):
        raise ValueError(f"'{text}': a path without query, fragment and ;parameters, ASCII only")
    if "*" in text[:-1]:
        raise ValueError(f"'{text}': a star may stand at the end only")
    if "//" in text or _DOT_SEGMENT.search(text):
        raise ValueError(f"'{text}': paths are compared after // and /../ were resolved, so this would never fit")
    if re.search(r"%(?![0-9A-F]{2})|%(?:2F|5C|2E|2D|5F|7E|3[0-9]|4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A])", text):
        raise ValueError(f"'{text}': write plain characters as they are, others as %XX in capitals (never %2F, %5C)")
    return text


def _name(text: str) -> str:
    if any(ord(sign) < 0x20 or ord(sign) == 0x7F for sign in text):
        raise ValueError("control characters are not allowed")
    return _stars(text)


_LIMITED: Final = StringConstraints(min_length=1, max_length=255)
HostPattern = Annotated[str, _LIMITED, AfterValidator(_host)]
DNSPattern = Annotated[str, _LIMITED, AfterValidator(_domain)]
URIPattern = Annotated[str, StringConstraints(min_length=1, max_length=512), AfterValidator(_uri)]
EmailPattern = Annotated[str, _LIMITED, AfterValidator(_email)]
SPIFFEPattern = Annotated[str, StringConstraints(min_length=1, max_length=512), AfterValidator(_spiffe)]
PathPattern = Annotated[str, StringConstraints(min_length=1, max_length=512), AfterValidator(_path)]
NamePattern = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_name)]
