"""Several engines behind one queue: the bytes of one engine, no engine idle, bounded work ahead."""

from __future__ import annotations

import random
import threading
import time

import pytest

from curation_world import FakeEngine, files_of, problems_of, random_text, sample_into, settings_of
from r1.errors import UserError
from r1.rollout.engine_pool import EnginePool, calls_ahead, capacity
from r1.rollout.protocol import EngineDiedError, FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.types import Completion, GroupRequest

SAMPLING = SamplingSettings()


class Timed:
    """An engine that takes delay_of(request) seconds a group."""

    def __init__(self, delay_of=lambda request: 0.0, text_of=random_text):
        self.delay_of, self.inner, self.closed = delay_of, FakeEngine(text_of), threading.Event()
        self.groups = []

    @property
    def calls(self):
        return self.inner.calls

    def generate(self, requests, sampling):
        for group in self.inner.generate(requests, sampling):
            if self.closed.wait(self.delay_of(group.request)):
                raise RuntimeError("closed")
            self.groups.append(group.request.id)
            yield group

    def close(self):
        self.closed.set()


def pool_of(engines, max_batch=24, **more):
    return EnginePool(engines, None, 7, max_batch, **more)


def requests(names, samples=2):
    return [GroupRequest(f"r-{name}", (1, 2), tuple(range(samples))) for name in names]


def uneven(request):
    return random.Random(request.id).choice([0.0, 0.0, 0.01])


@pytest.mark.parametrize("number", [1, 2, 5])
def test_rejection_sampling_writes_the_bytes_of_one_engine(tmp_path, number):
    sample_into(tmp_path / "one", problems_of(70), settings_of())
    pool = pool_of([Timed(uneven) for _ in range(number)])
    sample_into(tmp_path / "many", problems_of(70), settings_of(), pool)
    pool.close()
    assert files_of(tmp_path / "many") == files_of(tmp_path / "one")
    asked = sorted(name for engine in pool._engines for name in engine.groups)
    assert asked == sorted(problem.id for problem in problems_of(70)), "each once"
    assert all(engine.calls for engine in pool._engines)


class StopError(Exception):
    """What stands for an interruption."""


class Stopping:
    """Progress that interrupts after some records."""

    def __init__(self, after):
        self.left = after

    def begin(self, done, total): ...

    def advance(self, record):
        self.left -= 1
        if not self.left:
            raise StopError

    def end(self): ...


@pytest.mark.parametrize("resume", ["call", "prompt"])
def test_interrupted_with_windows_open_it_carries_on_with_other_engines(tmp_path, resume):
    settings = settings_of(call={"prompts": 8, "resume": resume})
    sample_into(tmp_path / "one", problems_of(60), settings_of(call={"prompts": 8}))
    for engines, after in ((3, 5), (1, 11), (4, 17), (2, None)):
        pool = pool_of([Timed(uneven) for _ in range(engines)])
        try:
            progress = Stopping(after) if after else None
            sample_into(tmp_path / "many", problems_of(60), settings, pool, progress=progress)
        except StopError:
            assert after
        pool.close()
        asked = [name for engine in pool._engines for name in engine.groups]
        assert len(asked) == len(set(asked))
    assert len(asked) == (27 if resume == "prompt" else 28), "33 were journalled before"
    assert files_of(tmp_path / "many") == files_of(tmp_path / "one")


def cut(request, seed):
    return "cut", "length"


def test_a_group_that_hangs_stops_nothing_else_and_only_so_much_is_begun(tmp_path):
    """One engine hangs in the first window; the other works off what may be open, and no more."""
    release = threading.Event()

    def delay(request):
        if request.id == "sums-0":
            release.wait(20)
        return 0.0

    engines = [Timed(delay, cut), Timed(delay, cut)]
    pool = pool_of(engines)
    settings = settings_of(call={"prompts": 4}, num_samples=6)
    ahead = calls_ahead(capacity(pool), 4 * 6)
    assert ahead == 3  # 48 samples at once fill two windows, one more covers their ends
    job = threading.Thread(target=sample_into, args=(tmp_path, problems_of(40), settings, pool))
    job.start()
    open_at_once = 4 * (ahead + 1)
    stuck = set()

    def done():
        return {name for engine in engines for name in engine.groups}

    end = time.monotonic() + 60
    while time.monotonic() < end:
        stuck = {name for call in [c for e in engines for c in e.calls] for name in call} - done()
        if len(done() | stuck) == open_at_once and stuck and "sums-0" in stuck:
            break
        time.sleep(0.01)
    time.sleep(0.1)
    begun = {name for engine in engines for call in engine.calls for name in call}
    assert begun == {f"sums-{i}" for i in range(open_at_once)}
    assert len(done()) >= open_at_once - 2, "all but the call that hangs"
    release.set()
    job.join(20)
    assert len(done()) == 40
    pool.close()


def test_calls_follow_from_the_requests_alone():
    engines = [Timed(), Timed(), Timed()]
    pool = pool_of(engines, max_batch=4)
    for number in (1, 7, 50):
        list(pool.generate(requests(range(number)), SAMPLING))
    pool.close()
    sizes = sorted(len(call) for engine in engines for call in engine.calls)
    # 7 over three engines: 3, 3, 1; 50: four batches of two groups at most
    assert sizes == sorted([1, 3, 3, 1, 8, 8, 8, 8, 8, 8, 2])


def test_an_error_reaches_who_asked_and_nobody_else():
    def text(request, seed):
        if request.id == "r-bad":
            raise UserError("problem r-bad: too long")
        return "fine", "stop"

    engines = [Timed(text_of=text), Timed(text_of=text)]
    pool = pool_of(engines)
    good = pool.generate(requests(range(6)), SAMPLING)
    bad = pool.generate(requests(["bad"]), SAMPLING)
    after = pool.generate(requests(range(3)), SAMPLING)
    with pytest.raises(UserError, match="r-bad: too long"):
        list(bad)
    assert len(list(good)) == 6
    assert sorted(group.request.id for group in after) == ["r-0", "r-1", "r-2"]
    assert list(pool.generate([], SAMPLING)) == []
    stream = pool.stream([1, 2], SAMPLING, 3)
    assert next(stream) == "fine"
    with pytest.raises(StopIteration, match="stop"):
        next(stream)
    with pytest.raises(NotImplementedError):
        pool.load_weights([], 1)
    pool.close()


class Mortal(Timed):
    """An engine that dies for good after some groups."""

    def __init__(self, after):
        super().__init__(uneven)
        self.left = after

    def generate(self, requests, sampling):
        for group in super().generate(requests, sampling):
            if not self.left:
                raise EngineDiedError("its node is gone")
            self.left -= 1
            yield group


def test_the_others_take_over_what_a_lost_engine_owes(tmp_path, caplog):
    sample_into(tmp_path / "one", problems_of(70), settings_of())
    lost = [Mortal(3), Mortal(17)]
    pool = pool_of([lost[0], Timed(uneven), lost[1]])
    sample_into(tmp_path / "many", problems_of(70), settings_of(), pool)
    assert files_of(tmp_path / "many") == files_of(tmp_path / "one")
    assert [engine.left for engine in lost] == [0, 0]
    told = [record.getMessage() for record in caplog.records]
    assert [message.partition("; ")[0] for message in told] == ["its node is gone"] * 2
    assert "the other 2 take over" in told[0]
    assert "the other 1 take over" in told[1]
    pool.close()


def test_only_the_last_engine_s_loss_ends_the_work_and_all_of_it(tmp_path):
    pool = pool_of([Mortal(2), Mortal(4)], groups_per_call=3)
    found = []
    begun = [pool.generate(requests(range(9)), SAMPLING) for _ in range(3)]
    for asked in begun:
        with pytest.raises(UserError, match="every engine is lost: its node is gone"):
            found.extend(group.request.id for group in asked)
    with pytest.raises(UserError, match="every engine is lost"):
        next(pool.generate(requests(range(3)), SAMPLING))
    pool.close()


def test_a_loss_that_closing_causes_is_no_warning(caplog):
    class Closing(Timed):
        def generate(self, requests, sampling):
            self.closed.wait(10)
            raise EngineDiedError("closed")
            yield

    pool = pool_of([Closing(), Closing()])
    waiting = pool.generate(requests(range(4)), SAMPLING)
    threading.Timer(0.1, pool.close).start()
    with pytest.raises(RuntimeError, match="closed"):
        next(waiting)
    pool.close()
    assert not caplog.records


def test_what_was_dropped_half_way_is_not_sampled():
    engine = Timed(lambda request: 0.001)
    pool = pool_of([engine], groups_per_call=1)
    asked = pool.generate(requests(range(200)), SAMPLING)
    next(asked)
    asked.close()
    assert len(list(pool.generate(requests([500]), SAMPLING))) == 1
    assert len(engine.calls) < 200
    pool.close()


def test_closing_ends_whoever_waits():
    engine = Timed(lambda request: 30.0)
    pool = pool_of([engine], groups_per_call=2)
    waiting = pool.generate(requests(range(4)), SAMPLING)
    later = pool.generate(requests(range(4)), SAMPLING)
    threading.Timer(0.1, pool.close).start()
    for asked in (waiting, later):
        with pytest.raises(RuntimeError, match="closed"):
            next(asked)


def test_windows_ahead_fill_the_engines():
    assert calls_ahead(0, 100) == 0
    assert capacity(FakeEngine(random_text)) == 0
    assert calls_ahead(1024, 4096) == 2
    assert calls_ahead(8 * 512, 256 * 4) == 5


def test_groups_pass_through_unchanged():
    class One:
        def generate(self, requests, sampling):
            for request in requests:
                yield FinishedGroup(request, [Completion([request.seeds[0]], [-0.5], "x", "stop")])

        def close(self): ...

    pool = pool_of([One(), One()])
    given = requests(range(5))
    found = list(pool.generate(given, SAMPLING))
    assert {group.request.id: group.request for group in found} == {r.id: r for r in given}
    assert all(group.completions[0].logprobs == [-0.5] for group in found)
    pool.close()
