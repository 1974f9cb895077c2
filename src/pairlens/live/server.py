"""The server of the live page: two addresses, `/` and `/poll`, behind a guard. It writes nothing.

On loopback nobody but this machine's users can reach it, and a page of another site could only by having its own name
point here (DNS rebinding): the Host header gives that away. Bound elsewhere it wants a token, whatever it is asked.
"""

import hmac
import ipaddress
import json
import socket
import urllib.parse
from typing import TYPE_CHECKING, Any

from pairlens.errors import InputError
from pairlens.live.page import live_page
from pairlens.live.watched import Watched

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PORT = 8000
TRIED = 50  # ports after the usual one, where that is busy
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address may hold the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MISSING = 'the live page needs starlette and uvicorn; install them with `pip install "pairlens[live]"`'
LARGEST = 1 << 20  # bytes of a question


class Guard:
    """Let through whom the server is for: by token, or by the name under which this machine calls itself.

    Args:
        app: what is guarded.
        token: that the address must hold; None for none.
        local: refuse whoever calls this machine by another name than its own loopback ones.
    """

    def __init__(self, app: "ASGIApp", token: str | None, local: bool) -> None:
        self.app, self.token, self.local = app, token, local

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer, or refuse with 403."""
        from starlette.responses import PlainTextResponse

        why = self._refusal(scope) if scope["type"] == "http" else None
        if why is None:
            await self.app(scope, receive, send)
        else:
            await PlainTextResponse(f"{why}\n", 403, HEADERS)(scope, receive, send)

    def _refusal(self, scope: "Scope") -> str | None:
        headers = dict(scope["headers"])
        if self.local and not is_loopback(_name_of(headers.get(b"host", b"").decode("latin1"))):
            return "This page is served under the names localhost and 127.0.0.1 only."
        if self.token is None:
            return None
        query = urllib.parse.parse_qs(scope["query_string"].decode("latin1"))
        if hmac.compare_digest(query.get("token", [""])[0].encode(), self.token.encode()):
            return None
        return "This page wants a token: open the whole address that `pairlens watch` printed."


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own, for itself alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"


def application(watched: Watched, token: str | None, local: bool) -> "ASGIApp":
    """The server's answers, guarded.

    Raises:
        InputError: starlette or uvicorn is not installed.
    """
    try:
        import uvicorn  # noqa: F401 - told before anything is said of an address
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.middleware.gzip import GZipMiddleware
        from starlette.requests import Request
        from starlette.responses import HTMLResponse, PlainTextResponse, Response
        from starlette.routing import Route
    except ImportError as error:
        raise InputError(MISSING) from error
    page = live_page(watched.root)

    async def show(request: Request) -> Response:
        return HTMLResponse(page, headers=HEADERS | {"Content-Security-Policy": "frame-ancestors 'none'"})

    async def poll(request: Request) -> Response:
        try:
            if int(request.headers.get("content-length", "0")) > LARGEST:
                raise ValueError("it is too long")
            asked = json.loads(await request.body())
            answer = await run_in_threadpool(watched.answer, asked)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            return PlainTextResponse(f"This question cannot be understood ({error}).\n", 400, HEADERS)
        return Response(dumped(answer), media_type="application/json", headers=HEADERS)

    app = Starlette(routes=[Route("/", show), Route("/poll", poll, methods=["POST"])])
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=1)
    return Guard(app, token, local)


def dumped(answer: dict[str, Any]) -> str:
    """An answer as JSON, whatever file names it is made of."""
    return json.dumps(answer, allow_nan=False, separators=(",", ":"))


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens there: at this port, or, where none is asked for, at the first free one from 8000 on.

    Raises:
        InputError: the port is taken, or the address is not this machine's.
    """
    asked = PORT if port is None else port
    if not 0 <= asked < 65536:
        raise InputError(f"the port must lie between 0 and 65535, not {asked}; 8000 is usual")
    for tried in range(asked, asked + 1 if port is not None else asked + TRIED):
        try:
            family, kind, proto, _, address = socket.getaddrinfo(host, tried, type=socket.SOCK_STREAM)[0]
            opened = socket.socket(family, kind, proto)
            try:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                opened.bind(address)
                opened.listen(128)
            except OSError:
                opened.close()
                raise
            return opened
        except OSError as error:
            reason, last = error.strerror or str(error), tried
            if isinstance(error, socket.gaierror):
                raise InputError(f"there is no address {host} ({reason}); give one of this machine's") from error
    where = f"port {asked}" if port is not None else f"none of the ports {asked} to {last}"
    raise InputError(f"{where} of {host} can be used ({reason}); give another one with --port")


def serve(app: "ASGIApp", opened: socket.socket) -> None:
    """Serve until Ctrl-C.

    Raises:
        KeyboardInterrupt: that ended it.
    """
    import uvicorn

    config = uvicorn.Config(
        app, lifespan="off", log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run(sockets=[opened])


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
