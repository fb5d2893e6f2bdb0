"""Server certificates that people bring: whole or not at all, renewed where they are, listed with what is in them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ostiary.clock import now
from ostiary.envoy.resources import SECRET as SECRETS
from ostiary.envoy.resources import Key
from ostiary.envoy.snapshot import snapshot
from ostiary.errors import Conflict, Denied, Invalid, NotFound
from ostiary.model.authority import TrustedAuthority
from ostiary.model.balancer import LoadBalancer
from ostiary.model.fields import Private
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.model.secret import Secret
from ostiary.ops import balancers, containers, imported, listeners, secrets, served, uploading
from ostiary.ops.system import System
from ostiary.ops.uploading import Brought
from ostiary.store.desired import desired
from ostiary.store.kinds import CONTAINER, SECRET
from support.certs import Authority, Leaf, key_pem
from support.systems import ADMIN

ROOT = Authority.root("Brought root")
ISSUING = ROOT.intermediate("Brought issuing")
SHOP = ISSUING.server("shop.test", "www.shop.test")
EVERY = Query(limit=50)


def brought(leaf: Leaf = SHOP, **changes: Any) -> Brought:
    parts = {
        "certificate": leaf.cert_pem.encode(),
        "private_key": leaf.key_pem.encode(),
        "intermediates": leaf.intermediates_pem.encode(),
    }
    return Brought(**{**parts, **changes})


def counts(system: System) -> tuple[int, int]:
    with system.store.read() as reader:
        return reader.count(CONTAINER), reader.count(SECRET)


def a_listener(system: System, reference: str, port: int = 8443) -> Listener:
    balancer = balancers.create(system, ADMIN, LoadBalancer(name="lb", vip_address="127.0.0.1"))
    wanted = Listener(
        name="door",
        loadbalancer_id=balancer.id,
        protocol="TERMINATED_HTTPS",
        protocol_port=port,
        default_tls_container_ref=reference,
        sni_container_refs=(reference,),
    )
    return listeners.create(system, ADMIN, wanted)


def test_pem_files_become_one_container_that_a_listener_can_be_given(system: System) -> None:
    container = uploading.upload(system, ADMIN, brought())
    assert container.name == "shop.test"
    assert counts(system) == (1, 2)
    listener = a_listener(system, f"/v1/containers/{container.id}")
    (one,) = served.find(system, ADMIN, EVERY).items
    assert one.content is not None
    assert one.content.hosts == ("shop.test", "www.shop.test")
    assert one.content.key == "EC P-256"
    assert [link.subject for link in one.content.chain] == ["CN=Brought issuing"]
    assert [(user.kind, user.id, user.name) for user in one.users] == [("listener", listener.id, "door")]


def test_a_pkcs12_file_is_opened_once_and_its_passphrase_not_kept(system: System) -> None:
    container = uploading.upload(
        system, ADMIN, Brought(name="File", pkcs12=SHOP.pkcs12("secret words"), passphrase=b"secret words")
    )
    assert container.name == "File"
    assert {part.name for part in container.secret_refs} == {"certificate", "private_key"}
    a_listener(system, f"/v1/containers/{container.id}")


def test_an_encrypted_key_is_opened_with_its_passphrase(system: System) -> None:
    encrypted = key_pem(SHOP.key, "secret words").encode()
    uploading.upload(system, ADMIN, brought(private_key=encrypted, passphrase=b"secret words"))
    assert counts(system) == (1, 2)


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        (brought(private_key=ISSUING.server("other.test").key_pem.encode()), "private_key", "does not belong"),
        (brought(private_key=key_pem(SHOP.key, "right").encode(), passphrase=b"wrong"), "private_key", "this passphrase"),
        (brought(private_key=key_pem(SHOP.key, "right").encode()), "private_key", "give its passphrase"),
        (Brought(pkcs12=SHOP.pkcs12("right"), passphrase=b"wrong"), "pkcs12", "this passphrase"),
        (Brought(pkcs12=b"nonsense"), "pkcs12", "PKCS#12"),
        (brought(intermediates=b""), "intermediates", "the chain is incomplete"),
        (brought(ROOT.server("lonely.test"), intermediates=b""), "intermediates", "the chain is incomplete"),
        (
            brought(ISSUING.server("old.test", not_before=now() - timedelta(9), not_after=now() - timedelta(1))),
            "certificate",
            "expired",
        ),
        (brought(ISSUING.client("somebody")), "certificate", "is not for server authentication"),
        (brought(intermediates=Authority.root("Stranger").cert_pem.encode()), "intermediates", "is not part of the chain"),
        (brought(certificate=b""), "certificate", "is needed"),
        (brought(private_key=b" "), "private_key", "is needed"),
        (brought(pkcs12=SHOP.pkcs12()), "pkcs12", "one or the other"),
        (brought(name="ostiary: server certificate of listener x"), "name", "choose another"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_left(system: System, wrong: Brought, field: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        uploading.upload(system, ADMIN, wrong)
    assert refused.value.field == field
    assert said in refused.value.message
    assert counts(system) == (0, 0)


@pytest.mark.parametrize("anchored", ["with its root", "with its root in a file", "on one's word"])
def test_a_certificate_of_a_root_needs_nothing_between(system: System, anchored: str) -> None:
    direct = ROOT.server("direct.test")
    ways = {
        "with its root": brought(direct, intermediates=ROOT.cert_pem.encode()),
        "with its root in a file": Brought(
            pkcs12=Leaf(direct.certificate, direct.key, (ROOT.certificate, ROOT.certificate)).pkcs12("x" * 12),
            passphrase=b"x" * 12,
        ),
        "on one's word": brought(direct, intermediates=b"", is_whole=True),
    }
    container = uploading.upload(system, ADMIN, ways[anchored])
    content = served.get(system, ADMIN, container.id).content
    assert content is not None
    assert content.chain == ()


def test_what_is_missing_of_a_chain_is_taken_from_the_authorities_here(system: System) -> None:
    imported.import_bundle(system, ADMIN, TrustedAuthority(name="Brought", certificate=ISSUING.bundle_pem))
    container = uploading.upload(system, ADMIN, brought(intermediates=b""))
    content = served.get(system, ADMIN, container.id).content
    assert content is not None
    assert [link.subject for link in content.chain] == ["CN=Brought issuing"]


def test_a_renewal_takes_the_place_of_what_was_there(system: System) -> None:
    container = uploading.upload(system, ADMIN, brought())
    listener = a_listener(system, f"/v1/containers/{container.id}")
    newer = ISSUING.server("shop.test", "www.shop.test", "new.shop.test", days=90)
    one = uploading.renew(system, ADMIN, container.id, brought(newer))
    assert one.id == container.id
    assert one.content is not None
    assert one.content.hosts == ("shop.test", "www.shop.test", "new.shop.test")
    assert served.get(system, ADMIN, container.id).content == one.content
    assert counts(system) == (1, 2), "the parts of before are gone"
    after = listeners.get(system, ADMIN, listener.id)
    assert after.default_tls_container_ref == f"/v1/containers/{container.id}"
    assert after.revision > listener.revision, "its status is that of the renewal"


def test_a_renewal_reaches_the_engine_as_a_new_secret_and_nothing_else(system: System) -> None:
    container = uploading.upload(system, ADMIN, brought())
    a_listener(system, f"/v1/containers/{container.id}")

    def versions() -> dict[Key, str]:
        with system.store.read() as reader:
            whole = snapshot(desired(reader, system.sealer, system.clock()))
        return {key: resource.version for key, resource in whole.resources.items()}

    before = versions()
    uploading.renew(system, ADMIN, container.id, brought(ISSUING.server("shop.test", "www.shop.test", days=90)))
    after = versions()
    assert before.keys() == after.keys()
    assert {kind for kind, name in before if before[kind, name] != after[kind, name]} == {SECRETS}, "no connection is lost"


def test_names_are_lost_only_if_that_is_meant(system: System) -> None:
    container = uploading.upload(system, ADMIN, brought())
    fewer = ISSUING.server("shop.test")
    with pytest.raises(Invalid, match=r"certificate: it is not for www\.shop\.test") as refused:
        uploading.renew(system, ADMIN, container.id, brought(fewer))
    assert refused.value.field == "certificate"
    uploading.renew(system, ADMIN, container.id, brought(fewer, may_lose_names=True))


def test_a_pkcs12_secret_is_taken_the_place_of_everywhere(system: System) -> None:
    secret = Secret(name="file", payload=Private(SHOP.pkcs12()), payload_content_type="application/octet-stream")
    stored = secrets.create(system, ADMIN, secret)
    listener = a_listener(system, f"/v1/secrets/{stored.id}")
    one = uploading.renew(system, ADMIN, stored.id, brought(ISSUING.server("shop.test", "www.shop.test", days=60)))
    after = listeners.get(system, ADMIN, listener.id)
    assert after.default_tls_container_ref == one.href == f"/v1/containers/{one.id}"
    assert after.sni_container_refs == (one.href,)
    with pytest.raises(NotFound):
        secrets.get(system, ADMIN, stored.id)
    assert [found.id for found in served.find(system, ADMIN, EVERY).items] == [one.id]


def test_one_that_is_used_is_not_deleted_and_one_that_is_not_goes_with_its_key(system: System) -> None:
    container = uploading.upload(system, ADMIN, brought())
    listener = a_listener(system, f"/v1/containers/{container.id}")
    with pytest.raises(Conflict, match=listener.id):
        uploading.delete(system, ADMIN, container.id)
    listeners.delete(system, ADMIN, listener.id)
    uploading.delete(system, ADMIN, container.id)
    assert counts(system) == (0, 0)


def test_a_part_that_another_container_shares_stays(system: System) -> None:
    container = uploading.upload(system, ADMIN, brought())
    other = containers.create(system, ADMIN, container.model_copy(update={"id": "", "name": "other"}))
    uploading.delete(system, ADMIN, container.id)
    assert counts(system) == (1, 2)
    uploading.delete(system, ADMIN, other.id)
    assert counts(system) == (0, 0)


def test_what_ostiary_issued_itself_is_shown_and_left_alone(system: System) -> None:
    balancer = balancers.create(system, ADMIN, LoadBalancer(name="lb", vip_address="127.0.0.1"))
    wanted = Listener(name="door", loadbalancer_id=balancer.id, protocol="TERMINATED_HTTPS", protocol_port=443)
    listener = listeners.create(system, ADMIN, wanted)
    (one,) = served.find(system, ADMIN, EVERY).items
    assert (one.origin, one.made_for) == ("listener", listener.id)
    for refused in (lambda: uploading.delete(system, ADMIN, one.id), lambda: uploading.renew(system, ADMIN, one.id, brought())):
        with pytest.raises(Conflict, match="ostiary issued this one itself"):
            refused()


def test_pages_and_search(system: System) -> None:
    for number in range(7):
        uploading.upload(system, ADMIN, brought(name=f"Shop no-{number}"))
    for number in range(3):
        file = Secret(name=f"file {number}", payload=Private(SHOP.pkcs12()), payload_content_type="application/octet-stream")
        secrets.create(system, ADMIN, file)
    secrets.create(system, ADMIN, Secret(name="words", payload=Private(b"text"), payload_content_type="text/plain"))
    names = [f"Shop no-{n}" for n in range(7)] + [f"file {n}" for n in range(3)]
    first = served.find(system, ADMIN, Query(limit=4))
    rest = served.find(system, ADMIN, Query(limit=50, marker=first.items[-1].id))
    assert [one.name for one in (*first.items, *rest.items)] == names
    assert (first.more, rest.more) == (True, False)
    back = served.find(system, ADMIN, Query(limit=50, marker=rest.items[0].id, reverse=True))
    assert [one.id for one in back.items] == [one.id for one in first.items]
    assert [one.name for one in served.find(system, ADMIN, replace(EVERY, search=("SHOP", "no-3"))).items] == ["Shop no-3"]
    with pytest.raises(Invalid, match="marker"):
        served.find(system, ADMIN, Query(limit=4, marker="gone"))


def test_files_are_read_ahead_once(system: System) -> None:
    file = Secret(name="file", payload=Private(SHOP.pkcs12()), payload_content_type="application/octet-stream")
    stored = secrets.create(system, ADMIN, file)
    uploading.upload(system, ADMIN, brought())
    assert served.read_ahead(system) == 1
    assert served.read_ahead(system) == 0
    assert len(system.presented) == 1
    assert served.get(system, ADMIN, stored.id).content is not None


def test_a_file_that_cannot_be_read_is_shown_with_the_reason(system: System) -> None:
    file = Secret(name="locked", payload=Private(SHOP.pkcs12("a passphrase")), payload_content_type="application/octet-stream")
    stored = secrets.create(system, ADMIN, file)
    (one,) = served.find(system, ADMIN, EVERY).items
    assert one.content is None
    assert "opens with this passphrase" in one.problem
    assert served.get(system, ADMIN, stored.id) == one


def test_choices_leave_out_what_was_made_for_others_and_keep_what_is_chosen(system: System) -> None:
    container = uploading.upload(system, ADMIN, brought(name="Shop"))
    balancer = balancers.create(system, ADMIN, LoadBalancer(name="lb", vip_address="127.0.0.1"))
    wanted = Listener(name="door", loadbalancer_id=balancer.id, protocol="TERMINATED_HTTPS", protocol_port=443)
    listener = listeners.create(system, ADMIN, wanted)
    choices = served.certificates(system, ADMIN)
    assert [(one.href, one.name) for one in choices] == [(f"/v1/containers/{container.id}", "Shop (shop.test, www.shop.test)")]
    own = listener.default_tls_container_ref
    elsewhere = f"http://localhost/v1/containers/{container.id}"
    choices = served.certificates(system, ADMIN, keep=[own, elsewhere, None])
    assert [one.href for one in choices] == [elsewhere, own]


def test_revocation_lists_and_bundles_are_told_apart(system: System) -> None:
    for name, text in (("list", ROOT.crl()), ("bundle", ROOT.cert_pem), ("note", "hello")):
        secrets.create(system, ADMIN, Secret(name=name, payload=Private(text.encode()), payload_content_type="text/plain"))
    assert [one.name for one in served.revocation_lists(system, ADMIN, None)] == ["list"]
    assert [one.name for one in served.bundles(system, ADMIN, None)] == ["bundle"]


def test_an_auditor_reads_and_changes_nothing(system: System) -> None:
    auditor = replace(ADMIN, role="auditor")
    container = uploading.upload(system, ADMIN, brought())
    assert served.find(system, auditor, EVERY).items
    for refused in (
        lambda: uploading.upload(system, auditor, brought()),
        lambda: uploading.renew(system, auditor, container.id, brought()),
        lambda: uploading.delete(system, auditor, container.id),
    ):
        with pytest.raises(Denied):
            refused()


def test_no_key_is_in_the_record(system: System) -> None:
    uploading.upload(system, ADMIN, brought())
    with system.store.read() as reader:
        written = "".join(row.entry for row in reader.audit_entries())
    assert "PRIVATE" not in written
