"""A device asks for its certificate at the real door, is let in with it, and renews it with the old one. Nobody else does."""

import base64
import json
import re
import ssl
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from ostiary.clock import now
from ostiary.errors import Unavailable
from ostiary.holder import work
from ostiary.holder.door import door_of
from ostiary.holder.folder import Folder
from support.backend import Backend
from support.certs import Authority, name, new_key
from support.commands import run
from support.grants import WithDoor, ostiary
from support.ports import free_port
from support.stack import Door
from support.tls_clients import Refused, TLSClient
from support.visitors import forged
from support.wait import eventually

pytestmark = pytest.mark.live

CODE = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}")
FILES = ("key.pem", "cert.pem", "chain.pem", "fullchain.pem", "ca.pem")
RENEWABLE = "PT9M"  # With five minutes of backdating a third of its life is over at once: its holder may renew it.


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithDoor]:
    with WithDoor(tmp_path_factory.mktemp("house")) as running:
        yield running


@pytest.fixture(scope="module")
def devices(house: WithDoor) -> str:
    """The authority that signs devices: an intermediate below a root, as it should be."""
    root = house.authority("Root")
    return house.authority("Devices", kind="intermediate", parent_id=root, lifetime_days=1000)


@pytest.fixture(scope="module")
def inner(house: WithDoor, inside: Backend, devices: str) -> Door:
    """A listener that lets in devices only."""
    return house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=f"/v1/authorities/{devices}")


def six_minutes_later() -> datetime:
    """By then, what is `RENEWABLE` is due."""
    return now() + timedelta(minutes=6)


def enrolled(house: WithDoor, devices: str, out: Path, **grant: object) -> Path:
    made = house.grant(devices, **grant)
    done = ostiary("enroll", made["url"], "--ca-sha256", made["ca_sha256"], "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def request_pem() -> bytes:
    request = x509.CertificateSigningRequestBuilder(name("whatever")).sign(new_key(), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def renewed_with(house: WithDoor, cert: Path, key: Path, request: bytes) -> tuple[int, str]:
    answer = house.at_door(cert, key).request("POST", "/v1/enroll/renew", body=request)
    return answer.status, answer.body.decode()


def refused_at_the_door(house: WithDoor, folder: Path) -> bool:
    """In the handshake already."""
    try:
        house.at_door(folder / "fullchain.pem", folder / "key.pem").get("/enroll/ca.pem")
    except Refused:
        return True
    return False


def let_in(port: int, folder: Path) -> bool:
    client = TLSClient(port, ca=folder / "ca.pem", cert=folder / "fullchain.pem", key=folder / "key.pem")
    return client.get("/").status == 200


def test_a_device_enrols_and_is_let_in(house: WithDoor, devices: str, inner: Door, tmp_path: Path) -> None:
    grant = house.grant(devices, groups=["field"], names={"common_name": "sensor-7", "dns": ["sensor-7.test"]})
    assert grant["command"] == f"ostiary enroll {grant['url']} --ca-sha256 {grant['ca_sha256']}"
    with pytest.raises(Refused):
        TLSClient(inner.port, ca=house.server_ca).get("/")
    done = ostiary(*grant["command"].split()[1:], "--out", tmp_path / "device")
    assert done.returncode == 0, done.stderr
    assert let_in(inner.port, tmp_path / "device")
    certificate = x509.load_pem_x509_certificate((tmp_path / "device/cert.pem").read_bytes())
    assert certificate.subject == name("sensor-7")
    digest = certificate.fingerprint(hashes.SHA256()).hex()
    (listed,) = house.call("GET", f"/v1/certificates?fingerprint_sha256={digest}")["certificates"]
    assert (listed["groups"], listed["owner"]) == (["field"], "sensor-7")


def test_only_the_key_is_closed_to_others_and_it_never_left(house: WithDoor, devices: str, tmp_path: Path) -> None:
    folder = enrolled(house, devices, tmp_path / "device")
    modes = {file: stat.S_IMODE((folder / file).stat().st_mode) for file in FILES}
    assert modes == {"key.pem": 0o600, **dict.fromkeys(FILES[1:], 0o644)}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    secret = (folder / "key.pem").read_text().splitlines()[1]
    for file in house.folder.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file


def test_a_grant_is_good_once(house: WithDoor, devices: str, tmp_path: Path) -> None:
    grant = house.grant(devices)
    assert ostiary("enroll", grant["url"], "--ca-sha256", grant["ca_sha256"], "--out", tmp_path / "one").returncode == 0
    second = ostiary("enroll", grant["url"], "--ca-sha256", grant["ca_sha256"], "--out", tmp_path / "two")
    assert (second.returncode, second.stdout) == (1, "")
    assert "not good" in second.stderr
    assert not (tmp_path / "two/cert.pem").exists()


def test_the_command_line_makes_grants_that_work(house: WithDoor, devices: str, inner: Door, tmp_path: Path) -> None:
    options = ("--ca", devices, "--profile", "device", "--name", "sensor-9", "--expires", "1h", "--data-dir", house.data_dir)
    told = run("token", "create", *options, "--qr", folder=tmp_path, env={"OSTIARY_URL": f"http://{house.listen}"})
    assert (told.exit_code, told.err) == (0, "")
    (command,) = re.findall(r"^  (ostiary enroll .*)$", told.out, re.MULTILINE)
    (link,) = re.findall(r"^  (https://\S+)$", told.out, re.MULTILINE)
    assert link in command
    assert told.out.count("█") > 100  # the QR code
    assert ostiary(*command.split()[1:], "--out", tmp_path / "device").returncode == 0
    assert let_in(inner.port, tmp_path / "device")


def test_a_token_can_come_from_standard_input(house: WithDoor, devices: str, tmp_path: Path) -> None:
    grant = house.grant(devices)
    door = grant["url"].removesuffix(f"/{grant['secret']}")
    options = ("--ca-sha256", grant["ca_sha256"], "--out", tmp_path / "device")
    assert ostiary("enroll", door, "--token-file", "-", *options, stdin=grant["secret"]).returncode == 0


def test_who_answers_for_the_door_is_told_nothing(house: WithDoor, devices: str, tmp_path: Path) -> None:
    """Neither under another authority's pin nor by the system's authorities; and the grant is as good as before."""
    grant = house.grant(devices)
    wrong = ostiary("enroll", grant["url"], "--ca-sha256", "00" * 32, "--out", tmp_path / "device")
    assert (wrong.returncode, "somebody may stand in between" in wrong.stderr) == (1, True)
    unpinned = ostiary("enroll", grant["url"], "--out", tmp_path / "device")
    assert (unpinned.returncode, "is not who it should be" in unpinned.stderr) == (1, True)
    assert ostiary("enroll", grant["url"], "--ca-sha256", grant["ca_sha256"], "--out", tmp_path / "device").returncode == 0


def test_a_device_renews_with_its_old_certificate_and_a_new_key(
    house: WithDoor, devices: str, inner: Door, tmp_path: Path
) -> None:
    folder = enrolled(house, devices, tmp_path / "device", lifetime=RENEWABLE)
    before = {file: (folder / file).read_bytes() for file in FILES}
    not_due = ostiary("enroll", "renew", folder, "--if-due", "--json")
    assert json.loads(not_due.stdout)["renewed"] is False
    done = ostiary("enroll", "renew", folder)
    assert done.returncode == 0, done.stderr
    after = {file: (folder / file).read_bytes() for file in FILES}
    assert before["key.pem"] != after["key.pem"]
    old, new = (x509.load_pem_x509_certificate(files["cert.pem"]) for files in (before, after))
    assert (old.subject, old.serial_number == new.serial_number) == (new.subject, False)
    assert let_in(inner.port, folder)


def test_it_renews_by_itself_when_it_is_due(house: WithDoor, devices: str, tmp_path: Path) -> None:
    folder = Folder(enrolled(house, devices, tmp_path / "device", lifetime=RENEWABLE))
    before = folder.file("cert.pem").read_bytes()
    assert not work.renew(folder, now, if_due=True).renewed
    assert work.renew(folder, six_minutes_later, if_due=True).renewed
    assert folder.file("cert.pem").read_bytes() != before


def test_after_a_failure_it_waits_and_then_succeeds(house: WithDoor, devices: str, tmp_path: Path) -> None:
    folder = Folder(enrolled(house, devices, tmp_path / "device", lifetime=RENEWABLE))
    files = {file: folder.file(file).read_bytes() for file in FILES}
    known = folder.enrolment()
    folder.write_enrolment(replace(known, door=f"https://localhost:{free_port()}"))
    with pytest.raises(Unavailable, match=r"cannot reach.*Will try again after"):
        work.renew(folder, six_minutes_later, if_due=True)
    key = (folder.path / "pending/key.pem").read_bytes()
    assert folder.progress().failures == 1
    assert files == {file: folder.file(file).read_bytes() for file in FILES}
    folder.write_enrolment(known)
    waiting = work.renew(folder, six_minutes_later, if_due=True)
    assert (waiting.renewed, waiting.next_at > six_minutes_later()) == (False, True)
    assert work.renew(folder, lambda: six_minutes_later() + timedelta(minutes=2), if_due=True).renewed
    assert folder.progress().failures == 0
    assert folder.file("key.pem").read_bytes() == key  # that of the first attempt, which might have been answered


def test_an_answer_that_was_lost_is_asked_for_again(house: WithDoor, devices: str, tmp_path: Path) -> None:
    folder = Folder(enrolled(house, devices, tmp_path / "device", lifetime=RENEWABLE))
    key, request = work.new_key_and_request("EC-P256")
    folder.write_pending(key, request)
    paths = (folder.file("ca.pem"), folder.file("fullchain.pem"), folder.file("key.pem"))
    lost = door_of(folder.enrolment().door)[0].renew(request, *paths)
    assert ostiary("enroll", "renew", folder.path).returncode == 0
    assert folder.file("cert.pem").read_text() == lost["certificate"]


def test_a_hook_that_fails_is_run_again(house: WithDoor, devices: str, tmp_path: Path) -> None:
    grant = house.grant(devices, lifetime=RENEWABLE)
    folder = tmp_path / "device"
    options = ("--ca-sha256", grant["ca_sha256"], "--out", folder, "--hook", "test -e ready")
    assert ostiary("enroll", grant["url"], *options).returncode == 0
    failed = ostiary("enroll", "renew", folder)
    assert (failed.returncode, "renewed, but the hook failed" in failed.stderr) == (1, True)
    assert ostiary("enroll", "renew", folder, "--if-due").returncode == 1
    (folder / "ready").touch()
    assert ostiary("enroll", "renew", folder, "--if-due").returncode == 0
    (folder / "ready").unlink()
    assert ostiary("enroll", "renew", folder, "--if-due").returncode == 0


def test_a_hook_runs_after_each_renewal_and_not_before(house: WithDoor, devices: str, tmp_path: Path) -> None:
    grant = house.grant(devices, lifetime=RENEWABLE)
    folder = tmp_path / "device"
    options = ("--ca-sha256", grant["ca_sha256"], "--out", folder, "--hook", "cp fullchain.pem seen.pem")
    assert ostiary("enroll", grant["url"], *options).returncode == 0
    assert not (folder / "seen.pem").exists()
    assert ostiary("enroll", "renew", folder).returncode == 0
    assert (folder / "seen.pem").read_bytes() == (folder / "fullchain.pem").read_bytes()


def test_it_is_too_early_to_renew_a_fresh_certificate(house: WithDoor, devices: str, tmp_path: Path) -> None:
    folder = enrolled(house, devices, tmp_path / "device")
    done = ostiary("enroll", "renew", folder)
    assert (done.returncode, "too early" in done.stderr) == (1, True)


def test_a_revoked_certificate_cannot_be_renewed(house: WithDoor, devices: str, tmp_path: Path) -> None:
    folder = enrolled(house, devices, tmp_path / "device", lifetime=RENEWABLE, names={"common_name": "stolen"})
    assert renewed_with(house, folder / "fullchain.pem", folder / "key.pem", request_pem())[0] == 201
    for found in house.call("GET", "/v1/certificates")["certificates"]:
        if found["subject"] == "CN=stolen":
            house.call("POST", f"/v1/certificates/{found['id']}/revoke", {"reason": "keyCompromise"})
    assert ostiary("enroll", "renew", folder).returncode == 1

    eventually(lambda: refused_at_the_door(house, folder))


def test_an_expired_certificate_cannot_be_renewed(house: WithDoor, devices: str, tmp_path: Path) -> None:
    folder = enrolled(house, devices, tmp_path / "device", lifetime="PT1S")
    eventually(lambda: refused_at_the_door(house, folder))
    done = ostiary("enroll", "renew", folder)
    assert (done.returncode, "Will try again" in done.stderr) == (1, True)


def test_a_look_alike_that_another_authority_signed_cannot_renew(house: WithDoor, devices: str, tmp_path: Path) -> None:
    """PKI pitfall 12. Same names, same serial number, same issuer name: another key signed it."""
    folder = enrolled(house, devices, tmp_path / "device", lifetime=RENEWABLE, names={"common_name": "victim"})
    victim = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    forger = Authority.root("Devices")
    look_alike, key = forged(victim, forger)
    cert, key_file = tmp_path / "forged.pem", tmp_path / "forged.key"
    cert.write_bytes(look_alike.public_bytes(serialization.Encoding.PEM))
    pkcs8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_file.write_bytes(key.private_bytes(*pkcs8))
    with pytest.raises((Refused, ssl.SSLError)):
        renewed_with(house, cert, key_file, request_pem())
    assert renewed_with(house, folder / "fullchain.pem", folder / "key.pem", request_pem())[0] == 201


def test_a_certificate_in_a_header_is_nobodys(house: WithDoor, devices: str, tmp_path: Path) -> None:
    """PKI pitfall 17: neither at the door, nor at the API itself."""
    folder = enrolled(house, devices, tmp_path / "device", lifetime=RENEWABLE)
    der = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes()).public_bytes(serialization.Encoding.DER)
    pem = (folder / "cert.pem").read_text().replace("\n", "%0A").replace(" ", "%20").replace("+", "%2B")
    forged = {
        "Client-Cert": f":{base64.b64encode(der).decode()}:",
        "X-Forwarded-Client-Cert": f'Hash={"0" * 64};Cert="{pem}"',
    }
    for headers in (forged, {key.lower(): value for key, value in forged.items()}):
        answer = house.at_door().request("POST", "/v1/enroll/renew", headers=headers, body=request_pem())
        assert answer.status == 403, answer.body
    beside = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-", f"http://{house.listen}/v1/enroll/renew"]
        + [part for key, value in forged.items() for part in ("-H", f"{key}: {value}")],
        input=request_pem(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert beside.stdout == b"403"


def test_the_door_leads_to_nothing_else(house: WithDoor) -> None:
    token = {"X-Auth-Token": (house.data_dir / "admin.token").read_text()}
    for path in ("/v1/authorities", "/v1/tokens", "/v2/lbaas/listeners", "/healthz", "/", "/enroll/../v1/tokens", "/v1/enrollx"):
        assert house.at_door().get(path, token).status == 404, path
    assert house.at_door().get("/v1/enroll/..%2ftokens", token).status == 400


def test_the_socket_behind_the_door_knows_no_administrator(house: WithDoor) -> None:
    socket = house.data_dir / "run/api.sock"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    token = (house.data_dir / "admin.token").read_text()
    for path, status in (("/v1/tokens", "404"), ("/v1/authorities", "404"), ("/enroll/ca.pem", "200")):
        asked: list[str | Path] = [
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--unix-socket",
            socket,
            "-H",
            f"X-Auth-Token: {token}",
        ]
        assert subprocess.run([*asked, f"http://x{path}"], capture_output=True, text=True, check=True).stdout == status, path


def test_the_same_with_curl_and_openssl(house: WithDoor, devices: str, inner: Door, tmp_path: Path) -> None:
    grant = house.grant(devices, lifetime=RENEWABLE)
    subprocess.run(["/bin/sh", "-e", "-c", grant["shell"]], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert let_in(inner.port, tmp_path)


def test_the_lines_for_curl_stop_before_another_server(house: WithDoor, devices: str, tmp_path: Path) -> None:
    grant = house.grant(devices)
    said = grant["ca_sha256"].upper()[:2] + ":"
    wrong = grant["shell"].replace(f"={said}", "=00:" if said != "00:" else "=01:", 1)
    assert wrong != grant["shell"]
    done = subprocess.run(["/bin/sh", "-c", wrong], cwd=tmp_path, check=False, capture_output=True, timeout=120)
    assert not (tmp_path / "fullchain.pem").exists()
    assert b"not the right server" in done.stdout + done.stderr
    assert house.call("GET", f"/v1/tokens/{grant['id']}")["token"]["status"] == "VALID"


def test_showing_a_grant_does_not_use_it_up_and_a_used_one_looks_like_a_wrong_one(house: WithDoor, devices: str) -> None:
    grant = house.grant(devices)
    page = f"/enroll/{grant['secret']}"
    for _ in range(2):
        assert house.at_door().get(page, {"Accept": "text/html"}).status == 200
    bearer = {"Authorization": f"Bearer {grant['secret']}"}
    assert house.at_door().request("POST", "/v1/enroll", headers=bearer, body=request_pem()).status == 201
    used, wrong = (house.at_door().get(path, {"Accept": "text/html"}) for path in (page, "/enroll/oe_nothing"))
    assert (used.status, used.body) == (wrong.status, wrong.body) == (403, used.body)


def test_no_log_holds_a_token(house: WithDoor, devices: str) -> None:
    grant = house.grant(devices)
    for path in (f"/enroll/{grant['secret']}", f"/enroll/{grant['secret']}x", f"/v1/enroll/{grant['secret']}"):
        house.at_door().get(path, {"Accept": "text/html"})
    house.stop()
    try:
        assert house.process is not None
        written = [house.process.output().encode(), *(file.read_bytes() for file in house.folder.rglob("*") if file.is_file())]
        assert not any(grant["secret"].encode() in text for text in written)
    finally:
        house.start()


def test_the_door_stays_when_the_control_plane_is_restarted(house: WithDoor, devices: str, tmp_path: Path) -> None:
    house.stop()
    house.start()
    enrolled(house, devices, tmp_path / "device")
    assert (tmp_path / "device/current").is_symlink()
