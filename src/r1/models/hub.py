"""Test once, for a few seconds, whether the Hugging Face Hub can be reached (torch-free).

The Hub's client tries each of many files several times with growing waits: without a network, its
error message takes a minute.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path

from r1.errors import SettingError
from r1.models.catalogue import missing_hint

PATIENCE_S = 5.0


def require_hub(model: str) -> None:
    """Raise SettingError if a hub id is neither cached nor available from the Hub."""
    from huggingface_hub import try_to_load_from_cache

    if hub_is_reachable():
        return
    if isinstance(try_to_load_from_cache(model, "config.json"), str):
        return
    parent, hint = Path(model).parent, missing_hint(model)
    if parent.is_dir() or hint:
        raise SettingError(
            f'model "{model}" does not exist: {parent} holds no such folder. Check the name'
            + (f".{hint}" if hint else "; if it is a hub id, connect to the Hugging Face Hub.")
        )
    raise SettingError(
        f'model "{model}" is no folder here, is not in the cache, and the Hugging Face Hub cannot '
        "be reached. Connect, or download the model elsewhere and give its folder as model."
    )


def hub_is_reachable() -> bool:
    """Whether the Hub answers; if not, its client uses the cache alone."""
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return False
    if not _answers(constants.ENDPOINT):
        constants.HF_HUB_OFFLINE = True
        os.environ["HF_HUB_OFFLINE"] = "1"  # for processes that this one starts
        return False
    return True


@cache
def _answers(endpoint: str) -> bool:
    """Whether the Hub gives any answer. Runs in a thread: name lookup may take longer than a
    request may."""
    import urllib.error
    import urllib.request

    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(endpoint, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=PATIENCE_S).close()
        except urllib.error.HTTPError:
            pass
        except OSError:
            return
        answered.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    return answered.is_set()
