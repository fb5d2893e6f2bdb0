"""The pictures in docs/images, taken of the town. `make golden ARGS=tests/browser/test_screenshots.py` takes them anew."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, StorageState

from browser.conftest import Place
from support.browsers import opened

pytestmark = pytest.mark.live

DOCS: Final = Path(__file__).parents[2] / "docs"
IMAGES: Final = DOCS / "images"
LARGEST: Final = 150_000


@dataclass(frozen=True)
class Picture:
    """A page, and how it is looked at. `ready` is done before the picture is taken."""

    name: str
    path: str
    ready: str = ""
    options: tuple[tuple[str, Any], ...] = ()


PICTURES: Final = (
    Picture("console-home", "/console/balancers"),
    Picture("console-details", "/console/balancers/{balancer_id}"),
    Picture(
        "console-edit",
        "/console/listeners/{listener_id}/edit",
        ready="document.querySelector('.advanced').scrollIntoView({block: 'start'})",
    ),
    Picture("console-certificates", "/console/certificates"),
    Picture("console-access", "/console/access?listener_id={listener_id}"),
    Picture("console-refusals", "/console/denials"),
    Picture("console-rehearsal", "/console/rehearsals/{listener_id}"),
    Picture("console-overview", "/console/overview"),
    Picture("console-audit", "/console/audit"),
    Picture("console-dark", "/console/authorities", options=(("color_scheme", "dark"),)),
    Picture("console-phone", "/console/certificates", options=(("viewport", {"width": 390, "height": 800}),)),
    Picture("console-vietnamese", "/console/balancers/{balancer_id}", options=(("locale", "vi"),)),
)


@pytest.fixture(scope="module")
def signed_in(browser: Browser, place: Place) -> StorageState:
    """The cookies of somebody who has signed in, once for all pictures."""
    with opened(browser) as page:
        place.sign_in(page)
        return page.context.storage_state()


@pytest.mark.parametrize("picture", PICTURES, ids=lambda one: one.name)
def test_a_picture_of_the_documentation_can_be_taken(
    picture: Picture,
    browser: Browser,
    place: Place,
    signed_in: StorageState,
    update_golden: bool,  # noqa: FBT001 (a fixture)
) -> None:
    address = place.town.filled(picture.path)
    assert address is not None, picture.path
    options = {"viewport": {"width": 1200, "height": 740}, "storage_state": signed_in, **dict(picture.options)}
    with opened(browser, **options) as page:
        page.goto(f"{place.url}{address}")
        if picture.ready:
            page.evaluate(picture.ready)
        taken = page.screenshot(animations="disabled")
    assert 5_000 < len(taken) < LARGEST
    if update_golden:
        (IMAGES / f"{picture.name}.png").write_bytes(taken)


def test_the_pictures_that_are_shown_are_those_that_are_taken() -> None:
    documents = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
    shown = {name for document in documents for name in re.findall(r"images/(console-[\w-]+)\.png", document.read_text())}
    there = {file.stem for file in IMAGES.glob("console-*.png")}
    assert shown == there == {picture.name for picture in PICTURES}
    for file in IMAGES.glob("console-*.png"):
        assert file.read_bytes().startswith(b"\x89PNG")
        assert file.stat().st_size < LARGEST, file
