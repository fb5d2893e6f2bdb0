"""What a gateway keeps on disk tells which revocation lists it holds."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2

from ostiary.envoy.resources import CLUSTER, SECRET, Resource, pack
from ostiary.gateway.known_lists import known_lists
from ostiary.gateway.last_good import LastGood
from ostiary.gateway.ledger import Contents
from ostiary.paths import Paths
from support.certs import Authority

ONE, OTHER = Authority.root("One"), Authority.root("Other")


def trust(name: str, crls: str) -> Resource:
    context = common_pb2.CertificateValidationContext(crl=base_pb2.DataSource(inline_string=crls))
    return pack(SECRET, name, secret_pb2.Secret(name=name, validation_context=context))


def der(pem: str) -> bytes:
    return x509.load_pem_x509_crl(pem.encode()).public_bytes(Encoding.DER)


def test_each_list_that_it_holds_is_found_once(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.prepare()
    first, second, third = ONE.crl([1]), OTHER.crl(range(1, 3000)), ONE.crl([1, 2], number=2)
    assert len(second) > 64 * 1024, "long ones lie in files of their own"
    broken = "-----BEGIN X509 CRL-----\nA\n-----END X509 CRL-----\n"
    wanted = (trust("a", first + second), trust("b", f"somebody's words\n{first}{broken}"), trust("none", ""))
    other = Resource(CLUSTER, "c", "1", b"\xff\xff no secret")
    kept = Contents(wanted=(*wanted, other, Resource(SECRET, "d", "1", b"\xff\xff")), good=(trust("a", third),))
    LastGood(paths.last_good, paths.gateway_key).save(kept)
    assert set(known_lists(paths)) == {der(first), der(second), der(third)}
    assert len(known_lists(paths)) == 3


def test_where_there_is_no_gateway_or_nothing_that_can_be_read_there_are_none(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert known_lists(paths) == ()
    paths.prepare()
    LastGood(paths.last_good, paths.gateway_key).save(Contents(wanted=(trust("a", ONE.crl([1])),)))
    kept = paths.last_good.read_bytes()
    paths.last_good.write_bytes(kept[:-1])
    assert known_lists(paths) == ()
    paths.last_good.write_bytes(kept)
    paths.gateway_key.unlink()
    assert known_lists(paths) == ()
    assert not paths.gateway_key.exists(), "looking makes no key"
