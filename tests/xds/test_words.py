"""Envoy's own words reach the operator; what it quotes of a secret does not."""

import pytest

from ostiary.xds.wire import discreet

QUOTED = 'goo.gle/debugstr   \nname: "a"\ntls_certificate {\n  private_key {\n    inline_bytes: "KEY"\n  }\n}\n'


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("cannot bind '127.0.0.1:1': Address already in use\n", "cannot bind '127.0.0.1:1': Address already in use"),
        (
            QUOTED + ": Proto constraint validation failed (Secret: too short)",
            "Proto constraint validation failed (Secret: too short)",
        ),
        ("Unable to unpack: " + QUOTED, "Unable to unpack:"),
        (QUOTED + ": one\n" + QUOTED, ""),
        ("x" * 10_000, "x" * 4096),
    ],
)
def test_what_is_quoted_is_left_out(said: str, shown: str) -> None:
    assert discreet(said) == shown
