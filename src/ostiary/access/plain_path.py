r"""A path as the engine makes it plain before any rule reads it and before a member gets it.

Envoy 1.40 (`envoy.http_manager`: normalize_path, merge_slashes, escaped slashes refused) by way of Chromium's URL library, sign
by sign: `/a/../b`, `/a//b`, `/%61`, `/a\b`, `/a/..;x/b`. `tests/live/test_plain_path.py` asks both.
"""

import re
from typing import Final

_VISIBLE: Final = re.compile(r"/[!-~]*")
_ESCAPED_SLASH: Final = re.compile(r"%(?:2[Ff]|5[Cc])")
# A segment that is dots with parameters: what is after them is left out, so that it is dots alone.
_PARAMETERS: Final = re.compile(r"(?<=/)(\.\.?);[^/]*")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_DOT: Final = re.compile(r"\.|%2[Ee]")
_THIS: Final = re.compile(r"(?:\.|%2[Ee])(?:[/\\]|$)")
_ABOVE: Final = re.compile(r"(?:\.|%2[Ee]){2}(?:[/\\]|$)")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]")
_ESCAPED: Final = frozenset('"<>^`{|}')


def plain(path: str) -> str | None:
    """The path, with its query as it was; None where the engine answers 400 and asks no rule."""
    before, mark, query = path.partition("?")
    if "#" in path or not _VISIBLE.fullmatch(before) or _ESCAPED_SLASH.search(before):
        return None
    resolved = _resolved(_PARAMETERS.sub(r"\1", before))
    return None if resolved is None else re.sub("/{2,}", "/", resolved) + mark + query


def _resolved(path: str) -> str | None:
    """Dots gone, backslashes turned, escapes of ordinary signs undone."""
    made = ""
    stray = -3  # where in `made` a percent sign stands that escapes nothing
    at = 0
    while at < len(path):
        if made.endswith("/") and (dots := _ABOVE.match(path, at) or _THIS.match(path, at)):
            if _ABOVE.match(path, at) and len(made) > 1:
                made = made[: made.rindex("/", 0, -1) + 1]
            at = dots.end()
        elif dot := _DOT.match(path, at):
            made, at = made + ".", dot.end()
        elif escape := _ESCAPE.match(path, at):
            sign, at = chr(int(escape[1], 16)), escape.end()
            if sign == "\0":
                return None
            if _UNRESERVED.fullmatch(sign):
                made = _kept_apart(made + sign, stray, path[at : at + 1])
            else:
                made += escape[0]
        else:
            sign, at = path[at], at + 1
            if sign == "%":
                stray = len(made)
            made += "/" if sign == "\\" else f"%{ord(sign):02X}" if sign in _ESCAPED else sign
    return made


def _kept_apart(made: str, stray: int, following: str) -> str:
    """What was just undone may complete an escape that nobody wrote (`%%32e`): then the percent sign itself is escaped."""
    if stray < len(made) - 3 or not _ESCAPE.fullmatch((made[stray:] + following)[:3]):
        return made
    return f"{made[:stray]}%25{made[stray + 1 :]}"
