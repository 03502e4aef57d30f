from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.servers.processes import find_program, running


def test_an_absent_server_skips_visibly_but_fails_where_nothing_may_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORESCALE_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not here: build it"):
        find_program("no-such-server", how="build it")

    monkeypatch.setenv("FORESCALE_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-server is not here: build it"):
        find_program("no-such-server", how="build it")


def test_a_program_given_by_variable_or_built_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built, given = tmp_path / "built", tmp_path / "given"
    built.touch()
    given.touch()

    assert find_program("server", variable="A_SERVER", built=built, how="") == built
    monkeypatch.setenv("A_SERVER", str(given))
    assert find_program("server", variable="A_SERVER", built=built, how="") == given


def test_a_server_that_does_not_come_up_fails_with_its_log(tmp_path: Path) -> None:
    def command(_: int) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('no disk left')"]

    with (
        pytest.raises(pytest.fail.Exception, match="broken did not start:\nno disk left"),
        running(command, tmp_path / "log", lambda _: False, name="broken"),
    ):
        pass
