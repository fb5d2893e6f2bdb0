"""How a person installs a client certificate, and the authority behind a service, on whatever they use: the steps themselves.

Commands are written for the files a person is handed: `identity.p12` (certificate, key and chain) or `client.pem` and
`client.key`, and `ca.pem`. The tests take the commands from here and run them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ostiary.pki.bundle import Pkcs12Form
from ostiary.web.words import _

SERVICE: Final = "https://service.example/"  # stands for the address of the service, wherever a command calls it
CA_URL: Final = "{ca_url}"  # stands for the address of the authority's certificate


@dataclass(frozen=True)
class Snippet:
    """What to type, or (with `file`) what to save under that name."""

    text: str
    file: str = ""


@dataclass(frozen=True)
class Step:
    """One thing to do: a sentence, and what to type for it, if anything."""

    says: str
    snippets: tuple[Snippet, ...] = ()


@dataclass(frozen=True)
class Part:
    """Steps that together reach something."""

    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Guide:
    """All that a person needs to know on one platform. `form` is the PKCS#12 file to ask for."""

    name: str
    title: str
    about: str
    parts: tuple[Part, ...]
    form: Pkcs12Form = "modern"


def _step(says: str, *commands: str) -> Step:
    return Step(says, tuple(Snippet(command) for command in commands))


def _file(says: str, name: str, text: str) -> Step:
    return Step(says, (Snippet(text.strip("\n"), name),))


_IDENTITY: Final = _("Install your certificate")
_AUTHORITY: Final = _("Trust the authority of the service")
_USE: Final = _("Use them")

_GET_CA: Final = _step(_("Get the authority's certificate as ca.pem."), f"curl -o ca.pem {CA_URL}")
_COMPARE: Final = _step(
    _("Compare its fingerprint with one that you got another way. Do not go on if they differ."),
    "openssl x509 -in ca.pem -noout -fingerprint -sha256",
)
_SPLIT: Final = _step(
    _("If you were given identity.p12, take the certificate and the key out of it, once. Each command asks for the passphrase."),
    "openssl pkcs12 -in identity.p12 -nokeys -out client.pem",
    "(umask 077; openssl pkcs12 -in identity.p12 -nocerts -nodes -out client.key)",
)
_KEEP: Final = _step(_("Keep client.key to yourself: whoever has it is let in as you."), "chmod 600 client.key")
_SAVE_AND_FORGET: Final = _step(_("Delete identity.p12 and forget its passphrase once everything works."))

_WINDOWS: Final = Guide(
    "windows",
    "Windows",
    _("Edge, Chrome and most programs use the certificates of Windows itself."),
    (
        Part(
            _IDENTITY,
            (
                _step(_("Open identity.p12 with a double click, choose Current User, then Next twice.")),
                _step(
                    _("Type the passphrase, leave 'Mark this key as exportable' off, let Windows choose the store and finish.")
                ),
                _step(
                    _("Or in PowerShell, which asks for the passphrase:"),
                    "Import-PfxCertificate -FilePath identity.p12 -CertStoreLocation Cert:\\CurrentUser\\My "
                    "-Password (Read-Host -AsSecureString)",
                ),
                _step(_("Windows Server 2016 and older take the modern form for a wrong password: ask for the compatible one.")),
                _SAVE_AND_FORGET,
            ),
        ),
        Part(
            _AUTHORITY,
            (
                _step(_("Save the authority's certificate as ca.crt."), f"curl.exe -o ca.crt {CA_URL}"),
                _step(
                    _("Show its fingerprint, and compare it with one that you got another way. Do not go on if they differ."),
                    "certutil -dump ca.crt",
                ),
                _step(
                    _("Import it. Windows asks once more before it trusts a root."),
                    "Import-Certificate -FilePath ca.crt -CertStoreLocation Cert:\\CurrentUser\\Root",
                ),
            ),
        ),
        Part(_USE, (_step(_("Close every window of the browser, open the service, and choose your certificate when asked.")),)),
    ),
)

_MACOS: Final = Guide(
    "macos",
    "macOS",
    _("Safari, Chrome and most programs use the keychain."),
    (
        Part(
            _IDENTITY,
            (
                _step(_("Open identity.p12 with a double click, choose the login keychain and type the passphrase.")),
                _step(
                    _("Or in Terminal, which asks for the passphrase:"),
                    "security import identity.p12 -k ~/Library/Keychains/login.keychain-db",
                ),
                _SAVE_AND_FORGET,
            ),
        ),
        Part(
            _AUTHORITY,
            (
                _GET_CA,
                _COMPARE,
                _step(
                    _("Trust it, for you alone. macOS asks for your password."),
                    "security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db ca.pem",
                ),
                _step(_("Or install the Apple profile: open it, then System Settings → General → Device Management → Install.")),
            ),
        ),
        Part(
            _USE,
            (_step(_("Open the service, choose your certificate, and allow the browser to use its key when macOS asks.")),),
        ),
    ),
    form="compatible",
)

_IOS: Final = Guide(
    "ios",
    "iPhone and iPad",
    _("Safari and Mail use certificates that were installed with a profile."),
    (
        Part(
            _IDENTITY,
            (
                _step(_("Open identity.mobileconfig, or identity.p12, in Safari, Mail or Files, and allow the download.")),
                _step(_("Go to Settings → General → VPN & Device Management, choose the profile and tap Install.")),
                _step(_("Type the passcode of the device, then the passphrase of the certificate.")),
            ),
        ),
        Part(
            _AUTHORITY,
            (
                _step(_("Open the authority's Apple profile in Safari and allow the download.")),
                _step(_("Go to Settings → General → VPN & Device Management, choose the profile and tap Install.")),
                _step(_("Under More Details compare its fingerprint with one that you got another way. Stop if they differ.")),
                _step(_("Go to Settings → General → About → Certificate Trust Settings and turn the authority on.")),
            ),
        ),
        Part(_USE, (_step(_("Open the service in Safari and choose your certificate when asked.")),)),
    ),
    form="compatible",
)

_ANDROID: Final = Guide(
    "android",
    "Android",
    _("Chrome and programs that ask for it use the certificates of the device. Makers name the menus a little differently."),
    (
        Part(
            _IDENTITY,
            (
                _step(_("Copy identity.p12 to the device.")),
                _step(
                    _("Go to Settings → Security & privacy → Encryption & credentials → Install a certificate → VPN & app user.")
                ),
                _step(_("Choose the file, type the passphrase and give it a name.")),
                _step(_("Delete the file.")),
            ),
        ),
        Part(
            _AUTHORITY,
            (
                _step(_("Download the authority's certificate.")),
                _step(_("Go to Settings → Security & privacy → Encryption & credentials → Install a certificate → CA.")),
                _step(
                    _("Under Trusted credentials → User compare its fingerprint with one you got another way. Else remove it.")
                ),
                _step(_("Chrome trusts it now. Other programs do only if their makers allowed authorities of the user.")),
            ),
        ),
        Part(_USE, (_step(_("Open the service in Chrome and choose your certificate when asked.")),)),
    ),
    form="compatible",
)

_LINUX: Final = Guide(
    "linux",
    "Linux",
    _("The system's store holds authorities. Client certificates are files, or lie in each browser's own store."),
    (
        Part(_IDENTITY, (_SPLIT, _KEEP)),
        Part(
            _AUTHORITY,
            (
                _GET_CA,
                _COMPARE,
                _step(
                    _("Debian, Ubuntu, Alpine:"),
                    "sudo cp ca.pem /usr/local/share/ca-certificates/ostiary-ca.crt",
                    "sudo update-ca-certificates",
                ),
                _step(
                    _("Fedora, Red Hat and their kin:"),
                    "sudo cp ca.pem /etc/pki/ca-trust/source/anchors/ostiary-ca.pem",
                    "sudo update-ca-trust",
                ),
                _step(_("Arch, openSUSE and whatever else has p11-kit:"), "sudo trust anchor --store ca.pem"),
            ),
        ),
        Part(
            _USE,
            (
                _step(
                    _("With wget:"),
                    f"wget -O - --certificate=client.pem --private-key=client.key --ca-certificate=ca.pem {SERVICE}",
                ),
                _step(
                    _("For Wi-Fi or wired 802.1X: GNOME → Settings → Network, security WPA Enterprise, authentication TLS. Or:"),
                    'nmcli connection modify CONNECTION 802-1x.eap tls 802-1x.identity NAME 802-1x.ca-cert "$PWD/ca.pem" '
                    '802-1x.client-cert "$PWD/identity.p12" 802-1x.private-key "$PWD/identity.p12" '
                    "802-1x.private-key-password-flags 1",
                ),
                _step(_("Firefox and Chrome have pages of their own here.")),
            ),
        ),
    ),
)

_FIREFOX: Final = Guide(
    "firefox",
    "Firefox",
    _("Firefox has a store of its own, on every system."),
    (
        Part(
            _IDENTITY,
            (
                _step(_("Go to Settings → Privacy & Security → Certificates → View Certificates → Your Certificates → Import.")),
                _step(_("Choose identity.p12 and type its passphrase.")),
                _step(
                    _("Or without clicking, while Firefox is closed. about:profiles tells which folder PROFILE is."),
                    'pk12util -i identity.p12 -d "sql:$PROFILE"',
                ),
                _SAVE_AND_FORGET,
            ),
        ),
        Part(
            _AUTHORITY,
            (
                _GET_CA,
                _COMPARE,
                _step(
                    _("Go to View Certificates → Authorities → Import, choose ca.pem, tick that it identifies websites. Or:"),
                    'certutil -A -d "sql:$PROFILE" -n "ostiary CA" -t C,, -i ca.pem',
                ),
            ),
        ),
        Part(_USE, (_step(_("Open the service and choose your certificate when asked.")),)),
    ),
)

_CHROME: Final = Guide(
    "chrome",
    "Chrome on Linux",
    _("Chrome, Chromium and Brave on Linux use the NSS store of the user. Elsewhere they use that of the system."),
    (
        Part(
            _IDENTITY,
            (
                _step(
                    _("Make the store, if there is none yet (Debian's package libnss3-tools has the programs)."),
                    'mkdir -p "$HOME/.pki/nssdb"',
                    'certutil -L -d "sql:$HOME/.pki/nssdb" || certutil -N -d "sql:$HOME/.pki/nssdb" --empty-password',
                ),
                _step(
                    _("Put your certificate in. It asks for the passphrase."),
                    'pk12util -i identity.p12 -d "sql:$HOME/.pki/nssdb"',
                ),
                _SAVE_AND_FORGET,
            ),
        ),
        Part(
            _AUTHORITY,
            (
                _GET_CA,
                _COMPARE,
                _step(
                    _("Trust it for websites."),
                    'certutil -A -d "sql:$HOME/.pki/nssdb" -n "ostiary CA" -t C,, -i ca.pem',
                ),
            ),
        ),
        Part(_USE, (_step(_("Start Chrome anew, open the service and choose your certificate when asked.")),)),
    ),
)

_CURL: Final = Guide(
    "curl",
    "curl",
    _("Certificate, key and authority are files that each call names."),
    (
        Part(_IDENTITY, (_SPLIT, _KEEP)),
        Part(_AUTHORITY, (_GET_CA, _COMPARE)),
        Part(
            _USE,
            (
                _step(_("Name all three."), f"curl --cert client.pem --key client.key --cacert ca.pem {SERVICE}"),
                _file(
                    _("Or save them once, so that -K is enough."),
                    "service.curlrc",
                    """
cert = client.pem
key = client.key
cacert = ca.pem
""",
                ),
                _step(_("Then:"), f"curl -K service.curlrc {SERVICE}"),
            ),
        ),
    ),
)

_PYTHON: Final = Guide(
    "python",
    "Python",
    _("The standard library, httpx and requests take PEM files."),
    (
        Part(_IDENTITY, (_SPLIT, _KEEP)),
        Part(_AUTHORITY, (_GET_CA, _COMPARE)),
        Part(
            _USE,
            (
                _file(
                    _("With the standard library:"),
                    "call.py",
                    f"""
import ssl
import urllib.request

context = ssl.create_default_context(cafile="ca.pem")
context.load_cert_chain("client.pem", "client.key")
print(urllib.request.urlopen("{SERVICE}", context=context).read().decode())
""",
                ),
                _step(_("Try it."), "python3 call.py"),
                _file(
                    _("With httpx (aiohttp takes the same context as ssl=context):"),
                    "call_httpx.py",
                    f"""
import ssl

import httpx

context = ssl.create_default_context(cafile="ca.pem")
context.load_cert_chain("client.pem", "client.key")
print(httpx.get("{SERVICE}", verify=context).text)
""",
                ),
                _step(_("Try it."), "python3 call_httpx.py"),
                _file(
                    _("With requests:"),
                    "call_requests.py",
                    f"""
import requests

print(requests.get("{SERVICE}", cert=("client.pem", "client.key"), verify="ca.pem").text)
""",
                ),
            ),
        ),
    ),
)

_JAVA: Final = Guide(
    "java",
    "Java",
    _("Java reads PKCS#12 files as they are: the modern form from 17, 11.0.12 and 8u301 on, the compatible one before."),
    (
        Part(
            _IDENTITY,
            (
                _step(
                    _("identity.p12 is a key store already. See what is in it; it asks for the passphrase."),
                    "keytool -list -keystore identity.p12 -storetype PKCS12",
                ),
            ),
        ),
        Part(
            _AUTHORITY,
            (
                _GET_CA,
                _step(
                    _("Make a trust store. Answer yes once the fingerprint shown is the one that you got another way."),
                    "keytool -importcert -alias ostiary-ca -file ca.pem -keystore truststore.p12 -storetype PKCS12 "
                    "-storepass changeit",
                ),
            ),
        ),
        Part(
            _USE,
            (
                _file(
                    _("Save this, with your passphrase for PASSPHRASE. In a file, because others see what is on a command line."),
                    "client.args",
                    """
-Djavax.net.ssl.keyStore=identity.p12
-Djavax.net.ssl.keyStoreType=PKCS12
-Djavax.net.ssl.keyStorePassword=PASSPHRASE
-Djavax.net.ssl.trustStore=truststore.p12
-Djavax.net.ssl.trustStoreType=PKCS12
-Djavax.net.ssl.trustStorePassword=changeit
""",
                ),
                _step(_("Close it to others."), "chmod 600 client.args"),
                _file(
                    _("A program to try it with:"),
                    "Call.java",
                    f"""
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Call {{
    public static void main(String[] arguments) throws Exception {{
        var request = HttpRequest.newBuilder(URI.create("{SERVICE}")).build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(answer.statusCode() + " " + answer.body());
    }}
}}
""",
                ),
                _step(_("Try it."), "java @client.args Call.java"),
            ),
        ),
    ),
)

GUIDES: Final[Mapping[str, Guide]] = {
    guide.name: guide for guide in (_WINDOWS, _MACOS, _IOS, _ANDROID, _LINUX, _FIREFOX, _CHROME, _CURL, _PYTHON, _JAVA)
}
