"""What-if over many clients reads their certificates once, and as the engine does."""

import pytest

from ostiary.envoy.snapshot import snapshot
from ostiary.model.access import AccessRule
from ostiary.model.tls import Trust
from ostiary.model.what_if import Trial, WhatIf
from ostiary.ops import access, what_if
from ostiary.ops.explained import noted
from ostiary.ops.system import System
from ostiary.ops.what_if import _read
from ostiary.pki.door import judge_handshake
from ostiary.store.desired import desired
from support.certs import Authority
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.statements import counted
from support.systems import ADMIN
from support.visitors import ADMITTED, visitors

ROOT = Authority.root("Root")
BELOW = ROOT.intermediate("Below")
TRUST = Trust(name="trust", certificates=ROOT.cert_pem + BELOW.cert_pem)


@pytest.mark.parametrize("issuer", [ROOT, BELOW], ids=["root", "below"])
def test_what_is_noted_of_whoever_was_let_in_is_what_the_handshake_notes(issuer: Authority) -> None:
    for name, leaf in visitors(issuer).items():
        if leaf is None:
            continue
        at = leaf.certificate.not_valid_before_utc
        handshake = judge_handshake(leaf.cert_pem, TRUST, "OPTIONAL", at)
        read = _read(leaf.cert_pem, TRUST.certificates)
        assert read == noted(leaf.cert_pem, handshake.issuer_fingerprint_sha256, ""), name
        assert read is not None
        assert bool(read.issuer_fingerprint) == handshake.allowed, name
        if name in ADMITTED:
            assert read.issuer_fingerprint, name


def test_what_cannot_be_read_is_left_out() -> None:
    assert _read("nonsense", TRUST.certificates) is None
    assert _read("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", TRUST.certificates) is None
    assert _read(ROOT.client("alice").cert_pem, "nonsense") is None


def test_what_gateways_were_given_is_not_put_together_anew_unless_something_changed(system: System) -> None:
    issuer = an_authority(system)
    trust = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{issuer.id}"}
    balancer = a_balancer(system)
    door = a_listener(system, balancer, **trust)
    for number in range(5):
        a_listener(system, balancer, protocol_port=9000 + number, **trust)
    alice = a_certificate(system, issuer, groups=("field",))
    rule = AccessRule(name="r", listener_id=door.id, hosts=("a.test",))
    asked = WhatIf(listener_id=door.id, certificate_id=alice.id, rule=rule, host="b.test")
    with counted(system.store) as anew:
        before = what_if.test(system, ADMIN, asked)
    with system.store.read() as reader:
        wanted = desired(reader, system.sealer, system.clock())
    system.fleet.want(wanted, snapshot(wanted))
    with counted(system.store) as known:
        after = what_if.test(system, ADMIN, asked)
    assert known.count < anew.count
    assert after.explanation == before.explanation.model_copy(update={"access_rule_id": after.explanation.access_rule_id})
    assert what_if.shut_out(system, ADMIN, Trial(listener_id=door.id)).clients == 0
    access.create(system, ADMIN, AccessRule(name="all", listener_id=door.id))
    assert what_if.test(system, ADMIN, asked).explanation.decision == "ALLOW"
    assert before.explanation.decision == "DENY"
