"""Where the ranks' gloo listens: on the interface that Ray's nodes reach."""

from __future__ import annotations

import os
import sys

import pytest

from r1.cluster.network import VARIABLE, interface_of, listen_where_ray_does


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's names of interfaces")
def test_gloo_listens_where_ray_does(monkeypatch) -> None:
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("192.0.2.77") is None  # nobody's, by RFC 5737
    monkeypatch.delenv(VARIABLE, raising=False)
    listen_where_ray_does("192.0.2.77")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "eth7")
        listen_where_ray_does("127.0.0.1")
        assert os.environ[VARIABLE] == "eth7"  # the user's own stays
    listen_where_ray_does("127.0.0.1")
    assert os.environ.pop(VARIABLE) == "lo"
