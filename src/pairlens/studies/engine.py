"""Runs the trainings of studies, several at a time, each in a process of its own, and measures what they made.

A job goes through stages: train or resume, then measure. What is finished is skipped, what was interrupted goes on, so
calling again is always safe. A process that dies takes no other with it.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pairlens.data.sources import open_source
from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.studies.arms import Job, Setting, Study, all_jobs
from pairlens.studies.process import Process, Say, log_of, reason, start, stop, stoppable
from pairlens.studies.stages import check_run, share, stage_of
from pairlens.words import duration

Progress = Callable[[str, int, int, str], None]
"""What is counted, how many are done, of how many, and details: `Console.advance`."""

NAP = 0.2


@dataclass
class Outcomes:
    """What became of the jobs; a job without a failure is measured, or has not had its turn."""

    failures: dict[Job, str] = field(default_factory=dict)
    seconds: float = 0.0


def run_studies(
    studies: Iterable[Study],
    setting: Setting,
    *,
    say: Say = print,
    progress: Progress = lambda what, done, total, detail: None,
) -> Outcomes:
    """Train and measure what is missing of some studies; runs that fail are told and kept in the outcome.

    Ctrl-C, SIGTERM and SIGHUP stop all processes; trainings write a checkpoint, and the next call goes on from there.

    Args:
        studies: their arms; what two of them share is trained once.
        setting: source, seeds, budget, folder, and how many runs at a time.
        say: told in a sentence what became of a run.
        progress: told every few seconds how many runs are done.

    Raises:
        InputError: a study cannot be run as it is described, or the folder holds runs that were made otherwise.
    """
    studies = list(studies)
    jobs = all_jobs(studies, setting)
    for job in jobs:
        check_run(job)
    waiting = [job for job in jobs if stage_of(job) != "done"]
    if any(stage_of(job) == "train" for job in waiting):
        check_source(studies, setting, progress)
    outcomes = Outcomes()
    watch = Watch(jobs, progress)
    if len(waiting) < len(jobs):
        say(f"{len(jobs) - len(waiting)} of {len(jobs)} runs are finished already")
    setting.folder.mkdir(parents=True, exist_ok=True)
    running: list[Process] = []
    with stoppable():
        try:
            while waiting or running:
                while waiting and len(running) < setting.jobs:
                    advance(waiting.pop(0), setting, running, outcomes, say)
                for process in [p for p in running if p.popen.poll() is not None]:
                    running.remove(process)
                    finish(process, setting, running, outcomes, say)
                watch(running, outcomes)
                time.sleep(NAP)
        finally:
            stop(running, say)
    outcomes.seconds = watch.seconds
    return outcomes


def check_source(studies: Sequence[Study], setting: Setting, progress: Progress) -> None:
    """Open the images once, so that a mistake in their name is told once and not by every training.

    Raises:
        InputError: they cannot be opened, or have no labels.
    """
    flags = [{**setting.budget, **arm.flags} for study in studies for arm in study.arms]
    for labels, test in {(bool(given.get("labels")), given.get("test")) for given in flags}:
        source = open_source(
            setting.source,
            labels=labels,
            test=None if test is None else str(test),
            progress=lambda done, total: progress("images", done, total, ""),
        )
        if source.train.labels is None:
            raise InputError(
                f"the images of {setting.source} have no labels, and a study measures accuracy by them; give labelled "
                "images, or add --labels where a folder's sub-folders are classes"
            )


def advance(job: Job, setting: Setting, running: list[Process], outcomes: Outcomes, say: Say) -> None:
    """Start a job's next stage, or note that it has none."""
    stage = stage_of(job)
    if stage in ("train", "resume", "measure"):
        running.append(start(job, stage, setting))
    elif stage == "diverged":
        outcomes.failures[job] = "the training has diverged"
        say(f"{job.name}: the training has diverged; it is not trained again")


def finish(process: Process, setting: Setting, running: list[Process], outcomes: Outcomes, say: Say) -> None:
    """Go on with a job whose stage has ended: measure what was trained; tell a result, or a failure."""
    job = process.job
    if process.popen.returncode == 0 and process.stage != "measure":
        advance(job, setting, running, outcomes, say)
    elif process.popen.returncode == 0 and stage_of(job) == "done":
        say(f"{job.name}: {result_of(Run.open(job.folder))}")
    else:
        outcomes.failures[job] = reason(process)
        say(f"{job.name}: failed, {outcomes.failures[job]} (all it said: {log_of(job)})")


def result_of(run: Run) -> str:
    """A run's accuracies in words."""
    found = (run.evaluation or {})["test"]["encoder"]
    return f"kNN {found['knn']['top1']:.1%}, linear {found['linear']['top1']:.1%}"


class Watch:
    """Tells how many runs are done, which ones run, how fast, and how long it may take."""

    def __init__(self, jobs: Sequence[Job], progress: Progress, every: float = 5.0) -> None:
        self.jobs, self.progress, self.every = jobs, progress, every
        self.began, self.told = time.monotonic(), -every
        self.before = sum(map(share, jobs))

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def __call__(self, running: Sequence[Process], outcomes: Outcomes) -> None:
        """Tell, if it is time."""
        if self.seconds - self.told < self.every and running:
            return
        self.told = self.seconds
        shares = {job: 1.0 if job in outcomes.failures else share(job) for job in self.jobs}
        done, work = sum(s == 1 for s in shares.values()), sum(shares.values())
        rate = (work - self.before) / max(1e-9, self.seconds)
        now = ", ".join(
            f"{p.job.name} {f'{shares[p.job]:.0%}' if p.stage != 'measure' else 'measured'}" for p in running
        )
        left = (
            f"{3600 * rate:.2g} runs/h, {duration((len(self.jobs) - work) / rate)} left" if rate > 0 and running else ""
        )
        self.progress("runs", done, len(self.jobs), "  ".join(filter(None, [now, left])))
