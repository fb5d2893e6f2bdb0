"""A trust with long lists is written once for all who use it, and anew when anything of it changes."""

import pytest

from ostiary.envoy import secret
from ostiary.envoy.resources import SECRET, Resource
from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from support.certs import Authority
from support.desired import listener

CA = Authority.root("Long")
LONG = CA.crl(range(1, 3000))


def translated(crls: str, **fields: object) -> Resource:
    trust = Trust(name="trust/long", certificates=CA.cert_pem, crls=crls, **fields)  # type: ignore[arg-type]  # fields of it
    doors = (
        listener(id_, trust=trust, client_authentication="MANDATORY", protocol_port=port) for id_, port in (("a", 1), ("b", 2))
    )
    return snapshot(Desired(listeners=tuple(doors))).resources[SECRET, "trust/long"]


def test_what_stays_the_same_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = translated(LONG)
    assert first.owners == {"a", "b", "lb1"}
    assert len(first.body) > 64 * 1024
    monkeypatch.setattr(secret, "trust", None)  # Whoever writes it again fails.
    again = translated(LONG)
    assert again.body is first.body
    assert again == first


def test_whatever_changes_is_written_anew() -> None:
    first = translated(LONG)
    assert translated(CA.crl(range(1, 3001))).version != first.version
    assert translated(LONG, rehearsed=True).version != first.version
    assert translated(LONG) == first
