"""The installation steps as pages and as text, with links to one authority's files when they are wanted for that one."""

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from ostiary.errors import NotFound
from ostiary.web.guides import CA_URL, GUIDES, Part, Snippet, Step
from ostiary.web.pages import render


@dataclass(frozen=True)
class AuthorityFiles:
    """An authority as a page shows it, and where its files are."""

    id: str
    name: str
    fingerprint_sha256: str
    pem_url: str
    der_url: str
    mobileconfig_url: str

    @property
    def fingerprint(self) -> str:
        """As operating systems show it: `AB:CD:…`."""
        digits = self.fingerprint_sha256.upper()
        return ":".join(digits[start : start + 2] for start in range(0, len(digits), 2))


Form = Literal["html", "txt"]


def index(form: Form, base_url: str, authority: AuthorityFiles | None = None, language: str = "en") -> str:
    """The list of platforms."""
    how = f"curl {base_url}/install/PLATFORM" if base_url else "ostiary cert install-help PLATFORM"
    return render(f"install.{form}", language, guides=GUIDES.values(), how=how, **_shared(base_url, authority))


def guide(name: str, form: Form, base_url: str, authority: AuthorityFiles | None = None, language: str = "en") -> str:
    """One platform's steps, with links to the authority's files when there is one. Raises `NotFound`."""
    if name not in GUIDES:
        raise NotFound("Platform", f"'{name[:40]}' (there are {', '.join(GUIDES)})")
    found = GUIDES[name]
    parts = [Part(part.title, tuple(_filled(step, authority) for step in part.steps)) for part in found.parts]
    return render(f"install_guide.{form}", language, guide=found, parts=parts, **_shared(base_url, authority))


def _filled(step: Step, authority: AuthorityFiles | None) -> Step:
    """With the authority's address, or without the commands that need one."""
    if authority is None:
        return Step(step.says, tuple(snippet for snippet in step.snippets if CA_URL not in snippet.text))
    return Step(step.says, tuple(Snippet(one.text.replace(CA_URL, authority.pem_url), one.file) for one in step.snippets))


def _shared(base_url: str, authority: AuthorityFiles | None) -> dict[str, Any]:
    query = f"?{urlencode({'authority': authority.id})}" if authority else ""
    return {"base_url": base_url, "authority": authority, "query": query}
