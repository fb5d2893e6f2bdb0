"""Who knocks at a door of our own, as our gateway tells it; and nobody else is believed."""

import asyncio
import base64
from typing import Any

import pytest

from ostiary.asgi.doors import CONSOLE_KNOCK, KNOCK, AtTheDoor, ConsoleKnock, Knock

DER = b"\x30\x03\x02\x01\x01"
SHOWN = f":{base64.b64encode(DER).decode()}:"


def at(door: str, *headers: tuple[str, str], kind: str = "http") -> dict[str, Any]:
    """The scope that such a request has once it is inside."""
    seen: list[Any] = []

    async def inside(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope)

    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    scope = {"type": kind, "headers": raw, "scheme": "http", "client": None, "path": "/"}
    asyncio.run(AtTheDoor(inside, door)(scope, None, None))  # type: ignore[arg-type]  # nothing is received or sent
    (found,) = seen
    return dict(found)


@pytest.mark.parametrize(("door", "other", "kind"), [(KNOCK, CONSOLE_KNOCK, Knock), (CONSOLE_KNOCK, KNOCK, ConsoleKnock)])
def test_who_knocks_is_told_under_the_doors_own_name(door: str, other: str, kind: type[Knock]) -> None:
    scope = at(door, ("X-Real-IP", "192.0.2.7"), ("Client-Cert", SHOWN))
    assert scope[door] == kind("192.0.2.7", DER)
    assert type(scope[door]) is kind
    assert other not in scope
    assert (scope["client"], scope["scheme"]) == (("192.0.2.7", 0), "https")


def test_who_shows_nothing_has_nothing() -> None:
    assert at(CONSOLE_KNOCK, ("X-Real-IP", "192.0.2.7"))[CONSOLE_KNOCK] == ConsoleKnock("192.0.2.7", None)
    assert at(CONSOLE_KNOCK)["client"] is None


@pytest.mark.parametrize(
    "headers",
    [
        [""],
        [SHOWN[1:-1]],
        [f"{SHOWN}, {SHOWN}"],
        [SHOWN, SHOWN],
        [f"{SHOWN};x=1"],
        [":====:"],
        [":A:"],
        ["::"],
        [f" {SHOWN}\x00"],
    ],
    ids=repr,
)
def test_what_is_no_single_certificate_is_none(headers: list[str]) -> None:
    assert at(CONSOLE_KNOCK, *(("Client-Cert", value) for value in headers))[CONSOLE_KNOCK].certificate is None


def test_a_certificate_is_not_shown_by_accident() -> None:
    assert "3003" not in repr(ConsoleKnock("192.0.2.7", DER))
    assert repr(DER) not in repr(ConsoleKnock("192.0.2.7", DER))


def test_other_things_than_requests_pass_as_they_are() -> None:
    assert CONSOLE_KNOCK not in at(CONSOLE_KNOCK, kind="lifespan")
    assert at(CONSOLE_KNOCK, kind="websocket")["scheme"] == "wss"
