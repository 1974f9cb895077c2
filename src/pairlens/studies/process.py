"""A stage of a job as a process of its own: started, asked why it failed, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pairlens.studies.arms import Job, Setting

Say = Callable[[str], None]

PATIENCE = 30.0
"""Seconds in which a process that is asked to stop should write its checkpoint."""


@dataclass
class Process:
    """A stage of a job at work."""

    job: Job
    stage: str  # train, resume or measure
    popen: subprocess.Popen
    spoken: int  # bytes of the job's log before it began


def start(job: Job, stage: str, setting: Setting) -> Process:
    """Start a stage as a process; what it says is added to a log beside the run's folder.

    It leads a session of its own, so that Ctrl-C in a terminal reaches this process alone, which then stops it once.
    """
    threads = str(setting.threads or max(1, (os.cpu_count() or 1) // setting.jobs))
    words = {
        "train": ["pairlens", "train", *job.words, "--out", str(job.folder), "--threads", threads],
        "resume": ["pairlens", "resume", str(job.folder)],
        "measure": ["pairlens.studies.measure", str(job.folder), *measured_words(job)],
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


def measured_words(job: Job) -> list[str]:
    """What is to be measured of a job, as words of a command line."""
    return ["--baselines"] * job.baselines + (["--probes", *job.probes] if job.probes else [])


def clear(folder: Path) -> None:
    """Remove the beginnings of a run that was stopped before it was one: a training wants an empty folder."""
    for name in ("lock", "run.json.partial"):
        (folder / name).unlink(missing_ok=True)


def log_of(job: Job) -> Path:
    """Where a job's processes speak to."""
    return job.folder.with_name(job.name + ".log")


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
