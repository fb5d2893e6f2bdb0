"""What allows is read narrowly and what denies widely; and no name is taken for another."""

import re
import string

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ostiary.access import patterns
from ostiary.access.plain_path import plain
from ostiary.model.patterns import PathPattern

PATTERNS = st.lists(st.sampled_from(["/", "a", "B", "-", "!", "%20", "%C3%A4", ".", "x"]), max_size=6).map(
    lambda one: "/" + "".join(one)
)
PATH_RULE = TypeAdapter[str](PathPattern)


def fits(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        (
            "a.test",
            ["a.test", "A.TEST", "a.test:8443", "a.test.", "a.test.:443"],
            ["xa.test", "a.testx", "b.a.test", "a-test", ""],
        ),
        ("*.a.test", ["x.a.test", "X.a.test:1"], ["a.test", "x.y.a.test", ".a.test", "x.a.test.evil.test", "x:1.a.test"]),
        ("**.a.test", ["x.a.test", "x.y.a.test"], ["a.test", "xa.test", ".a.test", "x..a.test"]),
        ("192.0.2.1", ["192.0.2.1", "192.0.2.1:80"], ["192.0.2.10", "192a0b2c1"]),
        ("[2001:db8::1]", ["[2001:db8::1]", "[2001:DB8::1]:443"], ["[2001:db8::11]"]),
    ],
)
def test_hosts(pattern: str, fitting: list[str], other: list[str]) -> None:
    made = patterns.host(pattern)
    assert [one for one in fitting if not fits(made, one)] == []
    assert [one for one in other if fits(made, one)] == []


@pytest.mark.parametrize(
    ("pattern", "allowed", "only_denied", "neither"),
    [
        (
            "/admin",
            ["/admin", "/admin?x=/y"],
            ["/Admin", "/admin/", "/admin;v=1", "/admin;x/;y", "/admin;v?x"],
            ["/administrator", "/x/admin", "/admin/x", "/"],
        ),
        (
            "/admin/*",
            ["/admin", "/admin/", "/admin/x/y", "/admin?x"],
            ["/ADMIN/x", "/admin;v/x"],
            ["/adminx", "/adminx/y", "/x?/admin/"],
        ),
        ("/admin*", ["/admin", "/administrator", "/admin/x"], ["/ADMINx"], ["/adm", "/x?/admin"]),
        ("/", ["/", "/?x"], ["/;x", "//"], ["/x"]),
        ("/*", ["/", "/x", "/x/y?z"], [], ["x"]),
        ("/a!b", ["/a!b"], ["/a%21b", "/A!B"], ["/ab", "/a%22b"]),
        ("/a%20b", ["/a%20b"], ["/A%20B"], ["/a+b"]),
        ("/a.b", ["/a.b"], [], ["/axb"]),
    ],
)
def test_paths(pattern: str, allowed: list[str], only_denied: list[str], neither: list[str]) -> None:
    narrow, wide = patterns.path(pattern, wide=False), patterns.path(pattern, wide=True)
    assert [one for one in allowed if not (fits(narrow, one) and fits(wide, one))] == []
    assert [one for one in only_denied if fits(narrow, one) or not fits(wide, one)] == []
    assert [one for one in neither if fits(narrow, one) or fits(wide, one)] == []


@given(pattern=PATTERNS, star=st.sampled_from(["", "*", "/*"]), path=PATTERNS, query=st.sampled_from(["", "?", "?a=/b"]))
def test_what_would_be_allowed_by_a_path_is_denied_by_the_same_one(pattern: str, star: str, path: str, query: str) -> None:
    try:
        rule = PATH_RULE.validate_python(pattern.rstrip("/") + star or "/")
    except ValidationError:
        return
    for asked in {path + query, rule.rstrip("*") + query, rule.removesuffix("/*") + query}:
        if fits(patterns.path(rule, wide=False), asked):
            assert fits(patterns.path(rule, wide=True), asked)


@given(segments=st.lists(st.sampled_from(["admin", "x", "..", ".", "", "%61", "a%2e", "..;v", "Admin;x"]), max_size=6))
def test_no_way_of_writing_a_denied_path_is_not_denied(segments: list[str]) -> None:
    """What the engine makes of it is denied or is something else: nothing below /admin, in any case, is left."""
    made = plain("/" + "/".join(segments))
    if made is None:
        return
    first = made.partition("?")[0].split("/")[1].partition(";")[0].lower()
    assert fits(patterns.path("/admin/*", wide=True), made) == (first == "admin")


def test_methods() -> None:
    assert fits(patterns.method("GET", wide=False), "GET")
    assert not fits(patterns.method("GET", wide=False), "get")
    assert fits(patterns.method("GET", wide=True), "get")
    assert not fits(patterns.method("GET", wide=True), "GETS")
    assert not fits(patterns.method("M-SEARCH", wide=True), "MxSEARCH")


@pytest.mark.parametrize(
    ("made", "fitting", "other"),
    [
        (
            patterns.dns("a.test"),
            ["a.test", "A.test,b.test", "b.test,a.test", "x,a.test,y"],
            ["", "xa.test", "a.test.evil", "b.a.test"],
        ),
        (patterns.dns("*.a.test"), ["x.a.test", "b.test,x.a.test"], ["a.test", "x.y.a.test", "evil,.a.test"]),
        (
            patterns.uri("spiffe://a.test/*"),
            ["spiffe://a.test/", "x:y,spiffe://a.test/b"],
            ["spiffe://a.testb/", "x,yspiffe://a.test/b"],
        ),
        (patterns.uri("*"), ["x:y", ""], []),
        (patterns.uri("*/x"), ["a:b/x", "q,a:b/x"], ["a:b/xy"]),
        (patterns.email("*@a.test"), ["ann@a.test", "bob@b.test,Ann@A.test"], ["ann@a.test.evil", "ann@xa.test", "x,@ya.test"]),
        (
            patterns.spiffe("spiffe://a.test/x"),
            ["spiffe://a.test/x"],
            ["spiffe://a.test/x,y:z", "y:z,spiffe://a.test/x", "spiffe://a.test/xy"],
        ),
        (
            patterns.spiffe("spiffe://a.test/*"),
            ["spiffe://a.test/x/y"],
            ["spiffe://a.test", "spiffe://a.test/", "spiffe://a.test/x,y:z"],
        ),
    ],
)
def test_names_between_commas(made: str, fitting: list[str], other: list[str]) -> None:
    assert [one for one in fitting if not fits(made, one)] == []
    assert [one for one in other if fits(made, one)] == []


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        (
            "admin",
            ["CN=admin", "CN=admin,O=x", "O=x,CN=admin", "O=x+CN=admin", "O=x\\,,CN=admin"],
            ["CN=admin2", "CN=xadmin", "OU=admin"],
        ),
        # A value that looks like another attribute is escaped by the engine, and stays within its value.
        ("admin", [], ["O=x\\,CN=admin", "O=x\\+CN=admin", "O=\\,CN=admin,CN=bob", "O=CN=admin"]),
        ("a, b", ["CN=a\\, b"], ["CN=a", "CN=a,b"]),
        ("adm*", ["CN=adm", "CN=admin", "CN=adm\\,x", "O=y,CN=adminx"], ["CN=xadm", "O=adm"]),
        ("*min", ["CN=admin", "CN=min", "CN=x\\,min"], ["CN=minx", "CN=x,min", "CN=x,O=min"]),
        ("*", ["CN=", "CN=x", "O=y,CN=x"], ["O=x", "OCN=x"]),
        ("a.b", ["CN=a.b"], ["CN=axb"]),
        ("é", ["CN=\\C3\\A9"], ["CN=é"]),
        ("#1", ["CN=\\#1"], ["CN=#1"]),
        (" a ", ["CN=\\ a\\ "], ["CN= a "]),
        ("a\\b", ["CN=a\\\\b"], ["CN=a\\b"]),
    ],
)
def test_subjects(pattern: str, fitting: list[str], other: list[str]) -> None:
    made = patterns.in_subject("CN", pattern)
    assert [one for one in fitting if not fits(made, one)] == []
    assert [one for one in other if fits(made, one)] == []


@given(value=st.text(string.ascii_letters + ' ,+"\\<>;=#é', min_size=1, max_size=8), other=st.text("CN=ab,+\\ ", max_size=8))
def test_a_value_finds_itself_in_a_subject_and_nothing_beside_it_does(value: str, other: str) -> None:
    made = patterns.in_subject("CN", value)
    beside = patterns.escaped(other)
    assert fits(made, f"O={beside},CN={patterns.escaped(value)}")
    assert fits(made, f"CN={patterns.escaped(value)}+O={beside}")
    assert not fits(made, f"O={beside},OU={patterns.escaped(value)}")
    assert not fits(made, f"O={patterns.escaped(f'x,CN={value}')}")


@given(value=st.text(string.ascii_letters + ' ,+"\\<>;=', min_size=1, max_size=12))
def test_values_are_escaped_as_others_do(value: str) -> None:
    theirs = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, value)]).rfc4514_string().removeprefix("CN=")
    assert patterns.escaped(value) == theirs


@given(number=st.integers(0, 10**12 - 1), other=st.integers(0, 10**12 - 1))
def test_numbers_below_another_are_found(number: int, other: int) -> None:
    for one in (number, number + 1 if number < 10**12 - 1 else number, max(0, number - 1), other):
        assert fits(patterns.less_than(number), patterns.padded(one)) == (one < number)
