"""Certificates get out as files; a key made here is handed out once, and is nowhere afterwards."""

import base64
import logging
import plistlib
import re
import ssl
import threading
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7, pkcs12
from hypothesis import example, given
from hypothesis import strategies as st

from api.client import Client
from ostiary.model.authority import Authority
from ostiary.ops import handout, identities
from ostiary.pki import bundle, keys
from support.made import a_certificate, an_authority

PATH: Final = "/v1/certificates"
NAMES: Final = {"common_name": "alice", "email": ["alice@example.test"]}


@pytest.fixture
def root(client: Client) -> Authority:
    return an_authority(client.system, "Root")


@pytest.fixture
def issuing(client: Client, root: Authority) -> Authority:
    return an_authority(client.system, "Issuing", kind="intermediate", parent_id=root.id)


def generated(client: Client, authority: Authority, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    wanted = {"authority_id": authority.id, "key": "generate", "names": NAMES, **fields}
    return client.post(PATH, {"certificate": wanted}, headers=headers)


def opened(made: dict[str, Any], passphrase: str | None = None) -> pkcs12.PKCS12KeyAndCertificates:
    return pkcs12.load_pkcs12(base64.b64decode(made["pkcs12"]), (passphrase or made["passphrase"]).encode())


def test_a_key_is_made_and_handed_out_with_its_certificate(client: Client, issuing: Authority) -> None:
    reply = generated(client, issuing, owner="alice", name="Alice's phone")
    assert reply.status_code == 201, reply.text
    assert reply.headers["cache-control"] == "no-store"
    made = reply.json()["certificate"]
    held = opened(made)
    assert held.cert is not None
    assert held.cert.friendly_name == b"Alice's phone"
    assert held.cert.certificate == x509.load_pem_x509_certificate(made["certificate"].encode())
    assert isinstance(held.key, ec.EllipticCurvePrivateKey)
    assert held.key.public_key() == held.cert.certificate.public_key()
    assert [one.certificate for one in held.additional_certs] == [x509.load_pem_x509_certificate(issuing.certificate.encode())]
    assert (made["subject"], made["sans"], made["owner"]) == ("CN=alice", ["email:alice@example.test"], "alice")


def test_old_systems_get_what_they_can_read(client: Client, issuing: Authority) -> None:
    made = generated(client, issuing, key_type="RSA-3072", pkcs12_form="compatible").json()["certificate"]
    assert isinstance(opened(made).key, rsa.RSAPrivateKey)
    assert b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x03" in base64.b64decode(made["pkcs12"])  # pbeWithSHAAnd3-KeyTripleDES-CBC


def test_the_root_is_inside_only_when_asked_for(client: Client, root: Authority, issuing: Authority) -> None:
    made = generated(client, issuing, include_root=True).json()["certificate"]
    held = [one.certificate for one in opened(made).additional_certs]
    assert held == [x509.load_pem_x509_certificate(one.certificate.encode()) for one in (issuing, root)]


def test_apples_profile_comes_beside_it_when_asked_for(client: Client, issuing: Authority) -> None:
    made = generated(client, issuing, mobileconfig=True).json()["certificate"]
    profile = plistlib.loads(base64.b64decode(made["mobileconfig"]))
    identity = profile["PayloadContent"][-1]
    assert pkcs12.load_pkcs12(identity["PayloadContent"], made["passphrase"].encode()).key is not None
    assert generated(client, issuing).json()["certificate"]["mobileconfig"] is None


def test_a_passphrase_of_the_callers_own_is_not_told_back(client: Client, issuing: Authority) -> None:
    passphrase = "correct horse battery staple"
    reply = generated(client, issuing, passphrase=passphrase)
    assert passphrase not in reply.text
    made = reply.json()["certificate"]
    assert made["passphrase"] is None
    assert opened(made, passphrase).key is not None


def test_the_key_and_the_passphrase_are_nowhere_afterwards(
    client: Client, issuing: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    made = generated(client, issuing).json()["certificate"]
    key = opened(made).key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    number = key.private_numbers().private_value.to_bytes(32, "big")
    secrets = [number, number.hex().encode(), base64.b64encode(number), made["passphrase"].encode()]
    secrets.append(base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))[60:100])
    shown = client.get(f"{PATH}/{made['id']}").json()["certificate"]
    assert not {"pkcs12", "passphrase", "key"} & set(shown)
    places = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    places += [client.get(path).content for path in ("/v1/audit", f"{PATH}/{made['id']}")]
    places += [caplog.text.encode(), *(stream.encode() for stream in capfd.readouterr())]
    assert len(places) > 4
    assert not [secret for secret in secrets for place in places if secret in place]


def test_what_is_handed_over_does_not_show_itself(client: Client, issuing: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    issue = identities.issue_with_key

    def noting(*given: Any) -> Any:
        seen.extend(given)
        seen.append(issue(*given))
        return seen[-1]

    monkeypatch.setattr(identities, "issue_with_key", noting)
    passphrase = "correct horse battery staple"
    generated(client, issuing, passphrase=passphrase)
    made = generated(client, issuing).json()["certificate"]
    text = "".join(f"{one!r} {one}" for one in seen)
    assert made["passphrase"] not in text
    assert passphrase not in text
    assert made["pkcs12"][:40] not in text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"csr": "x"}, "csr"),
        ({"key": "given"}, "key"),
        ({"key_type": "RSA-1024"}, "key_type"),
        ({"key_type": "ED25519"}, "key_type"),
        ({"pkcs12_form": "old"}, "pkcs12_form"),
        ({"passphrase": "short"}, "passphrase"),
        ({"passphrase": "mật khẩu dài hơn mười sáu"}, "passphrase"),
        ({"names": {}}, "names"),
        ({"names": None}, "names"),
        ({"names": {"common_name": "x" * 65}}, "names.common_name"),
        ({"authority_id": "none"}, "authority_id"),
        ({"profile": "none"}, "profile"),
        ({"lifetime": "P9999D"}, "lifetime"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_refused_is_refused_before_a_key_is_made(
    client: Client, issuing: Authority, fields: dict[str, Any], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    generate = keys.generate

    def noting(spec: Any) -> Any:
        made.append(spec)
        return generate(spec)

    monkeypatch.setattr(keys, "generate", noting)
    reply = generated(client, issuing, **{"key_type": "RSA-4096", **fields})
    assert reply.status_code == 400, reply.text
    assert reply.json()["field"] == field
    assert "RSA-4096" not in made
    assert client.get(PATH).json()["certificates"] == []
    assert field != "passphrase" or fields[field] not in reply.text


def test_a_key_is_not_handed_out_again_to_who_asks_again(client: Client, issuing: Authority) -> None:
    again = {"idempotency-key": "one"}
    first = generated(client, issuing, again).json()["certificate"]
    reply = generated(client, issuing, again)
    assert reply.status_code == 409
    assert first["id"] in reply.json()["detail"]
    assert "pkcs12" not in reply.text
    assert len(client.get(PATH).json()["certificates"]) == 1


def test_a_key_does_not_wait_for_other_peoples_approval(client: Client, issuing: Authority) -> None:
    assert client.post("/v1/profiles", {"profile": {"name": "careful", "approval": "one"}}).status_code == 201
    reply = generated(client, issuing, profile="careful")
    assert (reply.status_code, reply.json()["field"]) == (409, "profile")
    assert client.get(PATH).json()["certificates"] == []


def test_neither_keys_nor_files_are_made_on_the_event_loop(
    client: Client, issuing: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both take long enough to keep everybody else waiting (PKI pitfall 22)."""
    threads: list[threading.Thread] = []
    generate, pkcs12_file = keys.generate, bundle.pkcs12_file

    def noting_key(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return generate(*given)

    def noting_file(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return pkcs12_file(*given)

    monkeypatch.setattr(keys, "generate", noting_key)
    monkeypatch.setattr(bundle, "pkcs12_file", noting_file)
    assert generated(client, issuing).status_code == 201
    assert threads
    assert threading.main_thread() not in threads  # The client runs the event loop there.


def test_a_certificate_is_downloaded_in_each_form(client: Client, issuing: Authority) -> None:
    alice = a_certificate(client.system, issuing, "alice", name="Alice & co")
    leaf = x509.load_pem_x509_certificate(alice.certificate.encode())
    above = x509.load_pem_x509_certificate(issuing.certificate.encode())
    for form, media_type, name, expected in (
        ("pem", "application/x-pem-file", "Alice-co.pem", [leaf]),
        ("chain", "application/pem-certificate-chain", "Alice-co-chain.pem", [above]),
        ("fullchain", "application/pem-certificate-chain", "Alice-co-fullchain.pem", [leaf, above]),
    ):
        reply = client.get(f"{PATH}/{alice.id}/download?format={form}")
        assert (reply.headers["content-type"], reply.status_code) == (media_type, 200)
        assert reply.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert x509.load_pem_x509_certificates(reply.content) == expected
    assert client.get(f"{PATH}/{alice.id}/download").text == alice.certificate
    for form in ("der", "crt"):
        reply = client.get(f"{PATH}/{alice.id}/download?format={form}")
        assert (reply.headers["content-type"], reply.content) == ("application/pkix-cert", leaf.public_bytes(Encoding.DER))
    p7b = client.get(f"{PATH}/{alice.id}/download?format=p7b")
    assert set(pkcs7.load_der_pkcs7_certificates(p7b.content)) == {leaf, above}
    profile = plistlib.loads(client.get(f"{PATH}/{alice.id}/download?format=mobileconfig").content)
    assert [one["PayloadType"] for one in profile["PayloadContent"]] == ["com.apple.security.pkcs1"] * 2


def test_an_authority_is_downloaded_in_each_form(client: Client, root: Authority) -> None:
    path = f"/v1/authorities/{root.id}/download"
    assert client.get(path).text == root.certificate
    assert client.get(f"{path}?format=der").content == ssl.PEM_cert_to_DER_cert(root.certificate)
    assert plistlib.loads(client.get(f"{path}?format=mobileconfig").content)["PayloadDisplayName"] == "Root"


@pytest.mark.parametrize("path", ["/v1/certificates/{certificate}/download", "/v1/authorities/{authority}/download"])
def test_a_format_there_is_not_is_refused(client: Client, issuing: Authority, path: str) -> None:
    alice = a_certificate(client.system, issuing)
    reply = client.get(path.format(certificate=alice.id, authority=issuing.id) + "?format=docx")
    assert (reply.status_code, reply.json()["field"]) == (400, "format")
    assert client.get(path.format(certificate="none", authority="none")).status_code == 404


@given(st.text())
@example('"; rm -rf /')
@example("../../etc/passwd")
@example("a\r\nSet-Cookie: x")
@example("." * 300)
def test_no_name_makes_an_odd_file_name(name: str) -> None:
    made = handout.file_name(name, ".pem")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}\.pem|certificate\.pem", made)
