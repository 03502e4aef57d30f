from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from predictor.errors import InputError
from predictor.server.settings import ServerSettings
from predictor.server.tokens import Tokens, check_exposure
from tests.predictor.server.serving import EndlessFeed, Running, serving, settings_of, wait_until_ready

GOOD, OTHER = "a-token-that-is-long-enough", "another-token-that-is-long"


@pytest.fixture(scope="module")
def guarded(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    """A server with one token in a file and one in the environment."""
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text(f"# who may ask\n{GOOD}  # the controller\n\n")
    wanted = settings_of(model, server={"port": 0, "requests_per_minute": 100_000, "tokens_file": str(file)})
    with serving(wanted, EndlessFeed(), {"FORESCALE_API_TOKENS": f" {OTHER} ,"}) as running:
        wait_until_ready(running)
        yield running, file


def status(running: Running, path: str, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return running.http.get(path, headers=headers).status_code


@pytest.mark.parametrize("path", ["/v1/workloads", "/v1/workloads/web/forecast", "/metrics", "/openapi.json", "/v1/no"])
def test_without_a_token_nobody_learns_anything(guarded: tuple[Running, Path], path: str) -> None:
    response = guarded[0].http.get(path)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("token", [GOOD, OTHER])
def test_every_token_lets_in(guarded: tuple[Running, Path], token: str) -> None:
    assert status(guarded[0], "/v1/workloads", token) == 200


@pytest.mark.parametrize("token", ["x", GOOD[:-1], GOOD + "x", GOOD.upper(), "# who may ask", "é" * 20])
def test_nothing_else_does(guarded: tuple[Running, Path], token: str) -> None:
    headers = {b"Authorization": f"Bearer {token}".encode()}

    assert guarded[0].http.get("/v1/workloads", headers=headers).status_code == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/"])
def test_probes_and_the_page_itself_are_open(guarded: tuple[Running, Path], path: str) -> None:
    assert status(guarded[0], path, None) == 200


def test_tokens_are_rotated_without_a_restart(guarded: tuple[Running, Path]) -> None:
    running, file = guarded
    fresh = "a-fresh-token-of-good-length"
    before = file.read_text()

    file.write_text(f"{GOOD}\n{fresh}\n")
    assert status(running, "/v1/workloads", fresh) == 200

    file.write_text("short\n")  # a mistake lets nobody in and keeps nobody out
    assert status(running, "/v1/workloads", fresh) == 200
    assert status(running, "/v1/workloads", "short") == 401

    file.write_text(before)
    os.utime(file, ns=(1, 1))
    assert status(running, "/v1/workloads", fresh) == 401
    assert status(running, "/v1/workloads", GOOD) == 200


def test_an_answer_never_repeats_a_token(guarded: tuple[Running, Path]) -> None:
    response = guarded[0].http.get("/v1/workloads", headers={"Authorization": "Bearer wrong-secret-of-mine"})

    assert "wrong-secret-of-mine" not in response.text + str(response.headers)


def test_a_flood_is_told_to_wait_and_others_are_not(model: Path) -> None:
    wanted = settings_of(model, server={"port": 0, "requests_per_minute": 5})
    tokens = {"FORESCALE_API_TOKENS": f"{GOOD},{OTHER}"}
    with serving(wanted, EndlessFeed(), tokens) as running:
        found = [status(running, "/v1/models", GOOD) for _ in range(7)]
        refused = running.http.get("/v1/models", headers={"Authorization": f"Bearer {GOOD}"})

        assert found == [200] * 5 + [429] * 2
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert status(running, "/v1/models", OTHER) == 200
        assert [status(running, "/livez", None) for _ in range(9)] == [200] * 9


def test_a_body_beyond_the_limit_is_refused_stated_or_not(model: Path) -> None:
    wanted = settings_of(model, server={"port": 0, "max_body_bytes": 1024})
    large = b'{"workloads": ["' + b"x" * 3000 + b'"]}'
    with serving(wanted, EndlessFeed()) as running:
        stated = running.http.post("/v1/forecast", content=large)
        unstated = running.http.post("/v1/forecast", content=iter([large[:500], large[500:]]))

        assert (stated.status_code, unstated.status_code) == (413, 413)
        assert "1024 bytes" in stated.json()["detail"]
        wait_until_ready(running)
        assert running.http.post("/v1/forecast", json={}).status_code == 200


def test_other_sites_may_read_only_when_they_are_named(model: Path) -> None:
    wanted = settings_of(model, server={"port": 0, "cors_origins": ["https://ops.example"]})
    with serving(wanted, EndlessFeed()) as running:
        named = running.http.get("/v1/models", headers={"Origin": "https://ops.example"})
        other = running.http.get("/v1/models", headers={"Origin": "https://evil.example"})

        assert named.headers["access-control-allow-origin"] == "https://ops.example"
        assert "access-control-allow-origin" not in other.headers


def test_what_is_no_request_at_all_does_not_disturb_the_server(model: Path) -> None:
    with serving(settings_of(model), EndlessFeed()) as running:
        port = int(running.url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.sendall(b"\x16\x03\x01 not http\r\n\r\n")
            assert wire.recv(100).startswith(b"HTTP/1.1 400")
        assert running.http.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("host", "is_refused"),
    [("127.0.0.1", False), ("127.8.8.8", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("::", True),
     ("forescale.internal", True)],
)  # fmt: skip
def test_serving_others_needs_tokens(host: str, is_refused: bool) -> None:
    if not is_refused:
        check_exposure(ServerSettings(host=host), Tokens())
        return
    with pytest.raises(InputError, match="--tokens-file"):
        check_exposure(ServerSettings(host=host), Tokens())
    check_exposure(ServerSettings(host=host), Tokens((GOOD,)))
    check_exposure(ServerSettings(host=host, allow_anonymous=True), Tokens())


def test_a_token_that_can_be_guessed_is_refused_without_being_shown(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{GOOD}\nhunter2\n")

    with pytest.raises(InputError, match="token 2 is shorter") as refused:
        Tokens.load(ServerSettings(tokens_file=file), {})

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(("content", "words"), [("# nothing\n", "holds no token"), (None, "cannot be read")])
def test_a_file_without_tokens_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_text(content)

    with pytest.raises(InputError, match=words):
        Tokens.load(ServerSettings(tokens_file=file), {})
