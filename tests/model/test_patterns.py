"""What rules may be written with, and what is refused because it would mean something else than it looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ostiary.model import patterns

HOST, DNS, URI = (TypeAdapter[str](kind) for kind in (patterns.HostPattern, patterns.DNSPattern, patterns.URIPattern))
EMAIL, SPIFFE = TypeAdapter[str](patterns.EmailPattern), TypeAdapter[str](patterns.SPIFFEPattern)
PATH, NAME = TypeAdapter[str](patterns.PathPattern), TypeAdapter[str](patterns.NamePattern)


@pytest.mark.parametrize(
    ("kind", "text", "kept"),
    [
        (HOST, "API.Test", "api.test"),
        (HOST, "a.test.", "a.test"),
        (HOST, "*.a.test", "*.a.test"),
        (HOST, "**.a.test", "**.a.test"),
        (HOST, "localhost", "localhost"),
        (HOST, "192.0.2.1", "192.0.2.1"),
        (HOST, "[2001:DB8::1]", "[2001:db8::1]"),
        (DNS, "xn--bcher-kva.test", "xn--bcher-kva.test"),
        (DNS, "_sip.a.test", "_sip.a.test"),
        (URI, "https://a.test/x", "https://a.test/x"),
        (URI, "spiffe://a.test/*", "spiffe://a.test/*"),
        (URI, "urn:a:*", "urn:a:*"),
        (URI, "*/x", "*/x"),
        (URI, "*", "*"),
        (EMAIL, "Ann@A.test", "ann@a.test"),
        (EMAIL, "*@a.test", "*@a.test"),
        (SPIFFE, "spiffe://a.test/ns/x", "spiffe://a.test/ns/x"),
        (SPIFFE, "spiffe://a.test/*", "spiffe://a.test/*"),
        (PATH, "/", "/"),
        (PATH, "/a/*", "/a/*"),
        (PATH, "/a*", "/a*"),
        (PATH, "/a%20b", "/a%20b"),
        (PATH, "/a!$&'()+,=:@b", "/a!$&'()+,=:@b"),
        (NAME, "door-*", "door-*"),
        (NAME, "*, Inc.", "*, Inc."),
        (NAME, "Nguyễn", "Nguyễn"),
    ],
)
def test_a_pattern_that_means_what_it_looks_like_is_taken(kind: TypeAdapter[str], text: str, kept: str) -> None:
    assert kind.validate_python(text) == kept


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        # evil-example.com would be among them.
        (HOST, "*example.com", "a star stands for whole labels"),
        (HOST, "a.*", "a star stands for whole labels"),
        (HOST, "a.*.test", "a star stands for whole labels"),
        (HOST, "***.test", "a star stands for whole labels"),
        (HOST, "*", "a star stands for whole labels"),
        (HOST, "a.test:8443", "is not a DNS name"),
        (HOST, "https://a.test", "is not a DNS name"),
        (HOST, "a..test", "is not a DNS name"),
        (HOST, "bücher.test", "is not a DNS name"),
        (HOST, "a_test,b.test", "is not a DNS name"),
        (HOST, "a.test\n", "is not a DNS name"),
        (HOST, "", "at least 1"),
        (DNS, "192.0.2.1/24", "is not a DNS name"),
        (DNS, "*a.test", "a star stands for whole labels"),
        # spiffe://a.test.evil.test would be among them.
        (URI, "spiffe://a.test*", "the whole authority"),
        (URI, "https:*", "the whole authority"),
        (URI, "spiffe:*", "the whole authority"),
        (URI, "https://*", "the whole authority"),
        (URI, "a,b", "no commas"),
        (URI, "https://a.test/x y", "no blanks"),
        (URI, "https://a.test/*/x", "once"),
        (EMAIL, "*@*.test", "written whole"),
        (EMAIL, "*n@a.test", "a star within a name"),
        (EMAIL, "a.test", "is not an e-mail address"),
        (EMAIL, "a@b@c.test", "is not an e-mail address"),
        (EMAIL, "a@b.test,c@d.test", "is not an e-mail address"),
        (SPIFFE, "spiffe://*/x", "is not a SPIFFE id"),
        (SPIFFE, "spiffe://A.test/x", "is not a SPIFFE id"),
        (SPIFFE, "spiffe://a.test/x?y", "is not a SPIFFE id"),
        (SPIFFE, "spiffe://a.test:1/x", "is not a SPIFFE id"),
        (SPIFFE, "https://a.test/x", "is not a SPIFFE id"),
        (PATH, "a", "it begins with /"),
        (PATH, "/a?b", "without query"),
        (PATH, "/a#b", "without query"),
        (PATH, "/a;b", "parameters"),
        (PATH, "/a\\b", "without query"),
        (PATH, "/*/a", "at the end only"),
        (PATH, "/a**", "at the end only"),
        (PATH, "//a", "would never fit"),
        (PATH, "/a/../b", "would never fit"),
        (PATH, "/a/.", "would never fit"),
        (PATH, "/a%2Fb", "write plain characters"),
        (PATH, "/a%5Cb", "write plain characters"),
        (PATH, "/%61", "write plain characters"),
        (PATH, "/a%2e%2e", "write plain characters"),
        (PATH, "/a%c3%a4", "in capitals"),
        (PATH, "/ä", "ASCII"),
        (NAME, "a*b", "at the start or at the end"),
        (NAME, "*a*", "once"),
        (NAME, "a\0b", "control characters"),
        (NAME, "a\nb", "control characters"),
    ],
)
def test_what_would_mean_something_else_than_it_looks_is_refused(kind: TypeAdapter[str], text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        kind.validate_python(text)


@pytest.mark.parametrize("kind", [HOST, DNS, URI, EMAIL, SPIFFE, PATH, NAME])
def test_what_is_taken_once_is_taken_again_as_it_is(kind: TypeAdapter[str]) -> None:
    @given(st.text("ab.*/:@%2F-_,AZ", min_size=1, max_size=12))
    def check(text: str) -> None:
        try:
            kept = kind.validate_python(text)
        except ValidationError:
            return
        assert kind.validate_python(kept) == kept

    check()
