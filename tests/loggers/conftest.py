"""Lets the tests of the loggers import `growing`, which stands beside them; a logger that only remembers."""

import sys
from pathlib import Path

import pytest

from pairlens.loggers import stream
from pairlens.loggers.logger import LoggerName

sys.path.insert(0, str(Path(__file__).parent))

from growing import Taker


@pytest.fixture
def taker(monkeypatch: pytest.MonkeyPatch) -> type[Taker]:
    """Every logger is a `Taker`, and none is asked for its library."""

    def open_it(name: LoggerName) -> type[Taker]:
        return Taker

    monkeypatch.setattr(stream, "opener", open_it)
    monkeypatch.setattr(stream, "check", lambda target: None)
    Taker.taken, Taker.fail_at, Taker.closed = [], None, 0
    return Taker
