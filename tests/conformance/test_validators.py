"""What ostiary issues, judged by OpenSSL, GnuTLS, NSS, Java, `cryptography` and pkilint; the outcome is in docs/conformance.md.

Every built-in profile, by authorities with every kind of key, for every kind of key a holder may have; with it what each must
refuse, for a validator that accepts everything proves nothing. `validators.yaml` says why one refuses what it should accept.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as x509_ocsp

from ostiary.clock import now
from ostiary.pki import crl, issue, keys, lint, ocsp, request
from ostiary.pki.issue import Issuer
from ostiary.pki.names import Names, SubjectFields
from ostiary.pki.policy import approve
from ostiary.pki.profile import BUILT_IN
from ostiary.pki.urls import Urls
from support import documents, validators
from support.certs import Key, csr, new_key, new_rsa_key, pem
from support.validators import Answer, Chain

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "conformance.md"
REASONS: Final = Path(__file__).with_name("validators.yaml")
AT: Final = now().replace(microsecond=0)
DAYS: Final = timedelta(days=1)

# (root's key, issuing authority's key). RSA-4096 takes seconds to make, so there is one.
HIERARCHIES: Final[tuple[tuple[keys.KeySpec, keys.KeySpec], ...]] = (
    ("EC-P256", "EC-P256"),
    ("EC-P384", "EC-P384"),
    ("ED25519", "ED25519"),
    ("RSA-3072", "RSA-3072"),
    ("RSA-4096", "EC-P256"),
)
HOLDERS: Final[dict[str, Key]] = {
    "EC P-256": new_key(),
    "EC P-384": ec.generate_private_key(ec.SECP384R1()),
    "RSA 2048": new_rsa_key(),
    "RSA 3072": new_rsa_key(3072),
}
NAMES: Final = {
    "client": Names(
        "alice", "Acme", "Sales", ("alice.test",), ("10.0.0.1",), ("spiffe://acme.test/alice",), ("alice@acme.test",)
    ),
    "device": Names("press 7", "Acme", dns=("press-7.acme.test",), uri=("urn:dev:ow:10e2073a01080063",), serial_number="4711"),
    "user": Names("Bob Å", "Acme", email=("bob@acme.test",)),
    "server": Names("www.acme.test", "Acme", dns=("www.acme.test", "*.acme.test"), ip=("::1",)),
}
URLS: Final = Urls(*(f"http://pki.acme.test/{what}" for what in ("pki/1.crl", "pki/1.crt", "ocsp/1")))
GOOD, BAD = "accepts", "refuses"


@dataclass(frozen=True)
class Hierarchy:
    """Two authorities, and their lists as PEM in one file."""

    name: str
    root: Issuer
    issuing: Issuer
    folder: Path

    @classmethod
    def make(cls, specs: tuple[keys.KeySpec, keys.KeySpec], folder: Path) -> "Hierarchy":
        folder.mkdir()
        root_key, key = map(keys.generate, specs)
        top = SubjectFields(CN="Conformance root", O="Acme", C="NO")
        root = Issuer(issue.create_root(top, root_key, 3650 * DAYS, AT), root_key)
        certificate = issue.create_intermediate(replace(top, CN="Conformance issuing"), key, root, 1825 * DAYS, AT)
        made = cls(" over ".join(dict.fromkeys(specs)), root, Issuer(certificate, key), folder)
        (folder / "root.pem").write_text(pem(root.certificate))
        (folder / "issuing.pem").write_text(pem(certificate))
        return made

    def issue(self, profile: str, key: Key) -> x509.Certificate:
        read = request.read(csr(key, "anyone"))
        above, signer = (self.root.certificate,), self.issuing.certificate
        approved = approve(read, BUILT_IN[profile], names=NAMES[profile], lifetime=None, issuer=signer, above=above, at=AT)
        return issue.issue(approved, self.issuing, AT, URLS)

    def lists(self, revoked: Sequence[x509.Certificate]) -> dict[str, bytes]:
        """Each kind of list that an authority publishes, DER."""
        entries = [crl.entry(each.serial_number, AT, "keyCompromise", AT - DAYS) for each in revoked]
        span = (AT - timedelta(minutes=5), AT + 7 * DAYS)
        freshest = "http://pki.acme.test/pki/1.delta.crl"
        return {
            "root's, empty": crl.sign(self.root, 1, *span, []),
            "with entries": crl.sign(self.issuing, 5, *span, entries, freshest=freshest),
            "delta": crl.sign(self.issuing, 6, *span, [*entries, crl.entry(4711, AT, "removeFromCRL")], base_number=5),
        }

    def chain(self, name: str, certificate: x509.Certificate, **settings: Any) -> Chain:
        leaf = self.folder / f"{name}.pem"
        leaf.write_text(pem(certificate))
        usual = {"issuing": self.folder / "issuing.pem", "root": self.folder / "root.pem", "lists": self.folder / "lists.pem"}
        return Chain(leaf=leaf, **usual | settings)


@dataclass(frozen=True)
class Question:
    """A chain, and whether it is to be accepted. `is_about_lists`: only who looks at revocation lists can tell."""

    hierarchy: str
    what: str
    chain: Chain
    expected: str = GOOD
    is_about_lists: bool = False


def questions(folder: Path) -> Iterator[Question]:
    other = Hierarchy.make(("EC-P256", "EC-P256"), folder / "other")
    for number, specs in enumerate(HIERARCHIES):
        hierarchy = Hierarchy.make(specs, folder / str(number))
        yield from good_and_bad(hierarchy, other, HOLDERS if len(set(specs)) == 1 else {"EC P-256": HOLDERS["EC P-256"]})


def good_and_bad(hierarchy: Hierarchy, other: Hierarchy, holders: Mapping[str, Key]) -> Iterator[Question]:
    revoked = hierarchy.issue("client", new_key())
    lists = hierarchy.lists([revoked])
    complete = (x509.load_der_x509_crl(lists[kind]) for kind in ("root's, empty", "with entries"))
    (hierarchy.folder / "lists.pem").write_text("".join(map(pem, complete)))
    for kind, profile in itertools.product(holders, BUILT_IN):
        is_server = profile == "server"
        certificate = hierarchy.issue(profile, holders[kind])
        about = {"host": "www.acme.test"} if is_server else {"email": "bob@acme.test"} if profile == "user" else {}
        name = f"{profile} {kind}".replace(" ", "-")
        chain = hierarchy.chain(name, certificate, purpose="server" if is_server else "client", **about)
        yield Question(hierarchy.name, kind, chain)
    server, client = hierarchy.issue("server", new_key()), other.issue("client", new_key())
    yield Question(hierarchy.name, "revoked", hierarchy.chain("revoked", revoked, purpose="client"), BAD, is_about_lists=True)
    yield Question(hierarchy.name, "other purpose", hierarchy.chain("purpose", server, purpose="client"), BAD)
    yield Question(hierarchy.name, "another CA's", hierarchy.chain("stranger", client, purpose="client"), BAD)
    elsewhere = hierarchy.chain("elsewhere", server, purpose="server", host="www.other.test")
    yield Question(hierarchy.name, "another host", elsewhere, BAD)


@dataclass(frozen=True)
class Validator:
    """Someone else's judgement of chains."""

    name: str
    ask: Callable[[Sequence[Chain]], list[str]]
    looks_at_lists: bool = True
    looks_at_hosts: bool = True


VALIDATORS: Final = (
    Validator("OpenSSL", validators.openssl),
    Validator("GnuTLS", validators.gnutls),
    Validator("NSS", validators.nss, looks_at_hosts=False),  # certutil has no option for a name
    Validator("Java", validators.java, looks_at_hosts=False),  # that is for whoever uses the trust manager
    Validator("cryptography", validators.python, looks_at_lists=False),
)


def test_whom_ostiary_certifies_others_accept_and_whom_it_does_not_they_refuse(tmp_path: Path, update_golden: bool) -> None:  # noqa: FBT001 (a fixture)
    asked = list(questions(tmp_path))
    cells = dict[tuple[str, str, str], list[str]]()
    for validator in VALIDATORS:
        answers = validator.ask([question.chain for question in asked])
        for question, words in zip(asked, answers, strict=True):
            cells.setdefault((question.hierarchy, question.what, validator.name), []).append(verdict(question, validator, words))
    rows = [
        [hierarchy, what, *(cell(cells[hierarchy, what, validator.name], validator.name, hierarchy) for validator in VALIDATORS)]
        for hierarchy, what in dict.fromkeys((question.hierarchy, question.what) for question in asked)
    ]
    heads = ("authority", "holder's key, or what is wrong", *(validator.name for validator in VALIDATORS))
    written = f"{documents.table(heads, rows)}\n{footnotes()}"
    assert [number for number in range(1, len(reasons()) + 1) if f"({number}) |" not in written] == [], "reasons for nothing"
    documents.check(DOCUMENT, "chains", written, update=update_golden)


def verdict(question: Question, validator: Validator, words: str) -> str:
    is_beyond = (question.is_about_lists and not validator.looks_at_lists) or (
        question.what == "another host" and not validator.looks_at_hosts
    )
    if is_beyond:
        return "does not look"
    said = BAD if words else GOOD
    return said if said == question.expected else f"{said}: {words}"


def cell(verdicts: list[str], validator: str, hierarchy: str) -> str:
    """One word when all went as it should; otherwise the number of the reason, which there must be."""
    (said,) = set(verdicts)
    if ":" not in said:
        return said
    for index, reason in enumerate(reasons(), start=1):
        if reason["who"] == validator and reason["words"] in said and reason["where"] == hierarchy:
            return f"{said.partition(':')[0]} ({index})"
    pytest.fail(f"{validator} {said}; validators.yaml does not say why ({hierarchy})")


@functools.cache
def reasons() -> list[dict[str, str]]:
    return yaml.safe_load(REASONS.read_text())  # type: ignore[no-any-return]  # the file's form, checked by its use


def footnotes() -> str:
    return "".join(f"- ({index}) {each['why'].strip()}\n" for index, each in enumerate(reasons(), start=1))


@pytest.mark.parametrize("specs", HIERARCHIES, ids="-over-".join)
def test_pkilint_finds_nothing_in_what_is_issued(specs: tuple[keys.KeySpec, keys.KeySpec], tmp_path: Path) -> None:
    hierarchy = Hierarchy.make(specs, tmp_path / "pki")
    issued = [hierarchy.issue(profile, key) for profile, key in itertools.product(BUILT_IN, HOLDERS.values())]
    for certificate in (hierarchy.root.certificate, hierarchy.issuing.certificate, *issued):
        assert lint.certificate(certificate) == ()
    for der in hierarchy.lists(issued).values():
        assert lint.revocation_list(x509.load_der_x509_crl(der)) == ()
    for answer in answers(hierarchy, issued[0]).values():
        assert lint.ocsp_response(answer) == ()


def answers(hierarchy: Hierarchy, certificate: x509.Certificate) -> dict[str, bytes]:
    """An answer of each kind about one certificate, DER."""
    builder = x509_ocsp.OCSPRequestBuilder().add_certificate(certificate, hierarchy.issuing.certificate, hashes.SHA1())  # noqa: S303 (as clients ask)
    asked = ocsp.read(builder.build().public_bytes(Encoding.DER))
    key = new_key()
    delegate = Issuer(ocsp.signer_certificate(hierarchy.issuing, key.public_key(), AT, 7 * DAYS), key)
    span = (AT - timedelta(minutes=5), AT + DAYS)

    def answer(status: ocsp.Status, signer: Issuer) -> bytes:
        return ocsp.answer(asked, status, signer, hierarchy.issuing.certificate, *span)

    return {
        "good, by the authority": answer(ocsp.Good(), hierarchy.issuing),
        "good, by its delegate": answer(ocsp.Good(), delegate),
        "revoked": answer(ocsp.Revoked(AT - DAYS, "keyCompromise"), delegate),
        "unknown": answer(ocsp.Unknown(), delegate),
        "good, by a stranger": answer(ocsp.Good(), Issuer(delegate_of_a_stranger(hierarchy, key), key)),
    }


def delegate_of_a_stranger(hierarchy: Hierarchy, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Of an authority that has the name, but not the key."""
    own = new_key()
    subject = SubjectFields(CN="Conformance issuing", O="Acme", C="NO")
    stranger = Issuer(issue.create_root(subject, own, 100 * DAYS, AT), own)
    assert stranger.certificate.subject == hierarchy.issuing.certificate.subject
    return ocsp.signer_certificate(stranger, key.public_key(), AT, 7 * DAYS)


ANSWER_VALIDATORS: Final[dict[str, Callable[[Sequence[Answer]], list[str]]]] = {
    "OpenSSL": validators.openssl_answers,
    "GnuTLS": validators.gnutls_answers,
    "Java": validators.java,
}
LIST_VALIDATORS: Final = {"OpenSSL": validators.openssl_list, "GnuTLS": validators.gnutls_list, "Java": validators.java_list}


def test_others_read_our_lists_and_answers_as_they_are_meant(tmp_path: Path, update_golden: bool) -> None:  # noqa: FBT001 (a fixture)
    rows = []
    for number, specs in enumerate(HIERARCHIES[:4]):
        hierarchy = Hierarchy.make(specs, tmp_path / str(number))
        rows += [*list_rows(hierarchy), *answer_rows(hierarchy)]
    heads = ("authority", "what", *ANSWER_VALIDATORS)
    documents.check(DOCUMENT, "status", documents.table(heads, rows), update=update_golden)


def list_rows(hierarchy: Hierarchy) -> Iterator[list[str]]:
    for kind, der in hierarchy.lists([hierarchy.issue("client", HOLDERS["EC P-256"])]).items():
        file = hierarchy.folder / "one.crl"
        file.write_text(pem(x509.load_der_x509_crl(der)))
        signer = hierarchy.folder / ("root.pem" if kind.startswith("root") else "issuing.pem")
        said = {who: ask(file, signer) for who, ask in LIST_VALIDATORS.items()}
        yield [hierarchy.name, f"list, {kind}", *(judged(who, words, "") for who, words in said.items())]


def answer_rows(hierarchy: Hierarchy) -> Iterator[list[str]]:
    certificate = hierarchy.issue("client", HOLDERS["EC P-256"])
    (hierarchy.folder / "lists.pem").write_text("")
    chain = hierarchy.chain("asked", certificate, purpose="client")
    kinds = answers(hierarchy, certificate)
    asked = []
    for index, der in enumerate(kinds.values()):
        file = hierarchy.folder / f"{index}.ocsp"
        file.write_bytes(der)
        asked.append(Answer(chain, file, certificate.serial_number))
    said = {who: ask(asked) for who, ask in ANSWER_VALIDATORS.items()}
    for index, kind in enumerate(kinds):
        expected = "" if kind in ("good, by the authority", "good, by its delegate") else kind
        yield [hierarchy.name, f"answer, {kind}", *(judged(who, said[who][index], expected) for who in said)]


def judged(who: str, words: str, expected: str) -> str:
    said, wanted = (BAD if words else GOOD), (BAD if expected else GOOD)
    assert said == wanted, f"{who} {said} what is {expected or 'good'}: {words}"
    return said
