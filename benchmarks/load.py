"""How many requests a second does ``serve`` answer, and how soon?

    apt-get install tsung                                     # the load generator, Debian's
    python -m benchmarks.load bundles/one --rate=300 --seconds=60
    python -m benchmarks.load bundles/one --rate=12 --mixed --seconds=600 --reload_every=60 --other=bundles/b

Visitors come at random moments, whether or not earlier ones were answered, and ask once each over a new
connection. Server and generator share this machine. Prints a row of ``benchmarks/load.md``.
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
from xml.sax.saxutils import quoteattr

import numpy as np

USERS, K = 2000, 20
POST, GET = "POST", "GET"
KNOWN = (POST, "/recommend", {"user": "%%_user%%", "k": K})
MIXED = {
    60: KNOWN,
    15: (POST, "/recommend", {"user": "%%_user%%", "k": K, "steer": ["hair brush"]}),
    10: (POST, "/recommend", {"items": "%%_items%%", "k": K}),
    9: (POST, "/explain", {"user": "%%_user%%", "item": "%%_item%%"}),
    6: (GET, "/items?q=oil", None),
}
"""Percent of the visitors to what they ask; words in %% come from a table of users."""

CONFIG = """<?xml version="1.0"?>
<!DOCTYPE tsung SYSTEM "/usr/share/tsung/tsung-1.0.dtd">
<tsung loglevel="warning" dumptraffic="protocol">
  <clients><client host="localhost" use_controller_vm="true" maxusers="30000"/></clients>
  <servers><server host="127.0.0.1" port="{port}" type="tcp"/></servers>
  <load><arrivalphase phase="1" duration="{seconds}" unit="second">
    <users arrivalrate="{rate}" unit="second"/>
  </arrivalphase></load>
  <options><option name="file_server" id="users" value="{table}"/></options>
  <sessions>{sessions}</sessions>
</tsung>
"""
SESSION = """
    <session name="s{number}" probability="{percent}" type="ts_http">
      <setdynvars sourcetype="file" fileid="users" delimiter=";" order="random">
        <var name="user"/><var name="item"/><var name="items"/>
      </setdynvars>
      <request subst="true"><http url={url} method="{method}" version="1.1"{body}/></request>
    </session>"""


def arguments(words):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", help="made --with-users")
    parser.add_argument("--rate", type=int, default=300, help="requests a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--mixed", action="store_true", help="all kinds of requests, not known users alone")
    parser.add_argument("--reload_every", type=int, default=0, help="seconds; 0: never")
    parser.add_argument("--other", help="a bundle of the same users; reloads swap the two")
    parser.add_argument("--port", type=int, default=8199)
    return parser.parse_args(words)


def users(bundle):
    """Rows (list of str) of a user, an item to explain, and the newest items of the user as JSON.

    Args:
        bundle (Bundle): with users.
    """
    tokens, _, items, starts, lengths = bundle.people.block(0, "valid")
    rows = []
    for number, user in enumerate(tokens[:USERS]):
        taken = bundle.items[items[starts[number] :][: lengths[number]]].tolist()
        rows.append(f"{user};{bundle.items[1 + number % (len(bundle.items) - 1)]};{json.dumps(taken[-10:])}")
    return rows


def sessions(mixed):
    """The kinds of visitors, as tsung reads them (str).

    Args:
        mixed (bool): all kinds, or known users alone.
    """
    found = []
    for number, (percent, (method, path, asked)) in enumerate((MIXED if mixed else {100: KNOWN}).items()):
        body = ""
        if asked is not None:
            contents = quoteattr(json.dumps(asked).replace('"%%_items%%"', "%%_items%%"))
            body = f" content_type='application/json' contents={contents}"
        found.append(
            SESSION.format(number=number, percent=percent, url=quoteattr(path), method=method, body=body)
        )
    return "".join(found)


def megabytes(process):
    """Resident memory of a process."""
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def wait_until_up(address, process, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            return urllib.request.urlopen(f"{address}/health", timeout=5).read()
        except OSError:
            time.sleep(0.2)
    raise SystemExit("serve did not start")


def point(link, bundle):
    """Makes a link lead to a bundle."""
    new = link.with_suffix(".new")
    new.symlink_to(Path(bundle).absolute())
    new.replace(link)


def watched(address, process, link, bundles, reload_every, ended):
    """Reloads one bundle after the other, and notes the memory every 10 seconds.

    Args:
        address (str): of the server.
        process (subprocess.Popen): the server.
        link (Path): what it serves.
        bundles (list): that the link leads to in turns.
        reload_every (int): seconds; 0: never.
        ended (threading.Event): set when the load is over.

    Returns:
        tuple: megabytes (list), reloads (int).
    """
    memory, reloads, begun = [], 0, time.monotonic()
    while not ended.wait(10):
        memory.append(megabytes(process))
        if reload_every and (time.monotonic() - begun) / reload_every > reloads + 1:
            reloads += 1
            point(link, bundles[reloads % len(bundles)])
            question = urllib.request.Request(f"{address}/reload", method=POST)
            changed = json.load(urllib.request.urlopen(question, timeout=60))
            print("reloaded:", changed, flush=True)
    return memory, reloads


def answers(dump):
    """Milliseconds (numpy.ndarray) of the answers, and how many requests failed.

    Args:
        dump (str): what tsung kept, a line a request.
    """
    rows = [line.split(";") for line in dump.splitlines() if not line.startswith("#")]
    good = [row for row in rows if row[6] == "200" and not row[11]]
    return np.array([float(row[8]) for row in good]), len(rows) - len(good)


def main(words=None):
    """Measures and prints.

    Args:
        words (list of str, optional): of the command line; default: this process's.
    """
    args = arguments(words)
    import recbole_sam

    address = f"http://127.0.0.1:{args.port}"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        link, bundles = folder / "bundle", [args.bundle, *filter(None, [args.other])]
        point(link, args.bundle)
        serve = [sys.executable, "-m", "recbole_sam", "serve", str(link), f"--port={args.port}"]
        (folder / "users.csv").write_text("\n".join(users(recbole_sam.load(args.bundle))) + "\n")
        config = CONFIG.format(**vars(args), table=folder / "users.csv", sessions=sessions(args.mixed))
        (folder / "tsung.xml").write_text(config, encoding="utf-8")
        with open(folder / "serve.log", "w") as log:
            process = subprocess.Popen(serve, stdout=log, stderr=log)
        try:
            wait_until_up(address, process)
            ended, told = threading.Event(), []
            watch = threading.Thread(
                target=lambda: told.append(watched(address, process, link, bundles, args.reload_every, ended))
            )
            watch.start()
            generator = ["tsung", "-f", str(folder / "tsung.xml"), "-l", str(folder / "log"), "start"]
            done = subprocess.run(generator, capture_output=True, text=True)
            ended.set()
            watch.join()
        finally:
            process.terminate()
            process.wait(timeout=60)
        [dump] = (folder / "log").glob("*/tsung.dump")
        took, failed = answers(dump.read_text(encoding="utf-8"))
    if done.returncode or not len(took):
        raise SystemExit(done.stderr[-2000:] or "no request was answered")
    memory, reloads = told[0]
    middle, late = np.percentile(took, [50, 99])
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {reloads} reloads")
    print("MB, in the order of time:", *(f"{each:.0f}" for each in memory), "\n")
    print("| asked | answered a second | p50, ms | p99, ms | slowest, ms | failed |")
    print("|---|---|---|---|---|---|")
    print(f"| {args.rate} | {len(took) / args.seconds:.0f} | {middle:.1f} | {late:.1f} | {took.max():.0f} "
          f"| {failed} |")  # fmt: skip


if __name__ == "__main__":
    main()
