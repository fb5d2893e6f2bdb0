"""Patterns of names: what a profile's pattern matches, and that no name slips through between labels or segments."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import Invalid
from ostiary.pki.name_patterns import allows, refuse_malformed
from ostiary.pki.names import NameKind


@pytest.mark.parametrize(
    ("kind", "pattern", "names"),
    [
        ("dns", "a.test", ("a.test", "A.TEST")),
        ("dns", "*.a.test", ("b.a.test", "c.b.a.test", "*.a.test", "*.b.a.test")),
        ("ip", "10.0.0.1", ("10.0.0.1",)),
        ("ip", "10.0.0.0/8", ("10.0.0.0", "10.255.0.1")),
        ("ip", "2001:db8::/32", ("2001:db8::1",)),
        ("uri", "spiffe://corp/web", ("spiffe://corp/web", "SPIFFE://Corp/web")),
        ("uri", "spiffe://corp/*", ("spiffe://corp/web", "spiffe://corp/a/b", "spiffe://CORP/web")),
        ("uri", "https://a.test/devices/*", ("https://a.test/devices/1", "https://A.test/devices/1?x=1")),
        ("uri", "urn:dev:*", ("urn:dev:mac:0024befffe804ff1",)),
        ("email", "a@a.test", ("a@a.test", "a@A.test")),
        ("email", "*@a.test", ("x@a.test", "Y.z@a.test")),
        ("email", "*@*.a.test", ("x@b.a.test",)),
        ("common_name", "sensor-*", ("sensor-1", "sensor-north hall")),
        ("common_name", "*.a.test", ("b.a.test",)),
        ("common_name", "*@a.test", ("x@a.test",)),
        ("organization", "Acme", ("Acme",)),
        ("serial_number", "SN-*", ("SN-0001",)),
    ],
)
def test_a_pattern_matches_its_names(kind: NameKind, pattern: str, names: tuple[str, ...]) -> None:
    refuse_malformed(pattern, kind, "name_patterns")
    assert [name for name in names if not allows([pattern], kind, name)] == []


@pytest.mark.parametrize(
    ("kind", "pattern", "names"),
    [
        ("dns", "a.test", ("b.a.test", "a.test.evil", "xa.test", "*.a.test")),
        ("dns", "*.a.test", ("a.test", "xa.test", "b.xa.test", "b.a.test.evil", "*.test", ".a.test")),
        ("ip", "10.0.0.0/8", ("11.0.0.1", "::ffff:10.0.0.1", "::a00:1")),
        (
            "uri",
            "spiffe://corp/*",
            ("spiffe://corp", "spiffe://corp/", "spiffe://corpx/web", "spiffe://corp.evil/web", "https://corp/w"),
        ),
        ("uri", "https://a.test/p/*", ("https://a.test/p/../q", "https://a.test/p/%2e%2e/q", "https://a.test/p/%2E./q")),
        (
            "uri",
            "https://a.test/p/*",
            ("https://a.test/P/x", "https://a.test:8443/p/x", "https://u@a.test/p/x", "https://a.test?/p/x"),
        ),
        ("uri", "urn:dev:*", ("urn:dev:", "urn:device:1", "urn:dev")),
        ("email", "*@a.test", ("x@b.a.test", "x@xa.test", "@a.test", "a.test")),
        ("email", "a@a.test", ("A@a.test", "b@a.test", "a@b.test")),
        ("email", "*@*.a.test", ("x@a.test", "x@b.xa.test")),
        ("common_name", "sensor-*", ("sensor-", "Sensor-1", "xsensor-1")),
        ("common_name", "*.a.test", ("a.test", "xa.test", "evil..a.test")),
        ("organization", "Acme", ("acme", "Acme ", "Acme, Inc.")),
    ],
)
def test_a_pattern_matches_no_other(kind: NameKind, pattern: str, names: tuple[str, ...]) -> None:
    refuse_malformed(pattern, kind, "name_patterns")
    assert [name for name in names if allows([pattern], kind, name)] == []


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("dns", "*"),
        ("dns", "*a.test"),
        ("dns", "b.*.test"),
        ("dns", "*.*.test"),
        ("dns", "a.test*"),
        ("dns", ""),
        ("dns", "bücher.example"),
        ("ip", "10.0.0.1/8"),
        ("ip", "10.0.0.*"),
        ("ip", "fe80::1%eth0"),
        ("uri", "*"),
        ("uri", "https:/*"),
        ("uri", "https://*"),
        ("uri", "https:///*"),
        ("uri", "https://a.test*"),
        ("uri", "https://*.a.test/x"),
        ("uri", "https://a.test/p*"),
        ("uri", "https://a.test/../*"),
        ("uri", "spiffe://corp/*/x"),
        ("uri", "corp"),
        ("email", "a.test"),
        ("email", "*"),
        ("email", "a*@a.test"),
        ("email", "*@*"),
        ("common_name", "*"),
        ("common_name", "a*b"),
        ("common_name", "*-sensor"),
        ("common_name", ""),
        ("organization", " Acme"),
        ("organization", "A\u202ecme"),
        ("serial_number", "*-1"),
    ],
)
def test_a_pattern_that_could_not_mean_what_it_says_is_refused(kind: NameKind, pattern: str) -> None:
    with pytest.raises(Invalid, match=r"^name_patterns: the pattern '.*' cannot match: ") as refused:
        refuse_malformed(pattern, kind, "name_patterns")
    assert refused.value.field == "name_patterns"


LABEL = st.sampled_from(["a", "b", "xa", "test", "a-b"])
HOST = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
SEGMENT = st.sampled_from(["a", "b", "ab", "%61", "..", ".", "%2e%2e"])
SPIFFE = st.builds(lambda host, path: "/".join([f"spiffe://{host}", *path]), HOST, st.lists(SEGMENT, max_size=4))


@given(pattern=HOST, name=HOST)
def test_of_dns_names_only_whole_labels_below_match(pattern: str, name: str) -> None:
    below = name.split(".")[-len(pattern.split(".")) :] == pattern.split(".") and name.count(".") > pattern.count(".")
    assert allows([f"*.{pattern}"], "dns", name) == below
    assert allows([pattern], "dns", name) == (name == pattern)


@given(prefix=SPIFFE, name=SPIFFE)
def test_of_uris_only_whole_segments_below_match_and_none_that_climbs(prefix: str, name: str) -> None:
    wanted, parts = prefix.split("/"), name.split("/")
    climbs = any(part.replace("%2e", ".") in {".", ".."} for part in parts)
    below = parts[: len(wanted)] == wanted and len(parts) > len(wanted)
    assert allows([f"{prefix}/*"], "uri", name) == (below and not climbs)


@given(
    network=st.ip_addresses(v=4).map(lambda address: ipaddress.ip_network(f"{address}/20", strict=False)), name=st.ip_addresses()
)
def test_of_addresses_only_those_of_the_network_match(network: ipaddress.IPv4Network, name: ipaddress.IPv4Address) -> None:
    assert allows([str(network)], "ip", str(name)) == (name in network)


@given(host=HOST, name=HOST, local=st.sampled_from(["a", "A", "a.b"]))
def test_of_mailboxes_only_those_of_the_host_match(host: str, name: str, local: str) -> None:
    assert allows([f"*@{host}"], "email", f"{local}@{name}") == (host == name)
    assert allows([f"a@{host}"], "email", f"{local}@{name}") == (host == name and local == "a")


def test_one_of_several_patterns_is_enough() -> None:
    assert allows(["*.a.test", "b.test"], "dns", "x.a.test")
    assert allows(["*.a.test", "b.test"], "dns", "b.test")
    assert not allows([], "dns", "b.test")


def test_a_pattern_for_opaque_uris_does_not_match_those_with_a_host() -> None:
    refuse_malformed("https:*", "uri", "name_patterns")
    assert not allows(["https:*"], "uri", "https://evil.test/")
