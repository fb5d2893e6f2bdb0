"""What is said before somebody is shut out, and to whom it is only said."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from ostiary.cli.client import Client, Failed
from ostiary.cli.rehearsals import be_sure

SINCE = "2026-11-25T10:00:00Z"
NO_NAME = {"code": "no_certificate", "certificate": None, "client": "192.0.2.1", "summed": False}
MANY = {"code": "expired", "certificate": None, "client": None, "summed": True}


@dataclass(frozen=True)
class Told(Client):
    """An API that answers one thing."""

    preview: dict[str, Any] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        assert (method, path, body, query) == ("GET", "/v1/rehearsals/l1/preview", None, {"client_authentication": "MANDATORY"})
        return {"preview": {"since": SINCE, "some": [], "notes": [], **self.preview}}


def asked(*, yes: bool = False, quiet: bool = False, **preview: Any) -> None:
    be_sure(Told("http://ostiary.test", "t", preview), "l1", yes=yes, quiet=quiet, client_authentication="MANDATORY")


def named(subject: str) -> dict[str, Any]:
    return {"code": "expired", "certificate": {"subject": subject, "fingerprint_sha256": "aa"}, "client": "x", "summed": False}


def test_without_a_terminal_nobody_is_shut_out_unless_that_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    some = [named("CN=a"), NO_NAME, named(""), named("CN=d"), MANY]
    with pytest.raises(Failed) as refused:
        asked(clients=27, would_be_refused=5, some=some)
    words = (
        f"27 clients were seen since {SINCE}; 5 of them would be refused: CN=a (expired), "
        "192.0.2.1 without certificate (no_certificate), aa (expired) and 2 more."
    )
    assert str(refused.value) == f"{words} Say --yes to shut them out."
    assert capsys.readouterr().out == ""
    asked(yes=True, clients=27, would_be_refused=5, some=some)
    assert capsys.readouterr().out == f"{words}\n"
    asked(yes=True, quiet=True, clients=27, would_be_refused=5, some=some)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("preview", "words"),
    [
        ({"clients": 1, "would_be_refused": 0}, f"1 client was seen since {SINCE}; none of them would be refused."),
        ({"clients": 0, "would_be_refused": 0}, f"No client was seen since {SINCE}: whom this would shut out is not known."),
        ({"clients": None, "would_be_refused": None, "notes": ["Not known."]}, "Not known."),
        (
            {"clients": 2, "would_be_refused": None, "notes": ["Not known."]},
            f"2 clients were seen since {SINCE} with a valid certificate. Not known.",
        ),
        ({"clients": None, "would_be_refused": 0, "notes": ["It is demanded already."]}, ""),
    ],
)
def test_where_nobody_is_known_to_be_shut_out_it_is_said_and_done(
    preview: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(**preview)
    assert capsys.readouterr().out.rstrip("\n") == words
