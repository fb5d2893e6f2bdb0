"""What a well-formed name is, kind by kind, and how to show one that may not be."""

import ipaddress
import re
import unicodedata
import urllib.parse
from typing import Final

from ostiary.errors import Invalid

_URI_OCTETS_MAX: Final = 2048  # SPIFFE ID 2.3; RFC 5280 sets no limit.

# RFC 5280 A.1 upper bounds (ub-…); `cryptography` counts UTF-8 octets, which is never more lenient.
_SUBJECT_OCTETS_MAX: Final = {"CN": 64, "O": 64, "OU": 64, "C": 2, "ST": 128, "L": 128, "serialNumber": 64}

# RFC 1034 3.5 as RFC 1123 2.1 changed it: what RFC 5280 4.2.1.6 calls the preferred name syntax.
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
# SPIFFE ID 2.1 allows two octets more for the trust domain, but then it would be longer than a host name may be (RFC 1035 2.3.4).
_SPIFFE: Final = re.compile(r"spiffe://[a-z0-9._-]{1,253}(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)*")
_MAILBOX: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")  # RFC 5321 Dot-string
_PRINTABLE: Final = re.compile(r"[A-Za-z0-9 '()+,./:=?-]+")  # X.680 41.4


def visible(text: str) -> str:
    """Foreign text for a message: short, and with nothing in it that hides or reorders."""
    return plain(text[:100]) + ("…" if len(text) > 100 else "")


def plain(text: str) -> str:
    """Foreign text with everything that hides or reorders written as escapes."""
    if _is_plain(text):
        return text
    return "".join(character if _is_visible(character) else _escaped(character) for character in text)


def _is_plain(text: str) -> bool:
    """Whether every character of it can be seen. Almost all names are printable ASCII, and that is quickly told."""
    return (text.isascii() and text.isprintable()) or all(map(_is_visible, text))


def dns(text: str, field: str) -> str:
    if not text.isascii():
        raise Invalid(field, f"'{visible(text)}' is not ASCII; give its A-label form, such as xn--bcher-kva.example.")
    lower = text.lower()
    if lower.endswith("."):
        raise Invalid(field, f"'{visible(text)}' ends with a dot; leave the final dot out.")
    labels = lower.removeprefix("*.").split(".")
    if len(lower) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Invalid(field, f"'{visible(text)}' is not a DNS name (RFC 1123); a wildcard may only be the whole first label.")
    if labels[-1].isdigit():
        raise Invalid(field, f"'{visible(text)}' reads as an IP address; give it under ip (IP: in a CSR).")
    if lower.startswith("*.") and len(labels) < 2:
        raise Invalid(field, f"'{visible(text)}' covers a whole top-level domain; name the hosts.")
    if not all(_is_a_label(label) for label in labels if label.startswith("xn--")):
        raise Invalid(field, f"'{visible(text)}' has a label that begins with xn-- and is no A-label (RFC 5890).")
    return lower


def _is_a_label(label: str) -> bool:
    coded = label.removeprefix("xn--").encode()
    try:
        text = coded.decode("punycode")
    except UnicodeError:
        return False
    return not text.isascii() and all(map(_is_visible, text)) and text.encode("punycode") == coded


def ip(text: str, field: str) -> str:
    try:
        if "%" not in text:
            return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    raise Invalid(field, f"'{visible(text)}' is not an IP address; networks and zones cannot be names.")


def uri(text: str, field: str) -> str:
    if len(text) > _URI_OCTETS_MAX or not _URI.fullmatch(text):
        raise Invalid(field, f"'{visible(text)}' is not an absolute URI in ASCII of at most {_URI_OCTETS_MAX} characters.")
    if text.lower().startswith("spiffe:"):
        if not _SPIFFE.fullmatch(text):
            raise Invalid(field, f"'{visible(text)}' is not a SPIFFE ID, such as spiffe://example.org/service.")
        return text
    _uri_host(text, field)
    return text


def _uri_host(text: str, field: str) -> None:
    """RFC 5280 4.2.1.6: a URI with an authority names a host, by DNS name or IP address."""
    try:
        parts = urllib.parse.urlsplit(text)
        host, user = parts.hostname, parts.username
        parts.port  # noqa: B018 (reading it checks it)
    except ValueError:
        raise Invalid(field, f"'{visible(text)}' is not a URI that can be read.") from None
    if "//" in text.partition(":")[2][:2] and not host:
        raise Invalid(field, f"'{visible(text)}' names no host after //.")
    if user is not None:
        raise Invalid(field, f"'{visible(text)}' has a user before the host; leave it out.")
    if host and host.startswith("*"):
        raise Invalid(field, f"'{visible(text)}' has a wildcard for a host; name the host.")
    if host and ":" not in host and not _is_ip(host):
        dns(host, field)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def email(text: str, field: str) -> str:
    local, at, domain = text.rpartition("@")
    # RFC 5321 4.5.3.1: 64 octets before the @, 254 in all.
    if not at or len(local) > 64 or len(text) > 254 or not _MAILBOX.fullmatch(local) or domain.startswith("*"):
        raise Invalid(field, f"'{visible(text)}' is not an e-mail address in ASCII, such as name@example.org.")
    return f"{local}@{dns(domain, field)}"


def subject_part(text: str, part: str, field: str) -> None:
    if not _is_plain(text):
        raise Invalid(field, f"'{visible(text)}' has control or invisible characters; leave them out.")
    if text != text.strip():
        raise Invalid(field, f"'{visible(text)}' begins or ends with a space; leave it out.")
    if len(text.encode()) > _SUBJECT_OCTETS_MAX[part]:
        raise Invalid(field, f"{part} is longer than {_SUBJECT_OCTETS_MAX[part]} octets (RFC 5280 A.1).")
    if part == "serialNumber" and not _PRINTABLE.fullmatch(text):  # RFC 5280 A.1: a PrintableString
        raise Invalid(field, f"'{visible(text)}' has characters other than letters, digits, space and '()+,-./:=?.")
    if part == "C" and not re.fullmatch("[A-Z]{2}", text):
        raise Invalid(field, f"'{visible(text)}' is not a country code of two capital letters, such as NO.")


def _is_visible(character: str) -> bool:
    # Categories C*: control, format (direction marks among them), surrogate, private use, unassigned. Zl, Zp: line separators.
    category = unicodedata.category(character)
    return not category.startswith("C") and category not in ("Zl", "Zp")


def _escaped(character: str) -> str:
    """RFC 4514 2.4: any character may be written as the hexadecimal pairs of its UTF-8 octets."""
    return "".join(f"\\{octet:02X}" for octet in character.encode("utf-8", "surrogatepass"))
