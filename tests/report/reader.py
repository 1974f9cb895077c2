"""Reads a page as its readers do: opened and drawn in a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def reading(browser, page: Path, width: int = 1400, scheme: str = "light") -> Iterator[object]:
    """The page opened and drawn; no error, no request but for the file itself and no overflow are allowed."""
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    opened.set_default_timeout(60_000)
    errors: list[str] = []
    requests: list[str] = []
    opened.on("console", lambda message: errors.append(message.text))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(page.as_uri())
    opened.wait_for_selector("html[data-ready]")
    yield opened
    assert errors == []
    assert [r for r in requests if not r.startswith(("data:", "blob:"))] == [page.as_uri()]
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.close()


def undrawn(opened) -> int:
    return opened.evaluate(
        "[...document.querySelectorAll('.chart')].filter(e => e.offsetParent && !e.querySelector('svg')).length"
    )
