"""The first thing that is printed: a link that signs in once, before anything else has to be known."""

import re
from pathlib import Path

import httpx
import pytest

from support.ports import free_port
from support.processes import start
from support.stack import PROGRAM, Ostiary
from support.wait import eventually

pytestmark = pytest.mark.live


def signs_in_once(link: str) -> bool:
    """Press the button there, twice."""
    statuses = [httpx.post(link, data={"next": ""}, trust_env=False, timeout=60).status_code for _ in range(2)]
    return statuses == [303, 403]


def test_the_demo_prints_a_link_before_its_two_lines_of_curl(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    options = ("--data-dir", tmp_path / "data", "--listen", listen, "--port", free_port())
    process = start(PROGRAM, "demo", *options, folder=tmp_path)
    try:
        eventually(lambda: "Press Ctrl-C to stop." in process.output(), within=120)
        said = process.output()
        links = re.findall(r"http://\S+/console/sign-in/ol_[\w-]+", said)
        assert len(links) == 1
        assert links[0].startswith(f"http://{listen}/")
        assert said.index("ostiary is ready.") < said.index(links[0]) < said.index("  curl --cacert")
        assert len(re.findall(r"^  curl --cacert", said, re.MULTILINE)) == 2
        assert signs_in_once(links[0])
    finally:
        process.stop()


def test_each_start_prints_a_link_of_its_own(tmp_path: Path) -> None:
    with Ostiary(tmp_path) as house:
        first = printed(house)
        assert signs_in_once(first)
        house.stop()
        house.start()
        second = printed(house)
        assert first != second
        assert signs_in_once(second)


def printed(house: Ostiary) -> str:
    """The link that it printed when it started."""
    process = house.process
    assert process is not None
    eventually(lambda: "Console: " in process.output())
    (link,) = re.findall(rf"^Console: (http://{house.listen}/console/sign-in/ol_[\w-]+)$", process.output(), re.MULTILINE)
    return str(link)
