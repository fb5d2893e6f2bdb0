"""`ostiary denials`: who was refused, why, and what to do, by the listener's name as people know it."""

from pathlib import Path

import pytest

from support.certs import Authority
from support.commands import Terminal
from support.stack import Ostiary
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live


def test_refusals_are_listed_with_what_to_do_about_them(tmp_path: Path) -> None:
    ca = Authority.root("Staff")
    with Ostiary(tmp_path / "house") as house:
        ostiary = Terminal(house, tmp_path, {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)})
        assert ostiary.does("denials").out == "Nobody was refused.\n"
        assert ostiary.does("denials", "--code", "expired").out == "Nobody was refused in that way.\n"
        assert "there is no listener 'gate'" in ostiary.is_told("denials", "--listener", "gate")
        door = house.door(client_authentication="MANDATORY", client_ca_tls_container_ref=house.secret(ca.cert_pem))
        files = Authority.root("Elsewhere").client("mallory").write(tmp_path, "mallory")
        with pytest.raises(Refused):
            TLSClient(door.port, ca=house.server_ca, cert=files.chain, key=files.key).get("/")
        eventually(lambda: "mallory" in ostiary.does("denials", "--listener", str(door.listener["name"])).out)
        said = ostiary.does("denials", "--listener", door.id).out
        assert "unknown_authority  CN=mallory" in said
        assert "\nunknown_authority: No authority that the listener trusts signed the certificate" in said
        (told,) = ostiary.does("denials", "--json").json()
        assert (told["stage"], told["code"], told["listener_id"]) == ("handshake", "unknown_authority", door.id)
