"""How fast Stage 1 asks a language model, and how much memory that takes.

Asks the dashscope generator (the vendor's real SDK) against the local test server, which answers at
once or after ``--latency`` seconds; so this measures us, not a model. Then the same again, answered
from the cache. Run from the repository root:

    python benchmarks/stage1.py --users 100000
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def memory_mb():
    """This process's resident memory now, in MB."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1e6


class Peak(threading.Thread):
    """The largest resident memory seen, sampled ten times a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most = 0.0
        self.going = True

    def run(self):
        while self.going:
            self.most = max(self.most, memory_mb())
            time.sleep(0.1)


def measure(generator, requests):
    before = memory_mb()
    peak = Peak()
    peak.start()
    start, cpu = time.perf_counter(), time.process_time()
    users = sum(1 for _ in generator.generate(requests))
    seconds = time.perf_counter() - start
    peak.going = False
    peak.join()
    return {
        "users": users,
        "seconds": round(seconds, 1),
        "users_per_second": round(users / seconds, 1),
        "cpu_ms_per_user": round(1000 * (time.process_time() - cpu) / users, 2),
        "memory_before_mb": round(before),
        "memory_peak_mb": round(peak.most),
        "asked": generator.report.asked,
        "from_cache": generator.report.from_cache,
        "retries": generator.report.retries,
    }


def users_of(options):
    """Requests of ``--users`` users with ``--distinct`` different histories, made as they go."""
    from llm_helpers import make_requests

    distinct = options.distinct or options.users
    for lap in range(0, options.users, distinct):
        count = min(distinct, options.users - lap)
        for request in make_requests(count, options.k, options.items):
            yield request._replace(user=f"{request.user}-{lap}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--distinct", type=int, default=0, help="histories; default: one a user")
    parser.add_argument("--once", action="store_true", help="without the second, cached pass")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--folder", default=None, help="for the cache; default: a temporary one")
    options = parser.parse_args()

    import dashscope
    from servers.llm_server import KEY

    from recbole_sam.generators.by_name import make_dashscope
    from recbole_sam.llm.settings import LLMSettings

    folder = Path(options.folder or tempfile.mkdtemp())
    server = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "tests/servers/llm_server.py"),
            "--latency",
            str(options.latency),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = server.stdout.readline().strip()
        dashscope.base_http_api_url = f"http://127.0.0.1:{port}/api/v1"
        os.environ["DASHSCOPE_API_KEY"] = KEY
        settings = LLMSettings(
            cache_dir=str(folder / "cache"),
            concurrency=options.concurrency,
            requests_per_minute=0,
            tokens_per_minute=0,
        )
        print(json.dumps({"python": platform.python_version(), "cores": os.cpu_count(),
                          "dashscope": dashscope.version.__version__, **vars(options)}))  # fmt: skip
        for name in ("asked",) if options.once else ("asked", "cached"):
            requests = users_of(options)
            print(name, json.dumps(measure(make_dashscope(settings), requests)), flush=True)
        size = sum(f.stat().st_size for f in (folder / "cache").rglob("*") if f.is_file())
        print("cache file:", round(size / 1e6, 1), "MB")
    finally:
        server.terminate()
        server.wait()
        if options.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
