"""What `pairlens landscape` does: measure a run's loss along its gradient, checkpoint by checkpoint, and report it."""

from pathlib import Path

from tyro.conf import Positional

from pairlens.console import Console
from pairlens.flags import parse
from pairlens.landscape import measure_landscape
from pairlens.record.run import Run
from pairlens.report.landscape import read_landscape
from pairlens.report.page import write_report


def landscape(argv: list[str]) -> int:
    """`pairlens landscape RUN [--step-sizes ...] [--batches N]`."""

    def command(
        run: Positional[Path],
        *,
        step_sizes: tuple[float, ...] = (),
        distances: tuple[float, ...] = (),
        batches: int | None = None,
        anew: bool = False,
    ) -> int:
        """See how smooth a run's loss is along its gradient: at its start and at every checkpoint that it keeps.

        Called again it goes on; `pairlens train --landscape N` measures the same while it trains.

        Args:
            run: the run's folder, finished or interrupted.
            step_sizes: to try along the gradient, as multiples of the learning rate; by default 0.5 1 1.5 2 3 4.
            distances: to try as well, as shares of the weights' norm; by default 0.0005 0.001 0.002 0.004 0.008 0.016.
            batches: that the loss is the mean of; by default one.
            anew: drop the points that are there, also those measured while it trained, and measure all anew.
        """
        opened = Run.open(run)
        with Console() as console:
            try:
                measured = measure_landscape(
                    opened,
                    batches=batches,
                    rates=step_sizes or None,
                    shares=distances or None,
                    anew=anew,
                    say=console.say,
                    progress=console.advance,
                )
            except KeyboardInterrupt:
                console.close()
                console.say(f"what was measured is kept; go on with: pairlens landscape {run}")
                raise
            found = read_landscape(opened)
            assert found is not None
            console.say(f"{measured} points measured now, {len(found.step)} in all")
            console.say(found.verdict)
            console.say(f"report: {write_report([Run.open(run)], run / 'report.html')}")
        return 0

    return parse(command, "landscape", argv)
