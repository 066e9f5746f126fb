"""Runs functions on several ranks (gloo), each rank a process forked from one that has no threads.

    python tests/rank_processes.py JOBS.json    [{"world": 2, "function": "module:name",
                                                  "arguments": {...}, "result": PATH}, ...]

A job's function is called on every rank as function(mesh, **arguments); rank 0's answer is saved.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import torch

import other_rounding

TESTS = Path(__file__).parent


class Job(NamedTuple):
    """function: "module:name" of a module in tests/; arguments: JSON-serialisable."""

    world: int
    function: str
    arguments: dict[str, Any]


def run_jobs(jobs: list[Job], folder: Path, timeout_s: float = 240.0) -> list[Any]:
    """Run jobs one after the other; return what rank 0 of each returned."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{**job._asdict(), "result": str(folder / f"{i}.pt")} for i, job in enumerate(jobs)]
    (folder / "jobs.json").write_text(json.dumps(rows))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(folder / "jobs.json")]
    done = subprocess.run(
        command, env=environment, timeout=timeout_s, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [torch.load(row["result"], weights_only=False) for row in rows]


def _rank(index: int, port: int, row: dict[str, Any]) -> None:
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    world = row["world"]
    store = dist.TCPStore("127.0.0.1", port, world, False, timedelta(seconds=60))
    dist.init_process_group(
        "gloo", store=store, rank=index, world_size=world, timeout=timedelta(seconds=60)
    )
    if other_rounding.wanted():
        other_rounding.OtherRounding().__enter__()
    module, name = row["function"].split(":")
    mesh = init_device_mesh("cpu", (world,))
    result = getattr(importlib.import_module(module), name)(mesh, **row["arguments"])
    if index == 0:
        torch.save(result, row["result"])
    dist.barrier()
    dist.destroy_process_group()


def main(path: str) -> None:
    import torch.distributed as dist

    for row in json.loads(Path(path).read_text()):
        importlib.import_module(row["function"].split(":")[0])  # once, before the fork
        store = dist.TCPStore("127.0.0.1", 0, row["world"], True, wait_for_workers=False)
        children = []
        for index in range(row["world"]):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    _rank(index, store.port, row)
                    status = 0
                except BaseException:
                    import traceback

                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            children.append(child)
        failed = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        if any(failed):
            sys.exit(f"a rank of {row['function']} failed: {failed}")


if __name__ == "__main__":
    main(sys.argv[1])
