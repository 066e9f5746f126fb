"""The parent's side of one worker process: start it, give it a job, kill it if needed."""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

from r1.errors import UserError
from r1.rewards.registry import time_limit_s
from r1.rewards.wire import IDLE, PROGRESS, Job, ScoreItem, Setup, receive, send
from r1.types import Outcome, Score

START_TIMEOUT_S = 120.0
"""How long a worker may take to start, to take up a job, and to warm up its verifiers."""
MAX_START_FAILURES = 3
NUM_CRASHES_BLAMED = 2
"""An item is given up when the worker died in it this often: the first may be chance."""
NUM_EARLY_DEATHS = 4
"""A job is given up when workers died this often before its first item began."""
NUM_EARLY_HANGS = 2
"""Likewise where it hung before its first item, START_TIMEOUT_S each time."""
RECYCLE_AFTER = 20_000
"""A worker is replaced after this many scores, which bounds what a leak of a verifier can cost."""
POLL_S = 0.25
MAX_WAITED = 9.0
"""Waiting for a processor lengthens a limit, by so many times itself at most."""
STALL_S = 1.0
"""Where so long passes between two looks at a worker, the machine or this process stood still."""

logger = logging.getLogger(__name__)


class WorkerDiedError(Exception):
    """The process is gone. number: the item it was computing, negative for none."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number = number


class WorkerHungError(Exception):
    """The wall clock of item `number` ran out."""

    def __init__(self, number: int) -> None:
        super().__init__(f"item {number}")
        self.number = number


class PoolClosedError(RuntimeError):
    """The pool was closed before the scores were ready."""


class Look(NamedTuple):
    """What was known of a worker's lost time at one moment, in seconds."""

    at: float = 0.0
    waited_s: float = 0.0
    """For a processor, since the worker began."""
    stalled_s: float = 0.0
    """Between two looks that were too far apart, since the worker began."""

    def next(self, pid: int) -> Look:
        """Return how it is now."""
        now = time.monotonic()
        gap = now - self.at
        stalled_s = self.stalled_s + (gap if gap > STALL_S else 0.0)
        return Look(now, waited_s(pid), stalled_s)

    def granted_s(self, since: Look, limit_s: float) -> float:
        """Return by how much an item's limit is longer for what was lost since another look."""
        waited_s = min(self.waited_s - since.waited_s, MAX_WAITED * limit_s)
        return waited_s + self.stalled_s - since.stalled_s


class WorkerHandle:
    """One worker, started on first use and restarted as often as needed.

    Not thread-safe: it belongs to the thread that uses it. That thread must outlive the worker,
    since Linux tells a child of the death of the *thread* that made it.
    """

    def __init__(self, setup: Setup, on_restart: Callable[[], None]) -> None:
        self._setup = setup
        self._on_restart = on_restart
        self._process: subprocess.Popen[bytes] | None = None
        self._num_scored = 0
        self._start_failures = 0
        self._aborted = False
        self._asked_at = 0.0
        self._look = Look()
        self._limit_s = setup.settings.timeout_s
        self._never_ready: dict[tuple[str, ...], str] = {}

    def score(self, job: Job) -> dict[int, Score]:
        """Return a score for every item's index, whatever happens to the worker meanwhile."""
        scores: dict[int, Score] = {}
        crashes: dict[int, int] = {}
        if (reason := self._never_ready.get(job.verifiers)) is not None:
            return {item.number: _failed(reason) for item in job.items}
        self._limit_s = time_limit_s(job.problem, self._setup.settings)
        while left := [item for item in job.items if item.number not in scores]:
            if self._aborted:
                raise PoolClosedError("the reward pool was closed while it was scoring")
            try:
                self._run(job._replace(items=left), scores)
            except WorkerHungError as hung:
                self._restart()
                if hung.number >= 0:
                    scores[hung.number] = Score(
                        0.0, Outcome.TIMED_OUT, f"no result after {self._limit_s:g} s"
                    )
                    continue
                crashes[hung.number] = crashes.get(hung.number, 0) + 1
                if crashes[hung.number] >= NUM_EARLY_HANGS:
                    reason = self._give_up_on(job.verifiers)
                    scores |= {item.number: _failed(reason) for item in left}
            except WorkerDiedError as died:
                self._restart()
                if died.number not in scores:
                    crashes[died.number] = crashes.get(died.number, 0) + 1
                    allowed = NUM_CRASHES_BLAMED if died.number >= 0 else NUM_EARLY_DEATHS
                    if crashes[died.number] >= allowed:
                        self._blame(died, left, scores)
        self._num_scored += len(job.items)
        if self._num_scored >= RECYCLE_AFTER:
            self.stop()
        return scores

    def abort(self) -> None:
        """Make `score` give up soon; the only method that other threads may call."""
        self._aborted = True
        if (process := self._process) is not None:
            process.kill()

    def stop(self) -> None:
        """Kill the worker and every process it started."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._channel.close()
        self._progress.close()
        self._num_scored = 0

    def _give_up_on(self, verifiers: tuple[str, ...]) -> str:
        """Remember verifiers that hang before their first score; return a message about them.

        The next job would wait for them as long again, and so would every one after it.
        """
        names = ", ".join(map(repr, verifiers)) or "the rewards"
        reason = (
            f"{names} did not get ready within {START_TIMEOUT_S:g} s, {NUM_EARLY_HANGS} times: "
            "the verifier's warm, or what it imports, hangs"
        )
        logger.warning("%s. Its pending scores count as verifier-failed.", reason)
        if verifiers:
            self._never_ready[verifiers] = reason
        return reason

    def _blame(
        self, died: WorkerDiedError, left: list[ScoreItem], scores: dict[int, Score]
    ) -> None:
        failed = _failed(f"the verifier died: {died}")
        # Where no item had begun (a library that crashes on import) all of them are affected.
        for index in [died.number] if died.number >= 0 else [item.number for item in left]:
            scores[index] = failed

    def _restart(self) -> None:
        self.stop()
        self._on_restart()

    def _run(self, job: Job, scores: dict[int, Score]) -> None:
        """Send a job and collect its results until it ends; partial results are kept."""
        if self._process is None:
            self._start()
        message = pickle.dumps(job, pickle.HIGHEST_PROTOCOL)
        # Before it is sent: what is lost while it is sent is the first item's, too.
        self._look = Look(time.monotonic(), waited_s(self._pid))
        try:
            send(self._channel, message)
        except OSError:
            raise self._death() from None
        self._asked_at = time.monotonic()
        wanted = {item.number for item in job.items}
        while (results := self._next_message()) is not None:
            for index, value, outcome, detail in results:
                if index in wanted:
                    scores[index] = Score(value, Outcome(outcome), detail)

    def _next_message(self) -> Any:
        """Wait for a message. Raises WorkerHungError where an item takes longer than it may.

        An item's clock stands still while its worker waits for a processor, or a busy machine would
        void the answers that take the longest to judge; and while the machine stands still (it is
        suspended, or its virtual machine paused), where no process could have been in time. What
        was lost is known at each look: an item is granted what was lost since the last look before
        it began, up to MAX_WAITED limits of waiting.
        """
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        seen, granted_from = None, self._look
        while True:
            # Look before the progress is read: the last look is then never after the item began.
            before, self._look = self._look, self._look.next(self._pid)
            index, began = PROGRESS.unpack(self._progress[: PROGRESS.size])
            if seen != (index, began):
                seen, granted_from = (index, began), before
            limit = self._limit_s if index >= 0 else START_TIMEOUT_S
            limit += self._look.granted_s(granted_from, limit)
            # An idle worker's clock stands at the end of its last job, however long ago.
            since = max(began, self._asked_at) if index == IDLE else began
            left = since + limit - self._look.at
            if poller.poll(1000 * min(POLL_S, max(left, 0.001))):
                break
            # Read again: the worker may have moved on while we waited.
            if left <= 0 and PROGRESS.unpack(self._progress[: PROGRESS.size]) == (index, began):
                raise WorkerHungError(index)
        try:
            return json.loads(receive(self._channel))
        except (EOFError, OSError, ValueError):
            raise self._death() from None

    def _death(self) -> WorkerDiedError:
        process = self._process
        assert process is not None
        index, _ = PROGRESS.unpack(self._progress[: PROGRESS.size])
        try:
            status = process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return WorkerDiedError(index, "the connection broke")
        if status < 0:
            return WorkerDiedError(index, f"killed by {signal.Signals(-status).name}")
        return WorkerDiedError(index, f"exit status {status}")

    def _start(self) -> None:
        while not self._aborted:
            self._spawn()
            try:
                send(self._channel, pickle.dumps(self._setup))
                if fault := self._next_message():
                    self.stop()
                    raise UserError(f"reward workers cannot start: {fault}")
                self._start_failures = 0
                return
            except (WorkerDiedError, WorkerHungError, OSError) as error:
                self.stop()
                self._start_failures += 1
                if self._start_failures >= MAX_START_FAILURES:
                    raise self._cannot_start(error) from None
        raise PoolClosedError("the reward pool was closed while a worker started")

    def _cannot_start(self, error: Exception) -> UserError:
        """Return what to tell when no worker started; a silent one may only be slow."""
        plugins = ", ".join(self._setup.settings.plugins) or "none"
        imports = f"check that rewards.plugins ({plugins}) can be imported"
        if isinstance(error, WorkerHungError):
            return UserError(
                f"reward workers cannot start ({MAX_START_FAILURES} times nothing after "
                f"{START_TIMEOUT_S:g} s): this machine is too busy, or an import hangs. Wait until "
                f"less is running and start the same command again, which carries on; or {imports}."
            )
        return UserError(
            f"reward workers cannot start ({error}). Raise rewards.worker_memory_mb, and {imports}."
        )

    def _spawn(self) -> None:
        with _shared_memory() as shared:
            shared.write(PROGRESS.pack(IDLE, time.monotonic()))
            shared.flush()
            self._progress = mmap.mmap(shared.fileno(), PROGRESS.size)
            self._channel, theirs = socket.socketpair()
            with theirs:
                words = [str(theirs.fileno()), str(shared.fileno()), str(os.getpid())]
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "r1.rewards.worker", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), shared.fileno()),
                    env=_environment(),
                    start_new_session=True,
                )
        self._channel.settimeout(START_TIMEOUT_S)
        self._look = Look(time.monotonic())

    @property
    def _pid(self) -> int:
        assert self._process is not None
        return self._process.pid


def waited_s(pid: int) -> float:
    """Return the seconds in which a process could run and had no processor; 0 where unknown.

    Linux counts them for its first thread (Documentation/scheduler/sched-stats.rst).
    """
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return 0.0


def _shared_memory() -> IO[bytes]:
    """Return a file without a disk behind it where there is such a thing.

    A worker that writes into a page of a real file may have to wait until a busy disk has it.
    """
    if sys.platform == "linux":
        return open(os.memfd_create("r1-progress"), "w+b")
    return tempfile.TemporaryFile()


def _failed(reason: str) -> Score:
    return Score(0.0, Outcome.VERIFIER_FAILED, reason)


def _environment() -> dict[str, str]:
    """Return the parent's environment with its import path and single-threaded libraries."""
    source = str(Path(__file__).parents[2])
    paths = [source, *(path for path in sys.path if path)]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
