"""What every request passes first: the token, the size and time of its body, and the clock."""

import asyncio
import hmac
import json
import time

from recbole_sam.serving.web.limits import Limits

OPEN = ("/", "/page.css", "/page.js")
"""The page itself, which holds no data: a browser cannot send a token for it."""
DRAINED = 64 << 20
"""Bytes of a body that is too large which are read and forgotten, so that its sender gets the answer."""
LOCAL = ("127.0.0.1", "localhost", "[::1]")


class Guard:
    """An ASGI application around another one.

    Args:
        app (callable): the ASGI application.
        limits (Limits): of a request.
        token (str or None): which every call has to bear.
        local (bool): whether only names of this machine are answered to, so that no foreign page reaches a
            server without a token by another name.
        measured (callable): told scope, status and seconds of every request.
    """

    def __init__(self, app, limits=None, token=None, local=False, measured=lambda *_: None):
        self._app, self._limits = app, limits or Limits()
        self._token, self._local, self._measured = token, local, measured

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status = time.perf_counter(), 500

        async def noted(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            headers = {name.lower(): value for name, value in scope["headers"]}
            refused = self._refused(scope["path"], headers)
            body, too_much = await self._body(receive)
            refused = refused or too_much
            if refused:
                await _answer(noted, *refused)
            else:
                await self._app(scope, _replayed(body, receive), noted)
        finally:
            self._measured(scope, status, time.perf_counter() - started)

    def _refused(self, path, headers):
        """Status and sentence for a request that is not answered, or None."""
        host = headers.get(b"host", b"").decode("latin-1").rpartition(":")
        host = host[0] if host[2].isdigit() and host[0] else "".join(host)
        if self._local and host.lower() not in LOCAL:
            return 421, f"This server answers to {', '.join(LOCAL)} only: see --host and --token-env."
        if path in OPEN:
            return None
        if headers.get(b"sec-fetch-site") == b"cross-site":
            return 403, "Another site's page may not ask this server."
        if self._token is not None:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                return 401, "Send the header `Authorization: Bearer <token>` with the server's token."
        return None

    async def _body(self, receive):
        """The body, or None and why not."""
        limit, parts, size = self._limits.body, [], 0
        ends = asyncio.get_running_loop().time() + self._limits.seconds
        while True:
            left = ends - asyncio.get_running_loop().time()
            try:
                message = await asyncio.wait_for(receive(), max(left, 0.001))
            except asyncio.TimeoutError:
                return None, (408, f"The request did not arrive within {self._limits.seconds:g} seconds.")
            if message["type"] != "http.request":
                return None, (400, "The request broke off.")
            size += len(message.get("body", b""))
            if size <= limit:
                parts.append(message.get("body", b""))
            if not message.get("more_body") or size > DRAINED:
                break
        if size > limit:
            return None, (413, f"The request is larger than {limit:,} bytes: send less at a time.")
        return b"".join(parts), None


def _replayed(body, receive):
    """A ``receive`` that gives a body that was read already."""
    given = False

    async def again():
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer(send, status, sentence):
    body = json.dumps({"error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
