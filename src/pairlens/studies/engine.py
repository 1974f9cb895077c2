"""Runs the trainings of studies, several at a time, each in a process of its own, and measures what they made.

A job goes through stages: train or resume, then measure. What is finished is skipped, what was interrupted goes on, so
calling again is always safe. A process that dies takes no other with it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.studies.arms import Job, Setting, Study, all_jobs
from pairlens.studies.stages import check_run, share, stage_of
from pairlens.words import duration

Say = Callable[[str], None]
Progress = Callable[[str, int, int, str], None]
"""What is counted, how many are done, of how many, and details: `Console.advance`."""

PATIENCE = 30.0
"""Seconds in which a process that is asked to stop should write its checkpoint."""

NAP = 0.2


@dataclass
class Process:
    """A stage of a job at work."""

    job: Job
    stage: str  # train, resume or measure
    popen: subprocess.Popen
    spoken: int  # bytes of the job's log before it began
    labelled: bool | None = None  # whether its source has labels, once that is known


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
    jobs = all_jobs(studies, setting)
    for job in jobs:
        check_run(job)
    waiting = [job for job in jobs if stage_of(job) != "done"]
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
                for process in running:
                    check_labels(process)
                watch(running, outcomes)
                time.sleep(NAP)
        finally:
            stop(running, say)
    outcomes.seconds = watch.seconds
    return outcomes


def advance(job: Job, setting: Setting, running: list[Process], outcomes: Outcomes, say: Say) -> None:
    """Start a job's next stage, or note that it has none."""
    stage = stage_of(job)
    if stage in ("train", "resume", "measure"):
        running.append(start(job, stage, setting))
    elif stage == "diverged":
        outcomes.failures[job] = "the training has diverged"
        say(f"{job.name}: the training has diverged; it is not trained again")


def start(job: Job, stage: str, setting: Setting) -> Process:
    """Start a stage as a process; what it says is added to a log beside the run's folder.

    It leads a session of its own, so that Ctrl-C in a terminal reaches this process alone, which then stops it once.
    """
    threads = str(setting.threads or max(1, (os.cpu_count() or 1) // setting.jobs))
    words = {
        "train": ["pairlens", "train", *job.words, "--out", str(job.folder), "--threads", threads],
        "resume": ["pairlens", "resume", str(job.folder)],
        "measure": ["pairlens.studies.measure", str(job.folder), *(["--baselines"] if job.baselines else [])],
    }[stage]
    if stage == "train":
        clear(job.folder)
    with log_of(job).open("ab") as log:
        spoken = log.tell()
        popen = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": threads},
            start_new_session=True,
        )
    return Process(job, stage, popen, spoken)


def clear(folder: Path) -> None:
    """Remove the beginnings of a run that was stopped before it was one: a training wants an empty folder."""
    for name in ("lock", "run.json.partial"):
        (folder / name).unlink(missing_ok=True)


def log_of(job: Job) -> Path:
    """Where a job's processes speak to."""
    return job.folder.with_name(job.name + ".log")


def check_labels(process: Process) -> None:
    """Refuse a source without labels as soon as a training has found it so, not when the first one is measured.

    Raises:
        InputError: there are none.
    """
    folder = process.job.folder
    if process.labelled is None and (folder / "run.json").exists():
        process.labelled = bool(Run.open(folder).info["data"]["labelled"])
    if process.labelled is False:
        raise InputError(
            f"the images of {process.job.words[0]} have no labels, and a study measures accuracy by them; give "
            "labelled images, or add --labels where a folder's sub-folders are classes"
        )


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


def reason(process: Process) -> str:
    """Why a stage failed, in the words of its process."""
    code = process.popen.returncode
    if code == 0:
        return "it was not measured whole; call again to go on"
    if code < 0:
        return f"the process was ended by signal {-code}; call again to go on"
    with log_of(process.job).open("rb") as log:
        log.seek(process.spoken)
        lines = log.read().decode(errors="replace").splitlines()
    said = [line.removeprefix("pairlens: ") for line in lines if line.startswith("pairlens: ")]
    return said[-1] if said else (lines[-1].strip() if lines else f"exit code {code}")


def stop(running: Sequence[Process], say: Say) -> None:
    """Ask all processes to stop, and wait until they have; those that do not within `PATIENCE` are ended."""
    for process in running:
        process.popen.terminate()
    if running:
        say(f"stopping {len(running)} runs; call again to go on")
    deadline = time.monotonic() + PATIENCE
    for process in running:
        try:
            process.popen.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait()


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end this process as an exception does, so that its own processes are stopped, too."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    theirs = {}
    try:
        for name in names:
            if signal.getsignal(getattr(signal, name)) is signal.SIG_DFL:  # `nohup` has SIGHUP ignored
                theirs[name] = signal.signal(getattr(signal, name), end)
        yield
    finally:
        for name, handler in theirs.items():
            signal.signal(getattr(signal, name), handler)


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
