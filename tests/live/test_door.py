"""The door lets in holders of a valid certificate, and nobody else: every kind of Client CA, visitor and client."""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509

from ostiary import paths
from ostiary.clock import now
from ostiary.gateway import client as keeper
from support.backend import Backend
from support.certs import Authority, Leaf, Paths, csr, new_key, self_signed_client
from support.processes import Running
from support.stack import PROGRAM, Door, Ostiary
from support.tls_clients import Refused, TLSClient, Version
from support.visitors import ADMITTED, CLIENTS, REFUSED, Visitor, openssl, strangers, tls_client, visitors
from support.wait import eventually

pytestmark = pytest.mark.live

StartProcess = Callable[..., Running]
VERSIONS: Final[tuple[Version, ...]] = ("TLSv1.2", "TLSv1.3")


@dataclass(frozen=True)
class Gate:
    """A door, and files for everybody who knocks there."""

    door: Door
    people: Mapping[str, Paths | None]
    ca: Path

    def knock(self, client: str, who: str, path: str = "/") -> int | None:
        """What this person is answered, or None when refused."""
        return CLIENTS[client](self.door.port, self.ca, self.people[who], path)


@dataclass(frozen=True)
class Way:
    """A way to say whose clients are let in: the settings it makes, and who then knocks."""

    settings: dict[str, Any]
    people: dict[str, Visitor] = field(default_factory=dict)


def one_root(house: Ostiary, *, lists: bool) -> Way:
    root = Authority.root("Only root")
    people = visitors(root)
    if not lists:
        # With lists on, an intermediate that a client brings has none, and so is refused: see below.
        people |= _brought_intermediate(root)
    return Way(_trust(house, root.cert_pem, [root], people, lists=lists), people)


def many_roots(house: Ostiary, *, lists: bool) -> Way:
    roots = [Authority.root(f"Root {number}") for number in range(4)]
    people = visitors(roots[2])
    return Way(_trust(house, "".join(root.cert_pem for root in roots), roots, people, lists=lists), people)


def bundle(house: Ostiary, *, lists: bool) -> Way:
    root = Authority.root("Bundle root")
    issuing = root.intermediate("Bundle issuing")
    people = visitors(issuing)
    return Way(_trust(house, issuing.bundle_pem, [root, issuing], people, lists=lists), people)


def intermediate_alone(house: Ostiary, *, lists: bool) -> Way:
    root = Authority.root("Hidden root")
    issuing = root.intermediate("Lone issuing")
    people = visitors(issuing) | {"of the root above": root.client("of the root above")}
    return Way(_trust(house, issuing.cert_pem, [issuing], people, lists=lists), people)


def imported_authority(house: Ostiary, *, lists: bool) -> Way:
    root = Authority.root(f"Imported root {lists}")
    body = {"authority": {"name": "imported", "certificate": root.cert_pem}}
    people = visitors(root)
    settings = _trust(house, root.cert_pem, [root], people, lists=lists)
    return Way(
        settings | {"client_ca_tls_container_ref": house.call("POST", "/v1/authorities", body)["authority"]["href"]}, people
    )


def own_authority(house: Ostiary, *, lists: bool) -> Way:
    """Root and issuing authority live in ostiary, and so do their keys: every client is issued through the API."""
    assert not lists  # It publishes none yet, and nobody else has the keys to sign them.
    root = _made_authority(house, "Own root", kind="root")
    issuing = _made_authority(house, "Own issuing", kind="intermediate", parent_id=root["id"])
    above = tuple(x509.load_pem_x509_certificate(made["certificate"].encode()) for made in (issuing, root))
    valid = _issued(house, issuing["id"], above, "valid", sans=("URI:spiffe://test/valid", "DNS:valid.test"))
    people: dict[str, Visitor] = {
        "valid": valid,
        **strangers(valid, Authority.root("Own issuing")),
        "expired": _issued(house, issuing["id"], above, "expired", lifetime="PT1S"),
        "server only": _issued(house, issuing["id"], above, "server.test", sans=("DNS:server.test",), profile="server"),
    }
    return Way({"client_ca_tls_container_ref": issuing["href"]}, people)


WAYS: Final = {
    make.__name__.replace("_", " "): make
    for make in (one_root, many_roots, bundle, intermediate_alone, imported_authority, own_authority)
}
WITH_LISTS: Final = tuple(f"{way}, with lists" for way in WAYS if way != "own authority")
EVERYWHERE: Final = (*WAYS, *WITH_LISTS)


def _brought_intermediate(root: Authority) -> dict[str, Visitor]:
    """Somebody whose CA is not in the Client CA: let in with the chain, refused without."""
    far = root.intermediate("Far issuing").client("far")
    return {"with its intermediate": far, "without its intermediate": Leaf(far.certificate, far.key)}


def _trust(house: Ostiary, pem: str, authorities: list[Authority], people: dict[str, Visitor], *, lists: bool) -> dict[str, Any]:
    settings = {"client_ca_tls_container_ref": house.secret(pem)}
    if lists:
        revoked = people["revoked"]
        assert revoked is not None
        settings["client_crl_container_ref"] = house.secret("".join(_list_of(authority, revoked) for authority in authorities))
    return settings


def _list_of(authority: Authority, revoked: Leaf) -> str:
    """Its revocation list, with that certificate if it is one of its own."""
    return authority.crl([revoked] if revoked.certificate.issuer == authority.certificate.subject else ())


def _made_authority(house: Ostiary, name: str, **fields: Any) -> dict[str, Any]:
    return dict(house.call("POST", "/v1/authorities", {"authority": {"name": name, **fields}})["authority"])


def _issued(
    house: Ostiary, authority_id: str, above: tuple[x509.Certificate, ...], name: str, sans: tuple[str, ...] = (), **fields: Any
) -> Leaf:
    key = new_key()
    body = {"certificate": {"authority_id": authority_id, "csr": csr(key, name, sans=sans), **fields}}
    made = house.call("POST", "/v1/certificates", body)["certificate"]
    return Leaf(x509.load_pem_x509_certificate(made["certificate"].encode()), key, above)


def written(people: Mapping[str, Visitor], folder: Path) -> dict[str, Paths | None]:
    """Everybody's certificate and key as files."""
    return {who: leaf.write(folder, who.replace(" ", "-")) if leaf else None for who, leaf in people.items()}


class Gates(dict[str, Gate]):
    """Gates by the name of their way, each made when first asked for."""

    def __init__(self, house: Ostiary, backend: Backend, folder: Path) -> None:
        super().__init__()
        self._house, self._backend, self._folder = house, backend, folder

    def __missing__(self, name: str) -> Gate:
        way = WAYS[name.removesuffix(", with lists")](self._house, lists=name.endswith("lists"))
        door = self._house.door(self._backend.port, client_authentication="MANDATORY", **way.settings)
        self[name] = Gate(door, written(way.people, self._folder / name), self._house.server_ca)
        if expired := way.people.get("expired"):
            eventually(lambda: now() > expired.certificate.not_valid_after_utc)
        return self[name]


@pytest.fixture(scope="module")
def gates(house: Ostiary, inside: Backend, tmp_path_factory: pytest.TempPathFactory) -> Gates:
    """Doors that demand a certificate."""
    return Gates(house, inside, tmp_path_factory.mktemp("people"))


LET_IN: Final = [
    *((gate, who) for gate in EVERYWHERE for who in ADMITTED if gate != "own authority" or who == "valid"),
    # Without lists nobody is revoked. It also shows that nothing else is wrong with this certificate.
    *((gate, "revoked") for gate in WAYS if gate != "own authority"),
    ("one root", "with its intermediate"),
]
TURNED_AWAY: Final = [
    *((gate, who) for gate in EVERYWHERE for who in REFUSED if gate != "own authority" or who != "not yet valid"),
    *((gate, "revoked") for gate in WITH_LISTS),
    ("one root", "without its intermediate"),
    ("intermediate alone", "of the root above"),
    ("intermediate alone, with lists", "of the root above"),
]


# Programs that are started for each knock cost ten times as much, so they knock at one gate of each kind.
IN_PYTHON: Final = tuple(client for client in CLIENTS if client.startswith("Python"))
WITH_EVERYTHING: Final = ("one root", "bundle, with lists", "own authority")


def _knocks(wanted: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Who knocks at which gate, with every client that is to be tried there."""
    return [(gate, who, client) for gate, who in wanted for client in (CLIENTS if gate in WITH_EVERYTHING else IN_PYTHON)]


@pytest.mark.parametrize(("gate", "who", "client"), _knocks(LET_IN))
def test_a_holder_of_a_valid_certificate_is_let_in(gates: Gates, inside: Backend, gate: str, who: str, client: str) -> None:
    path = f"/in/{gate}/{who}/{client}".replace(" ", "-")
    assert gates[gate].knock(client, who, path) == 200
    assert ("GET", path) in inside.asked


@pytest.mark.parametrize(("gate", "who", "client"), _knocks(TURNED_AWAY))
def test_nobody_else_is_and_the_backend_does_not_hear_of_it(
    gates: Gates, inside: Backend, gate: str, who: str, client: str
) -> None:
    path = f"/out/{gate}/{who}/{client}".replace(" ", "-")
    assert gates[gate].knock(client, who, path) is None
    assert ("GET", path) not in inside.asked


REASONS: Final = {
    "nobody": 40,  # handshake_failure: TLS 1.2 has no certificate_required
    "self-signed": 48,  # unknown_ca
    "of another CA": 48,
    "of a CA of the same name": 48,
    "forged": 51,  # decrypt_error: its issuer is found, and did not sign it
    "signed by a client": 48,
    "revoked": 44,  # certificate_revoked
    "expired": 45,  # certificate_expired
    "not yet valid": 45,  # RFC 8446 6.2: expired "or is not currently valid"
    "server only": 43,  # unsupported_certificate
}


@pytest.mark.parametrize(("who", "alert"), REASONS.items())
def test_each_is_refused_for_its_own_reason(gates: Gates, who: str, alert: int) -> None:
    """In TLS 1.2 the alert comes before anything of the client's can cross it, so every client hears it."""
    gate = gates["bundle, with lists"]
    assert openssl(gate.door.port, gate.ca, gate.people[who], version="TLSv1.2").alert == alert


# OPTIONAL and NONE.


@pytest.fixture(scope="module")
def optional(house: Ostiary, inside: Backend, gates: Gates) -> Gate:
    """A door that lets in whoever shows nothing, and refuses whoever shows what is not valid."""
    return _like(gates["bundle, with lists"], house, inside, client_authentication="OPTIONAL")


@pytest.fixture(scope="module")
def open_to_all(house: Ostiary, inside: Backend, gates: Gates) -> Gate:
    """A door with a Client CA that is switched off."""
    return _like(gates["bundle, with lists"], house, inside, client_authentication="NONE")


def _like(gate: Gate, house: Ostiary, backend: Backend, **settings: Any) -> Gate:
    """Another door with the same Client CA and revocation lists."""
    same = {name: gate.door.listener[name] for name in ("client_ca_tls_container_ref", "client_crl_container_ref")}
    return Gate(house.door(backend.port, **same, **settings), gate.people, gate.ca)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("who", ["nobody", *ADMITTED])
def test_where_it_is_optional_holders_come_in_and_so_does_who_shows_nothing(optional: Gate, client: str, who: str) -> None:
    assert optional.knock(client, who) == 200


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("who", ["revoked", *(who for who in REFUSED if who != "nobody")])
def test_where_it_is_optional_what_is_shown_must_be_valid(optional: Gate, inside: Backend, client: str, who: str) -> None:
    path = f"/optional/{who}/{client}".replace(" ", "-")
    assert optional.knock(client, who, path) is None
    assert ("GET", path) not in inside.asked


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("who", ["revoked", *ADMITTED, *REFUSED])
def test_where_it_is_off_everybody_comes_in(open_to_all: Gate, client: str, who: str) -> None:
    assert open_to_all.knock(client, who) == 200


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_is_asked_for_exactly_where_it_counts(
    gates: Gates, optional: Gate, open_to_all: Gate, version: Version
) -> None:
    def is_asked(gate: Gate) -> bool:
        return "CertificateRequest" in openssl(gate.door.port, gate.ca, gate.people["valid"], "-msg", version=version).output

    asked = [is_asked(gate) for gate in (gates["bundle, with lists"], optional, open_to_all)]
    assert asked == [True, True, False]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_backend_is_told_who_it_is_only_of_verified_holders(optional: Gate, open_to_all: Gate, version: Version) -> None:
    def is_told(gate: Gate, who: str) -> bool:
        return "x-forwarded-client-cert" in _client(gate, who, version).get().json()["headers"]

    assert is_told(optional, "valid")
    assert not is_told(optional, "nobody")
    assert not is_told(open_to_all, "valid")


def _client(gate: Gate, who: str, version: Version) -> TLSClient:
    return tls_client(gate.door.port, gate.ca, gate.people[who], version)


# Changes. What was accepted reaches Envoy's worker threads a moment later, so the first knock after a change may have to wait;
# from then on every one is answered by the new rule.


def in_force(gate: Gate, answers: Mapping[str, int | None]) -> None:
    """Wait until these visitors are answered so, then see that they still are, whichever client they come with."""
    eventually(lambda: all(gate.knock("Python, TLS 1.3", who) == answer for who, answer in answers.items()))
    for client in IN_PYTHON:
        assert {who: gate.knock(client, who) for who in answers} == answers, client


def test_switching_it_on_to_optional_and_off_is_in_force_for_new_connections(
    house: Ostiary, inside: Backend, gates: Gates
) -> None:
    gate = _like(gates["bundle, with lists"], house, inside)
    modes: dict[str, dict[str, int | None]] = {
        "NONE": {"valid": 200, "nobody": 200, "self-signed": 200, "revoked": 200},
        "MANDATORY": {"valid": 200, "nobody": None, "self-signed": None, "revoked": None},
        "OPTIONAL": {"valid": 200, "nobody": 200, "self-signed": None, "revoked": None},
    }
    in_force(gate, modes["NONE"])
    for mode in ("MANDATORY", "OPTIONAL", "NONE", "OPTIONAL", "MANDATORY", "NONE"):
        house.change(gate.door.id, client_authentication=mode)
        in_force(gate, modes[mode])


def test_another_client_ca_lets_in_its_own_holders_and_nobody_elses(house: Ostiary, inside: Backend, tmp_path: Path) -> None:
    one, other = Authority.root("One root"), Authority.root("Other root")
    refs = {ca: house.secret(ca.cert_pem) for ca in (one, other)}
    both = house.secret(one.cert_pem + other.cert_pem)
    door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=refs[one])
    gate = Gate(door, written({"one": one.client("one"), "other": other.client("other")}, tmp_path), house.server_ca)
    in_force(gate, {"one": 200, "other": None})
    for ref, answers in ((refs[other], (None, 200)), (both, (200, 200)), (refs[one], (200, None))):
        house.change(door.id, client_ca_tls_container_ref=ref)
        in_force(gate, dict(zip(("one", "other"), answers, strict=True)))


def test_other_revocation_lists_refuse_and_let_in_again(house: Ostiary, inside: Backend, tmp_path: Path) -> None:
    root = Authority.root()
    people = {"alice": root.client("alice"), "bob": root.client("bob")}
    nobody, bob = house.secret(root.crl()), house.secret(root.crl([people["bob"]], number=2))
    door = house.door(
        inside.port,
        client_authentication="MANDATORY",
        client_ca_tls_container_ref=house.secret(root.cert_pem),
        client_crl_container_ref=nobody,
    )
    gate = Gate(door, written(people, tmp_path), house.server_ca)
    in_force(gate, {"alice": 200, "bob": 200})
    for ref, answer in ((bob, None), (None, 200), (bob, None), (nobody, 200)):
        house.change(door.id, client_crl_container_ref=ref)
        in_force(gate, {"alice": 200, "bob": answer})


# Sessions: a resumed one brings no certificate, so none may stand in for it. CVE-2025-23419 (nginx), CVE-2025-23048 (Apache),
# CVE-2022-21654 (Envoy).


def _session(client: TLSClient) -> Any:
    """What this door gives a client to come back with."""
    with client.connect() as connection:
        assert connection.get().status == 200  # TLS 1.3 tickets come with the first answer.
        return connection.session


def _resumes(client: TLSClient, session: Any) -> bool:
    with client.connect(session) as connection:
        assert connection.get().status == 200
        return connection.is_resumed


@pytest.mark.parametrize("version", VERSIONS)
def test_nobody_resumes_a_session_where_certificates_count(gates: Gates, optional: Gate, version: Version) -> None:
    for gate in (gates["bundle, with lists"], optional):
        client = _client(gate, "valid", version)
        assert not _resumes(client, _session(client))


@pytest.mark.parametrize("version", VERSIONS)
def test_no_session_is_even_given_where_certificates_count(
    gates: Gates, optional: Gate, open_to_all: Gate, version: Version, tmp_path: Path
) -> None:
    def is_given(gate: Gate, file: Path) -> bool:
        shown = gate.people["valid"]
        assert openssl(gate.door.port, gate.ca, shown, "-sess_out", str(file), version=version).status == 200
        return file.exists()

    given = [is_given(gate, tmp_path / gate.door.id) for gate in (gates["bundle, with lists"], optional, open_to_all)]
    assert given == [False, False, True]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_made_while_it_was_off_is_no_use_once_it_is_on(
    house: Ostiary, inside: Backend, gates: Gates, version: Version
) -> None:
    gate = _like(gates["bundle, with lists"], house, inside)
    stranger, holder = _client(gate, "nobody", version), _client(gate, "valid", version)
    sessions = {client.cert: _session(client) for client in (stranger, holder)}
    assert _resumes(stranger, sessions[stranger.cert])  # While it is off, it is of use.
    house.change(gate.door.id, client_authentication="MANDATORY")
    in_force(gate, {"valid": 200, "nobody": None})
    with pytest.raises(Refused), stranger.connect(sessions[stranger.cert]) as connection:
        connection.get()
    assert not _resumes(holder, sessions[holder.cert])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_of_an_open_door_is_no_use_at_another_with_the_same_certificate(
    house: Ostiary, inside: Backend, gates: Gates, version: Version
) -> None:
    server = Authority.root("Server root").server()
    container = house.container(server.cert_pem, server.key_pem)
    lenient, strict = (
        _like(gates["bundle, with lists"], house, inside, default_tls_container_ref=container, client_authentication=mode)
        for mode in ("NONE", "MANDATORY")
    )
    client = TLSClient(lenient.door.port, version=version)
    session = _session(client)
    assert _resumes(client, session)
    # The same context: Python resumes a session only where it came from.
    elsewhere = TLSClient(strict.door.port, version=version, _context=[client.context()])
    with pytest.raises(Refused), elsewhere.connect(session) as connection:
        connection.get()


# A Client CA that cannot be loaded.

Damage = Callable[[sqlite3.Connection], object]


def _overwritten(table: str, **values: str | None) -> Damage:
    """Fields of what is stored, changed as the API never would."""

    def damage(database: sqlite3.Connection) -> None:
        for name, value in values.items():
            changed = database.execute(f"UPDATE {table} SET document = json_set(document, ?, ?)", (f"$.{name}", value))  # noqa: S608 (the test's own words)
            assert changed.rowcount > 0

    return damage


NOWHERE: Final = "/v1/secrets/00000000-0000-0000-0000-000000000000"
GARBLED: Final = "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n"
DAMAGES: Final[dict[str, Damage]] = {
    "its certificate is garbled": _overwritten("authorities", certificate=GARBLED),
    "its certificate is empty": _overwritten("authorities", certificate=""),
    "it is gone": lambda database: database.execute("DELETE FROM authorities WHERE name = 'ours'"),
    "nothing refers to it": _overwritten("listeners", client_ca_tls_container_ref=None),
    "its revocation list is gone": _overwritten("listeners", client_crl_container_ref=NOWHERE),
    "the mode is no mode": _overwritten("listeners", client_authentication="SOMETIMES"),
}


@dataclass(frozen=True)
class Stopped:
    """An ostiary that was stopped: its data directory, its door, and who was let in until then."""

    data_dir: Path
    gate: Gate

    def copy(self, folder: Path, damage: Damage) -> Path:
        """The data directory once more, damaged."""
        target = folder / "data"
        shutil.copytree(self.data_dir, target, ignore=shutil.ignore_patterns("run"))
        with contextlib.closing(sqlite3.connect(target / "ostiary.db")) as database, database:
            damage(database)
        return target


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, inside: Backend) -> Stopped:
    """One that served a door whose Client CA is an authority with a revocation list."""
    folder = tmp_path_factory.mktemp("stopped")
    root = Authority.root("Ours")
    people = written({"valid": root.client("valid"), "nobody": None, "self-signed": self_signed_client()}, folder)
    with Ostiary(folder) as house:
        body = {"authority": {"name": "ours", "certificate": root.cert_pem}}
        door = house.door(
            inside.port,
            client_authentication="MANDATORY",
            client_ca_tls_container_ref=house.call("POST", "/v1/authorities", body)["authority"]["href"],
            client_crl_container_ref=house.secret(root.crl()),
        )
        gate = Gate(door, people, house.server_ca)
        in_force(gate, {"valid": 200, "nobody": None, "self-signed": None})
        return Stopped(house.data_dir, gate)


@pytest.fixture
def restarted(tmp_path: Path, start_process: StartProcess) -> Iterator[Ostiary]:
    """The one to be started on `tmp_path/data`; its gateway is stopped also when it has failed."""
    house = Ostiary(tmp_path, start_process)
    yield house
    house.stop()
    keeper.stop(house.data_dir)


@pytest.mark.parametrize("damage", DAMAGES)
def test_with_a_client_ca_that_cannot_be_loaded_nothing_is_served(
    stopped: Stopped, restarted: Ostiary, tmp_path: Path, damage: str
) -> None:
    data_dir = stopped.copy(tmp_path, DAMAGES[damage])
    paths.Paths(data_dir).last_good.unlink()
    _started_with_a_complaint(restarted)
    _nobody_answers(stopped.gate)


@pytest.mark.parametrize("damage", ["its certificate is garbled", "nothing refers to it", "the mode is no mode"])
def test_with_a_client_ca_that_can_no_longer_be_loaded_the_last_good_one_decides(
    stopped: Stopped, restarted: Ostiary, tmp_path: Path, damage: str
) -> None:
    stopped.copy(tmp_path, DAMAGES[damage])
    _started_with_a_complaint(restarted)
    eventually(lambda: stopped.gate.knock("Python, TLS 1.3", "valid") == 200)
    in_force(stopped.gate, {"valid": 200, "nobody": None, "self-signed": None})


def test_with_secrets_that_cannot_be_opened_it_does_not_start(stopped: Stopped, restarted: Ostiary, tmp_path: Path) -> None:
    stopped.copy(tmp_path, lambda database: database.execute("UPDATE secrets SET payload = zeroblob(64)"))
    restarted.process = restarted.launch(PROGRAM, "up", "--data-dir", restarted.data_dir, "--listen", restarted.listen)
    assert restarted.process.wait() == 1
    assert "cannot be decrypted" in restarted.process.output()
    _nobody_answers(stopped.gate)


def _started_with_a_complaint(house: Ostiary) -> None:
    process = house.start().process
    assert process is not None
    process.says("the configuration cannot be translated")


def _nobody_answers(gate: Gate) -> None:
    for who in gate.people:
        with pytest.raises(ConnectionRefusedError):
            gate.knock("Python, TLS 1.3", who)
