"""What needs another person, saved in the pop-up of a real browser: it leads to where it waits, and nothing else changes."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser.conftest import Place
from ostiary.ops import house_settings, listeners
from ostiary.ops.caller import SYSTEM
from support.browsers import opened
from support.made import a_balancer, a_listener, an_authority
from support.served import served
from support.systems import ADMIN
from support.town import an_empty_town

pytestmark = pytest.mark.live


def test_saving_what_lowers_a_listener_leads_to_where_it_waits(browser: Browser, tmp_path: Path) -> None:
    with an_empty_town(tmp_path) as town, served(town.system) as url, opened(browser) as page:
        ca = f"/v1/authorities/{an_authority(town.system).id}"
        door = a_listener(town.system, a_balancer(town.system), client_authentication="MANDATORY", client_ca_tls_container_ref=ca)
        house_settings.update(town.system, SYSTEM, {"approval_needed_for": ("LOWER_PROTECTION",)})
        town.accept()
        Place(town, url).sign_in(page)
        page.goto(f"{url}/console/listeners/{door.id}/edit")
        page.locator("dialog details").evaluate_all("(all) => all.forEach((one) => { one.open = true; })")
        page.locator("[name=client_authentication]").and_(page.locator("[value=OPTIONAL]")).check()
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Approval: door asks less of clients.")
        expect(page.get_by_role("status")).to_have_text(
            "Not done yet: another person has to agree first. It waits here for them."
        )
        assert listeners.get(town.system, ADMIN, door.id).client_authentication == "MANDATORY"
