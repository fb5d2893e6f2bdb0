"""`ostiary expiring` and `ostiary notify`, and a running ostiary that tells by itself."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commands import Terminal
from support.mail_sink import mail_sink
from support.stack import Ostiary
from support.wait import eventually
from support.webhook_sink import webhook_sink

pytestmark = pytest.mark.live

LOCAL = ("--private-network", "127.0.0.0/8", "--private-network", "::1/128")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    with Ostiary(tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.fixture
def ostiary(house: Ostiary, tmp_path: Path) -> Terminal:
    return Terminal(house, tmp_path, {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)})


def test_what_ends_is_listed_with_the_way_out(ostiary: Terminal) -> None:
    ostiary.does("token", "create", "--role", "auditor", "--name", "ci", "--expires", "2d")
    shown = ostiary.does("expiring", "--kind", "access-token")
    assert "Nothing ends soon" in shown.out  # a life of two days has passed no threshold but that of one day
    made = ostiary.does("token", "create", "--role", "auditor", "--name", "short", "--expires", "1m", "--json").json()
    assert made["name"] == "short"
    assert "none of" in ostiary.is_told("expiring", "--kind", "pigeon")
    assert isinstance(ostiary.does("expiring", "--json").json(), list)


def test_a_mailbox_is_added_tried_shown_and_removed(ostiary: Terminal, tmp_path: Path) -> None:
    assert "Nobody is told" in ostiary.does("notify", "list").out
    secret = tmp_path / "password"
    secret.write_text("marker-Pa55\n")
    with mail_sink(users={"ostiary": "marker-Pa55"}) as box:
        server = ("--host", "localhost", "--port", box.port, "--security", "plain", "--user", "ostiary")
        people = ("--from", "ostiary@a.test", "--to", "ops@a.test", "--topic", "expiry", "--topic", "break-glass")
        added = ostiary.does("notify", "add", "email", "ops", *server, "--password-file", secret, *people, *LOCAL)
        assert re.match(r"Added ops \(.*\)\. See that it works: ostiary notify test ops\n", added.out)
        assert ostiary.does("notify", "test", "ops").out == "ops has it.\n"
        assert box.letters[0].user == "ostiary"
    assert re.search(r"ops +EMAIL +localhost: ops@a\.test +expiry, break-glass +INFO", ostiary.does("notify", "list").out)
    changed = ostiary.does("notify", "set", "ops", "--set", "severity=CRITICAL", "--set", 'topics=["EXPIRY"]', "--json").json()
    assert (changed["severity"], changed["topics"], changed["has_secret"]) == ("CRITICAL", ["EXPIRY"], True)
    assert "give it again" in ostiary.is_told("notify", "set", "ops", "--set", "host=mail.mallory.test")
    assert "say what to change" in ostiary.is_told("notify", "set", "ops")
    assert "ops was not told: localhost" in ostiary.is_told("notify", "test", "ops")
    shown = ostiary.does("notify", "show", "ops")
    assert "Nothing was sent to it yet." in shown.out
    assert "marker-Pa55" not in shown.out + ostiary.does("notify", "list", "--json").out
    assert "one e-mail address" in ostiary.is_told(
        "notify", "add", "email", "x", "--host", "a.test", "--from", "a@b.test\nBcc: c@d.test", "--to", "a@b.test"
    )
    assert "--topic: 'x' is none of" in ostiary.is_told(
        "notify", "add", "webhook", "x", "--url", "https://a.test", "--topic", "x"
    )
    assert ostiary.does("notify", "remove", "ops").out.startswith("Removed ops (")


def test_a_running_ostiary_tells_of_an_emergency_within_seconds(ostiary: Terminal, house: Ostiary) -> None:
    with webhook_sink() as hook:
        added = ostiary.does("notify", "add", "webhook", "on-call", "--url", hook.url, "--topic", "break-glass", *LOCAL, "--json")
        key = base64.b64decode(added.json()["secret"].removeprefix("whsec_"))
        for name in ("alice", "bob"):
            ostiary.does("token", "create", "--role", "admin", "--name", name)
        house.call("PUT", "/v1/settings", {"settings": {"approval_needed_for": ["CLIENT_CA"]}})
        ostiary.does("break-glass", "--reason", "nobody gets in", "--minutes", "5")
        eventually(lambda: len(hook.calls) > 0)
        call = hook.calls[0]
        signed = b".".join((call.headers["webhook-id"].encode(), call.headers["webhook-timestamp"].encode(), call.body))
        mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert call.headers["webhook-signature"] == f"v1,{mac}"
        assert call.told["data"]["topic"] == "BREAK_GLASS"
        assert "Reason: nobody gets in" in call.told["data"]["lines"]
        # It was noted as taken: it is not sent again.
        eventually(lambda: ostiary.does("notify", "show", "on-call", "--json").json()["messages"][0]["state"] == "SENT")
        ostiary.does("notify", "remove", "on-call")
