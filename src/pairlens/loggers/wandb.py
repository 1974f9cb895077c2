"""Weights & Biases: a run in a project, which `wandb sync` or the run itself sends to a server.

Nothing goes over a network unless you asked for it: WANDB_MODE decides, as everywhere; without it the run is sent where
you are logged in (a WANDB_API_KEY, or `wandb login`), and written to the disk alone where you are not. Nobody is asked
to log in. Its files lie in RUN/wandb, or in FOLDER/wandb where a folder is given. Beside our rows, events and the call
nothing is collected: no console output, code, git state, metrics of the system or error reports.

The x-axis is `step`: Weights & Biases' own count, `_step`, is that of calls, and can go on behind those of an earlier
attempt, whose rows it passes over.
"""

import netrc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np
from jaxtyping import Float, Integer

from pairlens.data.files import printable
from pairlens.errors import InputError
from pairlens.loggers.logger import PROJECT, State, Target
from pairlens.loggers.rows import config_of
from pairlens.record.run import Run

Mode = Literal["online", "offline"]
WAIT = 60.0  # seconds for the last rows to be sent at the end; what is left lies on the disk


class WeightsAndBiases:
    """A run, begun or resumed by its id.

    Raises:
        InputError: it cannot be begun.
    """

    def __init__(self, run: Run, target: Target, state: State) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self.id, self.lines, mode = state.get("id") or uuid4().hex[:12], state.get("lines", 0), find_mode()
        folder = target.folder or run.folder
        folder.mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(
            console="off",
            silent=True,
            save_code=False,
            disable_git=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
            finish_timeout=WAIT,
        )
        with _told():
            self.run = wandb.init(
                project=target.project or os.environ.get("WANDB_PROJECT") or PROJECT,
                id=self.id,
                name=printable(run.name),
                dir=folder,
                mode=mode,
                resume="allow" if mode == "online" else None,
                reinit="create_new",
                config=config_of(run),
                settings=quiet,
            )
            self.run.define_metric("*", step_metric="step")
        place = Path(self.run.settings.sync_dir)
        self.where = self.run.url if mode == "online" else f"to send it: wandb sync {place}"

    def scalars(self, step: int, time: float, values: Mapping[str, float]) -> None:
        """One line of the run's history."""
        self._log(step, values)

    def histograms(
        self, step: int, time: float, counts: Mapping[str, Integer[np.ndarray, "bins"]], edges: Float[np.ndarray, "e"]
    ) -> None:
        """Weights & Biases' own histograms."""
        import wandb

        self._log(step, {tag: wandb.Histogram(np_histogram=(count, edges)) for tag, count in counts.items()})

    def event(self, number: int, event: Mapping[str, Any]) -> None:
        """A line of text, by kind."""
        text = printable(f"{event.get('time', '')}: {event.get('text', '')}")
        self._log(None, {f"events/{event.get('kind', 'event')}": text})

    def flush(self) -> State:
        """What was logged has left this process."""
        return {"id": self.id, "lines": self.lines}

    def close(self) -> None:
        """End the run; what the server has not taken after a minute stays on the disk for `wandb sync`."""
        with _told():
            self.run.finish()

    def _log(self, step: int | None, values: Mapping[str, Any]) -> None:
        with _told():
            self.run.log({**values, **({} if step is None else {"step": step})}, step=self.lines)
        self.lines += 1


def find_mode() -> Mode:
    """Whether a run is sent or only written.

    Raises:
        InputError: WANDB_MODE asks for something that cannot be.
    """
    mode, logged_in = os.environ.get("WANDB_MODE", ""), _is_logged_in()
    if mode == "offline" or (not mode and not logged_in):
        return "offline"
    if mode not in ("", "online"):
        raise InputError(f"WANDB_MODE is {mode!r}; set it to online or offline, or leave wandb out")
    if not logged_in:
        raise InputError(
            "WANDB_MODE is online, but nobody is logged in to Weights & Biases; run `wandb login` first, or set "
            "WANDB_MODE to offline"
        )
    return "online"


def _is_logged_in() -> bool:
    """Whether there is a key for the server, without asking anybody."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    given = os.environ.get("NETRC")
    for path in [Path(given)] if given else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            if netrc.netrc(path).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


@contextmanager
def _told() -> Iterator[None]:
    """Say in a sentence what Weights & Biases says of itself.

    Raises:
        InputError: it failed.
    """
    import wandb

    try:
        yield
    except (wandb.errors.Error, OSError) as error:
        raise InputError(f"Weights & Biases failed: {' '.join(str(error).split())}; try again later") from error
