"""A server on 127.0.0.1 that sends exactly the given bytes, also what no library would write."""

import socket
import struct
import threading
import time
from collections import Counter


class RawServer:
    """Runs in threads of its own; use as a context manager.

    Args:
        script (callable): from the request's body (bytes) to the bytes to send. ``None`` breaks the
            connection without a word; a tuple of bytes and a number sends the bytes, waits that many seconds,
            and breaks it.
            A response with ``Connection: close`` ends it in order.
    """

    def __init__(self, script):
        self.script = script
        self.asked = Counter()
        """Bodies that arrived."""
        self.heads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._listener.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection:
            try:
                while True:
                    head, body = self._request(connection)
                    if head is None:
                        return
                    self.heads.append(head)
                    self.asked[body] += 1
                    answer = self.script(body)
                    data, wait = (
                        answer if isinstance(answer, tuple) else (answer, 0.0 if answer is None else None)
                    )
                    if data:
                        connection.sendall(data)
                    if wait is not None:  # then reset: whoever waits hears of it at once
                        time.sleep(wait)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    if b"Connection: close" in data:
                        return
            except OSError:
                return

    @staticmethod
    def _request(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            block = connection.recv(65536)
            if not block:
                return None, None
            data += block
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(body) < length:
            block = connection.recv(65536)
            if not block:
                return None, None
            body += block
        return head, body


def response(status=200, body=b"", headers=(), reason="X"):
    """The bytes of an HTTP response.

    Args:
        status (int): of HTTP.
        body (bytes): its content.
        headers (sequence of tuple): beside the length; a ``Content-Length`` replaces that.
        reason (str): after the status.
    """
    given = dict(headers)
    given.setdefault("Content-Type", "application/json")
    if status not in (204, 304) and "Transfer-Encoding" not in given:
        given.setdefault("Content-Length", str(len(body)))
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
