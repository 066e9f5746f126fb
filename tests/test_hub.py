"""A hub id without a network ends in one message, soon; a server that answers is asked once."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from huggingface_hub import constants

from r1.errors import UserError
from r1.models import hub


@pytest.fixture
def endpoint(monkeypatch):
    """Set where the hub is; what is learnt of it is forgotten again."""

    def at(address: str) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", address)

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(hub, "PATIENCE_S", 1.0)
    hub._answers.cache_clear()
    yield at
    hub._answers.cache_clear()


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://no.such.host.invalid"])
def test_a_hub_id_that_cannot_be_had_is_refused_with_the_remedy(endpoint, address) -> None:
    endpoint(address)
    with pytest.raises(UserError, match="give its folder as model"):
        hub.require_hub("nobody/no-such-model")
    assert constants.HF_HUB_OFFLINE
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_server_that_never_answers_is_not_waited_for(endpoint) -> None:
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # listens, and accepts nobody
    endpoint(f"http://127.0.0.1:{server.server_port}")
    assert not hub.hub_is_reachable()
    server.server_close()


def test_any_answer_counts(endpoint) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint(f"http://127.0.0.1:{server.server_port}")
    hub.require_hub("nobody/no-such-model")
    assert not constants.HF_HUB_OFFLINE
    server.shutdown()
    server.server_close()


def test_a_model_in_the_cache_is_used_without_a_network(endpoint, monkeypatch) -> None:
    endpoint("http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: "/cache/config.json")
    hub.require_hub("somebody/model")
