"""Pages: nothing in them runs, nothing from outside gets into them, every sentence can be translated."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ostiary import web
from ostiary.errors import NotFound
from ostiary.web import install
from ostiary.web.guides import CA_URL, GUIDES
from ostiary.web.install import AuthorityFiles
from ostiary.web.pages import POLICY, STATIC, static_file, static_url

BASE = "http://ostiary.test:9876"
FILES = AuthorityFiles(
    id="6f1c",
    name='Acme <script>alert(1)</script> & "more"',
    fingerprint_sha256="0a" * 32,
    pem_url=f"{BASE}/pki/6f1c.pem",
    der_url=f"{BASE}/pki/6f1c.crt",
    mobileconfig_url=f"{BASE}/pki/6f1c.mobileconfig",
)
PAGES = [install.index("html", BASE, FILES), *(install.guide(name, "html", BASE, FILES) for name in GUIDES)]
# The empty icon keeps browsers from asking for one.
LINKS = [{"rel": "stylesheet", "href": static_url("app.css")}, {"rel": "icon", "href": "data:,"}]
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Elements(HTMLParser):
    """Every element of a page with its attributes; fails on one that is closed twice or never."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_nothing_and_loads_only_its_style_sheet(page: str) -> None:
    for tag, attributes in Elements(page).found:
        assert tag not in {"script", "style", "iframe", "object", "embed", "base"}
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        if tag == "link":
            assert attributes in LINKS
        if tag == "a":
            assert (attributes["href"] or "").startswith(("/install", f"{BASE}/pki/"))


@pytest.mark.parametrize("page", PAGES)
def test_a_name_with_markup_in_it_stays_a_name(page: str) -> None:
    assert "<script>" not in page
    assert "Acme &lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;more&#34;" in page


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_a_phone_and_says_its_language(page: str) -> None:
    elements = Elements(page).found
    assert ("html", {"lang": "en"}) in elements
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in elements


def test_the_policy_lets_nothing_run() -> None:
    assert "default-src 'none'" in POLICY
    assert "script-src" not in POLICY
    assert "unsafe" not in POLICY


def test_the_style_sheet_knows_day_and_night_and_loads_nothing() -> None:
    css = (STATIC / "app.css").read_text()
    assert "prefers-color-scheme: dark" in css
    assert not re.search(r"url\(|@import|https?:", css)
    assert static_file("app.css") == (css.encode(), "text/css; charset=utf-8")


@pytest.mark.parametrize("name", ["", "..", "../pages.py", "app.css/..", "none.css", "/etc/passwd"])
def test_only_static_files_are_served_as_such(name: str) -> None:
    assert static_file(name) is None


def test_every_platform_tells_how_to_install_both_and_to_compare_the_fingerprint() -> None:
    assert list(GUIDES) == ["windows", "macos", "ios", "android", "linux", "firefox", "chrome", "curl", "python", "java"]
    for name, guide in GUIDES.items():
        assert [part.title for part in guide.parts] == [
            "Install your certificate",
            "Trust the authority of the service",
            "Use them",
        ]
        assert "fingerprint" in " ".join(step.says for step in guide.parts[1].steps), name


def test_what_takes_the_modern_form_for_a_wrong_password_says_to_ask_for_the_other() -> None:
    assert {name for name, guide in GUIDES.items() if guide.form == "compatible"} == {"macos", "ios", "android"}
    assert "compatible form" in install.guide("ios", "html", BASE)
    assert "compatible form" not in install.guide("curl", "html", BASE)


@pytest.mark.parametrize("name", GUIDES)
def test_the_text_holds_every_command_of_the_page(name: str) -> None:
    text = install.guide(name, "txt", BASE, FILES)
    assert "<" not in text.replace(FILES.name, "")
    assert FILES.fingerprint in text
    for part in GUIDES[name].parts:
        for step in part.steps:
            for snippet in step.snippets:
                for line in snippet.text.replace(CA_URL, FILES.pem_url).splitlines():
                    assert line in text


def test_without_an_authority_no_command_asks_for_one() -> None:
    for name in GUIDES:
        for text in (install.guide(name, "txt", ""), install.guide(name, "html", "")):
            assert CA_URL not in text
            assert f"{BASE}/pki/" not in text


def test_links_between_pages_keep_the_authority() -> None:
    assert 'href="/install/curl?authority=6f1c"' in install.index("html", BASE, FILES)
    assert 'href="/install?authority=6f1c"' in install.guide("curl", "html", BASE, FILES)


def test_a_platform_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="there are windows, macos"):
        install.guide("amiga", "html", BASE)


def test_every_sentence_of_the_steps_is_marked_for_translation() -> None:
    source = ast.parse((Path(web.__file__).with_name("guides.py")).read_text())
    marked = {
        node.args[0].value
        for node in ast.walk(source)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_"
        if isinstance(node.args[0], ast.Constant)
    }
    said = {step.says for guide in GUIDES.values() for part in guide.parts for step in part.steps}
    titles = {part.title for guide in GUIDES.values() for part in guide.parts}
    assert {*said, *titles, *(guide.about for guide in GUIDES.values())} <= marked


def test_no_text_of_a_template_escapes_translation() -> None:
    """What is between tags and expressions is punctuation, a name or a command."""
    for file in Path(web.__file__).with_name("templates").glob("install*"):
        bare = re.sub(r"\{[{%].*?[%}]\}|<[^>]*>", " ", file.read_text(), flags=re.DOTALL)
        assert set(re.findall(r"[A-Za-z]{2,}", bare)) <= {"ostiary", "curl", "install", "SHA"}, file.name
