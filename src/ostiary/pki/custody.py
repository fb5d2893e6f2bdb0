"""Custody: who makes and keeps the keys of authorities. Three things are asked and no more: create, public key, sign."""

from typing import Protocol

from ostiary.pki import keys


class Custody(Protocol):
    """A place where keys are made and kept.

    The other two of the three are methods of the key that `open` returns: `public_key()` and `sign()`. It is one of
    `cryptography`'s private keys in kind, so whatever signs with those signs with it; its private part may be out of reach.
    """

    def create(self, spec: keys.KeySpec, label: str) -> bytes:
        """Make a key; returns what is to be stored of it, sealed as if it were the key. `label` is for people who look there.

        Raises `Invalid` for a kind of key that cannot be made there, `Unavailable` when it cannot be made now.
        """

    def open(self, kept: bytes, field: str) -> keys.PrivateKey:
        """The key of which `create` returned this. Raises `Unavailable` when it is out of reach. Cheap only for some."""


class InFile:
    """The key itself is what is stored: PKCS#8, sealed under the key-encryption key, and in our memory while it is used."""

    def create(self, spec: keys.KeySpec, label: str) -> bytes:  # noqa: ARG002 (a file of its own needs no name)
        """Make a key. RSA takes up to a second or two: keep it off the event loop."""
        return keys.to_pem(keys.generate(spec))

    def open(self, kept: bytes, field: str) -> keys.PrivateKey:
        """Read the key; weak ones are refused."""
        return keys.load(kept, None, field)
