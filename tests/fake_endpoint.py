"""An OpenAI-compatible endpoint on 127.0.0.1 that misbehaves as it is told; standard library only.

    with FakeEndpoint(["429", "ok"]) as endpoint:   # in turn, then "ok" for ever
        JudgeSettings(base_url=endpoint.base_url, ...)

It counts every request. top: from a prompt to its first token's alternatives, each with its
log-probability, where the request asks for them. Its verdicts come from `brain`, a function from
the prompt to the reply's text; by default an honest judge that finds the answer correct where it
equals the reference. Or `complete` makes whole completions, from the request's fields.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "test-key-of-nobody"
MODEL = "fake-judge"
_BLOCK = r"^\[\[(?P<nonce>[0-9a-f]{24}) DATA %s\]\]\n(?P<text>.*?)\n\[\[(?P=nonce) END %s\]\]$"


def nonce_of(prompt: str) -> str:
    """The nonce of a prompt, from its first fence."""
    return re.match(r"\[\[([0-9a-f]{24}) DATA ", prompt)[1]


def data_of(prompt: str, name: str) -> str:
    """A block of data, without its quoting."""
    found = re.search(_BLOCK % (name, name), prompt, re.MULTILINE | re.DOTALL)
    return "\n".join(line.removeprefix("| ") for line in found["text"].split("\n"))


def reply_json(prompt: str, verdict: str, analysis: str = "as I see it") -> str:
    """A well-formed reply."""
    return json.dumps({"nonce": nonce_of(prompt), "analysis": analysis, "verdict": verdict})


def honest(prompt: str) -> str:
    """Correct where the answer is the reference."""
    right = data_of(prompt, "answer").strip() == data_of(prompt, "reference").strip()
    return reply_json(prompt, "correct" if right else "incorrect")


@dataclass(frozen=True)
class Raw:
    """An answer byte for byte. drip_s: the pause before each byte of the body; 0 sends it whole."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    drip_s: float = 0.0


class FakeEndpoint:
    """A server in a thread. behaviours: what to do with chat requests 0, 1, 2, …; a Raw is sent
    as it stands, and a word means:

    ok · 429 (Retry-After: retry_after) · 500 · 503 · 400 · 401 · 403 · 404 · truncated (JSON cut
    short) · broken (the connection ends in mid-body) · schema (other JSON) · hang (silence until
    the server closes) · malformed (a reply that is no verdict) · slow (ok after 0.2 s)
    """

    def __init__(
        self,
        behaviours: Sequence[str | Raw] = (),
        brain: Callable[[str], str] = honest,
        *,
        models: Sequence[str] | None = (MODEL,),
        retry_after: str = "0.05",
        top: Callable[[str], dict[str, float]] | None = None,
        complete: Callable[[dict], dict] | None = None,
    ) -> None:
        self.complete = complete
        self.behaviours = list(behaviours)
        self.brain = brain
        self.top = top
        self.models = models
        self.retry_after = retry_after
        self.served: Counter[str | Raw] = Counter()
        self.times: list[float] = []
        self.bodies: list[dict] = []
        self.num_now = 0
        self.most_at_once = 0
        self.released = threading.Event()
        self.lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), _handler(self))
        self.base_url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    @property
    def num_requests(self) -> int:
        """Chat requests so far."""
        return sum(self.served.values())

    def __enter__(self) -> FakeEndpoint:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def next_behaviour(self, body: dict) -> str | Raw:
        with self.lock:
            number = self.num_requests
            told = self.behaviours[number] if number < len(self.behaviours) else "ok"
            self.served[told] += 1
            self.bodies.append(body)
            self.times.append(time.monotonic())
            return told


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


def _handler(endpoint: FakeEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if not self._has_key():
                return
            if self.path != "/v1/models" or endpoint.models is None:
                self._send(404, {"error": {"message": "no such page"}})
                return
            self._send(200, {"object": "list", "data": [{"id": m} for m in endpoint.models]})

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            if not self._has_key():
                return
            if self.path != "/v1/chat/completions":
                self._send(404, {"error": {"message": "no such page"}})
                return
            told = endpoint.next_behaviour(body)
            with endpoint.lock:
                endpoint.num_now += 1
                endpoint.most_at_once = max(endpoint.most_at_once, endpoint.num_now)
            try:
                self._act(told, body)
            finally:
                with endpoint.lock:
                    endpoint.num_now -= 1

        def _act(self, told: str | Raw, body: dict) -> None:
            if isinstance(told, Raw):
                self._send_raw(told)
                return
            if told == "hang":
                endpoint.released.wait(60)
                self.close_connection = True
                return
            if told == "slow":
                time.sleep(0.2)
            if told.isdigit():
                wait = {"Retry-After": endpoint.retry_after} if told == "429" else {}
                self._send(int(told), {"error": {"message": f"told to say {told}"}}, wait)
                return
            if endpoint.models is not None and body["model"] not in endpoint.models:
                self._send(404, {"error": {"message": "no such model"}})
                return
            if told == "schema":
                self._send(200, {"object": "something.else", "choices": []})
                return
            if endpoint.complete is not None:
                self._send(200, endpoint.complete(body), cut=told)
                return
            prompt = body["messages"][-1]["content"]
            content = "I think it is correct!" if told == "malformed" else endpoint.brain(prompt)
            choice = {"message": {"content": content}, "finish_reason": "stop"}
            if endpoint.top is not None and body.get("logprobs"):
                pairs = endpoint.top(prompt).items()
                top = [{"token": token, "logprob": logprob} for token, logprob in pairs]
                choice["logprobs"] = {"content": [{"top_logprobs": top}]}
            completion = {
                "choices": [choice],
                "usage": {"prompt_tokens": 100, "completion_tokens": 20},
            }
            self._send(200, completion, cut=told)

        def _send_raw(self, told: Raw) -> None:
            self.send_response(told.status)
            for name, value in told.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            if not told.drip_s:
                self.wfile.write(told.body)
                return
            for byte in told.body:
                if endpoint.released.wait(told.drip_s):
                    return
                self.wfile.write(bytes([byte]))

        def _has_key(self) -> bool:
            if self.headers.get("Authorization") == f"Bearer {KEY}":
                return True
            self._send(401, {"error": {"message": f"bad key {self.headers['Authorization']}"}})
            return False

        def _send(
            self, status: int, body: dict, headers: dict | None = None, cut: str = ""
        ) -> None:
            data = json.dumps(body).encode()
            if cut == "truncated":
                data = data[: len(data) // 2]
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if cut == "broken":
                data = data[: len(data) // 2]
                self.close_connection = True
            self.wfile.write(data)

    return Handler
