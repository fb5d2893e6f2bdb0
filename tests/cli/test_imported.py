"""`ostiary ca import|set|fetch|upload-crl` of somebody else's authorities, as people type them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certs import Authority
from support.commands import Terminal
from support.site import Page, Site
from support.stack import Ostiary

pytestmark = pytest.mark.live

ROOT = Authority.root("Partner root")
ISSUING = ROOT.intermediate("Partner issuing")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    with Ostiary(tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.fixture
def ostiary(house: Ostiary, tmp_path: Path) -> Terminal:
    return Terminal(house, tmp_path, {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)})


def test_a_bundle_is_imported_and_its_lists_are_checked(ostiary: Terminal) -> None:
    (ostiary.folder / "bundle.pem").write_text(ISSUING.bundle_pem)
    first = ostiary.does("ca", "import", "bundle.pem", "--name", "Partner", "--json").json()
    assert len(first["series"]) == 2
    assert "no current revocation list" in ostiary.is_told("ca", "set", "Partner", "--check", "crl")
    with Site() as site:
        site.pages["/all"] = Page((ROOT.crl(number=3) + ISSUING.crl(number=3)).encode())
        where = ("--crl-url", site.url("/all"), "--private-network", "127.0.0.0/8", "--port", site.port)
        shown = ostiary.does("ca", "set", "Partner", "--check", "crl", *where, "--stale", "allow", "--stale-hours", "12").out
        assert "FRESH" in shown
        site.pages["/all"] = Page((ROOT.crl(number=4) + ISSUING.crl(number=4)).encode())
        assert ostiary.does("ca", "fetch", "Partner", "--json").json()["status_check_state"]["number"] == 4
    set_to = ostiary.does("ca", "show", "Partner", "--json").json()["status_check"]
    assert (set_to["revocation_check"], set_to["stale_status"], set_to["stale_allow_hours"]) == ("CRL", "ALLOW", 12)
    (ostiary.folder / "older.crl").write_text(ROOT.crl(number=2))
    assert "it is older" in ostiary.is_told("ca", "upload-crl", "Partner", "older.crl")
    after = ostiary.does("ca", "upload-crl", "Partner", "older.crl", "--force", "--json").json()
    assert (after["status_check_state"]["number"], after["status_check_state"]["source"]) == (2, "uploaded")
    ostiary.does("ca", "set", "Partner", "--check", "none", "--crl-url", "none", "--name", "Former partner")
    former = ostiary.does("ca", "show", "Former partner", "--json").json()["status_check"]
    assert (former["revocation_check"], former["crl_urls"]) == ("NONE", [])


def test_what_is_not_understood_is_said(ostiary: Terminal) -> None:
    ostiary.does("ca", "create", "Own")
    assert "say what to set" in ostiary.is_told("ca", "set", "Own")
    assert "--check must be one of none, crl, ocsp, both" in ostiary.is_told("ca", "set", "Own", "--check", "x")
    assert "is one of ours" in ostiary.is_told("ca", "set", "Own", "--stale", "alarm")
    assert "is one of ours" in ostiary.is_told("ca", "fetch", "Own")
    assert "LDAP is not asked" in ostiary.is_told("ca", "set", "Own", "--crl-url", "ldap://d.test/x")
