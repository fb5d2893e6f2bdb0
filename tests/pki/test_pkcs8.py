"""Keys under a passphrase, as other programs read them."""

import subprocess
from pathlib import Path
from typing import get_args

import pytest

from ostiary.errors import Invalid
from ostiary.pki import keys, pkcs8

PASSPHRASE = "correct horse battery staple"


@pytest.mark.parametrize("spec", get_args(keys.KeySpec))
def test_what_we_write_openssl_gnutls_and_we_ourselves_read(tmp_path: Path, spec: keys.KeySpec) -> None:
    key = keys.generate(spec)
    file = tmp_path / "key.pem"
    file.write_text(pkcs8.encrypted(key, PASSPHRASE))
    by_openssl = subprocess.run(
        ["openssl", "pkey", "-in", file, "-passin", f"pass:{PASSPHRASE}"], capture_output=True, check=True
    ).stdout
    by_gnutls = subprocess.run(
        ["certtool", "--pkcs8", "--key-info", "--infile", file, "--password", PASSPHRASE], capture_output=True, check=False
    )
    assert by_gnutls.returncode == 0, by_gnutls.stderr
    assert b"PBES2" in by_gnutls.stdout
    assert keys.spki(key.public_key()) == keys.spki(keys.load(by_openssl, None, "key").public_key())
    assert keys.spki(key.public_key()) == keys.spki(keys.load(file.read_bytes(), PASSPHRASE.encode(), "key").public_key())


def test_another_passphrase_does_not_open_it() -> None:
    with pytest.raises(Invalid, match="cannot be decrypted"):
        keys.load(pkcs8.encrypted(keys.generate("EC-P256"), PASSPHRASE, 2048).encode(), b"another one, just as long", "key")


def test_the_same_key_never_looks_the_same() -> None:
    key = keys.generate("EC-P256")
    assert pkcs8.encrypted(key, PASSPHRASE, 2048) != pkcs8.encrypted(key, PASSPHRASE, 2048)


def test_a_guess_costs_more_than_the_library_would_have_it() -> None:
    assert pkcs8.ROUNDS >= 600_000
