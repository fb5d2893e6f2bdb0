"""Client certificates in the console: search, look, say whose they are, take back."""

from datetime import timedelta
from typing import Any

import pytest

from console.visitor import Visitor
from ostiary.model.authority import Authority, Certificate, NewAuthority, NewCertificate, RequestedNames
from ostiary.ops import authorities, certificates
from ostiary.ops.caller import Caller
from ostiary.pki.holder import new_key_and_request
from support.systems import ADMIN

AUDITOR = Caller(name="olga", role="auditor", source="127.0.0.1", request_id="req-test")
OPERATOR = Caller(name="omar", role="operator", source="127.0.0.1", request_id="req-test")
HOSTILE = "<script>alert(1)</script>\"'&amp;"


@pytest.fixture
def ca(visitor: Visitor) -> Authority:
    return authorities.create(visitor.system, ADMIN, NewAuthority(name="Devices", kind="root"))


def issued(visitor: Visitor, ca: Authority, name: str, **fields: Any) -> Certificate:
    _key, csr = new_key_and_request("somebody")
    names = RequestedNames(common_name=name[:64], email=("x@example.test",))
    wanted = NewCertificate(authority_id=ca.id, csr=csr, names=names, owner=name[:255], **fields)
    return certificates.issue(visitor.system, ADMIN, wanted)


def read(visitor: Visitor, one: Certificate) -> Certificate:
    return certificates.get(visitor.system, ADMIN, one.id)


def test_an_empty_list_says_what_certificates_are_for(visitor: Visitor) -> None:
    page = visitor.get("/console/certificates")
    assert "No client certificate yet" in page.text
    assert [link for link in page.root.every("a") if link.attrs["href"] == "/console/certificates/create"]


def test_the_list_shows_what_one_looks_for(visitor: Visitor, ca: Authority) -> None:
    issued(visitor, ca, "alice", groups=("field", "staff"), lifetime=timedelta(days=10))
    issued(visitor, ca, "bob")
    bob, alice = visitor.get("/console/certificates").rows()
    assert alice[0].startswith("alice")
    assert alice[1:4] == ["alice", "field, staff", "Valid"]
    assert "in 1 week" in alice[4] or "in 10 days" in alice[4]  # it ends soon, and that is said
    assert alice[5:] == ["never", "Devices"]
    assert bob[0].startswith("bob")
