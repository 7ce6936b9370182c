"""How many requests a second does ``serve`` answer, and how soon?

    npm install autocannon                                    # the load generator; needs Node.js
    python -m benchmarks.load bundles/beauty --rate=300 --seconds=60
    python -m benchmarks.load bundles/beauty --rate=100 --seconds=600 --mixed --reload_every=60

Requests are sent at a fixed rate, whether or not earlier ones were answered (latencies are corrected for
coordinated omission). Server and generator share this machine. Prints a row of ``benchmarks/load.md``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

USERS, K = 2000, 20
CONNECTIONS = 50
MEGABYTE = 1024


def arguments(words):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", help="made --with-users")
    parser.add_argument("--rate", type=int, default=300, help="requests a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--mixed", action="store_true", help="all kinds of requests instead of known users alone")
    parser.add_argument("--reload_every", type=int, default=0, help="seconds; 0: never")
    parser.add_argument("--port", type=int, default=8199)
    parser.add_argument("--autocannon", default="npx autocannon", help="the command of the load generator")
    return parser.parse_args(words)


def requests(bundle, mixed):
    """What is asked, as (path, body or None): ``USERS`` known users, or every kind of request.

    Args:
        bundle (Bundle): with users.
        mixed (bool): of ten requests six for users, one steered, and one each for a session, reasons and a
            search.

    Returns:
        list of tuple
    """
    tokens, _, items, starts, lengths = bundle.people.block(0, "valid")
    asked = []
    for number, user in enumerate(tokens[:USERS]):
        taken = [str(bundle.items[item]) for item in items[starts[number] :][: lengths[number]]]
        kind = number % 10 if mixed else 0
        if kind < 6:
            asked.append(("/recommend", {"user": user, "k": K}))
        elif kind == 6:
            asked.append(("/recommend", {"user": user, "k": K, "steer": ["hair brush"]}))
        elif kind == 7:
            asked.append(("/recommend", {"items": taken[-10:] or [str(bundle.items[1])], "k": K}))
        elif kind == 8:
            asked.append(("/explain", {"user": user, "item": str(bundle.items[1 + number])}))
        else:
            asked.append(("/items?q=oil", None))
    return asked


def as_har(address, asked):
    """The requests as a HAR file's content (dict), the form that the generator reads."""
    headers = [{"name": "Content-Type", "value": "application/json"}]
    entries = [
        {"request": {"method": "GET", "url": address + path, "headers": []}}
        if body is None
        else {"request": {"method": "POST", "url": address + path, "headers": headers,
                          "postData": {"mimeType": "application/json", "text": json.dumps(body)}}}
        for path, body in asked
    ]  # fmt: skip
    return {"log": {"version": "1.2", "creator": {"name": "benchmarks.load"}, "entries": entries}}


def megabytes(process):
    """Resident memory of a process."""
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(text.split("VmRSS:")[1].split()[0]) / MEGABYTE


def wait_until_up(address, process, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            return urllib.request.urlopen(f"{address}/health", timeout=5).read()
        except OSError:
            time.sleep(0.2)
    raise SystemExit("serve did not start")


def watched(address, process, reload_every, ended):
    """Reloads the bundle again and again, and notes the memory every 10 seconds.

    Args:
        address (str): of the server.
        process (subprocess.Popen): the server.
        reload_every (int): seconds; 0: never.
        ended (threading.Event): set when the load is over.

    Returns:
        tuple: megabytes (list), reloads (int).
    """
    memory, reloads, begun = [], 0, time.monotonic()
    while not ended.wait(10):
        memory.append(megabytes(process))
        if reload_every and (time.monotonic() - begun) / reload_every > reloads + 1:
            question = urllib.request.Request(f"{address}/reload", method="POST")
            assert urllib.request.urlopen(question, timeout=60).status == 200
            reloads += 1
    return memory, reloads


def main(words=None):
    """Measures and prints.

    Args:
        words (list of str, optional): of the command line; default: this process's.
    """
    args = arguments(words)
    import recbole_sam

    address = f"http://127.0.0.1:{args.port}"
    serve = [sys.executable, "-m", "recbole_sam", "serve", args.bundle, f"--port={args.port}"]
    asked = requests(recbole_sam.load(args.bundle), args.mixed)
    with tempfile.TemporaryDirectory() as folder:
        har = Path(folder) / "requests.har"
        har.write_text(json.dumps(as_har(address, asked)), encoding="utf-8")
        with open(Path(folder) / "serve.log", "w") as log:
            process = subprocess.Popen(serve, stdout=log, stderr=log)
        try:
            wait_until_up(address, process)
            ended, told = threading.Event(), []
            watch = threading.Thread(
                target=lambda: told.append(watched(address, process, args.reload_every, ended))
            )
            watch.start()
            generator = [*args.autocannon.split(), "--json", f"--har={har}", f"--connections={CONNECTIONS}",
                         f"--overallRate={args.rate}", f"--duration={args.seconds}", address]  # fmt: skip
            done = subprocess.run(generator, capture_output=True, text=True)
            ended.set()
            watch.join()
        finally:
            process.terminate()
            process.wait(timeout=60)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found, (memory, reloads) = json.loads(done.stdout), told[0]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {reloads} reloads\n")
    print("| requests/s asked | answered | p50, ms | p99, ms | failed | MB first, last |\n|---|---|---|---|---|---|")
    failed = found["non2xx"] + found["errors"] + found["timeouts"]
    latency = found["latency"]
    print(f"| {args.rate} | {found['requests']['average']:.0f} | {latency['p50']} | {latency['p99']} | {failed} "
          f"| {memory[0]:.0f}, {memory[-1]:.0f} |")  # fmt: skip


if __name__ == "__main__":
    main()
