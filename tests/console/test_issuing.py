"""Issue client certificates in the console: for a request, as a file with a key, as a link for a device."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from console.visitor import Page, Visitor, a_visitor
from ostiary.model.authority import Authority, Certificate, NewAuthority
from ostiary.model.house_door import HouseDoor
from ostiary.model.inventory import Wanted
from ostiary.model.query import Query
from ostiary.model.request import CertificateRequest
from ostiary.ops import authorities, enrolling, house_doors, inventory, profiles, requests, tokens
from ostiary.ops.enrolling import Knocker
from ostiary.pki.holder import new_key_and_request
from support.systems import ADMIN

CREATE = "/console/certificates/create"
HOSTILE = "<script>alert(1)</script>\"'&amp;"


@pytest.fixture
def ca(visitor: Visitor) -> Authority:
    return authorities.create(visitor.system, ADMIN, NewAuthority(name="Devices", kind="root"))


def on_record(visitor: Visitor) -> tuple[Certificate, ...]:
    return inventory.find(visitor.system, ADMIN, Wanted(Query(), visitor.system.clock())).items


def form(visitor: Visitor, how: str) -> Any:
    return visitor.get(f"{CREATE}?how={how}").form(CREATE)


def opened(page: Page, passphrase: str) -> pkcs12.PKCS12KeyAndCertificates:
    return pkcs12.load_pkcs12(page.reply.content, passphrase.encode())


def test_without_an_authority_it_says_what_is_missing(visitor: Visitor) -> None:
    page = visitor.get(CREATE)
    assert "No authority can sign yet" in page.text
    assert [link for link in page.root.every("a") if link.attrs["href"] == "/console/authorities/create"]


def test_a_pasted_request_is_signed(visitor: Visitor, ca: Authority) -> None:
    _key, csr = new_key_and_request("alice")
    page = form(visitor, "csr").send(csr=csr, owner="Alice", groups="field\nstaff", lifetime="10d")
    assert page.said == "alice was issued."
    (made,) = on_record(visitor)
    assert (made.subject, made.owner, made.groups, made.authority_id) == ("CN=alice", "Alice", ("field", "staff"), ca.id)
    assert (made.not_after - made.not_before).days == 10
    assert page.reply.url.path == f"/console/certificates/{made.id}"


def test_a_request_comes_as_a_file_too_also_in_der_and_its_names_can_be_others(visitor: Visitor, ca: Authority) -> None:
    assert ca.has_key
    _key, csr = new_key_and_request("alice")
    der = x509.load_pem_x509_csr(csr.encode()).public_bytes(Encoding.DER)
    sent = {"csr_file": der, "names.common_name": "bob", "names.email": "bob@example.test, b@example.test"}
    page = form(visitor, "csr").send(**sent)
    assert page.said == "bob was issued."
    (made,) = on_record(visitor)
    assert made.sans == ("email:bob@example.test", "email:b@example.test")


@pytest.mark.parametrize(
    ("sent", "field", "why"),
    [
        ({"csr": ""}, "csr", "Paste the certificate request"),
        ({"csr": HOSTILE}, "csr", "certificate request"),
        ({"csr": "x" * 70_000}, "csr", "longer than 65536"),
        ({"csr": None, "csr_file": b"\x30\x82\xff\xff"}, "csr", "certificate request"),
        ({"lifetime": "for ever"}, "lifetime", "such as 90d"),
        ({"lifetime": "9999d"}, "lifetime", "allows at most"),
        ({"owner": "x" * 256}, "owner", "longer than 255"),
        ({"names.ip": "300.1.1.1"}, "names.ip", "is not an IP address"),
        ({"names.serial_number": "77"}, "names.serial_number", "does not allow"),
        ({"authority_id": "nobody"}, "authority_id", "there is no authority nobody"),
        ({"profile": "nothing"}, "profile", "there is no profile"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_is_kept(
    visitor: Visitor, ca: Authority, sent: dict[str, Any], field: str, why: str
) -> None:
    assert ca.has_key
    _key, csr = new_key_and_request("alice")
    page = form(visitor, "csr").send(**{"csr": csr, "name": HOSTILE, **sent})
    assert page.status == 422
    assert why in page.error(field), page.text
    assert page.form(CREATE).values("name") == [HOSTILE]
    typed = {name: value for name, value in sent.items() if isinstance(value, str) and name not in {"authority_id", "profile"}}
    assert {name: page.form(CREATE).values(name)[0] for name in typed} == typed
    assert on_record(visitor) == ()


def test_several_mistakes_are_told_at_once(visitor: Visitor, ca: Authority) -> None:
    assert ca.has_key
    page = form(visitor, "csr").send(**{"csr": "", "owner": "x" * 256, "names.ip": "nowhere"})
    assert all(page.error(name) for name in ("csr", "owner", "names.ip"))


def test_the_same_form_sent_twice_makes_one_certificate(visitor: Visitor, ca: Authority) -> None:
    assert ca.has_key
    _key, csr = new_key_and_request("alice")
    filled = form(visitor, "csr")
    assert filled.send(csr=csr).reply.url == filled.send(csr=csr).reply.url
    assert len(on_record(visitor)) == 1


def test_ostiary_makes_the_key_and_hands_it_out_in_a_file_that_the_shown_passphrase_opens(
    visitor: Visitor, ca: Authority
) -> None:
    filled = form(visitor, "file")
    (passphrase,) = filled.values("passphrase")
    assert re.fullmatch(r"([a-z2-9]{4}-){5}[a-z2-9]{4}", passphrase)
    page = filled.send(**{"names.common_name": "alice", "names.email": "alice@example.test", "owner": "Alice", "noted": "true"})
    assert page.status == 200
    assert page.reply.headers["content-disposition"] == 'attachment; filename="alice.p12"'
    assert page.reply.headers["cache-control"] == "no-store"
    held = opened(page, passphrase)
    (made,) = on_record(visitor)
    assert held.key is not None
    assert held.cert is not None
    assert held.cert.certificate == x509.load_pem_x509_certificate(made.certificate.encode())
    assert held.key.public_key() == held.cert.certificate.public_key()
    assert (made.owner, made.authority_id) == ("Alice", ca.id)


@pytest.mark.parametrize("kind", ["compatible", "apple"])
def test_other_forms_of_the_file(visitor: Visitor, ca: Authority, kind: str) -> None:
    assert ca.has_key
    passphrase = "correct horse battery staple"
    page = form(visitor, "file").send(**{"names.common_name": "alice", "pkcs12_form": kind, "passphrase": passphrase})
    if kind == "apple":
        assert page.reply.headers["content-disposition"].endswith('filename="alice.mobileconfig"')
        assert b"com.apple.security.pkcs12" in page.reply.content
    else:
        assert opened(page, passphrase).key is not None


@pytest.mark.parametrize(
    ("sent", "field", "why"),
    [
        ({"passphrase": "short"}, "passphrase", "16 to 128 characters"),
        ({"passphrase": ""}, "passphrase", "is needed"),
        ({"passphrase": "mật khẩu dài hơn mười sáu"}, "passphrase", "ASCII"),
        ({"names.common_name": ""}, "names.common_name", "needs a name"),
        ({"key_type": "ED25519"}, "key_type", "does not allow it"),
        ({"pkcs12_form": "old"}, "pkcs12_form", "is not one of the choices"),
    ],
)
def test_no_file_is_made_of_what_makes_no_sense(
    visitor: Visitor, ca: Authority, sent: dict[str, str], field: str, why: str
) -> None:
    assert ca.has_key
    page = form(visitor, "file").send(**{"names.common_name": "alice", "owner": "Alice", **sent})
    assert page.status == 422
    assert why in page.error(field), page.text
    assert page.form(CREATE).values("owner") == ["Alice"]
    assert on_record(visitor) == ()


def test_a_file_is_handed_out_once_however_often_the_form_is_sent(visitor: Visitor, ca: Authority) -> None:
    assert ca.has_key
    filled = form(visitor, "file")
    assert filled.send(**{"names.common_name": "alice"}).status == 200
    again = filled.send(**{"names.common_name": "alice"})
    assert again.status == 422
    assert "This was done already" in again.text
    assert len(on_record(visitor)) == 1
    other = filled.send(**{"names.common_name": "bob"})  # not the same: another certificate is meant
    assert other.reply.headers["content-disposition"].endswith('filename="bob.p12"')


def test_the_key_and_the_passphrase_are_nowhere_afterwards(visitor: Visitor, ca: Authority, tmp_path: Path) -> None:
    assert ca.has_key
    filled = form(visitor, "file")
    (passphrase,) = filled.values("passphrase")
    page = filled.send(**{"names.common_name": "alice"})
    key = opened(page, passphrase).key
    assert key is not None
    number = key.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]  # it is an EC key
    places = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert places
    assert not [secret for secret in (passphrase.encode(), number) for place in places if secret in place]
    assert passphrase not in visitor.get("/console/certificates").reply.text
    assert passphrase not in str(visitor.cookies)


def test_another_one_like_it_begins_with_its_names(visitor: Visitor, ca: Authority) -> None:
    assert ca.has_key
    _key, csr = new_key_and_request("alice")
    sent = {"csr": csr, "owner": "Alice", "groups": "field", "names.common_name": "alice", "names.dns": "a.test\nb.test"}
    form(visitor, "csr").send(**sent)
    (made,) = on_record(visitor)
    filled = visitor.get(f"{CREATE}?how=file&like={made.id}").form(CREATE)
    assert [filled.values(name)[0] for name in ("owner", "groups", "names.common_name", "names.dns")] == [
        "Alice",
        "field",
        "alice",
        "a.test\nb.test",
    ]
    assert visitor.get(f"{CREATE}?how=file&like=nobody").status == 200


def test_what_needs_approval_waits_for_it(visitor: Visitor, ca: Authority) -> None:
    assert ca.has_key
    profiles.update(visitor.system, ADMIN, "client", {"approval": "one"})
    _key, csr = new_key_and_request("alice")
    page = form(visitor, "csr").send(csr=csr, justification="for the field")
    (asked,) = requests.find(visitor.system, ADMIN, Query()).items
    assert page.reply.url.path == f"/console/requests/{asked.id}"
    assert (asked.status, asked.justification) == ("PENDING", "for the field")
    assert isinstance(asked, CertificateRequest)
    assert "client" not in [value for value in _options(visitor, "file", "profile") if value == "client"]


def _options(visitor: Visitor, how: str, name: str) -> list[str]:
    select = visitor.get(f"{CREATE}?how={how}").root.one("select", name=name)
    return [option.attrs["value"] for option in select.every("option")]


def test_without_a_door_there_is_no_link_to_be_had(visitor: Visitor, ca: Authority) -> None:
    assert ca.has_key
    assert "There is no door to enrolment" in visitor.get(f"{CREATE}?how=grant").text


@pytest.fixture
def with_door(tmp_path: Path) -> Any:
    with a_visitor(tmp_path) as visitor:
        door = HouseDoor(kind="enrolment", address="127.0.0.1", port=9443, names=("door.test",), socket="/nowhere")
        with Visitor(replace(visitor.system, doors=(door,)), is_guest=True) as at_the_door:
            house_doors.prepare(at_the_door.system)
            authorities.create(at_the_door.system, ADMIN, NewAuthority(name="Devices", kind="root"))
            yield at_the_door


def test_a_grant_is_shown_once_as_a_link_a_picture_and_a_command(with_door: Visitor) -> None:
    visitor = with_door
    page = form(visitor, "grant").send(**{"names.common_name": "sensor-7", "groups": "field", "uses": "1", "expires_in": "2h"})
    assert page.status == 200
    (link,) = page.root.every("code", id="grant-url")
    assert link.text.startswith("https://door.test:9443/enroll/oe_")
    assert page.root.one("figure", class_="qr").every("svg")
    assert " style=" not in page.reply.text
    (token,) = tokens.find(visitor.system, ADMIN, Query()).items
    assert (token.name, token.groups, token.uses) == ("sensor-7", ("field",), 1)
    secret = link.text.rpartition("/")[2]
    assert secret not in str(page.reply.url)
    _key, csr = new_key_and_request("anybody")
    made = enrolling.enroll(visitor.system, Knocker(), secret.encode(), csr)
    assert made.subject == "CN=sensor-7"


def test_a_grant_without_names_is_refused_beside_the_field(with_door: Visitor) -> None:
    page = form(with_door, "grant").send(uses="0")
    assert page.status == 422
    assert page.error("uses") == "must be 1 or more"
    page = form(with_door, "grant").send()
    assert "bound to names" in page.error("names.common_name")


def test_renewal_by_request(visitor: Visitor, ca: Authority) -> None:
    assert ca.has_key
    _key, csr = new_key_and_request("alice")
    form(visitor, "csr").send(csr=csr, owner="Alice")
    (old,) = on_record(visitor)
    place = f"/console/certificates/{old.id}/renew"
    same_key = visitor.get(place).form(place).send(csr=csr)
    assert same_key.status == 422
    assert "key" in same_key.error("csr")
    _key, fresh = new_key_and_request("whoever")
    page = visitor.get(place).form(place).send(csr=fresh)
    (new,) = [one for one in on_record(visitor) if one.id != old.id]
    assert (new.replaces, new.subject, new.owner) == (old.id, old.subject, "Alice")
    assert "was renewed by it" in page.text
    assert "renewed it" in visitor.get(f"/console/certificates/{old.id}").text


def test_an_auditor_issues_nothing(visitor: Visitor, ca: Authority) -> None:
    assert ca.has_key
    with visitor.another("olga", "auditor") as auditor:
        assert auditor.get(CREATE).status == 403
        assert auditor.get("/console/certificates").root.every("a", href=CREATE) == []


def test_it_is_there_in_vietnamese(visitor: Visitor, ca: Authority) -> None:
    assert ca.has_key
    with visitor.another(language="vi") as reader:
        page = reader.get(f"{CREATE}?how=csr")
        assert page.root.one("h1").text == "Cấp chứng chỉ"
        refused = page.form(CREATE).send(csr="", lifetime="mãi mãi")
        assert refused.error("csr") == "Hãy dán yêu cầu cấp chứng chỉ, hoặc chọn tệp chứa nó."
        assert refused.form(CREATE).values("lifetime") == ["mãi mãi"]
        headings = {"authorities": "Chứng chỉ CA", "requests": "Yêu cầu", "profiles": "Hồ sơ cấp", "expiring": "Sắp hết hạn"}
        for noun, heading in headings.items():
            assert reader.get(f"/console/{noun}").root.one("h1").text == heading
