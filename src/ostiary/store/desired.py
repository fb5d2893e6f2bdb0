"""The one read path: everything in service, whole and resolved, as of one transaction."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from ostiary.model.desired import Desired, DesiredListener, DesiredPool
from ostiary.model.fields import Private
from ostiary.model.health import HealthMonitor
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool
from ostiary.model.roster import Roster
from ostiary.model.tls import Identity, Trust
from ostiary.pki.chain import (
    plain_certificates,
    plain_crls,
    read_client_identity,
    read_client_pkcs12,
    read_pkcs12,
    read_server_identity,
)
from ostiary.pki.list_ends import NOBODYS_LIST
from ostiary.pki.sealing import Sealer
from ostiary.store import revocations
from ostiary.store.access import AccessRecords, retired
from ostiary.store.kinds import HEALTH_MONITOR, LISTENER, LOAD_BALANCER, MEMBER, POOL
from ostiary.store.lists import Lists
from ostiary.store.material import Anchors, Materials, Parts
from ostiary.store.store import Reader

# No connection of a client lives longer (envoy.http_manager), and so what was revoked before that is refused at the handshake.
OLDEST_CONNECTION: Final = timedelta(hours=25)
# They leave together, a quarter of an hour's at a time: else each would have everything translated anew on its day.
_LEAVE_EVERY: Final = timedelta(minutes=15)
_EPOCH: Final = datetime.min.replace(tzinfo=UTC)
NEWEST: Final = Lists()


def desired(reader: Reader, sealer: Sealer, at: datetime, roster: Roster | None = None, lists: Lists = NEWEST) -> Desired:
    """What every gateway should do. Raises `Invalid` where a reference leads nowhere: nothing is left out silently.

    Time decides only how long a revoked certificate is also refused request by request, and which exceptions are over. `roster`
    says who is in which group (`store.roster`); whether all this can be carried out does not hang on it. `lists` says which
    revocation lists engines are handed.
    """
    materials = Materials(reader, sealer, all_at_once=True)
    balancers = {balancer.id: balancer for balancer in reader.all(LOAD_BALANCER) if balancer.admin_state_up}
    records = AccessRecords(reader, materials, at)
    listeners = tuple(
        _listener(listener, balancers[listener.loadbalancer_id].vip_address, materials, records, lists)
        for listener in reader.all(LISTENER)
        if listener.admin_state_up and listener.loadbalancer_id in balancers
    )
    members: dict[str, list[Member]] = {}
    for member in reader.all(MEMBER):
        members.setdefault(member.pool_id, []).append(member)
    monitors = {monitor.pool_id: monitor for monitor in reader.all(HEALTH_MONITOR) if monitor.admin_state_up}
    pools = tuple(
        _pool(pool, tuple(members.get(pool.id, ())), monitors.get(pool.id), materials)
        for pool in reader.all(POOL)
        if pool.admin_state_up and pool.loadbalancer_id in balancers
    )
    since = _denied_since(listeners, at)
    first = revocations.first_in_force_since(reader, since, at) if since > _EPOCH else None
    return Desired(
        revision=reader.revision(),
        listeners=listeners,
        pools=pools,
        denied=frozenset((*revocations.in_force_since(reader, since, at), *revocations.revoked_elsewhere(reader))),
        denied_until=_begun(first) + _LEAVE_EVERY + OLDEST_CONNECTION if first else None,
        retired=retired(reader, at),
        roster=roster or Roster(),
    )


def _listener(listener: Listener, address: str, materials: Materials, records: AccessRecords, lists: Lists) -> DesiredListener:
    if not listener.is_tls:
        return DesiredListener(listener=listener, address=address)
    texts = [("default_tls_container_ref", listener.default_tls_container_ref)]
    texts += [("sni_container_refs", text) for text in listener.sni_container_refs]
    identities = tuple(identity(text, materials, field) for field, text in texts if text)
    client_trust = None
    if listener.client_authentication != "NONE":
        client_trust = trust(
            listener.client_ca_tls_container_ref,
            listener.client_crl_container_ref,
            materials,
            ("client_ca_tls_container_ref", "client_crl_container_ref"),
            lists,
        )
    if client_trust is not None and listener.client_authentication == "REHEARSAL":
        client_trust = client_trust.model_copy(update={"name": f"{client_trust.name}/rehearsal", "rehearsed": True})
    access = records.of(listener.id, client_trust)
    return DesiredListener(listener=listener, address=address, identities=identities, trust=client_trust, access=access)


def _pool(pool: Pool, members: tuple[Member, ...], monitor: HealthMonitor | None, materials: Materials) -> DesiredPool:
    own = member_trust = None
    if pool.tls_enabled:
        if pool.tls_container_ref:
            own = identity(pool.tls_container_ref, materials, "tls_container_ref", client=True)
        member_trust = trust(
            pool.ca_tls_container_ref, pool.crl_container_ref, materials, ("ca_tls_container_ref", "crl_container_ref")
        )
        if member_trust is not None:
            # Nobody refuses members request by request, so their lists are always the newest: not those that listeners are given.
            member_trust = member_trust.model_copy(update={"name": f"{member_trust.name}/members"})
    in_service = tuple(member for member in members if member.admin_state_up)
    return DesiredPool(pool=pool, members=in_service, health_monitor=monitor, identity=own, trust=member_trust)


def identity(text: str, materials: Materials, field: str, *, client: bool = False) -> Identity:
    """The certificate and key behind a reference, named so that a renewal under the same reference keeps the name."""
    parts = materials.parts(text, field)
    chain_pem, key_pem = _normal(parts, field, client)
    return Identity(name=f"identity/{parts.name}", certificate_chain=chain_pem, private_key=Private(key_pem))


# Every change rebuilds everything, and reading a key or a PKCS#12 costs milliseconds: what the same bytes mean is kept.
@lru_cache(maxsize=4096)
def _normal(parts: Parts, field: str, client: bool) -> tuple[str, bytes]:  # noqa: FBT001 (a cache key)
    if parts.pkcs12 is not None:
        read = (read_client_pkcs12 if client else read_pkcs12)(parts.pkcs12, None, None, field)
        return read.chain_pem, read.key_pem
    names = dict.fromkeys(("certificate", "private_key", "intermediates"), field)
    given = (parts.certificate, parts.private_key, parts.intermediates, parts.passphrase)
    read = read_client_identity(*given, None, names) if client else read_server_identity(*given, None, names)
    return read.chain_pem, read.key_pem


_plain_certificates = lru_cache(maxsize=1024)(plain_certificates)
_plain_crls = lru_cache(maxsize=64)(plain_crls)


def trust(
    ca_text: str | None, crl_text: str | None, materials: Materials, fields: tuple[str, str], lists: Lists = NEWEST
) -> Trust | None:
    """Who may have signed, and what of that is revoked. None only when no authority is referred to.

    Our authorities bring their own revocation lists; a secret with lists adds to them.
    """
    if ca_text is None:
        return None
    anchors = materials.anchors(ca_text, fields[0])
    certificates = _plain_certificates(anchors.pem, fields[0])
    own = NOBODYS_LIST if anchors.closed else authority_lists(materials.reader, anchors, lists)
    # Another name once it shrinks: an engine that has the new listener must not open connections by the trust of before, for
    # these would be taken for new ones (`Listener.trust_revision`).
    name = f"trust/{anchors.id}@{anchors.rotated}" if anchors.rotated else f"trust/{anchors.id}"
    if crl_text is None:
        return Trust(name=name, certificates=certificates, crls=own)
    crl_id, crls = materials.secret(crl_text, fields[1])
    given = "" if anchors.closed else _plain_crls(crls, fields[1])
    return Trust(name=f"{name}/{crl_id}", certificates=certificates, crls=given + own)


def authority_lists(reader: Reader, anchors: Anchors, lists: Lists = NEWEST) -> str:
    """The revocation lists of these authorities, PEM; nothing where the engine could not use them.

    An engine that is given lists wants one of every issuer, and refuses all clients of one that has none. So where some have
    none because nobody publishes any (imported CAs), or because theirs ended and clients are let in meanwhile, all are left out,
    and whom we know to be revoked is refused request by request instead (`denied`). Not so where somebody asked for an imported
    authority's lists to be checked (docs/decisions/0010): better to refuse.
    """
    signers = {one.id: one.cross_of or one.id for one in anchors.authorities}  # who has the key, and so signs the list
    held = revocations.lists_without_content(reader, tuple({*signers, *signers.values()}))
    unchecked = {one.id for one in anchors.authorities if not one.status_check.by_list}
    held = {key: one for key, one in held.items() if one.source == "signed" or one.authority_id not in unchecked}
    complete = [(signer, "complete") for signer in dict.fromkeys(signers.values())]
    found = [held[one] for one in complete if one in held]
    if len(found) == len(complete):
        return lists.joined(reader, anchors.id, found)
    let_in = {one.series_id for one in anchors.authorities if (one.id, "set_aside") in held}
    if not any(one.status_check.by_list and one.series_id not in let_in for one in anchors.authorities):
        return ""
    return lists.joined(reader, anchors.id, found) or NOBODYS_LIST


def _denied_since(listeners: tuple[DesiredListener, ...], at: datetime) -> datetime:
    """Who was revoked then or later is refused request by request, as is whom a foreign authority's list or responder names.

    What was revoked lately, for a connection may be older than that; and all that we revoked where a listener's engine was given
    no list to refuse them by.
    """
    unguarded = any(one.trust is not None and not one.trust.crls for one in listeners)
    return _EPOCH if unguarded else _begun(at - OLDEST_CONNECTION)


def _begun(at: datetime) -> datetime:
    """When the span began whose entries leave together."""
    return at - (at - _EPOCH) % _LEAVE_EVERY
