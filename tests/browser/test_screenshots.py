"""The pictures in docs/images, taken of the town. `make golden ARGS=tests/browser/test_screenshots.py` takes them anew."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser

from browser.conftest import Place
from support.browsers import opened

pytestmark = pytest.mark.live

IMAGES: Final = Path(__file__).parents[2] / "docs/images"
_LARGEST: Final = 250_000


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


@pytest.mark.parametrize("picture", PICTURES, ids=lambda one: one.name)
def test_a_picture_of_the_documentation_can_be_taken(
    picture: Picture,
    browser: Browser,
    place: Place,
    update_golden: bool,  # noqa: FBT001 (a fixture)
) -> None:
    address = place.town.filled(picture.path)
    assert address is not None, picture.path
    file = IMAGES / f"{picture.name}.png"
    with opened(browser, **{"viewport": {"width": 1200, "height": 760}, **dict(picture.options)}) as page:
        place.sign_in(page)
        page.goto(f"{place.url}{address}")
        if picture.ready:
            page.evaluate(picture.ready)
        taken = page.screenshot(animations="disabled")
    assert 5_000 < len(taken) < _LARGEST
    if update_golden:
        IMAGES.mkdir(exist_ok=True)
        file.write_bytes(taken)
    assert file.read_bytes().startswith(b"\x89PNG")
