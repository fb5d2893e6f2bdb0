"""What may be a Client CA, and what a listener may refer to: bad material is refused by name before anything is stored."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ostiary.errors import Conflict, Invalid, Unavailable
from ostiary.model.authority import NewAuthority
from ostiary.model.listener import Listener
from ostiary.ops import authorities, listeners, pools, secrets, server_certificates
from ostiary.ops.system import System
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.store.desired import desired
from ostiary.store.kinds import CONTAINER, SECRET
from support.certs import Authority
from support.made import a_balancer, a_container, a_listener, a_pool, a_secret, an_authority
from support.systems import ADMIN, FakeClock


@pytest.fixture(scope="module")
def partner() -> Authority:
    return Authority.root("Partner root")


@pytest.fixture
def listener(system: System) -> Listener:
    return a_listener(system, a_balancer(system))


def switch(system: System, listener: Listener, **changes: Any) -> Listener:
    return listeners.update(system, ADMIN, listener.id, {"client_authentication": "MANDATORY", **changes})


def test_an_authority_of_ours_is_switched_on_and_off_by_one_field(system: System, listener: Listener) -> None:
    authority = an_authority(system)
    on = switch(system, listener, client_ca_tls_container_ref=f"/v1/authorities/{authority.id}")
    assert on.client_authentication == "MANDATORY"
    with system.store.read() as reader:
        (entry,) = desired(reader, system.sealer, system.clock()).listeners
    assert entry.trust is not None
    assert entry.trust.certificates == authority.certificate
    off = listeners.update(system, ADMIN, listener.id, {"client_authentication": "NONE"})
    assert off.client_ca_tls_container_ref == f"/v1/authorities/{authority.id}"
    with system.store.read() as reader:
        assert desired(reader, system.sealer, system.clock()).listeners[0].trust is None


def test_a_bundle_of_many_roots_and_their_lists(system: System, listener: Listener, partner: Authority) -> None:
    other = Authority.root("Another root")
    ca = a_secret(system, partner.cert_pem + other.cert_pem)
    on = switch(
        system, listener, client_ca_tls_container_ref=ca, client_crl_container_ref=a_secret(system, partner.crl() + other.crl())
    )
    assert on.client_ca_tls_container_ref == ca
    with pytest.raises(Invalid, match=r"client_crl_container_ref.*Another root"):
        switch(system, listener, client_crl_container_ref=a_secret(system, partner.crl()))


BAD_AUTHORITIES: dict[str, Callable[[Authority], str]] = {
    "garbage": lambda _: "not a certificate",
    "a leaf": lambda ca: ca.client("alice").cert_pem,
    "a key": lambda ca: ca.client("alice").key_pem,
    "a key beside the certificate": lambda ca: ca.cert_pem + ca.client("alice").key_pem,
    "an empty block": lambda _: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "a truncated certificate": lambda ca: ca.cert_pem[: len(ca.cert_pem) // 2],
    "one good and one bad": lambda ca: ca.cert_pem + ca.client("alice").cert_pem,
}


@pytest.mark.parametrize("bad", BAD_AUTHORITIES)
def test_what_cannot_sign_clients_is_refused_by_name(system: System, listener: Listener, partner: Authority, bad: str) -> None:
    href = a_secret(system, BAD_AUTHORITIES[bad](partner))
    with pytest.raises(Invalid) as refused:
        switch(system, listener, client_ca_tls_container_ref=href)
    assert refused.value.field == "client_ca_tls_container_ref"
    assert listeners.get(system, ADMIN, listener.id) == listener
    assert "PRIVATE" not in str(refused.value)


def test_an_expired_authority_is_refused_when_chosen_yet_stays_when_it_expires_later(
    system: System, listener: Listener, clock: FakeClock
) -> None:
    authority = an_authority(system, lifetime_days=10)
    on = switch(system, listener, client_ca_tls_container_ref=f"/v1/authorities/{authority.id}")
    clock.advance(days=11)
    assert listeners.update(system, ADMIN, listener.id, {"description": "unrelated"}).client_authentication == "MANDATORY"
    listeners.update(system, ADMIN, listener.id, {"client_authentication": "NONE"})
    with pytest.raises(Invalid, match=r"client_ca_tls_container_ref.*expired"):
        switch(system, on)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"client_ca_tls_container_ref": None}, "client_ca_tls_container_ref"),
        ({"client_ca_tls_container_ref": "/v1/authorities/00000000-0000-0000-0000-000000000000"}, "client_ca_tls_container_ref"),
        ({"client_ca_tls_container_ref": "/v1/secrets/00000000-0000-0000-0000-000000000000"}, "client_ca_tls_container_ref"),
        ({"client_ca_tls_container_ref": "../../etc/passwd"}, "client_ca_tls_container_ref"),
        ({"client_ca_tls_container_ref": "http://169.254.169.254/latest/meta-data"}, "client_ca_tls_container_ref"),
        ({"client_authentication": "NONE", "client_crl_container_ref": "/v1/secrets/x"}, "client_crl_container_ref"),
        (
            {"client_authentication": "NONE", "default_tls_container_ref": "/v1/containers/00000000-0000-0000-0000-000000000000"},
            "default_tls_container_ref",
        ),
    ],
)
def test_references_that_lead_nowhere_are_named(system: System, listener: Listener, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        switch(system, listener, **changes)
    assert refused.value.field == field
    assert listeners.get(system, ADMIN, listener.id) == listener


def test_a_server_certificate_needs_its_own_key(system: System, listener: Listener, partner: Authority) -> None:
    one, other = partner.server("a.test"), partner.server("b.test")
    href = a_container(system, one.cert_pem, other.key_pem)
    with pytest.raises(Invalid, match=r"default_tls_container_ref \(private_key\).*does not belong"):
        listeners.update(system, ADMIN, listener.id, {"default_tls_container_ref": href})
    good = a_container(system, one.cert_pem, one.key_pem)
    assert listeners.update(system, ADMIN, listener.id, {"default_tls_container_ref": good}).default_tls_container_ref == good


def test_what_is_in_use_is_not_deleted_and_the_refusal_says_by_whom(
    system: System, listener: Listener, partner: Authority
) -> None:
    href = a_secret(system, partner.cert_pem)
    switch(system, listener, client_ca_tls_container_ref=href)
    with pytest.raises(Conflict, match=rf"in use by listener {listener.id} \(client_ca_tls_container_ref\)"):
        secrets.delete(system, ADMIN, href.rsplit("/", 1)[1])
    authority = an_authority(system)
    switch(system, listener, client_ca_tls_container_ref=f"/v1/authorities/{authority.id}")
    assert [one.in_use_by for one in authorities.around(system, ADMIN, [authority])] == [(listener.id,)]
    with pytest.raises(Conflict, match="in use by listener"):
        authorities.delete(system, ADMIN, authority.id)


def test_a_wrong_key_encryption_key_stops_the_change_instead_of_dropping_the_client_ca(
    system: System, listener: Listener
) -> None:

    stranger = replace(system, sealer=Sealer(new_kek()))
    with pytest.raises(Unavailable, match="cannot be decrypted"):
        listeners.update(stranger, ADMIN, listener.id, {"description": "x"})
    assert listeners.get(system, ADMIN, listener.id) == listener


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"protocol": "HTTP", "client_authentication": "OPTIONAL"}, "client_authentication"),
        ({"protocol": "HTTP", "client_ca_tls_container_ref": "/v1/secrets/x"}, "client_ca_tls_container_ref"),
        ({"protocol": "TCP", "insert_headers": {"X-Forwarded-For": "true"}}, "insert_headers.X-Forwarded-For"),
        ({"protocol": "HTTP", "insert_headers": {"X-SSL-Client-CN": "true"}}, "insert_headers.X-SSL-Client-CN"),
        ({"hsts_preload": True}, "hsts_max_age"),
        ({"loadbalancer_id": "nowhere"}, "loadbalancer_id"),
    ],
)
def test_settings_that_do_not_fit_are_named(system: System, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        a_listener(system, a_balancer(system), **fields)
    assert refused.value.field == field


def test_a_listener_without_a_certificate_is_given_one_that_is_taken_back_with_it(system: System, listener: Listener) -> None:
    assert listener.default_tls_container_ref is not None
    with system.store.read() as reader:
        (identity,) = desired(reader, system.sealer, system.clock()).listeners[0].identities

        assert (reader.count(CONTAINER), reader.count(SECRET)) == (1, 2)
    assert identity.certificate_chain.count("BEGIN CERTIFICATE") == 1
    listeners.delete(system, ADMIN, listener.id)
    with system.store.read() as reader:
        assert (reader.count(CONTAINER), reader.count(SECRET)) == (0, 0)


def test_our_own_server_certificates_are_renewed_in_time_under_the_same_reference(
    system: System, listener: Listener, clock: FakeClock
) -> None:

    def chain() -> tuple[str, str]:
        with system.store.read() as reader:
            (identity,) = desired(reader, system.sealer, system.clock()).listeners[0].identities
        return identity.name, identity.certificate_chain

    first = chain()
    assert server_certificates.renew_due(system) == 0
    clock.advance(days=61)
    assert server_certificates.renew_due(system) == 1
    assert chain()[0] == first[0]
    assert chain()[1] != first[1]
    assert server_certificates.renew_due(system) == 0
    assert listeners.get(system, ADMIN, listener.id).default_tls_container_ref == listener.default_tls_container_ref


def test_pool_and_listener_must_speak_the_same(system: System) -> None:
    balancer, other = a_balancer(system), a_balancer(system)
    tcp, elsewhere = a_pool(system, balancer, protocol="TCP"), a_pool(system, other)
    with pytest.raises(Invalid, match=r"default_pool_id: pool .* speaks TCP"):
        a_listener(system, balancer, default_pool_id=tcp.id)
    with pytest.raises(Invalid, match="belongs to another load balancer"):
        a_listener(system, balancer, default_pool_id=elsewhere.id)
    listener = a_listener(system, balancer)
    with pytest.raises(Invalid, match="speaks TCP"):
        a_pool(system, balancer, listener.id, protocol="TCP")
    assert a_pool(system, balancer, listener.id).id == listeners.get(system, ADMIN, listener.id).default_pool_id


def test_members_over_tls_need_good_material_too(system: System, partner: Authority) -> None:
    balancer = a_balancer(system)
    with pytest.raises(Invalid, match="ca_tls_container_ref: needs tls_enabled"):
        a_pool(system, balancer, ca_tls_container_ref=a_secret(system, partner.cert_pem))
    with pytest.raises(Invalid) as refused:
        a_pool(system, balancer, tls_enabled=True, ca_tls_container_ref=a_secret(system, "garbage"))
    assert refused.value.field == "ca_tls_container_ref"
    own = partner.client("ostiary")
    pool = a_pool(
        system,
        balancer,
        tls_enabled=True,
        ca_tls_container_ref=a_secret(system, partner.cert_pem),
        tls_container_ref=a_container(system, own.cert_pem, own.key_pem),
    )
    with system.store.read() as reader:
        (entry,) = desired(reader, system.sealer, system.clock()).pools
    assert entry.identity is not None
    assert entry.trust is not None
    assert pools.get(system, ADMIN, pool.id).tls_enabled


def test_an_intermediate_is_signed_by_its_parent_and_never_outlives_it(system: System) -> None:
    root = an_authority(system, "Root", lifetime_days=100)
    below = an_authority(system, "Below", kind="intermediate", parent_id=root.id, lifetime_days=50)
    assert below.parent_id == root.id
    with pytest.raises(Invalid, match="lifetime"):
        an_authority(system, "Too long", kind="intermediate", parent_id=root.id, lifetime_days=200)
    with pytest.raises(Invalid, match="parent_id"):
        authorities.create(system, ADMIN, NewAuthority(name="x", kind="intermediate"))
    with pytest.raises(Conflict, match="has signed authority"):
        authorities.delete(system, ADMIN, root.id)
