import gzip
import hashlib
import http.server
import threading

import pytest

from recbole_sam.prepare.sources.download import FetchError, Remote, cache_folder, fetch

CONTENT = gzip.compress(bytes(range(256)) * 4000, compresslevel=0)  # about 1 MB, as it is


class Server(http.server.ThreadingHTTPServer):
    """Serves one file, with faults to order."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.tag = '"one"'
        self.cut_after = []  # bytes to send before cutting, one a request; then whole answers
        self.status = []  # answers to give instead, one a request
        self.ranges = []  # what each request asked for

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/some/where/data.json.gz"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        if server.status:
            self.send_error(server.status.pop(0))
            return
        start = 0
        if self.headers.get("Range") and self.headers.get("If-Range") == server.tag:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(server.content):
                self.send_error(416)
                return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if server.tag:
            self.send_header("ETag", server.tag)
        self.end_headers()
        if server.cut_after:
            body = body[: server.cut_after.pop(0)]
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def get(server, folder, **more):
    return fetch(Remote((server.url,), **more), folder, timeout=5, pause=0)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file_is_fetched_once(server, tmp_path):
    path = get(server, tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert get(server, tmp_path / "cache") == path
    assert len(server.ranges) == 1
    assert names(tmp_path / "cache") == ["data.json.gz"]


def test_a_cut_connection_is_resumed_where_it_broke(server, tmp_path):
    server.cut_after = [300_000, 200_000]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_goes_on(server, tmp_path):
    server.cut_after = [100_000] * 5
    with pytest.raises(FetchError, match="cut .*5 attempts"):
        get(server, tmp_path)
    assert names(tmp_path) == ["data.json.gz.part", "data.json.gz.part.origin"]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=500000-"
    assert names(tmp_path) == ["data.json.gz"]


def test_a_file_that_changed_meanwhile_is_not_stitched(server, tmp_path):
    server.cut_after = [100_000] * 5
    with pytest.raises(FetchError):
        get(server, tmp_path)
    server.tag, server.content = '"two"', gzip.compress(b"other" * 1000)
    assert get(server, tmp_path).read_bytes() == server.content


def test_a_file_that_shrank_is_fetched_anew(server, tmp_path):
    server.cut_after = [100_000] * 5
    with pytest.raises(FetchError):
        get(server, tmp_path)
    server.content = gzip.compress(b"short")
    assert get(server, tmp_path).read_bytes() == server.content


def test_without_a_version_nothing_is_resumed(server, tmp_path):
    server.tag, server.cut_after = None, [300_000]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_a_wrong_checksum_is_refused_and_forgotten(server, tmp_path):
    with pytest.raises(FetchError, match="MD5 is .*, published is 00"):
        get(server, tmp_path, md5="00")
    assert names(tmp_path) == []
    get(server, tmp_path, md5=hashlib.md5(CONTENT).hexdigest())


@pytest.mark.parametrize("content", [CONTENT[:-500], b"<html>please log in</html>"])
def test_a_file_that_is_no_whole_gzip_is_refused(server, tmp_path, content):
    server.content = content
    with pytest.raises(FetchError, match="no whole gzip file"):
        get(server, tmp_path)
    assert names(tmp_path) == []


def test_a_busy_server_is_asked_again_but_a_refusal_is_final(server, tmp_path):
    server.status = [503, 503]
    assert get(server, tmp_path / "a").read_bytes() == CONTENT
    server.status = [404]
    with pytest.raises(FetchError, match="404"):
        get(server, tmp_path / "b")
    assert len(server.ranges) == 4


def test_mirrors_are_tried_in_order(server, tmp_path):
    dead = "http://127.0.0.1:9/data.json.gz"
    assert fetch(Remote((dead, server.url)), tmp_path, pause=0).read_bytes() == CONTENT
    with pytest.raises(FetchError, match=r"127.0.0.1:9/data.json.gz: no connection"):
        fetch(Remote((dead,)), tmp_path / "x", pause=0)


def test_the_cache_is_where_the_desktop_standard_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "recbole-sam"
