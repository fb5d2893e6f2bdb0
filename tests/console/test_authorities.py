"""CA certificates in the console: see, make, import, revoke, replace, delete."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from console.visitor import Visitor
from ostiary import clock
from ostiary.model.authority import Authority, NewAuthority, NewCertificate, RequestedNames
from ostiary.model.balancer import LoadBalancer
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.ops import authorities, balancers, certificates, listeners, rotations
from ostiary.pki import keys
from ostiary.pki.holder import new_key_and_request
from ostiary.pki.issue import create_root
from ostiary.pki.names import SubjectFields
from support.systems import ADMIN

HOME = "/console/authorities"
HOSTILE = "<script>alert(1)</script>\"'&amp;"


@pytest.fixture
def root(visitor: Visitor) -> Authority:
    return authorities.create(visitor.system, ADMIN, NewAuthority(name="Example Root", kind="root"))


@pytest.fixture
def issuing(visitor: Visitor, root: Authority) -> Authority:
    return authorities.create(visitor.system, ADMIN, NewAuthority(name="Devices", kind="intermediate", parent_id=root.id))


@pytest.fixture
def foreign() -> tuple[x509.Certificate, Any]:
    """A CA of somebody else, with its key."""
    key = keys.generate("EC-P256")
    at = clock.now() - timedelta(days=1)
    return create_root(SubjectFields(CN="Partner Root"), key, timedelta(days=900), at), key


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def read(visitor: Visitor, one: Authority) -> Authority:
    return authorities.get(visitor.system, ADMIN, one.id)


def every(visitor: Visitor) -> tuple[Authority, ...]:
    return authorities.find(visitor.system, ADMIN, Query()).items


def issue(visitor: Visitor, authority: Authority, name: str) -> None:
    _key, csr = new_key_and_request(name)
    wanted = NewCertificate(authority_id=authority.id, csr=csr, names=RequestedNames(common_name=name))
    certificates.issue(visitor.system, ADMIN, wanted)


def listen(visitor: Visitor, authority: Authority) -> Listener:
    balancer = balancers.create(visitor.system, ADMIN, LoadBalancer(name="shop", vip_address="127.0.0.1"))
    wanted = Listener(
        name="door",
        loadbalancer_id=balancer.id,
        protocol="TERMINATED_HTTPS",
        protocol_port=8443,
        client_authentication="MANDATORY",
        client_ca_tls_container_ref=f"/v1/authorities/{authority.id}",
    )
    return listeners.create(visitor.system, ADMIN, wanted)


def test_the_empty_list_says_what_to_do(visitor: Visitor) -> None:
    page = visitor.get(HOME)
    assert "No CA certificate yet" in page.text
    assert [link.text for link in page.root.one("div", class_="nothing").every("a")] == ["Create a CA", "Import a CA"]


def test_the_list_shows_what_hangs_on_each(visitor: Visitor, issuing: Authority) -> None:
    issue(visitor, issuing, "alice")
    listen(visitor, issuing)
    rows = {row[0].partition(" CN=")[0]: row for row in visitor.get(HOME).rows()}
    devices = rows["Devices"]
    assert devices[1:3] == ["Intermediate", "Valid"]
    assert devices[4:] == ["EC P-256 here, encrypted", "1", "never", "1"]
    assert rows["Example Root"][5] == "0"
    assert rows["ostiary server CA"][1] == "Root for ostiary's own servers"


@pytest.mark.parametrize("words", ["devices", "CN=Devices", "dev ices"])
def test_it_is_searched_by_name_and_subject(visitor: Visitor, issuing: Authority, words: str) -> None:
    assert [row[0].partition(" CN=")[0] for row in visitor.get(f"{HOME}?q={words}").rows()] == ["Devices"]
    assert issuing.subject == "CN=Devices"


def test_it_is_found_by_its_fingerprint_and_not_by_what_is_nowhere(visitor: Visitor, issuing: Authority) -> None:
    digits = issuing.fingerprint_sha256.upper()
    colons = ":".join(digits[at : at + 2] for at in range(0, 12, 2))
    assert [row[0].partition(" CN=")[0] for row in visitor.get(f"{HOME}?q={colons}").rows()] == ["Devices"]
    assert "No CA certificate is like this" in visitor.get(f"{HOME}?q=%25_nobody").text


def test_an_authority_that_rolled_is_one_row_and_found_by_any_of_its_names(visitor: Visitor, issuing: Authority) -> None:
    place = f"{HOME}/{issuing.id}/roll"
    page = visitor.get(place).form(place).send()
    assert page.said == "CN=Devices G2 signs from now on."
    (row,) = visitor.get(f"{HOME}?q=G2").rows()
    assert "2 certificates under this name" in row[0]
    assert "All that work under this name" in visitor.get(f"{HOME}/{issuing.id}").text


def test_the_details_page_tells_all(visitor: Visitor, root: Authority, issuing: Authority) -> None:
    door = listen(visitor, issuing)
    page = visitor.get(f"{HOME}/{issuing.id}")
    assert page.status == 200
    assert issuing.fingerprint_sha256 in page.text
    addresses = [link.attrs["href"] for link in page.root.every("a")]
    for wanted in (
        f"{HOME}/{root.id}",
        f"/pki/{issuing.id}.crl",
        f"/pki/{issuing.id}.crt",
        f"/console/listeners/{door.id}",
        f"/console/certificates?authority={issuing.id}",
        f"{HOME}/{issuing.id}/download?format=mobileconfig",
        f"/install?authority={issuing.id}",
    ):
        assert wanted in addresses
    assert f"/ocsp/{issuing.id}" in page.text
    assert "number 1" in page.text
    assert f"ostiary ca export {issuing.id}" in page.text


@pytest.mark.parametrize(("form", "ending"), [("pem", ".pem"), ("der", ".der"), ("mobileconfig", ".mobileconfig")])
def test_its_certificate_is_downloaded(visitor: Visitor, root: Authority, form: str, ending: str) -> None:
    reply = visitor.raw("GET", f"{HOME}/{root.id}/download?format={form}")
    assert reply.status_code == 200
    assert reply.headers["content-disposition"] == f'attachment; filename="Example-Root{ending}"'
    if form == "pem":
        assert reply.text == root.certificate
    assert visitor.raw("GET", f"{HOME}/{root.id}/download?format=exe").status_code == 400


def test_a_name_is_enough_for_a_root(visitor: Visitor) -> None:
    page = visitor.get(f"{HOME}/create").form(f"{HOME}/create").send(name="My Root")
    assert page.said == "My Root was created."
    (made,) = every(visitor)
    assert (made.kind, made.subject, made.key, made.parent_id) == ("root", "CN=My Root", "EC-P256", None)


def test_the_next_is_an_intermediate_below_it_with_all_its_limits(visitor: Visitor, root: Authority) -> None:
    form = visitor.get(f"{HOME}/create").form(f"{HOME}/create")
    assert form.values("kind") == ["intermediate"]
    assert form.values("parent_id") == [root.id]
    page = form.send(
        **{
            "name": "Devices",
            "key": "EC-P384",
            "lifetime_days": "30",
            "subject.O": "Example",
            "subject.C": "VN",
            "name_constraints.permitted.dns": "devices.example\nmore.example",
            "name_constraints.permitted.email": "@",
            "name_constraints.excluded.ip": "10.0.0.0/8",
        }
    )
    assert page.status == 422
    assert page.error("name_constraints.permitted.email")
    page = page.form(f"{HOME}/create").send(**{"name_constraints.permitted.email": ""})
    assert page.said == "Devices was created."
    made = next(one for one in every(visitor) if one.name == "Devices")
    assert (made.parent_id, made.key, made.subject) == (root.id, "EC-P384", "CN=Devices,O=Example,C=VN")
    assert made.name_constraints is not None
    assert made.name_constraints.permitted.dns == ("devices.example", "more.example")
    assert made.name_constraints.excluded.ip == ("10.0.0.0/8",)
    assert (made.not_after - made.not_before).days == 30
    text = visitor.get(f"{HOME}/{made.id}").text
    assert "only dns: devices.example, more.example" in text
    assert "It constrains IP addresses" in text  # what engines make of it


@pytest.mark.parametrize(
    ("sent", "field", "why"),
    [
        ({"name": ""}, "subject.CN", "common name"),
        ({"name": "x" * 256}, "name", "longer than 255"),
        ({"name": "x" * 100}, "subject.CN", "64"),
        ({"subject.C": "Vietnam"}, "subject.C", "does not have the form"),
        ({"lifetime_days": "many"}, "lifetime_days", "whole number"),
        ({"lifetime_days": "99999"}, "lifetime_days", "36500 or less"),
        ({"kind": "intermediate", "parent_id": "nobody"}, "parent_id", "there is no authority nobody"),
        ({"kind": "intermediate", "parent_id": ""}, "parent_id", "needs the authority that signs it"),
        ({"kind": "intermediate", "lifetime_days": "9000"}, "lifetime_days", "the parent ends at"),
        ({"custody": "pkcs11"}, "custody", "no PKCS#11 token is set up here"),
        ({"name_constraints.permitted.ip": "10.0.0.1/8"}, "name_constraints.permitted.ip", "network"),
        ({"name_constraints.excluded.dns": "a b"}, "name_constraints.excluded.dns", "DNS name"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    visitor: Visitor, root: Authority, sent: dict[str, str], field: str, why: str
) -> None:
    whole = {"name": "Other", "subject.OU": HOSTILE[:60], "kind": "root", **sent}
    page = visitor.get(f"{HOME}/create").form(f"{HOME}/create").send(**whole)
    assert page.status == 422
    assert why in page.error(field), page.text
    again = page.form(f"{HOME}/create")
    assert {name: again.values(name)[0] for name in whole if name not in {"kind", "parent_id"}} == {
        name: value for name, value in whole.items() if name not in {"kind", "parent_id"}
    }
    assert [one.id for one in every(visitor)] == [root.id]


def test_hostile_names_are_only_text(visitor: Visitor) -> None:
    visitor.get(f"{HOME}/create").form(f"{HOME}/create").send(**{"name": HOSTILE, "subject.CN": "plain"})
    (made,) = every(visitor)
    assert made.name == HOSTILE
    for place in (
        HOME,
        f"{HOME}/{made.id}",
        f"{HOME}/{made.id}/edit",
        f"{HOME}/{made.id}/delete",
        "/console/certificates/create",
    ):
        page = visitor.get(place)
        assert "<script>alert" not in page.reply.text
        assert HOSTILE in page.text


def test_a_ca_of_somebody_else_is_imported_pasted_or_as_a_file(visitor: Visitor, foreign: tuple[x509.Certificate, Any]) -> None:
    place = f"{HOME}/import"
    page = visitor.get(place).form(place).send(certificate=pem(foreign[0]), name="Partner")
    assert page.said.startswith("Partner was imported.")
    (made,) = every(visitor)
    assert (made.kind, made.has_key, made.not_after) == ("imported", False, foreign[0].not_valid_after_utc)
    again = visitor.get(place).form(place).send(certificate_file=foreign[0].public_bytes(Encoding.DER))
    assert again.status == 422
    assert "in the system already" in again.error("certificate")


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"certificate": ""}, "Paste it, or choose the file"),
        ({"certificate": HOSTILE}, "certificate"),
        ({"certificate_file": b"\x30\x03\x02\x01\x01"}, "certificate"),
        ({"certificate": "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----"}, "key"),
        ({"certificate": "x" * 70_000}, "longer than 65536 bytes"),
    ],
)
def test_what_is_no_ca_certificate_is_named(visitor: Visitor, sent: dict[str, Any], why: str) -> None:
    place = f"{HOME}/import"
    page = visitor.get(place).form(place).send(name="Partner", **sent)
    assert page.status == 422
    assert why in page.error("certificate"), page.text
    assert page.form(place).values("name") == ["Partner"]
    assert every(visitor) == ()


def test_a_leaf_is_no_ca(visitor: Visitor, root: Authority) -> None:
    _key, csr = new_key_and_request("alice")
    leaf = certificates.issue(visitor.system, ADMIN, NewCertificate(authority_id=root.id, csr=csr))
    page = visitor.get(f"{HOME}/import").form(f"{HOME}/import").send(certificate=leaf.certificate)
    assert page.status == 422
    assert page.error("certificate")


def imported(visitor: Visitor, certificate: x509.Certificate) -> Authority:
    visitor.get(f"{HOME}/import").form(f"{HOME}/import").send(certificate=pem(certificate), name="Partner")
    return next(one for one in every(visitor) if one.kind == "imported")


def test_how_its_revocations_are_learned_is_set_and_nothing_changes_without_a_list(
    visitor: Visitor, foreign: tuple[x509.Certificate, Any]
) -> None:
    one = imported(visitor, foreign[0])
    place = f"{HOME}/{one.id}/edit"
    page = (
        visitor.get(place).form(place).send(**{"status_check.revocation_check": "OCSP", "status_check.fetch_ports": "80\n8080"})
    )
    assert page.said == "Partner was saved."
    assert read(visitor, one).status_check.fetch_ports == (80, 8080)
    assert "By its OCSP responder" in page.text
    wrong = (
        visitor.get(place).form(place).send(**{"status_check.crl_urls": "ldap://x.example", "status_check.refresh_minutes": "0"})
    )
    assert "LDAP is not asked" in wrong.error("status_check.crl_urls")
    assert wrong.error("status_check.refresh_minutes") == "must be 1 or more"
    refused = visitor.get(place).form(place).send(**{"status_check.revocation_check": "CRL"})
    assert refused.status == 422
    assert "no current revocation list" in refused.error("status_check.revocation_check")
    assert read(visitor, one).status_check.revocation_check == "OCSP"


def test_what_a_form_did_not_show_is_not_changed(visitor: Visitor, foreign: tuple[x509.Certificate, Any]) -> None:
    one = imported(visitor, foreign[0])
    place = f"{HOME}/{one.id}/edit"
    form = visitor.get(place).form(place)
    form.send(**{"status_check.revocation_check": "OCSP"})
    form.fields = [(name, value) for name, value in form.fields if name == "csrf"]
    form.send(name="Renamed")
    now = read(visitor, one)
    assert (now.name, now.status_check.revocation_check) == ("Renamed", "OCSP")


def test_its_revocation_list_is_uploaded(visitor: Visitor, foreign: tuple[x509.Certificate, Any]) -> None:
    certificate, key = foreign
    one = imported(visitor, certificate)
    at = clock.now()
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(at - timedelta(hours=1))
        .next_update(at + timedelta(days=7))
        .add_extension(x509.CRLNumber(7), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    place = f"{HOME}/{one.id}/upload"
    empty = visitor.get(place).form(place).send()
    assert "Paste it" in empty.error("crl")
    wrong = visitor.get(place).form(place).send(crl_file=b"nothing")
    assert wrong.status == 422
    assert wrong.error("crl")
    page = visitor.get(place).form(place).send(crl_file=crl.public_bytes(Encoding.DER))
    assert page.said == "The revocation list was taken."
    assert "number 7" in page.text
    assert read(visitor, one).status_check.revocation_check == "CRL"


def test_an_intermediate_is_revoked_with_a_reason(visitor: Visitor, root: Authority, issuing: Authority) -> None:
    issue(visitor, issuing, "alice")
    place = f"{HOME}/{issuing.id}/revoke"
    asked = visitor.get(place)
    assert "1 client certificate is refused" in asked.text
    assert "Choose why" in asked.form(place).send(reason="because").error("reason")
    page = asked.form(place).send(reason="cACompromise")
    assert page.said == "Devices was revoked."
    assert read(visitor, issuing).revocation_reason == "cACompromise"
    assert not [link for link in page.root.every("a") if link.text == "Revoke"]
    assert not [link for link in visitor.get(f"{HOME}/{root.id}").root.every("a") if link.text == "Revoke"]  # nobody is above it


def test_it_is_deleted_unless_something_needs_it(visitor: Visitor, root: Authority, issuing: Authority) -> None:
    refused = visitor.get(f"{HOME}/{root.id}/delete").form(f"{HOME}/{root.id}/delete").send()
    assert refused.status == 409
    assert f"has signed authority {issuing.id}" in refused.root.one("dialog").text
    page = visitor.get(f"{HOME}/{issuing.id}/delete").form(f"{HOME}/{issuing.id}/delete").send()
    assert page.said == "Devices was deleted."
    assert [one.id for one in every(visitor)] == [root.id]


def test_it_is_signed_by_another_too(visitor: Visitor, root: Authority, issuing: Authority) -> None:
    other = authorities.create(visitor.system, ADMIN, NewAuthority(name="Other Root", kind="root"))
    place = f"{HOME}/{issuing.id}/cross-sign"
    page = visitor.get(place).form(place).send(parent_id=other.id, lifetime_days="99999")
    assert page.error("lifetime_days") == "must be 36500 or less"
    page = page.form(place).send(parent_id=other.id, lifetime_days="100")
    assert page.said == "Devices by Other Root was created."
    assert "Its other certificates" in visitor.get(f"{HOME}/{issuing.id}").text
    assert root.id != other.id


def test_it_is_replaced_step_by_step(visitor: Visitor, root: Authority, issuing: Authority) -> None:
    new = authorities.create(visitor.system, ADMIN, NewAuthority(name="Devices 2027", kind="intermediate", parent_id=root.id))
    door = listen(visitor, issuing)
    issue(visitor, issuing, "alice")
    place = f"{HOME}/{issuing.id}/rotate"
    assert "Choose a CA" in visitor.get(place).form(place).send().error("to_id")
    page = visitor.get(place).form(place).send(to_id=new.id)
    (rotation,) = rotations.find(visitor.system, ADMIN, Query()).items
    at = f"/console/rotations/{rotation.id}"
    assert page.reply.url.path == at
    assert "alice" in page.text
    assert "It is being replaced by another." in visitor.get(f"{HOME}/{issuing.id}").text
    refused = visitor.get(f"{at}/finish").form(f"{at}/finish").send(confirm="7")
    assert refused.status == 409
    assert "1 client would be shut out." in refused.root.one("dialog").text
    done = refused.form(f"{at}/finish").send(confirm="1")
    assert done.said == "The old CA is not trusted any more."
    assert listeners.get(visitor.system, ADMIN, door.id).client_ca_tls_container_ref == f"/v1/authorities/{new.id}"
    back = visitor.get(f"{at}/undo").form(f"{at}/undo").send()
    assert back.said == "The old CA is trusted as before, and the new one is not."
    assert listeners.get(visitor.system, ADMIN, door.id).client_ca_tls_container_ref == f"/v1/authorities/{issuing.id}"


@pytest.mark.parametrize("role", ["auditor", "operator"])
def test_who_may_not_change_authorities_sees_them_all_the_same(visitor: Visitor, issuing: Authority, role: Any) -> None:
    with visitor.another("olga", role) as other:
        page = other.get(HOME)
        assert len(page.rows()) == 2
        assert not [link for link in page.root.every("a") if link.attrs["href"].endswith(("/create", "/import"))]
        details = other.get(f"{HOME}/{issuing.id}")
        assert details.status == 200
        verbs = ("edit", "revoke", "delete", "roll", "cross-sign")
        assert not [link for link in details.root.every("a") if link.attrs["href"].endswith(verbs)]
        for place in (f"{HOME}/create", f"{HOME}/import", *(f"{HOME}/{issuing.id}/{verb}" for verb in verbs)):
            assert other.get(place).status == 403
        refused = other.post(f"{HOME}/{issuing.id}/delete", [("csrf", _csrf(other))])
        assert refused.status == 403
    assert read(visitor, issuing).id == issuing.id


def _csrf(visitor: Visitor) -> str:
    return visitor.get(HOME).root.every("input", name="csrf")[0].attrs["value"]


def test_what_is_not_there_is_said(visitor: Visitor) -> None:
    for verb in ("", "/edit", "/revoke", "/delete", "/roll", "/rotate", "/download"):
        assert visitor.get(f"{HOME}/nobody{verb}").status == 404
    assert visitor.get("/console/rotations/nobody").status == 404
