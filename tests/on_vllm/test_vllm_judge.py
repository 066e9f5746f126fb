"""The generative judge asks a real server: vLLM's own, on a CPU, with a small random model.

Nothing a random model says is a verdict, so a JSON schema holds its hand (vLLM's structured
outputs). The nonce of a request cannot stand in a schema that is the same for all of them; one test
fixes it, the other sees that a made-up one is refused.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from r1.judge.judge import Judge
from r1.judge.settings import JudgeSettings
from r1.types import Outcome
from small_models import make_model, make_tokenizer

pytestmark = pytest.mark.vllm
NONCE = "0123456789abcdef01234567"
CHAT = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


class Server:
    """vLLM's OpenAI-compatible server in a process group of its own."""

    def __init__(self, folder: Path) -> None:
        make_model("qwen2", hidden_size=128, max_position_embeddings=8192).save_pretrained(folder)
        tokenizer = make_tokenizer()
        tokenizer.chat_template = CHAT
        tokenizer.save_pretrained(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.log = folder, folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = (
            "--served-model-name=judge --dtype=float32 --enforce-eager --block-size=32 "
            "--max-num-seqs=8 --kv-cache-memory-bytes=500000000 "
            f"--host=127.0.0.1 --port={self.port}"
        )
        program = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*program, f"--model={self.folder}", *options.split()],
                env=os.environ | {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, timeout_s: float = 300.0) -> None:
        assert self.process is not None
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        raise TimeoutError(self.log.read_text()[-3000:])

    def kill(self) -> None:
        """SIGKILL to all its processes; the shared memory they cannot remove any more goes too."""
        if self.process is None or self.process.poll() is not None:
            return
        segments = shared_memory_of(self.process.pid)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for segment in segments:
            segment.unlink(missing_ok=True)


def shared_memory_of(group: int) -> set[Path]:
    """The files of /dev/shm that the processes of a process group have mapped."""
    found: set[Path] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == group:
                lines = (folder / "maps").read_text().splitlines()
                found |= {Path(line.split()[-1]) for line in lines if "/dev/shm/" in line}
        except (ProcessLookupError, FileNotFoundError, PermissionError):
            continue
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("judge"))
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.kill()


def schema(nonce: dict[str, Any]) -> dict[str, Any]:
    """extra_body that has vLLM sample JSON of the judge's form only."""
    properties = {
        "nonce": {"type": "string"} | nonce,
        "analysis": {"type": "string", "pattern": "^[a-z ]{1,12}$"},
        "verdict": {"type": "string", "enum": ["correct", "incorrect"]},
    }
    form = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "schema": form, "strict": True},
        }
    }


def settings(server: Server, **changes: Any) -> JudgeSettings:
    values = {
        "base_url": f"http://127.0.0.1:{server.port}/v1",
        "model": "judge",
        "api_key_env": "",
        "temperature": 1.0,
        "max_tokens": 256,
        "malformed_retries": 1,
        "limits": {"concurrency": 2, "retries": 400, "backoff_s": 0.02},
    }
    return JudgeSettings.model_validate(values | changes)


def test_what_a_random_model_says_is_malformed_and_counted(server: Server) -> None:
    with Judge(settings(server)) as judge:
        judge.check()
        judgement = judge.grade("2+2?", "4", "4")
        counts = judge.take_counts()
    assert judgement.label is None
    assert judgement.as_score().outcome is Outcome.VERIFIER_FAILED
    assert counts.requests == 2
    assert sum(counts.malformed.values()) == 2
    assert set(counts.malformed) <= {"cut-off", "not-json", "empty"}
    assert counts.gave_up == {"malformed": 1}
    assert counts.usage.tokens_in > 2000  # as the server counted: a byte is a token here
    assert 0 < counts.usage.tokens_out <= 512


def test_a_made_up_nonce_is_no_verdict(server: Server) -> None:
    made_up = schema({"pattern": "^[0-9a-f]{24}$"})
    with Judge(settings(server, extra_body=made_up)) as judge:
        judgement = judge.grade("2+2?", "4", "4")
        assert judge.take_counts().malformed == {"wrong-nonce": 2}
    assert judgement.label is None


def test_the_server_is_killed_and_restarted(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge waits for the new server, loses nothing and asks nothing twice."""
    monkeypatch.setattr("r1.judge.asker.fresh_nonce", lambda task: NONCE)
    held = settings(server, extra_body=schema({"enum": [NONCE]}), cache=tmp_path / "judge.jsonl")
    cases = [(f"{n} + 1 = ?", str(n + 1), str(n + 1 + n % 2)) for n in range(6)]
    with Judge(held) as judge:
        first = judge.grade(*cases[0])
        assert first.label in ("correct", "incorrect")
        assert first.as_score().outcome in (Outcome.CORRECT, Outcome.WRONG)
        assert judge.take_counts().requests == 1
        futures = [judge.submit_grade(*case) for case in cases[1:]]
        server.kill()
        time.sleep(2.0)
        server.start()
        server.wait()
        labels = [future.result(timeout=120).label for future in futures]
        counts = judge.take_counts()
        again = [judge.grade(*case).label for case in cases]
        after = judge.take_counts()
    assert set(labels) <= {"correct", "incorrect"}
    assert set(counts.failures) & {"unreachable", "broken"}
    assert not counts.gave_up
    assert again == [first.label, *labels]
    assert (after.requests, after.from_cache) == (0, 6)
