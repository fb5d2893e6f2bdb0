r"""Names, hosts and paths as rules write them, as regular expressions for a whole text.

What allows is read narrowly, what denies widely: what some backend may take for a denied path is denied (another case, percent
signs, `;parameters`, also between two slashes, and dots, blanks or a slash at the end), but only the very path that was written
is allowed. Names of a certificate stand in one text, with commas between them; names that hold commas never get here
(`envoy.http_filters`).
"""

import re
from typing import Final

# Signs by which names of a certificate are set apart where they are handed on, or read by rules; a name that holds one could be
# read as several. E-mail addresses are not in X-Forwarded-Client-Cert.
SEPARATING: Final = {"uri": ',;"\r\n', "dns": ',;"\r\n', "email": ",\r\n"}

_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]")
_QUERY: Final = r"(?:\?.*)?"
# What some members take off a segment: `;parameters`, and on Windows dots and blanks at its end.
_PARAMETERS: Final = r"(?:\.|%20)*(?:(?:;|%3[Bb])[^/?]*)?"
# Between two segments; `/;a=1/` is an empty segment to some members, and so no more than a slash.
_SLASH: Final = r"/(?:(?:;|%3[Bb])[^/?]*/)*"
_IN_A_NAME: Final = r"(?:[^,+\\]|\\.)*"
REVISION_DIGITS: Final = 12


def host(pattern: str) -> str:
    """Any case, with or without the port and the dot at the end that makes a name absolute."""
    return rf"(?i:{_domain(pattern)})\.?(?::[0-9]*)?"


def plain_host() -> str:
    """Hosts that everybody reads alike: a name or an address, and a port. Not `a@b`, `a,b`, `a..` or none at all."""
    return r"(?:(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?"


def path(pattern: str, *, wide: bool) -> str:
    """`wide` is for rules that deny."""
    star = pattern.endswith("*")
    below = pattern.endswith("/*")
    plain = pattern.removesuffix("/*") if below else pattern.removesuffix("*")
    text = "".join(_sign(sign, wide=wide) for sign in _signs(plain))
    if not wide:
        rest = r"(?:/[^?]*)?" if below else r"[^?]*" if star else ""
        return text + rest + _QUERY
    segments = text.replace("/", f"{_PARAMETERS}{_SLASH}").removeprefix(_PARAMETERS)
    rest = rf"{_PARAMETERS}(?:/[^?]*)?" if below else r"[^?]*" if star else rf"{_PARAMETERS}(?:{_SLASH})?{_PARAMETERS}"
    return rf"(?i:{segments}){rest}{_QUERY}"


def crooked() -> str:
    """Paths that some members resolve further than the engine does.

    A dot segment with something after it: of `/%2e%2e;/b` the engine makes `/..;/b`, which Tomcat takes for `/b`. What is
    escaped twice, or in no way that is UTF-8 (an overlong slash), or by a percent sign that escapes nothing (`%u002f`).
    """
    dots = r"/\.\.?(?:;|%3[Bb]|%[01][0-9A-Fa-f]|%20)"
    twice = r"%25(?:[0-9A-Fa-f]{2}|[Uu])"
    overlong = r"%(?:[Cc][01]|[Ff][5-9A-Fa-f]|[Ee]0%[89]|[Ff]0%8)"
    stray = r"%(?:[^0-9A-Fa-f]|[0-9A-Fa-f][^0-9A-Fa-f]|[0-9A-Fa-f]?$)"
    return rf"[^?]*(?:{dots}|{twice}|{overlong})[^?]*{_QUERY}|[^?]*{stray}[^?]*{_QUERY}"


def method(name: str, *, wide: bool) -> str:
    """`wide` is for rules that deny: some backends read methods in any case."""
    return f"(?i:{_literal(name)})" if wide else _literal(name)


def serial(digits: str) -> str:
    """A serial number as the engine prints it: octet by octet, so that a digit alone has a zero before it."""
    return digits if digits == "0" else digits.zfill(len(digits) + len(digits) % 2)


def dns(pattern: str) -> str:
    """One of the DNS names."""
    return _one_of(rf"(?i:{_domain(pattern)})")


def uri(pattern: str) -> str:
    """One of the URIs."""
    return _one_of(_starred(pattern, "[^,]*"))


def email(pattern: str) -> str:
    """One of the e-mail addresses, in any case."""
    return _one_of(rf"(?i:{_starred(pattern, '[^,]*')})")


def spiffe(pattern: str) -> str:
    """The only URI (SPIFFE X.509-SVID 2: exactly one)."""
    below = pattern.endswith("/*")
    return _literal(pattern.removesuffix("/*")) + ("/[^,]+" if below else "")


def in_subject(attribute: str, pattern: str) -> str:
    """One of the values of an attribute (CN, OU) of a subject in the form of RFC 2253, in which special signs are escaped."""
    star, text = "*" in pattern, pattern.strip("*") if "*" in pattern else pattern
    begins, ends = not pattern.startswith("*"), not pattern.endswith("*")
    value = _literal(escaped(text, begins=begins, ends=ends))
    if star:
        value = ("" if begins else _IN_A_NAME) + value + ("" if ends else _IN_A_NAME)
    # A sign after a backslash is part of a value: it ends none.
    return rf"(?:(?:[^\\]|\\.)*[,+])?{attribute}={value}(?:[,+].*)?"


def escaped(text: str, *, begins: bool = True, ends: bool = True) -> str:
    r"""A value as BoringSSL prints it in the form of RFC 2253: bytes above 7F and control characters as \XX."""
    signs = []
    for place, byte in enumerate(text.encode()):
        sign = chr(byte)
        at_the_edge = (begins and place == 0 and sign in " #") or (ends and place == len(text.encode()) - 1 and sign == " ")
        if byte < 0x20 or byte > 0x7E:
            signs.append(f"\\{byte:02X}")
        else:
            signs.append(f"\\{sign}" if sign in ',+"\\<>;' or at_the_edge else sign)
    return "".join(signs)


def printable() -> str:
    """Nothing but what is seen in ASCII: regular expressions stop at bytes that are no UTF-8."""
    return "[ -~]*"


def less_than(number: int) -> str:
    """Numbers, written with zeros before them, that are below this one."""
    digits = f"{number:0{REVISION_DIGITS}d}"
    lower = [
        f"{digits[:place]}[0-{int(digit) - 1}][0-9]{{{REVISION_DIGITS - place - 1}}}"
        for place, digit in enumerate(digits)
        if digit != "0"
    ]
    return "|".join(lower) or "never"


def padded(number: int) -> str:
    """A number as `less_than` reads it."""
    return f"{number:0{REVISION_DIGITS}d}"


def _domain(pattern: str) -> str:
    if pattern.startswith("**."):
        return r"(?:[^.,:]+\.)+" + _literal(pattern[3:])
    if pattern.startswith("*."):
        return r"[^.,:]+\." + _literal(pattern[2:])
    return _literal(pattern)


def _one_of(name: str) -> str:
    return rf"(?:.*,)?{name}(?:,.*)?"


def _starred(pattern: str, anything: str) -> str:
    return anything.join(_literal(part) for part in pattern.split("*"))


def _signs(text: str) -> list[str]:
    """A path sign by sign; an escaped octet is one."""
    return re.findall(r"%[0-9A-F]{2}|.", text)


def _sign(sign: str, *, wide: bool) -> str:
    if not wide or sign == "/" or _UNRESERVED.fullmatch(sign):
        return _literal(sign)
    if sign.startswith("%"):
        plain = chr(int(sign[1:], 16))
        return f"(?:{_literal(sign)}|{_literal(plain)})" if "!" <= plain <= "~" and plain not in "/?#%;" else _literal(sign)
    return f"(?:{_literal(sign)}|%{ord(sign):02X})"


def _literal(text: str) -> str:
    """As `re.escape`, which escapes what RE2 also takes escaped: ASCII that is neither letter nor digit."""
    return re.escape(text)
