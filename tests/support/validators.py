"""Other people's programs that judge certificates, revocation lists and OCSP answers: OpenSSL, GnuTLS, NSS, Java, cryptography.

Each takes any number of questions and answers each with "" when it accepts, or else with its own words.
"""

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification

Purpose = Literal["client", "server"]

_JAVA: Final = Path(__file__).parents[1] / "conformance" / "Validate.java"
_LIMIT: Final = 240.0  # Seconds; a hung program must not hang the tests.


@dataclass(frozen=True)
class Chain:
    """Whether the holder of `leaf` is to be let in. All are PEM files; `lists` holds those of root and issuing authority."""

    leaf: Path
    issuing: Path
    root: Path
    lists: Path
    purpose: Purpose
    host: str = ""
    email: str = ""

    @property
    def shown(self) -> Path:
        """Leaf and issuing authority in one file."""
        both = self.leaf.with_suffix(f".{self.root.parent.name}.chain")
        if not both.exists():
            both.write_bytes(self.leaf.read_bytes() + self.issuing.read_bytes())
        return both


@dataclass(frozen=True)
class Answer:
    """Whether an OCSP answer (DER) says that the leaf of the chain is good."""

    chain: Chain
    der: Path
    serial: int


Asked = TypeVar("Asked", Chain, Answer)


def run(*argv: object, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program whatever its exit code; what it says comes as text."""
    command = [str(word) for word in argv]
    return subprocess.run(command, input=given, capture_output=True, text=True, errors="replace", check=False, timeout=_LIMIT)


def openssl(asked: Sequence[Chain]) -> list[str]:
    """`openssl verify`, strict, with lists of the whole chain."""

    def ask(chain: Chain) -> str:
        names = ["-verify_hostname", chain.host] if chain.host else ["-verify_email", chain.email] if chain.email else []
        purpose = ["-purpose", f"ssl{chain.purpose}", "-crl_check_all", "-CRLfile", chain.lists]
        trusted = ["-CAfile", chain.root, "-untrusted", chain.issuing]
        done = run("openssl", "verify", "-x509_strict", "-check_ss_sig", *purpose, *names, *trusted, chain.leaf)
        words = re.search(r"error \d+ at \d+ depth lookup: (.*)", done.stdout + done.stderr)
        return "" if done.returncode == 0 else words[1] if words else done.stderr.strip()

    return _each(ask, asked)


def gnutls(asked: Sequence[Chain]) -> list[str]:
    """`certtool --verify`."""
    purposes = {"client": "1.3.6.1.5.5.7.3.2", "server": "1.3.6.1.5.5.7.3.1"}

    def ask(chain: Chain) -> str:
        names = ["--verify-hostname", chain.host] if chain.host else ["--verify-email", chain.email] if chain.email else []
        files = ["--load-ca-certificate", chain.root, "--load-crl", chain.lists, "--infile", chain.shown]
        done = run("certtool", "--verify", "--verify-purpose", purposes[chain.purpose], *names, *files)
        return "" if done.returncode == 0 else _last(done.stdout, "Chain verification output: ") or _last(done.stderr)

    return _each(ask, asked)


def nss(asked: Sequence[Chain]) -> list[str]:
    """`certutil -V` in a database of each root's own, with its lists imported by `crlutil`."""
    usages = {"client": "C", "server": "V"}

    def ask(chain: Chain) -> str:
        database = _nss_database(chain)
        nickname = chain.leaf.stem
        added = run("certutil", "-A", "-d", database, "-n", nickname, "-t", ",,", "-i", chain.leaf)
        if added.returncode:
            return _last(added.stderr)
        done = run("certutil", "-V", "-d", database, "-n", nickname, "-u", usages[chain.purpose])
        return "" if done.returncode == 0 else _last(done.stdout + done.stderr, "certutil: certificate is invalid: ")

    return [ask(chain) for chain in asked]  # one after the other: they share databases


def _nss_database(chain: Chain) -> str:
    folder = chain.root.parent / f"nss-{chain.root.stem}"
    database = f"sql:{folder}"
    if not folder.exists():
        folder.mkdir()
        run("certutil", "-N", "-d", database, "--empty-password")
        run("certutil", "-A", "-d", database, "-n", "root", "-t", "CT,,", "-i", chain.root)
        run("certutil", "-A", "-d", database, "-n", "issuing", "-t", ",,", "-i", chain.issuing)
        for index, crl in enumerate(x509.load_pem_x509_crl(block) for block in _blocks(chain.lists)):
            file = folder / f"{index}.crl"
            file.write_bytes(crl.public_bytes(Encoding.DER))
            run("crlutil", "-I", "-d", database, "-i", file)
    return database


def java(asked: Sequence[Chain | Answer]) -> list[str]:
    """Java's own trust manager, with PKIX revocation by lists, or by an OCSP answer."""

    def line(one: Chain | Answer) -> str:
        if isinstance(one, Answer):
            return f"answer {one.chain.root} {one.chain.shown} {one.der}"
        return f"{one.purpose} {one.root} {one.shown} {one.lists}"

    done = run("java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", _JAVA, given="".join(f"{line(one)}\n" for one in asked))
    answers = done.stdout.split("\n")[:-1]
    assert len(answers) == len(asked), done.stderr
    return answers


def python(asked: Sequence[Chain]) -> list[str]:
    """`cryptography.x509.verification` with its own policies. It knows no revocation lists."""

    def ask(chain: Chain) -> str:
        root, issuing, leaf = (
            x509.load_pem_x509_certificate(file.read_bytes()) for file in (chain.root, chain.issuing, chain.leaf)
        )
        builder = verification.PolicyBuilder().store(verification.Store([root]))
        try:
            if chain.purpose == "server":
                builder.build_server_verifier(x509.DNSName(chain.host)).verify(leaf, [issuing])
            else:
                builder.build_client_verifier().verify(leaf, [issuing])
        except verification.VerificationError as refused:
            return str(refused)
        return ""

    return [ask(chain) for chain in asked]


def openssl_answers(asked: Sequence[Answer]) -> list[str]:
    """`openssl ocsp`, which checks the answer's signature, its signer and its times."""

    def ask(answer: Answer) -> str:
        chain = answer.chain
        about = ["-issuer", chain.issuing, "-serial", f"0x{answer.serial:x}"]
        done = run("openssl", "ocsp", *about, "-respin", answer.der, "-CAfile", chain.root, "-verify_other", chain.issuing)
        if "Response verify OK" not in done.stderr:
            return _last(done.stderr)
        return "" if ": good" in done.stdout else _last(done.stdout.partition("\n")[0], ": ")

    return _each(ask, asked)


def gnutls_answers(asked: Sequence[Answer]) -> list[str]:
    """`ocsptool --verify-response`: the signature and its signer, and what the answer says."""

    def ask(answer: Answer) -> str:
        chain = answer.chain
        files = ["--load-response", answer.der, "--load-signer", chain.issuing]
        done = run("ocsptool", "--verify-response", "--inder", *files)
        if done.returncode != 0 or "Success" not in done.stdout + done.stderr:
            return _last(done.stdout + done.stderr)
        said = run("ocsptool", "--response-info", "--inder", "--infile", answer.der).stdout
        found = re.search(r"Certificate Status: (\w+)", said)
        return "" if found and found[1] == "good" else found[1] if found else said

    return _each(ask, asked)


def openssl_list(crl: Path, issuing: Path) -> str:
    """`openssl crl` of one list."""
    done = run("openssl", "crl", "-in", crl, "-CAfile", issuing, "-noout")
    return "" if "verify OK" in done.stderr else done.stderr.strip()


def gnutls_list(crl: Path, issuing: Path) -> str:
    """`certtool --verify-crl` of one list."""
    done = run("certtool", "--verify-crl", "--load-ca-certificate", issuing, "--infile", crl)
    return "" if done.returncode == 0 else _last(done.stdout + done.stderr)


def java_list(crl: Path, issuing: Path) -> str:
    """`keytool -printcrl` of one list: whether Java can read it."""
    del issuing
    done = run("keytool", "-printcrl", "-file", crl)
    return "" if done.returncode == 0 else _last(done.stdout + done.stderr)


def _each(ask: Callable[[Asked], str], asked: Sequence[Asked]) -> list[str]:
    with ThreadPoolExecutor(max_workers=2) as threads:
        return list(threads.map(ask, asked))


def _last(text: str, after: str = "") -> str:
    """The last line that says something, without what stands before."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and after in line]
    return lines[-1].rpartition(after)[2] if lines and after else lines[-1] if lines else ""


def _blocks(file: Path) -> Iterator[bytes]:
    end = b"-----END X509 CRL-----"
    return (block + end for block in file.read_bytes().split(end)[:-1])
