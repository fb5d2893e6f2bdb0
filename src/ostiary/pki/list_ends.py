"""When revocation lists end, read from the beginning of each: one may have a million entries, and its times come before them."""

import base64
import binascii
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from ostiary.pki.der import GENERALIZED_TIME, INTEGER, UTC_TIME

# Signed by a key that was thrown away, for an authority that nobody trusts. An engine that is given any list refuses the clients
# of each authority it has no list of; given none at all, it would ask nobody's.
NOBODYS_LIST: Final = """\
-----BEGIN X509 CRL-----
MIG8MGUCAQEwCgYIKoZIzj0EAwIwJjEkMCIGA1UEAwwbb3N0aWFyeTogbm8gcmV2
b2NhdGlvbiBsaXN0Fw0wMDAxMDEwMDAwMDBaFw0wMDAxMDIwMDAwMDBaoA4wDDAK
BgNVHRQEAwIBATAKBggqhkjOPQQDAgNHADBEAiAlTUhmO9WxlHHJ5u8HIFI1kaZJ
8kyGiYJ3hd7iOizFQQIgQ+Bl6GC6rH6DcyOR+BgfXfgDIpC+g38oZILy0l1jkx0=
-----END X509 CRL-----
"""
_BEGIN: Final = "-----BEGIN X509 CRL-----"
_END: Final = "-----END X509 CRL-----"
_BEGINNING: Final = 8192  # characters; what stands before the times is an algorithm and a name
_TIMES: Final = {UTC_TIME: "%y%m%d%H%M%SZ", GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}


def earliest(lists: str) -> datetime | None:
    """When the first of these PEM lists ends; None where none does. Who verifies by them then knows of one issuer no longer."""
    return min((end for end in map(_end, _blocks(lists)) if end is not None), default=None)


def _blocks(lists: str) -> Iterator[str]:
    """The base64 text of each list."""
    at = lists.find(_BEGIN)
    while at >= 0:
        start = at + len(_BEGIN)
        stop = lists.find(_END, start)
        yield lists[start : stop if stop >= 0 else len(lists)]
        at = lists.find(_BEGIN, start)


def _end(text: str) -> datetime | None:
    try:
        return _next_update(_decoded(text[:_BEGINNING]))
    except (ValueError, IndexError):
        pass  # A name longer than that, or an old way to write it: read the whole.
    from cryptography import x509  # noqa: PLC0415 (slow to load, and hardly ever)

    from ostiary.pki import pem  # noqa: PLC0415 (likewise)

    try:
        return x509.load_der_x509_crl(_decoded(text)).next_update_utc
    except pem.MALFORMED:
        return None


def _decoded(text: str) -> bytes:
    plain = "".join(text.split())
    try:
        return base64.b64decode(plain[: len(plain) // 4 * 4], validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _next_update(der: bytes) -> datetime | None:
    """RFC 5280 5.1: CertificateList, TBSCertList, [version], signature, issuer, thisUpdate, [nextUpdate]."""
    at = _content(der, _content(der, 0))
    if der[at] == INTEGER:
        at = _after(der, at)
    at = _after(der, _after(der, at))
    if der[at] not in _TIMES:
        raise ValueError("a time is expected")
    at = _after(der, at)
    form = _TIMES.get(der[at])
    if form is None:
        return None
    return datetime.strptime(der[_content(der, at) : _after(der, at)].decode("ascii"), form).replace(tzinfo=UTC)


def _content(der: bytes, at: int) -> int:
    """Where the content of the value at this place begins."""
    length = der[at + 1]
    return at + 2 + (length & 0x7F if length >= 0x80 else 0)


def _after(der: bytes, at: int) -> int:
    """Where the value at this place has ended."""
    start = _content(der, at)
    length = der[at + 1] if start == at + 2 else int.from_bytes(der[at + 2 : start])
    if start + length > len(der):
        raise IndexError("cut short")
    return start + length
