"""Chains with path lengths and name constraints: what we sign others accept, and what we refuse to sign they would refuse.

Others are OpenSSL (`openssl verify -x509_strict`) and pyhanko-certvalidator, which validates paths in Python and shares no code
with either. What we refused is built all the same, by `cryptography` alone, to be shown to them.
"""

import asyncio
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError

from ostiary.errors import Invalid
from ostiary.pki import constraints, issue, request
from ostiary.pki.issue import Issuer, Limits
from ostiary.pki.names import Names, SubjectFields, alternatives, subject
from ostiary.pki.policy import approve
from ostiary.pki.profile import BUILT_IN
from support.certs import CLIENT_AUTH, csr, name, new_key, pem, usage

AT: Final = datetime(2026, 6, 1, tzinfo=UTC)
DAYS: Final = timedelta(days=1)
KEYS: Final = tuple(new_key() for _ in range(5))  # the root's, those of the authorities below, the holder's at the end
REQUEST: Final = csr(KEYS[-1], "anyone")

Extensions = list[tuple[x509.ExtensionType, bool]]
Chain = tuple[x509.Certificate, ...]  # the root first


@dataclass(frozen=True)
class Wish:
    """What somebody might ask for: authorities with their limits, the root first, and a certificate below the last."""

    limits: tuple[Limits, ...]
    names: Names

    def common_names(self) -> list[str]:
        return [f"Authority {level}" for level in range(len(self.limits))]


def by_us(wish: Wish) -> Chain:
    """As ostiary signs it; `Invalid` for what it refuses."""
    chain = list[x509.Certificate]()
    for key, cn, limits in zip(KEYS, wish.common_names(), wish.limits, strict=False):
        fields = SubjectFields(CN=cn)
        if not chain:
            chain.append(issue.create_root(fields, key, 3000 * DAYS, AT, limits=limits))
            continue
        parent, above = Issuer(chain[-1], KEYS[len(chain) - 1]), tuple(reversed(chain[:-1]))
        chain.append(issue.create_intermediate(fields, key, parent, (2000 - len(chain)) * DAYS, AT, above=above, limits=limits))
    issuer, above = Issuer(chain[-1], KEYS[len(chain) - 1]), tuple(reversed(chain[:-1]))
    asked = request.read(REQUEST)
    approved = approve(asked, BUILT_IN["client"], names=wish.names, lifetime=None, issuer=issuer.certificate, above=above, at=AT)
    return (*chain, issue.issue(approved, issuer, AT))


def by_anybody(wish: Wish) -> Chain:
    """The same, signed by someone who refuses nothing."""
    chain = list[x509.Certificate]()
    for key, cn, limits in zip(KEYS, wish.common_names(), wish.limits, strict=False):
        extensions: Extensions = [
            (x509.BasicConstraints(ca=True, path_length=limits.path_length), True),
            (usage("key_cert_sign", "crl_sign"), True),
        ]
        if limits.constraints:
            extensions.append((limits.constraints.extension(), True))
        chain.append(signed(name(cn), key, extensions, chain))
    sans = alternatives(wish.names)
    extensions = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage("digital_signature"), True),
        (x509.ExtendedKeyUsage([CLIENT_AUTH]), False),
        *([(x509.SubjectAlternativeName(sans), False)] if sans else ()),
    ]
    return (*chain, signed(subject(wish.names), KEYS[-1], extensions, chain))


def signed(
    holder: x509.Name, key: ec.EllipticCurvePrivateKey, extensions: Extensions, above: Sequence[x509.Certificate]
) -> x509.Certificate:
    issuer, signer = (above[-1].subject, KEYS[len(above) - 1]) if above else (holder, key)
    builder = x509.CertificateBuilder(issuer, holder, key.public_key(), x509.random_serial_number(), AT - DAYS, AT + 90 * DAYS)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(signer, hashes.SHA256())


def openssl(chain: Chain, folder: Path) -> str:
    """Empty when OpenSSL accepts the chain for a TLS client, or else its words."""
    root, *between, leaf = chain
    files = {"root": (root,), "between": tuple(between) or (root,), "leaf": (leaf,)}
    for stem, certificates in files.items():
        (folder / f"{stem}.pem").write_text("".join(map(pem, certificates)))
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-attime", str(int(AT.timestamp()))]
    trusted = ["-CAfile", f"{folder}/root.pem", "-untrusted", f"{folder}/between.pem", f"{folder}/leaf.pem"]
    done = subprocess.run([*command, *trusted], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr or "refused without a word"


def pyhanko(chain: Chain) -> str:
    """The same of pyhanko-certvalidator, which knows constraints on all kinds of names but addresses."""
    if any(subtree.kind == "ip" for each in chain[:-1] for subtree in all_subtrees(each)):
        event("pyhanko cannot say")
        return ""
    root, *between, leaf = (asn1.Certificate.load(each.public_bytes(Encoding.DER)) for each in chain)
    context = ValidationContext(trust_roots=[root], moment=AT, allow_fetching=False, other_certs=between)
    try:
        validating = CertificateValidator(leaf, between, context).async_validate_usage({"digital_signature"}, {"client_auth"})  # type: ignore[no-untyped-call]  # it has no types
        asyncio.run(validating)
    except (PathError, ValidationError) as refused:
        return str(refused)
    return ""


def all_subtrees(authority: x509.Certificate) -> tuple[constraints.Subtree, ...]:
    held = constraints.of(authority)
    return (*held.permitted, *held.excluded)


HOSTS = st.sampled_from(["test", "a.test", "b.a.test", "c.b.a.test", "xa.test", "b.test"])
MAILBOXES = st.builds("{}@{}".format, st.sampled_from(["root", "me"]), HOSTS)
SUBTREES = {
    "dns": HOSTS,
    "ip": st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "192.0.2.0/24", "2001:db8::/32"]),
    "email": HOSTS | HOSTS.map(".{}".format) | MAILBOXES,
    "uri": HOSTS | HOSTS.map(".{}".format),
}


def subtrees(most: int) -> st.SearchStrategy[dict[str, list[str]]]:
    each = {kind: st.lists(values, min_size=1, max_size=most, unique=True) for kind, values in SUBTREES.items()}
    return st.fixed_dictionaries({}, optional=each)


@st.composite
def hierarchies(draw: st.DrawFn) -> tuple[Limits, ...]:
    depth = draw(st.integers(1, 4))
    return tuple(draw(limits(depth - level - 1, may_be_free=level == 0)) for level in range(depth))


@st.composite
def limits(draw: st.DrawFn, below: int, *, may_be_free: bool) -> Limits:
    """With just enough room for so many authorities below, with too little or with more."""
    permitted, excluded = draw(st.just({}) | subtrees(2)), draw(st.just({}) | subtrees(1))
    try:
        wanted = constraints.given(permitted, excluded)
    except Invalid:  # such as what is permitted and excluded at once
        wanted = constraints.NONE
    room = draw(st.sampled_from([below, below, below, max(below - 1, 0), below + 1, *([None] if may_be_free else [])]))
    return Limits(room, wanted)


# Names on which RFC 5280 leaves no room: where engines differ we refuse more than any one of them (`pki.constraints` says what).
NAMES = st.builds(
    Names,
    common_name=st.just("Alice A"),
    dns=st.lists(HOSTS, max_size=2, unique=True).map(tuple),
    ip=st.lists(st.sampled_from(["10.0.0.1", "10.1.2.3", "192.0.2.1", "2001:db8::1", "::1"]), max_size=1).map(tuple),
    email=st.lists(MAILBOXES, max_size=1).map(tuple),
    uri=st.lists(HOSTS.map("https://{}/x".format), max_size=1).map(tuple),
)
WISHES = st.builds(Wish, hierarchies(), NAMES)

# What we ask beyond what a path validation asks: an authority's own limits must lie within those above it. A chain that breaks
# only this may be valid all the same, by what is common to all of them.
BEYOND: Final = ("name_constraints", "path_length")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WISHES)
def test_what_is_signed_is_accepted_by_others_and_what_is_refused_would_be_refused(tmp_path: Path, wish: Wish) -> None:
    chain, refusal = asked_of_us(wish)
    if chain:
        event(f"signed below {len(wish.limits)}")
        assert openssl(chain, tmp_path) == ""
        assert pyhanko(chain) == ""
    elif refusal.field.startswith(BEYOND):
        event("refused as pointless")
    else:
        event(f"refused: {refusal.field}")
        assert openssl(by_anybody(wish), tmp_path), f"only we refuse: {refusal}"


def asked_of_us(wish: Wish) -> tuple[Chain, Invalid]:
    """A chain, or why there is none."""
    try:
        return by_us(wish), Invalid("", "")
    except Invalid as refused:
        return (), refused
