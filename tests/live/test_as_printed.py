"""What we say the engine prints of a certificate is what a real Envoy prints, be the certificate as strange as it will."""

from collections.abc import Iterator
from dataclasses import asdict

import pytest

from ostiary.envoy.records import Record
from ostiary.envoy.snapshot import snapshot
from ostiary.errors import Invalid
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from ostiary.pki.as_printed import holder_facts
from ostiary.pki.short_names import SHORT_NAMES
from support import strange
from support.certs import Authority
from support.desired import listener
from support.ports import free_port
from support.shown import Witness, show
from support.tiny_ads import Engine

pytestmark = pytest.mark.live

PORT = free_port()
SEED, HOW_MANY = 20261125, 500

# Our name of each text, and that of the access log's field.
FIELDS = {
    "subject": "subject",
    "issuer": "issuer",
    "dns": "san_dns",
    "uri": "san_uri",
    "email": "san_email",
    "ip": "san_ip",
    "serial": "serial",
    "fingerprint_sha256": "fingerprint",
}


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    with Engine(tmp_path_factory.mktemp("envoy")) as engine:
        witness = Witness(engine.folder)
        trust = Trust(name="trust", certificates=Authority.root().cert_pem)
        door = listener("door", protocol_port=PORT, client_authentication="MANDATORY", trust=trust)
        assert engine.apply(snapshot(Desired(listeners=(door,)))) == {}
        engine.listens_on(PORT)
        yield witness


def printed(witness: Witness, ders: list[bytes]) -> list[dict[str, str] | None]:
    """What Envoy prints of each, under our names; None of those it cannot read."""
    told = witness.connections(*(show(PORT, [der]) for der in ders))
    return [_texts(record) if "fingerprint" in record else None for record in told]


def _texts(record: Record) -> dict[str, str]:
    return {ours: record.get(theirs, "") for ours, theirs in FIELDS.items()}


def computed(der: bytes) -> dict[str, str] | None:
    try:
        facts = asdict(holder_facts(der))
    except Invalid:
        return None
    # The access log's reader shows what is not UTF-8 by its octets.
    return {name: text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for name, text in facts.items()}


def test_strange_certificates_are_printed_as_we_say_and_unreadable_ones_are_told_apart(witness: Witness) -> None:
    rng = strange.seeded(SEED)
    ders = [strange.certificate(rng) for _ in range(HOW_MANY)]
    found = printed(witness, ders)
    for der, theirs in zip(ders, found, strict=True):
        assert computed(der) == theirs, der.hex()
    assert sum(theirs is not None for theirs in found) > HOW_MANY * 0.8  # or little would have been compared


def test_every_short_name_is_the_engines_and_what_has_none_is_printed_by_numbers(witness: Witness) -> None:
    rng = strange.seeded(SEED)
    beside = (f"{dotted.rpartition('.')[0]}.{last}" for dotted in SHORT_NAMES for last in (0, 1, 2, 99))
    kinds = dict.fromkeys(dotted for dotted in (*SHORT_NAMES, *beside) if dotted.count("."))
    ders = [
        strange.certificate(rng, subject=_named(some), issuer=_named(("2.5.4.3",)), extensions=())
        for some in _batched([*kinds], 25)
    ]
    for der, theirs in zip(ders, printed(witness, ders), strict=True):
        assert computed(der) == theirs


def _named(kinds: tuple[str, ...]) -> bytes:
    """A name with one part of each of these kinds."""
    return strange.tlv(0x30, *(strange.tlv(0x31, strange.attribute(kind, strange.text(0x13, "x"))) for kind in kinds))


def _batched(items: list[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(items[at : at + size]) for at in range(0, len(items), size))
