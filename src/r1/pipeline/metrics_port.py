"""The newest metrics of a run or pipeline in Prometheus' text format: `r1 run --metrics-port`.

    r1_step{stage}                      steps committed; r1_num_steps{stage}, of how many
    r1_last_step_timestamp_seconds{stage}   when, for an alert where a run stands still
    r1_step_seconds{stage, phase}       seconds/PHASE of the newest step
    r1_tokens_per_second{stage, of}     speed/...
    r1_busy_share{stage, who}           busy/...
    r1_queue_groups{stage, at}          queue/..., the deepest of the step
    r1_reward{stage, part}              mean reward ("total") and its parts
    r1_outcome{stage, outcome}          samples of the step by the verifier's outcome
    r1_events_total{stage, event}       pool/... (restarts, outcomes), summed since the start
    r1_metric{stage, name}              every other metric of the step
    r1_evaluation{stage, measure}       the newest evaluation on held-out problems

Served by the driver, whether it works alone or with a cluster. Left out on purpose: history (that
is Prometheus' own work; metrics.jsonl has a run's), and what Ray's nodes do (Ray serves that).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from r1.errors import UserError, install_extra

FAMILIES = {
    "seconds/": ("r1_step_seconds", "phase", "seconds of the newest step by phase"),
    "speed/": ("r1_tokens_per_second", "of", "tokens a second in the newest step"),
    "busy/": ("r1_busy_share", "who", "share of the newest step in which it was busy"),
    "queue/": ("r1_queue_groups", "at", "groups that waited in the newest step, at the most"),
    "reward/": ("r1_reward", "part", "mean reward of the newest step"),
    "outcome/": ("r1_outcome", "outcome", "samples of the newest step by outcome"),
}
OTHER = ("r1_metric", "name", "metrics of the newest step")


@dataclass
class _Stage:
    """The known figures of one stage."""

    step: int = 0
    num_steps: int = 0
    when: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    evaluation: dict[str, float] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)


class MetricsPort:
    """A web server in its own thread, as a context manager.

    where: a port on this machine alone, or HOST:PORT (0.0.0.0:9400: on all its addresses). Raises
    UserError for anything else, for a port in use and where prometheus_client is missing.
    """

    def __init__(self, where: str) -> None:
        host, port = _address(where)
        try:
            from prometheus_client import CollectorRegistry, start_http_server
        except ImportError:
            raise UserError(
                f"--metrics-port needs prometheus_client: {install_extra('metrics')}."
            ) from None
        self._lock = threading.Lock()
        self._stages: dict[str, _Stage] = {}
        registry = CollectorRegistry()
        registry.register(self)  # type: ignore[arg-type]  # anything with collect()
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise UserError(
                f"--metrics-port {where}: port {port} of {host} cannot be served "
                f"({error.strerror}); give another port."
            ) from None
        self.port = int(self._server.server_port)

    def __enter__(self) -> MetricsPort:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def begin(self, stage: str, first_step: int, num_steps: int) -> None:
        """A stage begins, or resumes at first_step."""
        with self._lock:
            self._stages[stage] = _Stage(first_step, num_steps, time.time())

    def step(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """A step was committed."""
        with self._lock:
            known = self._stages.setdefault(stage, _Stage())
            known.step, known.when = step + 1, time.time()
            known.metrics = _numbers(metrics)
            for name, number in known.metrics.items():
                if name.startswith("pool/"):
                    known.events[name.removeprefix("pool/")] += number  # type: ignore

    def evaluation(self, stage: str, step: int, summary: Mapping[str, Any]) -> None:
        """An evaluation was committed; intervals become their value."""
        values = {
            name: value.get("value") if isinstance(value, Mapping) else value
            for name, value in summary.items()
        }
        with self._lock:
            known = self._stages.setdefault(stage, _Stage())
            known.evaluation = {**_numbers(values), "step": float(step)}

    def collect(self) -> Iterator[Any]:
        """Return the metrics; prometheus_client's registry calls this at every scrape."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        with self._lock:
            stages = {name: _frozen(stage) for name, stage in self._stages.items()}
        gauges: dict[str, Any] = {}

        def put(name: str, about: str, stage: str, label: tuple[str, str], value: float) -> None:
            labels = ["stage", label[0]] if label[0] else ["stage"]
            if name not in gauges:
                gauges[name] = GaugeMetricFamily(name, about, labels=labels)
            gauges[name].add_metric([stage, label[1]] if label[0] else [stage], value)

        events = CounterMetricFamily("r1_events", "pool/... summed", labels=["stage", "event"])
        for stage, known in stages.items():
            put("r1_step", "steps committed", stage, ("", ""), known.step)
            put("r1_num_steps", "steps of the stage", stage, ("", ""), known.num_steps)
            last = "r1_last_step_timestamp_seconds"
            put(last, "when the newest step was committed", stage, ("", ""), known.when)
            for name, value in known.metrics.items():
                if not name.startswith("pool/"):
                    family, label, about, short = _family(name)
                    put(family, about, stage, (label, short), value)
            for name, value in known.evaluation.items():
                put("r1_evaluation", "newest evaluation", stage, ("measure", name), value)
            for event, number in known.events.items():
                events.add_metric([stage, event], number)
        yield from gauges.values()
        yield events


def _family(name: str) -> tuple[str, str, str, str]:
    """Return a metric's family in Prometheus, its label, its description, and the label's value."""
    if name == "reward":
        return (*FAMILIES["reward/"], "total")
    prefix = next((p for p in FAMILIES if name.startswith(p)), "")
    return (*(FAMILIES[prefix] if prefix else OTHER), name.removeprefix(prefix))


def _frozen(stage: _Stage) -> _Stage:
    return _Stage(
        stage.step,
        stage.num_steps,
        stage.when,
        dict(stage.metrics),
        dict(stage.evaluation),
        Counter(stage.events),
    )


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    numbers = {name: v for name, v in values.items() if isinstance(v, int | float)}
    return {name: float(value) for name, value in numbers.items()}


def _address(where: str) -> tuple[str, int]:
    host, _, port = where.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise UserError(f"--metrics-port {where!r} is no port; give 9400, or 0.0.0.0:9400, say.")
    return host or "127.0.0.1", int(port)
