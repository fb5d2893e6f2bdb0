"""Debian's chromium as a person has it: a home with certificates in it, and pages that must have nothing to complain of.

    home = Home(tmp_path / "ann")
    home.trust(server_ca)                      # whose servers it believes
    home.shows("https://127.0.0.1:8443")       # where it shows a client certificate without asking which (enterprise policy)
    with chromium(playwright, home) as browser:
        home.hold(file, passphrase)            # import a PKCS#12 file; a browser that runs sees it too
        with opened(browser, locale="vi") as page:
            page.goto(…)

A page fails its test for every error or warning in the browser's console, everything that the page's policy forbids, and every
request to another host than those that were named.
"""

import fcntl
import json
import os
import re
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright

CHROMIUM: Final = "/usr/bin/chromium"
PATIENCE: Final = 30_000  # milliseconds; costs time only where the test is about to fail
_ETC: Final = Path("/etc/chromium")
_POLICIES: Final = _ETC / "policies/managed"
_ANSWERED: Final = re.compile(r"the server responded with a status of (\d+)")
# Its sandbox does not work for root, nor within a namespace where somebody is root.
_OPTIONS: Final = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


class Home:
    """A user's home folder, with the database in which browsers on Linux look for certificates (NSS)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database = f"sql:{folder / '.pki/nssdb'}"
        (folder / ".pki/nssdb").mkdir(parents=True)
        self._nss("certutil", "-N", "-d", self._database, "--empty-password")
        self._shows: list[str] = []

    def trust(self, authority: Path) -> None:
        """Believe the servers whose certificates this authority (PEM) signed."""
        self._nss("certutil", "-A", "-d", self._database, "-t", "C,,", "-n", "servers", "-i", str(authority))

    def hold(self, pkcs12: Path, passphrase: str) -> None:
        """Import a certificate with its key, as its holder does."""
        secret = self.folder / "passphrase"
        secret.write_text(passphrase)
        self._nss("pk12util", "-i", str(pkcs12), "-d", self._database, "-w", str(secret))

    def shows(self, *sites: str) -> None:
        """Have it show a certificate to these sites without asking its holder which: to exactly these."""
        self._shows += sites

    @property
    def policy(self) -> str:
        """As Chromium reads it (AutoSelectCertificateForUrls)."""
        return json.dumps({"AutoSelectCertificateForUrls": [json.dumps({"pattern": site, "filter": {}}) for site in self._shows]})

    def _nss(self, *command: str) -> None:
        subprocess.run(command, check=True, timeout=60, capture_output=True)


@contextmanager
def chromium(playwright: Playwright, home: Home) -> Iterator[Browser]:
    """A browser of whoever lives there."""
    around: Any = nullcontext(CHROMIUM)
    if home._shows:
        around = nullcontext(_with_policy(home)) if _namespaces() else _for_the_whole_machine(home)
    with around as program:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=list(_OPTIONS),
            env={"HOME": str(home.folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, *, hosts: Collection[str] = (), answers: Collection[int] = (), **options: Any) -> Iterator[Page]:
    """A page in a context of its own, looked after (`watched`). `options` are Playwright's for a context."""
    context = browser.new_context(**{"reduced_motion": "reduce", **options})  # what moves is drawn anew all the time
    try:
        with watched(context, hosts=hosts, answers=answers) as page:
            yield page
    finally:
        context.close()


@contextmanager
def watched(context: BrowserContext, *, hosts: Collection[str] = (), answers: Collection[int] = ()) -> Iterator[Page]:
    """A page that must have nothing to complain of.

    It may ask `hosts` (`127.0.0.1:9876`), or only the one it went to first; and it may be answered with the statuses `answers`.
    """
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    complaints: list[str] = []
    known = set(hosts)

    def said(message: ConsoleMessage) -> None:
        answered = _ANSWERED.search(message.text)
        if message.type in {"error", "warning"} and not (answered and int(answered[1]) in answers):
            complaints.append(f"{message.type}: {message.text} ({page.url})")

    def asked(url: str) -> None:
        site = urlsplit(url)
        if site.scheme in {"http", "https", "ws", "wss"}:
            if not known:
                known.add(site.netloc)
            if site.netloc not in known:
                complaints.append(f"asked another host: {url} ({page.url})")

    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(f"{error} ({page.url})"))
    page.on("request", lambda request: asked(request.url))
    yield page
    page.close()
    assert not complaints, "\n".join(complaints)


def _with_policy(home: Home) -> Path:
    """Chromium with a policy that nobody else on this machine gets to see: mounted where it looks, for itself alone."""
    policies = home.folder / "etc/policies/managed"
    policies.mkdir(parents=True, exist_ok=True)
    (policies / "test.json").write_text(home.policy)
    program = home.folder / "chromium"
    mount = f'mount --bind "$0" {_ETC} && exec {CHROMIUM} "$@"'
    program.write_text(f"#!/bin/sh\nexec {' '.join(_unshare())} sh -c '{mount}' '{home.folder / 'etc'}' \"$@\"\n")
    program.chmod(0o755)
    return program


@contextmanager
def _for_the_whole_machine(home: Home) -> Iterator[str]:
    """Where no namespace can be had: the policy of everybody on this machine, for so long, and of one test at a time."""
    if os.geteuid() != 0:
        (pytest.fail if os.getenv("CI") else pytest.skip)("only root, or who may make namespaces, can give Chromium a policy")
    _POLICIES.mkdir(parents=True, exist_ok=True)
    file = _POLICIES / f"ostiary-test-{os.getpid()}.json"
    with (_POLICIES.parent / "ostiary-test.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            file.write_text(home.policy)
            yield CHROMIUM
        finally:
            file.unlink(missing_ok=True)


def _unshare() -> tuple[str, ...]:
    return ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")


@cache
def _namespaces() -> bool:
    """Whether this process may have mounts of its own."""
    tried = [*_unshare(), "mount", "--bind", str(_ETC), str(_ETC)]
    return subprocess.run(tried, check=False, capture_output=True, timeout=60).returncode == 0
