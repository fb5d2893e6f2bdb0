"""A PKCS#11 token of SoftHSM 2 in a folder of its own."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from ostiary.custody.token import Location, Token

MODULE: Final = "/usr/lib/softhsm/libsofthsm2.so"
PIN: Final = "734591-user-pin"


@dataclass(frozen=True)
class SoftHSM:
    """The token, where it is now, and what a process needs to find it."""

    folder: Path
    label: str

    @property
    def location(self) -> Location:
        return Location(MODULE, self.label, self.pin_file)

    @property
    def pin_file(self) -> Path:
        return self.folder / "pin"

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens"

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to use the token: what SoftHSM itself reads, and what ostiary does."""
        return {
            "SOFTHSM2_CONF": str(self.folder / "softhsm2.conf"),
            "OSTIARY_PKCS11_MODULE": MODULE,
            "OSTIARY_PKCS11_TOKEN": self.label,
            "OSTIARY_PKCS11_PIN_FILE": str(self.pin_file),
        }

    def pull_out(self) -> None:
        """As if the token were unplugged."""
        self.tokens.rename(self.folder / "pulled-out")
        self.tokens.mkdir()

    def plug_in(self) -> None:
        """It comes back."""
        self.tokens.rmdir()
        (self.folder / "pulled-out").rename(self.tokens)


def custody(token: SoftHSM) -> Token:
    """The token as authorities' keys are kept in it."""
    return Token(token.location)


def a_token(folder: Path) -> SoftHSM:
    """Make one. `SOFTHSM2_CONF` must be set where it is used: see `environment`.

    Each has a name of its own: a module reads where its tokens are when it starts, and one that an earlier test of this process
    started would lead to that test's token, were they called alike.
    """
    if shutil.which("softhsm2-util") is None:
        pytest.fail("no SoftHSM; `make test` installs it (Debian package softhsm2)")
    token = SoftHSM(folder, f"test-{uuid4().hex[:12]}")
    token.tokens.mkdir(parents=True)
    config = f"directories.tokendir = {token.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    (folder / "softhsm2.conf").write_text(config)
    token.pin_file.write_text(f"{PIN}\n")
    command = ("softhsm2-util", "--init-token", "--free", "--label", token.label, "--pin", PIN, "--so-pin", "so-pin-of-test")
    subprocess.run(command, env={"PATH": os.defpath, **token.environment}, capture_output=True, check=True)
    return token
