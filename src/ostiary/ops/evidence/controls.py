"""Which control asks for what, what does it here, and where the evidence is. In the words of COMPLIANCE.md, and no others.

Texts of standards are theirs: here are their numbers, and what they ask for in a few words of ours.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Control:
    """A control: its number, what it asks for in short, what does that here, and the sections that show it."""

    id: str
    asks: str
    mechanism: str
    sections: tuple[str, ...]
    limits: str = ""


@dataclass(frozen=True)
class Framework:
    """A standard. `note` says what of the table is to be checked by whom."""

    name: str
    title: str
    note: str
    controls: tuple[Control, ...]


_FACTOR: Final = "A certificate is one factor (“something you have”). This is no evidence of multi-factor authentication."
_TITLES: Final = (
    "Only titles of controls are used here, from general knowledge and not from the text of the standard. Check numbers and "
    "wording with your auditor."
)

PCI: Final = Framework(
    "pci-4.0.1",
    "PCI DSS 4.0.1",
    "Numbers and contents were read at a public copy; the standard itself is the PCI SSC's. Which requirements apply to you is "
    "for your assessor (QSA) to say.",
    (
        Control(
            "3.6, 3.7",
            "Custody of keys; changed at the end of their cryptoperiod",
            "Keys at rest are encrypted under a key-encryption key, or are in a PKCS#11 token; CAs are rotated beside each other",
            ("ca-keys", "key-events", "authorities"),
            "A key ceremony, its witnesses, and where backups lie.",
        ),
        Control(
            "4.2.1.1",
            "An inventory of trusted keys and certificates",
            "All certificates and CAs are in one inventory, with issuer, expiry, use and owner",
            ("certificates", "authorities", "server-certificates"),
            "Certificates and keys that other systems use.",
        ),
        Control(
            "7.2, 7.3",
            "Access by need to know, denied by default",
            "Access rules by listener: what no rule allows is refused",
            ("listeners", "access-rules", "reach", "exceptions"),
            "Who has which need; what applications behind the listener allow. (Numbers from general knowledge: check them.)",
        ),
        Control(
            "8.2",
            "Each user has an identity of their own",
            "Certificates name one holder; users and tokens of the administration have names",
            ("certificates", "people", "issuance"),
        ),
        Control(
            "8.3.2, 8.3.3",
            "Strong cryptography for factors; identity verified before a factor is changed",
            "Proof of possession in the TLS handshake; profiles say who must agree and which names are allowed",
            ("issuance", "requests", "ciphers"),
            "How the person who agreed verified an identity.",
        ),
        Control(
            "8.3.11",
            "A factor is one individual's and not shared",
            "Each certificate has one holder; a key that another holder has is refused; use from many addresses raises an alarm",
            ("certificates", "shared-certificates"),
            "That a key was not copied: that needs hardware which keeps it.",
        ),
        Control(
            "8.4, 8.5", "Multi-factor authentication", "A client certificate can be one of the factors", ("people",), _FACTOR
        ),
        Control(
            "8.6",
            "System and application accounts are managed",
            "Access tokens end by themselves and have a role; device certificates have an owner",
            ("people", "certificates"),
        ),
        Control(
            "10.2",
            "Audit logs of user, administrator and system events",
            "Each change, sign-in, issuance and revocation is an entry with who, when, from where, what",
            ("changes", "sign-ins", "revocations", "record"),
            "Access logs of the gateways: they are shipped from there.",
        ),
        Control(
            "10.3",
            "Audit logs are protected",
            "Each entry's hash covers the one before; a changed, removed or inserted entry shows",
            ("record",),
        ),
        Control(
            "10.4.1.1",
            "Audit logs are reviewed",
            "Reviews are signed off and are on record themselves",
            ("reviews", "refusals-by-reason", "refusals"),
            "How carefully was looked.",
        ),
        Control(
            "10.5.1", "A year of logs, three months at hand", "Retention is a setting, a year and more by default", ("record",)
        ),
        Control(
            "10.6",
            "Time is synchronised",
            "Entries carry the machine's time; the pack tells whether it follows a trusted clock, and ever went back",
            ("record",),
            "That it did so all the time: the machine's own log shows that.",
        ),
        Control(
            "12.3.3",
            "Cipher suites and protocols are documented and reviewed yearly",
            "What each listener offers, as of a day",
            ("ciphers", "reviews"),
        ),
        Control(
            "12.10",
            "Ready to respond to incidents",
            "Revocation of one, many, or a whole CA, with the time to effect at each gateway",
            ("revocations", "fail-closed"),
            "Your plan and its rehearsals.",
        ),
    ),
)
NIST: Final = Framework(
    "nist-800-53r5",
    "NIST SP 800-53 Rev. 5",
    "Numbers are those of the published catalogue. Which of them are in your baseline, and who inherits them from whom, your "
    "system security plan says.",
    (
        Control(
            "IA-2, IA-2(8), IA-3, IA-8",
            "Users and devices are identified and authenticated, resistant to replay",
            "One certificate is one subject; possession of its key is proven in each TLS handshake",
            ("certificates", "listeners", "reach"),
            _FACTOR,
        ),
        Control(
            "IA-4",
            "Identifiers are not given to another for a time",
            "Serial numbers are never given again; a key of one holder is refused for another",
            ("certificates", "issuance"),
        ),
        Control(
            "IA-5, IA-5(6), IA-11",
            "Authenticators are managed through their life; re-authentication",
            "Issue, renew, revoke on record; connections end at a set age",
            ("issuance", "requests", "revocations", "listeners"),
            "How holders protect their keys.",
        ),
        Control(
            "IA-5(2)",
            "Path validation with status information; mapping to accounts; local cache of revocation data",
            "Each gateway validates the path to the listener's CA and holds the revocation lists itself",
            ("authorities", "listeners", "revocations", "fail-closed"),
        ),
        Control(
            "AC-2(4)",
            "Account actions are audited",
            "Users, tokens and certificates: each action is an entry",
            ("people", "issuance", "revocations", "changes"),
        ),
        Control(
            "AC-3, AC-4",
            "Access and flows are enforced",
            "Rules of each listener, in order; what none allows is refused",
            ("access-rules", "reach", "refusals-by-reason"),
        ),
        Control(
            "AC-6(9)",
            "Use of privileged functions is logged",
            "Each change with actor and role; what a role may not do is refused",
            ("changes", "sign-ins", "approvals"),
        ),
        Control(
            "AC-12, AC-17(2)",
            "Sessions are ended; remote access is encrypted",
            "Revocation ends requests on open connections; time to effect by gateway; TLS on each listener",
            ("revocations", "ciphers"),
        ),
        Control(
            "AU-2, AU-3, AU-8, AU-12",
            "Events are recorded: what, when, where, who, outcome",
            "Entries with time, actor, source, action, before and after",
            ("changes", "sign-ins", "refusals"),
            "Access logs of the gateways: they are shipped from there.",
        ),
        Control(
            "AU-6",
            "Records are reviewed",
            "Reviews are signed off and are on record themselves",
            ("reviews", "refusals-by-reason"),
            "How carefully was looked.",
        ),
        Control(
            "AU-9, AU-9(2), AU-9(3), AU-9(4)",
            "Records are protected, by cryptography; kept apart; few may manage them",
            "Hash chain, an export that is checked offline; roles",
            ("record", "people"),
            "That exports are kept elsewhere.",
        ),
        Control("AU-10, AU-11", "Non-repudiation; retention", "Chain and retention setting", ("record",)),
        Control(
            "CM-3, CM-5, CM-6",
            "Changes are controlled; settings are documented",
            "Each change with actor, before and after, revision; approvals where switched on",
            ("changes", "approvals", "listeners", "access-rules"),
        ),
        Control(
            "SC-8(1), SC-13, SC-23",
            "Transmission is protected by approved cryptography; sessions are authentic",
            "TLS versions and suites by listener",
            ("ciphers",),
            "Whether a module is validated (FIPS 140).",
        ),
        Control(
            "SC-12(1), SC-17",
            "Keys are managed; certificates by a policy, only approved anchors",
            "CAs in the system and what trusts them; profiles; custody",
            ("authorities", "ca-keys", "key-events", "issuance"),
            "Your certificate policy (CP/CPS).",
        ),
        Control(
            "SC-24",
            "Fails in a known state",
            "What happens when something is missing, by listener",
            ("fail-closed", "exceptions"),
        ),
    ),
)
ISO: Final = Framework(
    "iso-27001",
    "ISO/IEC 27001:2022, Annex A",
    _TITLES,
    (
        Control("A.5.15", "Access control", "Rules by listener", ("listeners", "access-rules", "reach")),
        Control(
            "A.5.16", "Identity management", "Certificates, users and tokens have one holder each", ("certificates", "people")
        ),
        Control(
            "A.5.17",
            "Authentication information",
            "Issued by profile, renewed, revoked",
            ("issuance", "requests", "revocations"),
            _FACTOR,
        ),
        Control(
            "A.5.18",
            "Access rights: given, reviewed, removed",
            "Issuance and groups, reviews, revocation with time to effect",
            ("issuance", "reviews", "revocations", "reach"),
            "When somebody left: compare with your own list.",
        ),
        Control(
            "A.8.2",
            "Privileged access rights",
            "Roles of users and tokens; approvals and break-glass",
            ("people", "approvals", "sign-ins"),
        ),
        Control("A.8.3", "Information access restriction", "Rules by host, path, method, network", ("access-rules", "reach")),
        Control(
            "A.8.5",
            "Secure authentication",
            "TLS client certificates, verified by each gateway",
            ("listeners", "fail-closed", "exceptions"),
            _FACTOR,
        ),
        Control("A.8.9", "Configuration management", "Revisions, each with before and after", ("changes", "listeners")),
        Control("A.8.15", "Logging", "Record and its chain", ("record", "sign-ins", "changes")),
        Control(
            "A.8.16",
            "Monitoring activities",
            "Refusals by reason; use from many addresses; their review",
            ("refusals-by-reason", "refusals", "shared-certificates", "reviews"),
        ),
        Control(
            "A.8.24",
            "Use of cryptography",
            "Keys, CAs, protocols and suites",
            ("ca-keys", "key-events", "ciphers", "authorities"),
        ),
        Control("A.8.32", "Change management", "Changes with actor and approval", ("changes", "approvals")),
    ),
)
SOC2: Final = Framework(
    "soc2",
    "SOC 2, common criteria",
    f"{_TITLES} For samples, take rows of the CSV files: they are the whole population of the period.",
    (
        Control(
            "CC6.1",
            "Logical access is protected",
            "Client certificates and rules by listener; keys encrypted at rest",
            ("listeners", "access-rules", "certificates", "ca-keys"),
            _FACTOR,
        ),
        Control(
            "CC6.2",
            "Users are registered and authorised before access",
            "Requests and who agreed; grants",
            ("issuance", "requests", "people"),
        ),
        Control(
            "CC6.3",
            "Access is given, changed and removed by role; reviewed",
            "Groups, revocation with time to effect, reviews each quarter",
            ("reach", "revocations", "reviews", "changes"),
            "When somebody left: compare with your own list.",
        ),
        Control(
            "CC6.6",
            "Boundaries are protected",
            "What each listener refuses, and its exceptions",
            ("listeners", "refusals-by-reason", "exceptions", "fail-closed"),
        ),
        Control("CC6.7", "Transmission is protected", "TLS versions and suites", ("ciphers", "server-certificates")),
        Control(
            "CC7.2",
            "Anomalies are monitored",
            "Refusals, use from many addresses, failed sign-ins",
            ("refusals", "shared-certificates", "sign-ins"),
        ),
        Control("CC7.3", "Events are evaluated", "Reviews of refusals, with findings", ("reviews",), "How carefully was looked."),
        Control(
            "CC8.1",
            "Changes are authorised, recorded, approved",
            "Changes with actor, before and after, approvals",
            ("changes", "approvals", "record"),
        ),
    ),
)
FRAMEWORKS: Final = {one.name: one for one in (PCI, NIST, ISO, SOC2)}
