"""The one read path: everything in service, whole and resolved, as of one transaction."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache, partial
from sys import intern
from typing import Any, Final, Literal, TypeVar

from ostiary.errors import Invalid
from ostiary.kept import Remembered, Row, same
from ostiary.model.desired import Desired, DesiredListener, DesiredPool
from ostiary.model.fields import Private
from ostiary.model.health import HealthMonitor
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool
from ostiary.model.revocation import RevocationList
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
from ostiary.store.held import Held
from ostiary.store.kinds import AUTHORITY, HEALTH_MONITOR, LISTENER, LOAD_BALANCER, MEMBER, POOL, ROTATION, Kind
from ostiary.store.lists import Lists
from ostiary.store.material import Anchors, Materials, Parts
from ostiary.store.store import Reader

# No connection of a client lives longer (envoy.http_manager), and so what was revoked before that is refused at the handshake.
OLDEST_CONNECTION: Final = timedelta(hours=25)
# They leave together, a quarter of an hour's at a time: else each would have everything translated anew on its day.
_LEAVE_EVERY: Final = timedelta(minutes=15)
_EPOCH: Final = datetime.min.replace(tzinfo=UTC)
NEWEST: Final = Lists()
_OF_CLIENTS: Final = ("client_ca_tls_container_ref", "client_crl_container_ref")
_OF_MEMBERS: Final = ("ca_tls_container_ref", "crl_container_ref")
_Use = Literal["clients", "rehearsal", "members"]
KnownLists = Mapping[tuple[str, str], RevocationList]
_TrustName = tuple[str | None, str | None, _Use]
_Trusts = dict[_TrustName, Trust | None]
T = TypeVar("T")


class Memory:
    """What the look before came to, so that the next one costs what has changed since. Not for several threads at once."""

    def __init__(self) -> None:
        self.shared = Remembered()  # what each look asks for
        self.listeners, self.pools = _Kind(), _Kind()
        self.identities = Remembered()
        self._held = Held()
        self._material: tuple[Any, ...] = ()

    def lend(self, reader: Reader) -> None:
        """Have this reader, of what is committed, know what is known already (`store.held`)."""
        self._held.lend(reader)
        for kind in (AUTHORITY, ROTATION):  # which facts change too: all of them are read, and few
            reader.lend(kind, self.shared.steady(kind.name, reader.all(kind)))

    def over(self, material: tuple[Any, ...]) -> None:
        """A look is over, in which the material was this."""
        self.shared.done()
        if not same(material, self._material):
            # Then all were made anew, and asked for their identities.
            self.identities.done()
            self._material = material


class _Kind:
    """The listeners, or the pools: a row, and whom they trust."""

    def __init__(self) -> None:
        self.row = Row()
        self.trusts: _Trusts = {}


def desired(
    reader: Reader,
    sealer: Sealer,
    at: datetime,
    roster: Roster | None = None,
    lists: Lists = NEWEST,
    memory: Memory | None = None,
) -> Desired:
    """What every gateway should do. Raises `Invalid` where a reference leads nowhere: nothing is left out silently.

    Time decides only how long a revoked certificate is also refused request by request, and which exceptions are over. `roster`
    says who is in which group (`store.roster`); whether all this can be carried out does not hang on it. `lists` says which
    revocation lists engines are handed. With a `memory`, what was made of the same things before is not made again, and is the
    same object: what comes out is equal to what comes out without.
    """
    memory = memory or Memory()
    listeners, pools = in_service(reader, Materials(reader, sealer, all_at_once=True), at, lists, memory)
    since = _denied_since(listeners, at)
    first = revocations.first_in_force_since(reader, since, at) if since > _EPOCH else None
    denied = frozenset((*revocations.in_force_since(reader, since, at), *revocations.revoked_elsewhere(reader)))
    return Desired(
        revision=reader.revision(),
        listeners=listeners,
        pools=pools,
        denied=denied,
        denied_until=_begun(first) + _LEAVE_EVERY + OLDEST_CONNECTION if first else None,
        retired=retired(reader, at),
        roster=roster or Roster(),
    )


def in_service(
    reader: Reader, materials: Materials, at: datetime, lists: Lists, memory: Memory | None = None
) -> tuple[tuple[DesiredListener, ...], tuple[DesiredPool, ...]]:
    """The listeners and pools of `desired`, of all that the reader knows."""
    memory = memory or Memory()
    look = _Look(reader, materials, at, lists, memory)
    listeners, pools = look.listeners(), look.pools()
    memory.over(materials.whole())
    return listeners, pools


class _Look:
    """One look at all there is: what several things share is found once, and what is as it was before is taken from memory."""

    def __init__(self, reader: Reader, materials: Materials, at: datetime, lists: Lists, memory: Memory) -> None:
        self._reader = reader
        self._materials = materials
        self._lists = lists
        self._memory = memory
        steady = memory.shared.steady
        up = {balancer.id: intern(balancer.vip_address) for balancer in reader.all(LOAD_BALANCER) if balancer.admin_state_up}
        self._addresses = steady("addresses", up)
        self._records = AccessRecords(reader, materials, at)
        self._rules, self._exceptions = steady("rules", self._records.rules), steady("exceptions", self._records.exceptions)
        # Whatever a reference leads to is among these; where not all of it was read at once, it is asked for one by one.
        self._material = materials.whole()
        self._known_lists = revocations.lists_without_content(reader) if self._material else None
        self._trusts: _Trusts = {}
        self._asked: _Trusts = {}

    def listeners(self) -> tuple[DesiredListener, ...]:
        """Those in service."""
        beside = self._addresses, self._rules, self._exceptions, *self._material
        return self._all(self._memory.listeners, LISTENER, beside, self._listener)

    def pools(self) -> tuple[DesiredPool, ...]:
        """Those in service."""
        beside = self._addresses, self._reader.all(MEMBER), self._reader.all(HEALTH_MONITOR), *self._material
        return self._all(self._memory.pools, POOL, beside, self._pool)

    def _all(self, known: _Kind, kind: Kind[Any], beside: tuple[Any, ...], make: Callable[[Any], Any]) -> tuple[Any, ...]:
        stand = self._stand(known.trusts)
        self._asked = {}
        found = known.row.all(self._reader.all(kind), beside, make, whole=not stand)
        known.trusts = self._asked if known.row.was_whole else known.trusts | self._asked
        return tuple(one for one in found if one is not None)

    def _stand(self, trusts: _Trusts) -> bool:
        """Whether everybody is trusted who was trusted before, by the same lists."""
        try:
            return all(self._trust(*name) is known for name, known in trusts.items())
        except Invalid:
            return False  # it may be that nobody asks for it any more

    @cached_property
    def _members(self) -> dict[str, list[Member]]:
        """By pool, those in service."""
        found: dict[str, list[Member]] = {}
        for member in self._reader.all(MEMBER):
            if member.admin_state_up:
                found.setdefault(member.pool_id, []).append(member)
        return found

    @cached_property
    def _monitors(self) -> dict[str, HealthMonitor]:
        """By pool, those in service."""
        return {one.pool_id: one for one in self._reader.all(HEALTH_MONITOR) if one.admin_state_up}

    def _listener(self, listener: Listener) -> DesiredListener | None:
        address = self._addresses.get(listener.loadbalancer_id)
        if address is None or not listener.admin_state_up:
            return None
        if not listener.is_tls:
            return self._memory.listeners.row.made(
                listener.id, (listener, address), lambda: DesiredListener(listener=listener, address=address)
            )
        trusted, rules = self._trust_of(listener), self._rules.get(listener.id, ())
        of = (listener, address, trusted, rules, self._exceptions.get(listener.id, ()), *self._material)
        return self._memory.listeners.row.made(listener.id, of, partial(self._tls_listener, listener, address, trusted))

    def _tls_listener(self, listener: Listener, address: str, trusted: Trust | None) -> DesiredListener:
        texts = [("default_tls_container_ref", listener.default_tls_container_ref)]
        texts += [("sni_container_refs", text) for text in listener.sni_container_refs]
        identities = tuple(self._identity(text, field) for field, text in texts if text)
        access = self._records.of(listener.id, trusted)
        return DesiredListener(listener=listener, address=address, identities=identities, trust=trusted, access=access)

    def _pool(self, pool: Pool) -> DesiredPool | None:
        if not pool.admin_state_up or pool.loadbalancer_id not in self._addresses:
            return None
        its, monitor = tuple(self._members.get(pool.id, ())), self._monitors.get(pool.id)
        of: tuple[Any, ...] = (pool, monitor, *its)
        if not pool.tls_enabled:
            return self._memory.pools.row.made(pool.id, of, lambda: DesiredPool(pool=pool, members=its, health_monitor=monitor))
        trusted = self._trust(pool.ca_tls_container_ref, pool.crl_container_ref, "members")

        def made() -> DesiredPool:
            text = pool.tls_container_ref
            own = self._identity(text, "tls_container_ref", client=True) if text else None
            return DesiredPool(pool=pool, members=its, health_monitor=monitor, identity=own, trust=trusted)

        return self._memory.pools.row.made(pool.id, (*of, trusted, *self._material), made)

    def _identity(self, text: str, field: str, *, client: bool = False) -> Identity:
        make = partial(identity, text, self._materials, field, client=client)
        return self._memory.identities.made((text, field, client), self._materials.stands_on(text, field), make)

    @cached_property
    def _users(self) -> Mapping[str, int]:
        """How many listeners let in clients of an authority, by the reference to it."""
        asking = (one for one in self._reader.all(LISTENER) if one.client_authentication != "NONE")
        return Counter(one.client_ca_tls_container_ref or "" for one in asking)

    def _trust_of(self, listener: Listener) -> Trust | None:
        if listener.client_authentication == "NONE":
            return None
        use: _Use = "rehearsal" if listener.client_authentication == "REHEARSAL" else "clients"
        return self._trust(listener.client_ca_tls_container_ref, listener.client_crl_container_ref, use)

    def _trust(self, ca_text: str | None, crl_text: str | None, use: _Use) -> Trust | None:
        name = (ca_text, crl_text, use)
        if name not in self._trusts:
            self._trusts[name] = self._memory.shared.steady(name, self._found(*name))
        self._asked[name] = self._trusts[name]
        return self._trusts[name]

    def _found(self, ca_text: str | None, crl_text: str | None, use: _Use) -> Trust | None:
        # Nobody refuses members request by request, so their lists are always the newest: not those that listeners are given.
        users = self._users.get(ca_text or "", 0)
        fields, lists = (_OF_MEMBERS, NEWEST) if use == "members" else (_OF_CLIENTS, self._lists.shared_by(max(users, 1)))
        found = trust(ca_text, crl_text, self._materials, fields, lists, self._known_lists)
        if found is None or use == "clients":
            return found
        return found.model_copy(update={"name": f"{found.name}/{use}", "rehearsed": use == "rehearsal"})


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
    ca_text: str | None,
    crl_text: str | None,
    materials: Materials,
    fields: tuple[str, str],
    lists: Lists = NEWEST,
    known: KnownLists | None = None,
) -> Trust | None:
    """Who may have signed, and what of that is revoked. None only when no authority is referred to.

    Our authorities bring their own revocation lists; a secret with lists adds to them. `known` are the lists of all authorities,
    for who has looked already.
    """
    if ca_text is None:
        return None
    anchors = materials.anchors(ca_text, fields[0])
    certificates = _plain_certificates(anchors.pem, fields[0])
    own = NOBODYS_LIST if anchors.closed else authority_lists(materials.reader, anchors, lists, known)
    # Another name once it shrinks: an engine that has the new listener must not open connections by the trust of before, for
    # these would be taken for new ones (`Listener.trust_revision`).
    name = f"trust/{anchors.id}@{anchors.rotated}" if anchors.rotated else f"trust/{anchors.id}"
    if crl_text is None:
        return Trust(name=name, certificates=certificates, crls=own)
    crl_id, crls = materials.secret(crl_text, fields[1])
    given = "" if anchors.closed else _plain_crls(crls, fields[1])
    return Trust(name=f"{name}/{crl_id}", certificates=certificates, crls=given + own)


def authority_lists(reader: Reader, anchors: Anchors, lists: Lists = NEWEST, known: KnownLists | None = None) -> str:
    """The revocation lists of these authorities, PEM; nothing where the engine could not use them.

    An engine that is given lists wants one of every issuer, and refuses all clients of one that has none. So where some have
    none because nobody publishes any (imported CAs), or because theirs ended and clients are let in meanwhile, all are left out,
    and whom we know to be revoked is refused request by request instead (`denied`). Not so where somebody asked for an imported
    authority's lists to be checked (docs/decisions/0010): better to refuse.
    """
    signers = {one.id: one.cross_of or one.id for one in anchors.authorities}  # who has the key, and so signs the list
    those = {*signers, *signers.values()}
    every = revocations.lists_without_content(reader, tuple(those)) if known is None else known
    held = {key: one for key, one in every.items() if key[0] in those}
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
