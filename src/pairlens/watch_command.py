"""What `pairlens watch` does: serve one live page about all runs below a folder."""

import secrets
import socket
import threading
from pathlib import Path

from tyro.conf import Positional

from pairlens.errors import InputError
from pairlens.flags import parse


def watch(argv: list[str]) -> int:
    """`pairlens watch [FOLDER] [--port 8000] [--host 127.0.0.1] [--token TOKEN]`."""

    def command(
        folder: Positional[Path] = Path("runs"),
        *,
        port: int | None = None,
        host: str = "127.0.0.1",
        token: str | None = None,
    ) -> int:
        """Serve one live page about all runs below a folder, while they train; Ctrl-C ends it.

        Args:
            folder: where the runs are, at any depth; nothing is written there.
            port: where to serve; by default 8000, or the next one that is free.
            host: an address of this machine that is to be listened at; by default only this machine itself can reach
                the page. Elsewhere the page wants a token.
            token: that the page's address must hold; where the page can be reached from elsewhere, one is made up if
                none is given.
        """
        from pairlens.live.server import application, is_loopback, listen, serve
        from pairlens.live.watched import Watched

        if not folder.is_dir():
            raise InputError(f"there is no folder {folder} to watch; give the one in which your runs are")
        if token is not None and not token:
            raise InputError("the token is empty; give one of some length, or none")
        local = is_loopback(host)
        token = token if local or token is not None else secrets.token_urlsafe(24)
        watched = Watched(folder)
        app = application(watched, token, local)
        with listen(host, port) as opened:
            threading.Thread(target=watched.answer, args=({},), daemon=True).start()  # while the page is on its way
            _tell(folder, host, opened.getsockname()[1], port, token, local)
            serve(app, opened)
        return 0

    return parse(command, "watch", argv)


def _tell(folder: Path, host: str, port: int, asked: int | None, token: str | None, local: bool) -> None:
    """Where the page is, and how to reach it from another machine."""
    from urllib.parse import quote

    from pairlens.live.server import PORT

    if asked is None and port != PORT:
        print(f"port {PORT} is taken, so this is at {port}", flush=True)
    everywhere = host in ("0.0.0.0", "::")
    name = socket.gethostname() if everywhere else f"[{host}]" if ":" in host else host
    key = "" if token is None else f"?token={quote(token)}"
    print(f"watching {folder}: http://{name}:{port}/{key}", flush=True)
    if local:
        tunnel = f"ssh -L {port}:localhost:{port} {socket.gethostname()}"
        print(f"from another machine: {tunnel}, and then http://localhost:{port}/{key} there", flush=True)
    print("Ctrl-C ends it", flush=True)
