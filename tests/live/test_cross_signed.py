"""A listener that trusts one root lets in who stands below another, once that is cross-signed, and minds its revocation lists."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.envoy.snapshot import snapshot
from ostiary.model.authority import Authority, NewCertificate, RequestedNames
from ostiary.model.cross_sign import CrossSign
from ostiary.model.revocation import Revoke
from ostiary.ops import certificates, cross_signing, list_upkeep, revocation
from ostiary.ops.system import System
from ostiary.store.desired import desired
from support.certs import Key, csr, key_pem, new_key
from support.made import a_balancer, a_listener, an_authority
from support.ports import free_port
from support.systems import ADMIN, a_system, sqlite_url
from support.tiny_ads import Engine
from support.tls_clients import Refused, TLSClient

pytestmark = pytest.mark.live


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = a_system(sqlite_url(tmp_path))
    yield made
    made.store.close()


def issued(system: System, authority: Authority, folder: Path) -> tuple[str, Path, Path]:
    """A client's certificate: its id, and files with its chain and key."""
    key: Key = new_key()
    wanted = NewCertificate(
        authority_id=authority.id, csr=csr(key, "x"), names=RequestedNames(common_name="alice", dns=("a.test",))
    )
    made = certificates.issue(system, ADMIN, wanted)
    chain, key_file = folder / "chain.pem", folder / "key.pem"
    chain.write_text(made.certificate + made.chain)
    key_file.write_text(key_pem(key))
    return made.id, chain, key_file


def test_who_stands_below_a_cross_signed_root_is_let_in_until_revoked(system: System, tmp_path: Path) -> None:
    old, new = an_authority(system, "Old"), an_authority(system, "New")
    issuing = an_authority(system, "Issuing", kind="intermediate", parent_id=old.id)
    certificate_id, chain, key = issued(system, issuing, tmp_path)
    port = free_port()
    a_listener(
        system,
        a_balancer(system),
        protocol_port=port,
        client_authentication="MANDATORY",
        client_ca_tls_container_ref=f"/v1/authorities/{new.id}",
    )

    def visit(engine: Engine) -> str:
        with system.store.read() as reader:
            wanted = desired(reader, system.sealer, system.clock())
        # Without those who are refused request by request: it is the list that is asked here.
        assert engine.apply(snapshot(wanted.model_copy(update={"denied": frozenset()}))) == {}
        engine.listens_on(port)
        try:
            return str(TLSClient(port, cert=chain, key=key, version="TLSv1.2").get().status)
        except Refused as refused:
            return refused.reason

    with Engine(tmp_path) as engine:
        assert visit(engine) == "unknown_ca"
        made = cross_signing.cross_sign(system, ADMIN, old.id, CrossSign(parent_id=new.id, lifetime_days=300))
        assert (made.cross_of, made.has_key) == (old.id, False)
        assert visit(engine) == "503"  # behind the door is no pool
        revocation.revoke(system, ADMIN, certificate_id, Revoke(reason="keyCompromise"))
        list_upkeep.sign_due(system)
        assert visit(engine) == "certificate_revoked"
