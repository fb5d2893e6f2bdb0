"""Files for devices: what is put in comes out again, in OpenSSL, GnuTLS, NSS, Java and Apple's own format."""

import plistlib
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7, pkcs12

from ostiary.errors import Invalid
from ostiary.pki import bundle, keys
from ostiary.pki.bundle import Holding, Pkcs12Form
from support.certs import Authority, Leaf, new_ed25519_key, new_rsa_key

FORMS: Final[tuple[Pkcs12Form, ...]] = ("modern", "compatible")
ROOT: Final = Authority.root("Test root")
ISSUING: Final = ROOT.intermediate("Test issuing")
KEY_END: Final = b"-----END PRIVATE KEY-----\n"
PASSPHRASE: Final = "correct horse battery"


@pytest.fixture(scope="module")
def rsa_leaf() -> Leaf:
    return ISSUING.client("old machine", key=new_rsa_key())


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Pkcs12Form:
    found: Pkcs12Form = request.param
    return found


def held(leaf: Leaf, *, root: bool = True) -> Holding:
    return Holding(leaf.certificate, leaf.key, leaf.authorities if root else leaf.authorities[:-1])


def written(folder: Path, leaf: Leaf, form: Pkcs12Form, name: str = "alice") -> Path:
    file = folder / "identity.p12"
    file.write_bytes(bundle.pkcs12_file(held(leaf), PASSPHRASE, form, name))
    return file


def run(*words: object, within: Path) -> str:
    done = subprocess.run([str(word) for word in words], cwd=within, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_openssl_opens_it_and_says_how_it_is_protected(tmp_path: Path, form: Pkcs12Form) -> None:
    alice = ISSUING.client("alice")
    file = written(tmp_path, alice, form)
    said = run("openssl", "pkcs12", "-in", file, "-passin", f"pass:{PASSPHRASE}", "-info", "-noenc", within=tmp_path)
    expected = {
        "modern": ("MAC: sha256", "PBES2, PBKDF2, AES-256-CBC, Iteration 20000, PRF hmacWithSHA256"),
        "compatible": ("MAC: sha1", "pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 20000"),
    }
    for words in expected[form]:
        assert words in said
    assert said.count("-----BEGIN CERTIFICATE-----") == 3
    assert "friendlyName: alice" in said
    key = keys.load(said[said.index("-----BEGIN PRIVATE") : said.index("-----END PRIVATE")].encode() + KEY_END, None, "key")
    assert keys.matches(alice.certificate, key)


def test_openssl_in_legacy_mode_opens_the_compatible_form(tmp_path: Path) -> None:
    file = written(tmp_path, ISSUING.client("alice"), "compatible")
    assert "BEGIN PRIVATE KEY" in run(
        "openssl", "pkcs12", "-legacy", "-in", file, "-passin", f"pass:{PASSPHRASE}", "-noenc", within=tmp_path
    )


def test_gnutls_opens_it(tmp_path: Path, form: Pkcs12Form) -> None:
    file = written(tmp_path, ISSUING.client("alice"), form)
    said = run("certtool", "--p12-info", "--inder", "--infile", file, "--password", PASSPHRASE, within=tmp_path)
    assert said.count("-----BEGIN CERTIFICATE-----") == 3
    assert "PRIVATE KEY-----" in said


def test_nss_imports_it_and_can_use_the_key(tmp_path: Path, form: Pkcs12Form) -> None:
    file = written(tmp_path, ISSUING.client("alice"), form)
    run("certutil", "-N", "-d", f"sql:{tmp_path}", "--empty-password", within=tmp_path)
    run("pk12util", "-i", file, "-d", f"sql:{tmp_path}", "-W", PASSPHRASE, within=tmp_path)
    assert re.search(r"^alice\s+u,u,u$", run("certutil", "-L", "-d", f"sql:{tmp_path}", within=tmp_path), re.MULTILINE)
    assert "alice" in run("certutil", "-K", "-d", f"sql:{tmp_path}", within=tmp_path)


def test_java_opens_it_with_the_whole_chain(tmp_path: Path, form: Pkcs12Form) -> None:
    file = written(tmp_path, ISSUING.client("alice"), form)
    said = run("keytool", "-J-Duser.language=en", "-list", "-v", "-keystore", file, "-storetype", "PKCS12",
               "-storepass", PASSPHRASE, within=tmp_path)  # fmt: skip
    assert "PrivateKeyEntry" in said
    assert "Certificate chain length: 3" in said


@pytest.mark.parametrize("name", ["alice", "Nguyễn Văn A", "x" * 500, ""])
def test_any_name_can_be_the_friendly_name(form: Pkcs12Form, name: str) -> None:
    data = bundle.pkcs12_file(held(ISSUING.client("alice")), PASSPHRASE, form, name)
    found = pkcs12.load_pkcs12(data, PASSPHRASE.encode()).cert
    assert found is not None
    assert (found.friendly_name or b"").decode() == name[:120]


def test_every_kind_of_key_fits(tmp_path: Path, form: Pkcs12Form, rsa_leaf: Leaf) -> None:
    for leaf in (rsa_leaf, ISSUING.client("edward", key=new_ed25519_key())):
        opened = pkcs12.load_pkcs12(written(tmp_path, leaf, form).read_bytes(), PASSPHRASE.encode())
        assert opened.cert is not None
        assert (opened.cert.certificate, len(opened.additional_certs)) == (leaf.certificate, 2)
        assert keys.usable(opened.key, "key").public_key() == leaf.key.public_key()


def test_a_wrong_passphrase_opens_nothing(form: Pkcs12Form) -> None:
    data = bundle.pkcs12_file(held(ISSUING.client("alice")), PASSPHRASE, form, "alice")
    with pytest.raises(ValueError, match="Invalid password"):
        pkcs12.load_pkcs12(data, b"another passphrase")


def test_the_root_stays_outside_when_it_is_not_given() -> None:
    data = bundle.pkcs12_file(held(ISSUING.client("alice"), root=False), PASSPHRASE, "modern", "alice")
    assert [one.certificate for one in pkcs12.load_pkcs12(data, PASSPHRASE.encode()).additional_certs] == [ISSUING.certificate]


def test_what_is_held_does_not_show_its_key() -> None:
    assert "key" not in repr(held(ISSUING.client("alice")))


def test_made_passphrases_differ_and_can_be_read_out() -> None:
    made = {bundle.new_passphrase() for _ in range(200)}
    assert len(made) == 200
    for passphrase in made:
        assert re.fullmatch(r"(?:[a-hjkmnp-z2-9]{4}-){5}[a-hjkmnp-z2-9]{4}", passphrase)
        assert bundle.checked_passphrase(passphrase, "passphrase") == passphrase


@pytest.mark.parametrize("text", ["", "too short", "x" * 129, "mật khẩu rất dài và khó", "line\nbreak and more"])
def test_a_passphrase_that_is_weak_or_cannot_be_typed_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        bundle.checked_passphrase(text, "passphrase")
    assert refused.value.field == "passphrase"
    assert text[:6] not in refused.value.message or not text


def test_the_pem_bundle_holds_leaf_then_chain_and_the_key_only_when_asked(tmp_path: Path) -> None:
    alice = ISSUING.client("alice")
    without = bundle.pem_bundle(held(alice))
    assert x509.load_pem_x509_certificates(without.encode()) == [alice.certificate, ISSUING.certificate, ROOT.certificate]
    assert "PRIVATE KEY" not in without
    (tmp_path / "bundle.pem").write_text(bundle.pem_bundle(held(alice), with_key=True))
    (tmp_path / "root.pem").write_text(ROOT.cert_pem)
    run("openssl", "verify", "-CAfile", "root.pem", "-untrusted", "bundle.pem", "bundle.pem", within=tmp_path)
    run("openssl", "pkey", "-in", "bundle.pem", "-noout", within=tmp_path)


def test_pkcs7_is_read_by_openssl_and_java(tmp_path: Path) -> None:
    alice = ISSUING.client("alice")
    data = bundle.pkcs7_file((alice.certificate, *alice.authorities))
    assert set(pkcs7.load_der_pkcs7_certificates(data)) == {alice.certificate, *alice.authorities}
    (tmp_path / "chain.p7b").write_bytes(data)
    said = run("openssl", "pkcs7", "-inform", "DER", "-in", "chain.p7b", "-print_certs", within=tmp_path)
    assert said.count("subject=") == 3
    assert "alice" in run("keytool", "-printcert", "-file", "chain.p7b", within=tmp_path)


def test_apple_gets_roots_as_anchors_and_intermediates_as_certificates() -> None:
    profile = plistlib.loads(bundle.mobileconfig_of_certificates((ISSUING.certificate, ROOT.certificate), "Acme <CA> & more"))
    assert (profile["PayloadType"], profile["PayloadDisplayName"]) == ("Configuration", "Acme <CA> & more")
    issuing, root = profile["PayloadContent"]
    assert (issuing["PayloadType"], root["PayloadType"]) == ("com.apple.security.pkcs1", "com.apple.security.root")
    assert issuing["PayloadContent"] == ISSUING.certificate.public_bytes(Encoding.DER)
    assert root["PayloadContent"] == ROOT.certificate.public_bytes(Encoding.DER)


def test_apple_gets_the_identity_without_its_passphrase() -> None:
    alice = ISSUING.client("alice")
    data = bundle.pkcs12_file(held(alice), PASSPHRASE, "compatible", "alice")
    text = bundle.mobileconfig_of_identity(held(alice), data, "alice")
    assert PASSPHRASE.encode() not in text
    *authorities, identity = plistlib.loads(text)["PayloadContent"]
    assert [one["PayloadType"] for one in authorities] == ["com.apple.security.pkcs1", "com.apple.security.root"]
    assert (identity["PayloadType"], "Password" in identity) == ("com.apple.security.pkcs12", False)
    assert pkcs12.load_pkcs12(identity["PayloadContent"], PASSPHRASE.encode()).key is not None


def test_the_same_certificates_always_make_the_same_profile() -> None:
    first, again = (bundle.mobileconfig_of_certificates((ROOT.certificate,), "CA") for _ in range(2))
    other = bundle.mobileconfig_of_certificates((Authority.root("Test root").certificate,), "CA")
    assert first == again
    uuids = [set(re.findall(rb"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}", text)) for text in (first, other)]
    assert [len(found) for found in uuids] == [2, 2]
    assert not uuids[0] & uuids[1]


def test_a_name_with_control_characters_cannot_break_a_profile() -> None:
    name = "a\x00b\u202ec\n"
    profile = plistlib.loads(bundle.mobileconfig_of_certificates((ROOT.certificate,), name))
    assert not {"\x00", "\u202e", "\n"} & set(profile["PayloadDisplayName"])
