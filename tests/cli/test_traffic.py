"""`ostiary traffic`: how much came through and how much was refused, as people read it."""

from pathlib import Path

import pytest

from support.certs import Authority
from support.commands import Terminal
from support.stack import Ostiary
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live


def test_what_came_through_is_counted_for_people_and_for_programs(tmp_path: Path) -> None:
    ca = Authority.root("Staff")
    with Ostiary(tmp_path / "house") as house:
        ostiary = Terminal(house, tmp_path, {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)})
        assert ostiary.does("traffic").out == "Nothing came through in the last 24h.\n"
        assert "there is no listener 'gate'" in ostiary.is_told("traffic", "--listener", "gate")
        assert "--last: 'yesterday' is no time" in ostiary.is_told("traffic", "--last", "yesterday")
        assert "400 days" in ostiary.is_told("traffic", "--last", "99999w")
        door = house.door(client_authentication="MANDATORY", client_ca_tls_container_ref=house.secret(ca.cert_pem))
        files = Authority.root("Elsewhere").client("mallory").write(tmp_path, "mallory")
        with pytest.raises(Refused):
            TLSClient(door.port, ca=house.server_ca, cert=files.chain, key=files.key).get("/")
        eventually(lambda: "refused 1 (unknown_authority 1)." in ostiary.does("traffic").out)
        eventually(lambda: ostiary.does("traffic", "--listener", "door", "--last", "1h", "--json").json()["refused"])
        told = ostiary.does("traffic", "--listener", door.id, "--last", "1h", "--points", "61", "--json").json()
        assert (told["listener_id"], told["step_seconds"], told["refused"]) == (door.id, 60, {"unknown_authority": 1})
