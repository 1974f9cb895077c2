"""What a person at the terminal sees: sentences, and progress with rate and time left."""

import time

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pairlens.train import Observer, Outcome, Training
from pairlens.words import duration


class Console:
    """Sentences on standard output; progress as a live bar on a terminal, as a line every ten seconds elsewhere."""

    def __init__(self) -> None:
        self.rich = RichConsole(highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._told = 0.0
        self.health = ""

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *error: object) -> None:
        """Leave a bar as it stands, and the terminal with its cursor, also after Ctrl-C."""
        self.close()

    def say(self, text: str) -> None:
        """Print a sentence; text from users is never read as markup."""
        self.rich.print(text, markup=False)

    def advance(self, what: str, done: int, total: int, detail: str = "") -> None:
        """Tell how far something is."""
        if self.rich.is_terminal:
            self._advance_bar(what, done, total, detail)
        elif done >= total or time.monotonic() - self._told >= 10:
            self.say(f"{what}: {done} of {total}{'  ' + detail if detail else ''}")
            self._told = time.monotonic()

    def decoding(self, done: int, total: int) -> None:
        """Progress of reading images."""
        self.advance("reading images", done, total)

    def show_health(self, words: str) -> None:
        """Let progress of a training show its health from now on."""
        self.health = words

    def training(self, t: Training) -> Observer:
        """An observer that shows a training's progress; it reads the loss about twice a second and changes nothing."""
        began, first, shown = time.monotonic(), t.step, 0.0

        def watch(t: Training, outcome: Outcome) -> None:
            nonlocal shown
            now, done = time.monotonic(), t.step + 1
            if now - shown < 0.5 and done < t.steps:
                return
            shown = now
            rate = (done - first) * t.order.batch / max(1e-9, now - began)
            left = (t.steps - done) * t.order.batch / rate
            loss = outcome.parts[-1].loss.item()
            epoch = done / len(t.order)
            detail = f"epoch {epoch:.1f}/{t.epochs}  loss {loss:.3f}  {rate:,.0f} images/s  {duration(left)} left"
            detail += f"  health: {self.health}" if self.health else ""
            self.advance("training", done, t.steps, detail)

        return watch

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _advance_bar(self, what: str, done: int, total: int, detail: str) -> None:
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            last = TextColumn("{task.fields[detail]}") if detail else TimeRemainingColumn()
            self._bar = Progress(*columns, last, console=self.rich)
            self._bar.start()
            self._bar.add_task(what, total=total, completed=done, detail=detail)
        self._bar.update(self._bar.task_ids[0], completed=done, detail=detail)
        if done >= total:
            self.close()
