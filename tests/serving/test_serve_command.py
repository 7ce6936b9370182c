"""The command: it listens, ends well, and says what is wrong."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from bundle_helpers import bundle, make_shop

from recbole_sam.cli.main import main

pytest.importorskip("fastapi")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("serve")
    make_shop(root)
    return bundle(root, "SASRec")[0]


def start(folder, *words):
    """A server of its own process, and its address."""
    command = [sys.executable, "-m", "recbole_sam", "serve", str(folder), "--port=0", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    return process, re.match(r"(http://\S+/) shows the page", line)[1]


def ask(address, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address + "recommend", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_sighup_reloads_and_sigterm_finishes_what_was_accepted(folder):
    process, address = start(folder)
    try:
        before = ask(address, {"user": "u1"})
        process.send_signal(signal.SIGHUP)
        assert ask(address, {"user": "u1"}) == before
        host, port = re.match(r"http://(.*):(\d+)/", address).groups()
        body = b'{"user": "u1"}'
        with socket.create_connection((host, int(port)), timeout=30) as slow:
            head = f"POST /recommend HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            slow.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
            ask(address, {"user": "u1"})  # the other connection has been accepted by now
            process.send_signal(signal.SIGTERM)
            slow.sendall(body)
            answer = b""
            while some := slow.recv(65536):
                answer += some
        assert json.loads(answer.partition(b"\r\n\r\n")[2]) == before
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0 and "Traceback" not in err, err
    finally:
        process.kill()


def test_500_connections_at_once(folder):
    process, address = start(folder)
    host, port = re.match(r"http://(.*):(\d+)/", address).groups()
    bodies = (b'{"user": "u1"}', b'{"user": "nobody"}', b'{"items": ["i1"], "k": 3}', b"{")

    async def one(body):
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /recommend HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        return int(answer.split()[1])

    async def all_at_once():
        return await asyncio.gather(*(one(bodies[number % 4]) for number in range(500)))

    try:
        assert asyncio.run(all_at_once()) == [200, 404, 200, 400] * 125
        assert len(ask(address, {"user": "u1"})["items"]) == 10
    finally:
        process.kill()


@pytest.mark.parametrize(
    "words, said",
    (
        (("absent",), "no bundle"),
        (("{folder}", "{folder}/../bundle"), "same folder name"),
        (("{folder}", "--port=99999"), "--port is 99999"),
        (("{folder}", "--host=203.0.113.1"), "cannot be used"),
        (("{folder}", "--token-env=ABSENT_TOKEN"), "ABSENT_TOKEN"),
        (("{folder}", "--max-k=0"), "--max-k is 0"),
    ),
)
def test_mistakes_are_one_sentence(folder, capsys, words, said):
    code = main(["serve", "--port=0", *(word.format(folder=folder) for word in words)])
    error = capsys.readouterr().err
    assert code == 2 and said in error and len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words, code, said", ((["absent"], 2, "pip install fastapi uvicorn"), (["--help"], 0, "--port"))
)
def test_without_fastapi_only_serving_is_missing(words, code, said):
    program = (
        "import sys; sys.modules['fastapi'] = None; from recbole_sam.cli.main import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "serve", *words], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == code and said in done.stdout + done.stderr and "Traceback" not in done.stderr
