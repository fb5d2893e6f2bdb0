"""Identities: a certificate whose key is made here too, for devices that cannot make one, and handed out once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from cryptography import x509

from ostiary.errors import Conflict, Invalid
from ostiary.model.authority import Certificate, KeySpec
from ostiary.model.fields import Private
from ostiary.model.handout import NewIdentity
from ostiary.ops import profiles
from ostiary.ops.caller import Caller
from ostiary.ops.facts import record
from ostiary.ops.handout import above, chain_of, title
from ostiary.ops.idempotency import Once, before, once_only
from ostiary.ops.issuing import Wanted, names_from, preview, signed, stored
from ostiary.ops.signing import parsed
from ostiary.ops.system import System
from ostiary.pki import bundle, keys
from ostiary.pki.bundle import Holding
from ostiary.pki.names import Names
from ostiary.pki.request import SigningRequest
from ostiary.store.kinds import AUTHORITY, CERTIFICATE
from ostiary.store.store import Facts, Reader

# As profiles name them.
_KEY_KINDS: Final[Mapping[KeySpec, str]] = {
    "EC-P256": "EC P-256",
    "EC-P384": "EC P-384",
    "ED25519": "Ed25519",
    "RSA-3072": "RSA",
    "RSA-4096": "RSA",
}


@dataclass(frozen=True)
class Handed:
    """What is told once: the certificate, the file that holds its key, and the passphrase if it was made here."""

    certificate: Certificate
    pkcs12: Private
    passphrase: Private | None
    mobileconfig: Private | None


def issue_with_key(system: System, caller: Caller, new: NewIdentity, once: Once | None = None) -> Handed:
    """Make a key and a certificate for it. The key is in memory only, until the file that holds it has been handed out.

    All that can be refused is refused before the key is made, which for RSA takes long. Raises `Conflict` when asked again under
    an idempotency key that was used: what was handed out then cannot be handed out again.
    """
    caller.must("certificate:issue")
    passphrase = bundle.new_passphrase() if new.passphrase is None else bundle.checked_passphrase(new.passphrase, "passphrase")
    with system.store.read() as reader:
        _refuse_second_time(reader, caller, once)
        wanted = _granted(system, reader, new)
    key = keys.generate(new.key_type)
    with system.store.read() as reader:
        made = signed(system, reader, replace(wanted, request=_request(key)), system.clock())
        root = _root(reader, made.certificate) if new.include_root else ()
    held = Holding(parsed(made.certificate), key, (*chain_of(made.certificate), *root))
    name = title(made.certificate)
    handed = Handed(
        made.certificate,
        Private(bundle.pkcs12_file(held, passphrase, new.pkcs12_form, name)),
        Private(passphrase.encode()) if new.passphrase is None else None,
        Private(_mobileconfig(held, passphrase, name)) if new.mobileconfig else None,
    )

    def work(facts: Facts) -> Certificate:
        _refuse_second_time(facts, caller, once)
        return once_only(facts, caller, once, CERTIFICATE, lambda: stored(facts, made))

    return replace(handed, certificate=record(system, caller, "certificate:issue", work))


def _granted(system: System, reader: Reader, new: NewIdentity) -> Wanted:
    """What is wanted, once policy has said that a key of this kind would get it. Raises `Invalid`."""
    profile = profiles.effective(reader, new.profile)
    if profile.approval != "automatic":
        raise Conflict(
            f"Profile '{profile.name}' asks for approval, and a key cannot wait for that; make a request where the key is to be.",
            "profile",
        )
    kind = _KEY_KINDS[new.key_type]
    if not any(kind.startswith(allowed) for allowed in profile.key_types):
        raise Invalid("key_type", f"profile '{profile.name}' does not allow it; use {' or '.join(profile.key_types)}.")
    if kind == "RSA" and int(new.key_type.removeprefix("RSA-")) < profile.min_rsa_bits:
        raise Invalid("key_type", f"profile '{profile.name}' asks of RSA keys at least {profile.min_rsa_bits} bits.")
    # A key that costs nothing stands in for the one that does.
    stand_in = keys.generate("EC-P256")
    wanted = Wanted(
        request=_request(stand_in),
        profile=replace(profile, key_types=("EC P-256",)),
        authority_id=new.authority_id,
        names=names_from(new.names),
        lifetime=new.lifetime,
        name=new.name,
        project_id=new.project_id,
        owner=new.owner,
        groups=new.groups,
    )
    preview(system, reader, wanted, system.clock())
    return replace(wanted, profile=profile)


def _request(key: keys.PrivateKey) -> SigningRequest:
    """A request for a key that is here: that we hold it needs no proof."""
    return SigningRequest(key.public_key(), Names())


def _refuse_second_time(reader: Reader, caller: Caller, once: Once | None) -> None:
    known = before(reader, caller, once, CERTIFICATE)
    if known is not None:
        raise Conflict(
            f"This was done already: it made certificate {known.id}, whose key was handed out once and is not kept. "
            "If it did not arrive, revoke that certificate and ask under another key.",
            "Idempotency-Key",
        )


def _root(reader: Reader, certificate: Certificate) -> tuple[x509.Certificate, ...]:
    issuer = reader.require(AUTHORITY, certificate.authority_id)
    top = (issuer, *above(reader, issuer))[-1]
    return (parsed(top),) if top.kind == "root" else ()


def _mobileconfig(held: Holding, passphrase: str, name: str) -> bytes:
    # Apple's devices take the modern form for a wrong passphrase, whatever was asked for beside it.
    return bundle.mobileconfig_of_identity(held, bundle.pkcs12_file(held, passphrase, "compatible", name), name)
