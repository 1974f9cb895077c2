"""The server's guard, its two addresses, its port; and the command that starts it."""

import asyncio
import html
import json
import socket
from pathlib import Path
from typing import Any

import fake_run
import pytest

pytest.importorskip("starlette", reason="starlette is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")

from pairlens.cli import run as call
from pairlens.errors import InputError
from pairlens.live.server import application, is_loopback, listen
from pairlens.live.watched import Watched


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    fake_run.make(made / "runs" / "</script><b>", steps=60)
    return made / "runs"


def ask(
    folder: Path,
    path: str = "/",
    *,
    host: str | None = "localhost:8000",
    token: str | None = None,
    local: bool = True,
    body: bytes | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """One request to the application: status, headers and body."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body or b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET" if body is None else "POST",
        "path": path,
        "query_string": query.encode(),
        "headers": [] if host is None else [(b"host", host.encode())],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "extensions": {},
        "asgi": {"version": "3.0"},
    }
    asyncio.run(application(Watched(folder), token, local)(scope, receive, send))
    headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:])


def test_the_page_is_served_with_a_strict_policy(folder: Path) -> None:
    status, headers, body = ask(folder)
    text = html.unescape(body.decode())
    assert status == 200
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in text
    assert "connect-src 'self'" in text
    assert text.count("</script>") == 3  # the theme, what is given, and ours: nothing in them ends them


def test_a_question_is_answered(folder: Path) -> None:
    status, headers, body = ask(folder, "/poll", body=b"{}")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert [line["name"] for line in json.loads(body)["runs"]] == ["</script><b>"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"curves": 3}', b'{"curves": [[]]}', b'{"heat": {"x": 1}}', b"3"])
def test_a_question_that_makes_no_sense_is_refused_in_a_sentence(folder: Path, body: bytes) -> None:
    status, _, text = ask(folder, "/poll", body=body)
    assert status == 400
    assert b"cannot be understood" in text


def test_other_addresses_and_methods_are_not_there(folder: Path) -> None:
    assert ask(folder, "/other")[0] == 404
    assert ask(folder, "/../etc/passwd")[0] == 404
    assert ask(folder, "/poll")[0] == 405


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("localhost", True),
        ("localhost:9000", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("LOCALHOST.", True),
        ("evil.example", False),
        ("evil.example:8000", False),
        ("localhost.evil.example", False),
        ("192.168.0.7:8000", False),
        ("", False),
        (None, False),
    ],
)
def test_on_loopback_only_its_own_names_are_answered(folder: Path, host: str | None, right: bool) -> None:
    for path, body in (("/", None), ("/poll", b"{}")):
        assert ask(folder, path, host=host, body=body)[0] == (200 if right else 403)


@pytest.mark.parametrize(
    ("query", "right"),
    [("?token=s%C3%A9cret", True), ("", False), ("?token=", False), ("?token=secret", False), ("?token=séc", False)],
)
def test_a_token_is_wanted_and_compared_whole(folder: Path, query: str, right: bool) -> None:
    for path, body in (("/", None), ("/poll", b"{}")):
        status, _, text = ask(folder, path + query, host="gpu:8000", token="sécret", local=False, body=body)
        assert status == (200 if right else 403)
        assert right or b"wants a token" in text


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.org", "")))


def test_a_free_port_is_taken_unless_one_is_asked_for() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} of 127.0.0.1 can be used .*give another one with --port"):
            listen("127.0.0.1", port)
    with listen("127.0.0.1", None) as first, listen("127.0.0.1", None) as second:
        assert 8000 <= first.getsockname()[1] < second.getsockname()[1]
    with pytest.raises(InputError, match="between 0 and 65535"):
        listen("127.0.0.1", 70_000)
    with pytest.raises(InputError, match=r"there is no address nowhere\.invalid"):
        listen("nowhere.invalid", 0)


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *argv: str) -> tuple[int, str, str]:
    """The command without its serving: exit code, output and errors."""
    monkeypatch.setattr("pairlens.live.server.serve", lambda app, opened: None)
    code = call(["watch", *argv])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_command_tells_where_the_page_is(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = said(capsys, monkeypatch, str(folder), "--port", "0")
    assert code == 0
    assert "http://127.0.0.1:" in out
    assert "token" not in out
    assert f"ssh -L {out.split('127.0.0.1:')[1].split('/')[0]}:localhost:" in out
    code, out, _ = said(capsys, monkeypatch, str(folder), "--port", "0", "--host", "0.0.0.0")
    token = out.split("?token=")[1].split("\n")[0]
    assert (code, len(token)) == (0, 32)
    assert f"http://{socket.gethostname()}:" in out
    assert token not in said(capsys, monkeypatch, str(folder), "--port", "0", "--host", "0.0.0.0")[1]
    assert "?token=a%20b" in said(capsys, monkeypatch, str(folder), "--port", "0", "--token", "a b")[1]


def test_what_cannot_be_used_is_told_in_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = said(capsys, monkeypatch, "nowhere")
    assert (code, err) == (2, "pairlens: there is no folder nowhere to watch; give the one in which your runs are\n")
    assert "the token is empty" in said(capsys, monkeypatch, str(folder), "--token", "")[2]
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    code, _, err = said(capsys, monkeypatch, str(folder), "--port", "0")
    assert code == 2
    assert 'pip install "pairlens[live]"' in err
