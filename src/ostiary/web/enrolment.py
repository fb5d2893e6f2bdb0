"""What a grant is good for, and the ways to use it: the page in a browser, `ostiary enroll`, or curl and openssl."""

import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ostiary.model.token import Token
from ostiary.web import words
from ostiary.web.pages import POLICY as PLAIN
from ostiary.web.pages import render

# This one page runs a script, our own and no other: the key is made where it will be used.
POLICY: Final = f"{PLAIN}; script-src 'self'; connect-src 'self'"


@dataclass(frozen=True)
class Steps:
    """Where a grant is used, with which secret, and by what its holder recognises the place."""

    base: str
    token: str
    ca_sha256: str

    def __repr__(self) -> str:
        return f"Steps({self.base})"

    @property
    def url(self) -> str:
        """The page."""
        return f"{self.base}/enroll/{self.token}"

    @property
    def command(self) -> str:
        """For a device that has ostiary."""
        return f"ostiary enroll {self.url} --ca-sha256 {self.ca_sha256}"

    @property
    def fingerprint(self) -> str:
        """Of the authority, as openssl writes it."""
        digits = self.ca_sha256.upper()
        return ":".join(digits[start : start + 2] for start in range(0, len(digits), 2))

    @cached_property
    def shell(self) -> str:
        """For everything else. The token is in no argument, where other users of the machine could read it."""
        return render("enroll.sh.txt", steps=self, quote=shlex.quote)


def offer(token: Token, steps: Steps | None, *, html: bool, language: str = "en") -> str:
    """What this grant is good for."""
    names = token.names
    named = [] if names is None else [names.common_name or "", *names.dns, *names.ip, *names.uri, *names.email]
    shown = list(dict.fromkeys(filter(None, named)))
    return render(f"enroll.{_form(html=html)}", language, token=token, names=shown, steps=steps)


def refused(why: str, *, html: bool, language: str = "en") -> str:
    """For who comes with a token that is not good, whatever it is that is wrong with it."""
    return render(f"enroll_refused.{_form(html=html)}", language, why=words.sentence(why, language))


def _form(*, html: bool) -> str:
    return "html" if html else "txt"
