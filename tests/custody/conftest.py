from pathlib import Path

import pytest

from support.softhsm import SoftHSM, a_token


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHSM:
    """A token, and this process told of it."""
    token = a_token(tmp_path / "hsm")
    for name, value in token.environment.items():
        monkeypatch.setenv(name, value)
    return token
