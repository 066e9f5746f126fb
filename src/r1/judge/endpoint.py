"""An OpenAI-compatible endpoint: one POST per prompt, and the meaning of each failure.

    reply                                         a Reply with its tokens
    408 409 425 429 5xx, silence, broken JSON     try again, after Retry-After where it is given
    3xx                                           no prompt can be answered: UserError
    400 413 422, ...                              this prompt cannot be answered: no further try
    401 402, quota used up                        no prompt can be answered: UserError
    403 404                                       likewise, unless prompts were answered before:
                                                  then 403 is moderation and 404 a stumble

Plain HTTP rather than the openai client: its own retries and parsing would hide what the counts
must tell, and its import takes a second. Redirects are not followed: they would carry the key.
Nothing an endpoint says is trusted: its texts pass the scrubber (r1.judge.scrub) before they are
cut or kept, its numbers are bounded, and no compression is accepted, since a few compressed
kilobytes can stand for gigabytes.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from r1.errors import UserError
from r1.judge.http_reply import (
    MAX_WORDS_CHARS,
    error_words,
    model_names,
    read_replies,
    retry_after_s,
)
from r1.judge.model import NoReplyError, Reply
from r1.judge.scrub import MIN_PIECE, KeyScrubber
from r1.judge.settings import EndpointSettings

if TYPE_CHECKING:
    import httpx2

CHECK_TIMEOUT_S = 8.0
MAX_REPLY_BYTES = 8 * 2**20
_AGAIN = frozenset({408, 409, 425, 429})
_HOPELESS = frozenset({401, 402})
_HOPELESS_AT_FIRST = frozenset({403, 404})
_QUOTA = ("insufficient_quota", "billing", "credit balance")


class Endpoint:
    """A ChatModel over HTTP.

    Raises UserError on construction if the key is missing, or is in the settings, which a run
    stores and shows.
    """

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings
        self._key = _read_key(settings)
        _check_not_written(self._key, settings)
        self._scrub = KeyScrubber(self._key)
        self._client: httpx2.AsyncClient | None = None
        self._ever_answered = False
        self._body = settings.sampling()
        self._words = settings.words
        self._whose = f"{settings.words.owner}'s endpoint"
        self.identity: dict[str, Any] = self._body

    async def ask(self, prompt: str) -> Reply:
        """Return the endpoint's reply to a prompt."""
        [reply, *_] = await self.ask_all(
            {"messages": [{"role": "user", "content": prompt}]}, prompt
        )
        return reply

    async def ask_all(self, fields: dict[str, Any], prompt: str) -> list[Reply]:
        """Send more fields of a request, messages among them; return every choice.

        prompt: what is asked, for an estimate of its tokens where the endpoint does not count.
        """
        status, headers, text = await self._request("POST", "chat/completions", self._body | fields)
        if status != 200:
            raise self._failure(status, headers, text)
        replies = read_replies(text, prompt, self._scrub)
        self._ever_answered = True
        return replies

    async def check(self) -> None:
        """Raise UserError if the endpoint, the key or the model cannot work.

        The list of models is free; where it does not settle the matter, one request for a few
        tokens does.
        """
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self._check()
        except TimeoutError:
            raise UserError(
                f"{self._whose} {self._settings.base_url} did not answer within "
                f"{CHECK_TIMEOUT_S:g} s; see that the server runs and {self._words.address} is "
                "right."
            ) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _check(self) -> None:
        try:
            status, headers, text = await self._request("GET", "models", None)
        except NoReplyError as error:
            reached = error.cause not in ("unreachable", "timeout")
            raise UserError(
                f"{self._whose} {self._settings.base_url} cannot be "
                f"{'used' if reached else 'reached'} ({error}); see that the server runs and "
                f"{self._words.address} is right."
            ) from None
        if status in (401, 403):
            raise self._hopeless(status, text)
        if 300 <= status < 400:
            raise self._moved(status, headers)
        known = model_names(text) if status == 200 else []
        if self._settings.model in known:
            return
        body = self._body | {
            "messages": [{"role": "user", "content": "Say yes."}],
            self._settings.token_limit_name: 16,
        }
        try:
            status, headers, text = await self._request("POST", "chat/completions", body)
        except NoReplyError:
            return  # it was reached a moment ago; a stumble is what retries are for
        if status == 200:
            self._check_completion(text)
            return
        failure = self._failure(status, headers, text, known)
        if isinstance(failure, NoReplyError) and not failure.again:
            raise self._hopeless(status, text, known)
        if isinstance(failure, UserError):
            raise failure

    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> tuple[int, Any, str]:
        """Return status, headers and text. Raises NoReplyError if there is no whole answer."""
        import httpx2

        if self._client is None:
            self._client = self._connect()
        address = f"{self._settings.base_url.rstrip('/')}/{path}"
        try:
            async with (
                asyncio.timeout(self._settings.limits.timeout_s),
                self._client.stream(method, address, json=body) as response,
            ):
                coding = response.headers.get("content-encoding", "identity").strip().lower()
                if coding not in ("", "identity"):
                    what = f"the reply is compressed ({self._shown(coding)}), which was not asked"
                    raise NoReplyError("compressed", what, maybe_billed=True)
                data = bytearray()
                async for piece in response.aiter_raw():
                    data += piece
                    if len(data) > MAX_REPLY_BYTES:
                        what = f"the reply is longer than {MAX_REPLY_BYTES >> 20} MiB"
                        raise NoReplyError("oversized", what, maybe_billed=True)
                return response.status_code, response.headers, data.decode("utf-8", "replace")
        except TimeoutError:
            limit = self._settings.limits.timeout_s
            detail = f"no reply within {limit:g} s"
            raise NoReplyError("timeout", detail, maybe_billed=True) from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise NoReplyError("unreachable", self._says(error)) from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as error:
            raise UserError(
                f"{self._whose} {self._settings.base_url} is no address "
                f"({self._says(error)}); see {self._words.address}."
            ) from None
        except (httpx2.HTTPError, OSError) as error:
            raise NoReplyError("broken", self._says(error), maybe_billed=True) from None

    def _connect(self) -> httpx2.AsyncClient:
        import httpx2

        most = self._settings.limits.concurrency
        return httpx2.AsyncClient(
            headers={"Accept-Encoding": "identity"}
            | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            timeout=httpx2.Timeout(None, connect=min(10.0, self._settings.limits.timeout_s)),
            limits=httpx2.Limits(max_connections=most, max_keepalive_connections=most),
            follow_redirects=False,
            verify=urlsplit(self._settings.base_url).scheme != "http",  # none are read in vain
        )

    def _failure(
        self, status: int, headers: Any, text: str, known: list[str] | None = None
    ) -> Exception:
        """Return the error for a status other than 200. known: the models that the endpoint
        serves."""
        exhausted = status == 429 and any(word in text for word in _QUOTA)
        at_first = status in _HOPELESS_AT_FIRST and not self._ever_answered
        if 300 <= status < 400:
            return self._moved(status, headers)
        if status in _HOPELESS or exhausted or at_first:
            return self._hopeless(status, text, known)
        detail = f"status {status}: {self._shown(text)}"
        if status in _AGAIN or status >= 500 or status == 404:
            wait = retry_after_s(headers.get("retry-after"), time.time())
            return NoReplyError(str(status), detail, retry_after_s=wait)
        return NoReplyError(str(status), detail, again=False)

    def _hopeless(self, status: int, text: str, known: list[str] | None = None) -> UserError:
        """Return the error that the user must fix."""
        address, model = self._settings.base_url, self._settings.model
        said = f"status {status}: {self._shown(text)}"
        if status in (401, 403):
            name = self._settings.api_key_env
            given = f"the key in {name}" if name else 'a request without key (api_key_env is "")'
            return UserError(f"{self._whose} {address} refuses {given} ({said}).")
        if status in (402, 429):
            return UserError(f"{self._whose} {address} asks for payment ({said}).")
        if status == 404:
            near = difflib.get_close_matches(model, known or [], n=1, cutoff=0.4)
            hint = f" Did you mean {self._shown(near[0])!r}?" if near else ""
            return UserError(
                f"{self._whose} {address} does not serve model {model!r} ({said}).{hint} "
                f"See {self._words.model}; the address mostly ends in /v1."
            )
        return UserError(
            f"{self._whose} {address} refuses a request for model {model!r} ({said}); see "
            f"the sampling, token_limit_name and extra_body of {self._words.section}."
        )

    def _moved(self, status: int, headers: Any) -> UserError:
        """Return the error for a redirect; the key must not follow it."""
        there = self._shown(headers.get("location") or "nowhere")
        return UserError(
            f"{self._whose} {self._settings.base_url} redirects to {there} (status "
            f"{status}), and the key is not sent on; set {self._words.address} to where the "
            "endpoint is."
        )

    def _check_completion(self, text: str) -> None:
        """Raise UserError if the content with status 200 is no completion (a web page)."""
        try:
            read_replies(text, "", self._scrub)
        except NoReplyError as error:
            raise UserError(
                f"{self._whose} {self._settings.base_url} answers, but {error} "
                f"({self._shown(text)}); see {self._words.address}, which mostly ends in /v1."
            ) from None

    def _shown(self, text: str) -> str:
        """Return the endpoint's error message, scrubbed, then shortened."""
        words = " ".join(self._scrub(error_words(text)).split())
        return words[:MAX_WORDS_CHARS] or "no explanation"

    def _says(self, error: Exception) -> str:
        """Return an HTTP client's message, scrubbed: it may quote the endpoint."""
        return self._shown(str(error) or type(error).__name__)


def _read_key(settings: EndpointSettings) -> str | None:
    name, words = settings.api_key_env, settings.words
    if not name:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise UserError(
            f"{words.owner} needs a key: the environment variable {name} is not set. Set it, or "
            f'name another as {words.section}.api_key_env ("" for a server that needs no key).'
        )
    if not key.isascii() or not key.isprintable():
        raise UserError(f"the environment variable {name} holds no key: odd characters are in it.")
    return key


def _check_not_written(key: str | None, settings: EndpointSettings) -> None:
    """Raise UserError if the key itself is written in the recipe."""
    if key and len(key) >= MIN_PIECE and key in settings.model_dump_json():
        raise UserError(
            f"{settings.words.section} holds the key that {settings.api_key_env} names; take it "
            "out of the recipe, which is kept in the run's folder: the variable is enough."
        )
