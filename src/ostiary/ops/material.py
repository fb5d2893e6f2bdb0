"""Is the TLS material that a setting refers to good for its purpose, today? Asked when it is chosen, not when it is used.

What was good when chosen and expires later stays in the configuration: the engine itself refuses with it, and an unrelated
change must not fail because of it.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from cryptography import x509

from ostiary.errors import Invalid
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool
from ostiary.ops.system import System
from ostiary.pki.chain import (
    read_client_ca,
    read_client_identity,
    read_client_pkcs12,
    read_crls,
    read_pkcs12,
    read_server_ca,
    read_server_identity,
)
from ostiary.store.kinds import SECRET
from ostiary.store.material import Materials
from ostiary.store.store import Transaction


def check_listener(transaction: Transaction, system: System, listener: Listener, before: Listener | None = None) -> None:
    """Check what this change newly refers to. Raises `Invalid` naming the field."""
    materials = Materials(transaction, system.sealer)
    if listener.default_tls_container_ref and _changed("default_tls_container_ref", listener, before):
        _check_identity(materials, listener.default_tls_container_ref, "default_tls_container_ref", transaction.at)
    for text in set(listener.sni_container_refs) - set(before.sni_container_refs if before else ()):
        _check_identity(materials, text, "sni_container_refs", transaction.at)
    fields = ("client_authentication", "client_ca_tls_container_ref", "client_crl_container_ref")
    # Switching off is always possible, also with an authority that has expired meanwhile.
    switched_off = listener.client_authentication == "NONE" and not any(_changed(field, listener, before) for field in fields[1:])
    if listener.client_ca_tls_container_ref and not switched_off and any(_changed(field, listener, before) for field in fields):
        _check_trust(
            read_client_ca,
            materials,
            (listener.client_ca_tls_container_ref, "client_ca_tls_container_ref"),
            (listener.client_crl_container_ref, "client_crl_container_ref"),
            transaction.at,
        )
    _refuse_expired_secrets(transaction, listener, before)


def check_pool(transaction: Transaction, system: System, pool: Pool, before: Pool | None = None) -> None:
    """Check what this change newly refers to. Raises `Invalid` naming the field."""
    materials = Materials(transaction, system.sealer)
    if pool.tls_container_ref and _changed("tls_container_ref", pool, before):
        _check_identity(materials, pool.tls_container_ref, "tls_container_ref", transaction.at, client=True)
    if pool.ca_tls_container_ref and any(
        _changed(field, pool, before) for field in ("ca_tls_container_ref", "crl_container_ref")
    ):
        _check_trust(
            read_server_ca,
            materials,
            (pool.ca_tls_container_ref, "ca_tls_container_ref"),
            (pool.crl_container_ref, "crl_container_ref"),
            transaction.at,
        )


def _changed(field: str, after: object, before: object | None) -> bool:
    return before is None or getattr(after, field) != getattr(before, field)


def _check_identity(materials: Materials, text: str, field: str, at: datetime, *, client: bool = False) -> None:
    parts = materials.parts(text, field)
    if parts.pkcs12 is not None:
        (read_client_pkcs12 if client else read_pkcs12)(parts.pkcs12, None, at, field)
        return
    fields = {
        "certificate": f"{field} (certificate)",
        "private_key": f"{field} (private_key)",
        "intermediates": f"{field} (intermediates)",
        "passphrase": f"{field} (private_key_passphrase)",
    }
    read = read_client_identity if client else read_server_identity
    read(parts.certificate, parts.private_key, parts.intermediates, parts.passphrase, at, fields)


def _check_trust(
    read: Callable[[bytes, datetime, str], tuple[x509.Certificate, ...]],
    materials: Materials,
    ca: tuple[str, str],
    crl: tuple[str | None, str],
    at: datetime,
) -> None:
    anchors = materials.anchors(*ca)
    if anchors.closed:
        raise Invalid(ca[1], f"authority {anchors.id} was revoked, or one above it was; choose another")
    # Of an authority in the system the one that was chosen has to be good today; others of its series may have ended.
    chosen = [one.certificate.encode() for one in anchors.authorities if one.id == anchors.id]
    authorities = read(chosen[0] if chosen else anchors.pem, at, ca[1])
    if crl[0] is not None:
        _, lists = materials.secret(crl[0], crl[1])
        read_crls(lists, authorities, at, crl[1])


def _refuse_expired_secrets(transaction: Transaction, listener: Listener, before: Listener | None) -> None:
    """A secret whose owner set an expiration is not taken into use after it."""
    for field, text in _secret_texts(listener, before):
        secret = transaction.get(SECRET, text.rstrip("/").rpartition("/")[2])
        if secret is not None and secret.expiration is not None and secret.expiration <= transaction.at:
            raise Invalid(field, f"secret {secret.id} expired at {secret.expiration:%Y-%m-%d %H:%M} UTC; store a new one")


def _secret_texts(listener: Listener, before: Listener | None) -> Iterable[tuple[str, str]]:
    for field in ("default_tls_container_ref", "client_ca_tls_container_ref", "client_crl_container_ref"):
        text = getattr(listener, field)
        if text and _changed(field, listener, before):
            yield field, text
