"""A small language-model service on 127.0.0.1 that speaks three protocols and fails on request.

DashScope's generation protocol, the OpenAI chat protocol, and the files and batches of DashScope's
compatible mode. What it does to each call is decided by a script: a function from the prompt and
the number of times it has been asked (from 1) to a :class:`Reply`, or None for a good answer.

It counts: ``asked`` how often a prompt arrived, ``answered`` how often its answer was sent.

As a program it prints its port and serves good answers until it is stopped:
``python llm_server.py --latency 0.05``.
"""

import argparse
import asyncio
import hashlib
import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

KEY = "sk-test-0123456789abcdef-SECRET"

ADJECTIVES = "soft green loud small rare plain dark quick warm round bold thin sweet old deep".split()
NOUNS = "soap comb lamp brush cream towel mirror ribbon powder basket candle razor sponge".split()


@dataclass
class Reply:
    """What to do with a call."""

    text: str | None = None
    """The model's answer; None for a good one."""
    status: int = 200
    code: str = ""
    message: str = ""
    headers: dict = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before anything is sent."""
    cut: bool = False
    """Send the head and half of the body, then break the connection."""
    drop: bool = False
    """Break the connection without a word."""
    finish: str = "stop"
    """The reason why the model stopped."""
    body: bytes | None = None
    """Sent as it is instead of the protocol's JSON."""


def wanted(prompt):
    """How many phrases a prompt asks for."""
    numbers = re.findall(r"exactly (\d+)", prompt)
    return int(numbers[-1]) if numbers else 3


def good_answer(prompt, count=None):
    """Phrases that depend on nothing but the prompt."""
    digest = hashlib.sha256(prompt.encode()).digest()
    lines = []
    for i in range(wanted(prompt) if count is None else count):
        a, n, m = digest[i % 32], digest[(i + 7) % 32], digest[(i + 13) % 32]
        lines.append(f"{ADJECTIVES[a % len(ADJECTIVES)]} {NOUNS[n % len(NOUNS)]} number {i} kind {m}")
    return "\n".join(lines)


class LLMServer:
    """Runs in a thread of its own; use as a context manager.

    Args:
        script (callable or None): see the module.
        latency (float): seconds every answer takes.
        key (str): the only API key that is let in.
        batch_seconds (float): how long a batch job takes.
    """

    def __init__(self, script=None, latency=0.0, key=KEY, batch_seconds=0.0):
        self.script = script or (lambda prompt, attempt: None)
        self.latency = latency
        self.key = key
        self.batch_seconds = batch_seconds
        self.asked = Counter()
        self.answered = Counter()
        self.answered_at = {}
        self.bodies = []
        self.keep_bodies = True
        self.hold = False
        """While true, calls come in but no answer leaves."""
        self.running = self.most_running = 0
        self.started_at = []
        self.files = {}
        self.batches = {}
        self.batch_faults = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="llm-server", daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *exception):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    @property
    def dashscope_url(self):
        return f"http://127.0.0.1:{self.port}/api/v1"

    @property
    def compatible_url(self):
        return f"http://127.0.0.1:{self.port}/compatible-mode/v1"

    def _run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/api/v1/services/aigc/text-generation/generation", self._dashscope_call)
        base = "/compatible-mode/v1"
        app.router.add_post(f"{base}/chat/completions", self._openai_call)
        app.router.add_post(f"{base}/files", self._upload)
        app.router.add_get(f"{base}/files/{{file}}/content", self._download)
        app.router.add_post(f"{base}/batches", self._create_batch)
        app.router.add_get(f"{base}/batches", self._list_batches)
        app.router.add_get(f"{base}/batches/{{batch}}", self._show_batch)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    # the two ways to chat

    async def _dashscope_call(self, request):
        def pack(text, prompt, body, finish):
            choice = {"finish_reason": finish, "message": {"role": "assistant", "content": text}}
            usage = _usage(prompt, text)
            return {
                "output": {"choices": [choice]},
                "usage": {**usage, "total_tokens": sum(usage.values())},
                "request_id": "r-1",
            }

        def error(reply):
            return {"code": reply.code, "message": reply.message, "request_id": "r-1"}

        return await self._call(request, lambda b: b["input"]["messages"], pack, error)

    async def _openai_call(self, request):
        def pack(text, prompt, body, finish):
            return _completion(text, prompt, body["model"], finish)

        def error(reply):
            return {"error": {"code": reply.code, "message": reply.message, "type": reply.code}}

        return await self._call(request, lambda b: b["messages"], pack, error)

    async def _call(self, request, messages, pack, error):
        refusal = self._unauthorised(request)
        if refusal:
            return web.json_response(error(refusal), status=refusal.status)
        body = await request.json()
        if self.keep_bodies:
            self.bodies.append(body)
        prompt = messages(body)[-1]["content"]
        self.asked[prompt] += 1
        self.started_at.append(time.monotonic())
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            return await self._reply(request, prompt, pack, error, body)
        finally:
            self.running -= 1

    async def _reply(self, request, prompt, pack, error, body):
        reply = self.script(prompt, self.asked[prompt]) or Reply()
        if self.latency or reply.delay:
            await asyncio.sleep(self.latency + reply.delay)
        while self.hold and not _gone(request):
            await asyncio.sleep(0.01)
        if _gone(request):
            return web.Response()  # nobody is there to be answered
        if reply.drop:
            request.transport.abort()
            return web.Response()
        if reply.status != 200:
            if reply.body is not None:
                return web.Response(body=reply.body, status=reply.status, headers=reply.headers)
            return web.json_response(error(reply), status=reply.status, headers=reply.headers)
        text = good_answer(prompt) if reply.text is None else reply.text
        data = json.dumps(pack(text, prompt, body, reply.finish)).encode()
        if reply.body is not None:
            data = reply.body
        if reply.cut:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            response.content_length = len(data)
            await response.prepare(request)
            await response.write(data[: len(data) // 2])
            request.transport.abort()
            return response
        if reply.body is None:
            self.answered[prompt] += 1
            self.answered_at[prompt] = time.monotonic()
        return web.Response(body=data, content_type="application/json", headers=reply.headers)

    def _unauthorised(self, request):
        sent = request.headers.get("Authorization", "")
        if sent == f"Bearer {self.key}":
            return None
        # A careless provider: it repeats what it was sent.
        return Reply(status=401, code="InvalidApiKey", message=f"Invalid API-key provided: {sent}")

    # files and batches

    def _batch_refusal(self, step):
        """The answer that ``batch_faults`` plans for a step, or None."""
        fault = self.batch_faults.get(step)
        return fault and web.json_response(
            {"error": {"message": fault.message, "code": fault.code}}, status=fault.status
        )

    async def _upload(self, request):
        if self._unauthorised(request):
            return web.json_response({"error": {"message": "no", "code": "invalid_api_key"}}, status=401)
        form = await request.post()
        assert form["purpose"] == "batch"
        name = f"file-batch-{len(self.files) + 1}"
        self.files[name] = form["file"].file.read()
        return web.json_response({"id": name, "object": "file", "purpose": "batch"})

    async def _download(self, request):
        name = request.match_info["file"]
        if name not in self.files:
            return _not_found(name)
        data = self.files[name]
        if self.batch_faults.get("cut", 0) > 0:  # without a length, a lost connection looks like the end
            self.batch_faults["cut"] -= 1
            response = web.StreamResponse(headers={"Connection": "close"})
            response.force_close()
            await response.prepare(request)
            await response.write(self._cut(data))
            await response.write_eof()
            return response
        return web.Response(body=data)

    def _cut(self, data):
        half = data[: len(data) // 2]
        return half[: half.rindex(b"\n") + 1] if self.batch_faults.get("at_a_line") else half

    async def _create_batch(self, request):
        body = await request.json()
        refusal = self._batch_refusal("create")
        if refusal:
            return refusal
        name = f"batch_{len(self.batches) + 1}"
        self.batches[name] = {
            "id": name, "object": "batch", "status": "in_progress",
            "input_file_id": body["input_file_id"], "endpoint": body["endpoint"],
            "completion_window": body["completion_window"], "output_file_id": None,
            "error_file_id": None, "errors": None, "_until": time.monotonic() + self.batch_seconds,
        }  # fmt: skip
        return web.json_response(self._public(name))

    async def _list_batches(self, request):
        refusal = self._batch_refusal("list")
        if refusal:
            return refusal
        wanted_file = request.query.get("input_file_ids")
        found = [
            self._public(name)
            for name, batch in self.batches.items()
            if not wanted_file or batch["input_file_id"] in wanted_file.split(",")
        ]
        return web.json_response({"object": "list", "data": found, "has_more": False})

    async def _show_batch(self, request):
        name = request.match_info["batch"]
        if name not in self.batches:
            return _not_found(name)
        batch = self.batches[name]
        if batch["status"] == "in_progress" and time.monotonic() >= batch["_until"]:
            self._work(name, batch)
        return web.json_response(self._public(name))

    def _public(self, name):
        return {k: v for k, v in self.batches[name].items() if not k.startswith("_")}

    def _work(self, name, batch):
        fault = self.batch_faults.get("work")
        if fault:
            batch["status"] = "failed"
            batch["errors"] = {"data": [{"code": fault.code, "message": fault.message}]}
            return
        good, bad = [], []
        for line in self.files[batch["input_file_id"]].decode().splitlines():
            entry = json.loads(line)
            assert entry["method"] == "POST" and entry["url"] == "/v1/chat/completions"
            prompt = entry["body"]["messages"][-1]["content"]
            self.asked[prompt] += 1
            reply = self.script(prompt, self.asked[prompt]) or Reply()
            if reply.drop:
                continue  # the line gets no result at all, as when a job expires
            if reply.status == 200:
                text = good_answer(prompt) if reply.text is None else reply.text
                self.answered[prompt] += 1
                body = _completion(text, prompt, entry["body"]["model"], reply.finish)
                out, error = good, None
            else:
                body, out = {"error": {"code": reply.code, "message": reply.message}}, bad
                error = {"code": reply.code, "message": reply.message}
            out.append(
                json.dumps(
                    {
                        "id": "x", "custom_id": entry["custom_id"], "error": error,
                        "response": {"status_code": reply.status, "request_id": "r", "body": body},
                    }
                )
            )  # fmt: skip
        for lines, kind in ((good, "output_file_id"), (bad, "error_file_id")):
            if lines:
                file = f"{kind}-{name}"
                self.files[file] = ("\n".join(lines) + "\n").encode()
                batch[kind] = file
        batch["request_counts"] = {
            "total": len(good) + len(bad), "completed": len(good), "failed": len(bad)
        }  # fmt: skip
        batch["status"] = "expired" if self.batch_faults.get("expire") else "completed"


def _not_found(name):
    return web.json_response({"error": {"message": f"no {name}", "code": "not_found"}}, status=404)


def _gone(request):
    return request.transport is None or request.transport.is_closing()


def _usage(prompt, text):
    return {"input_tokens": len(prompt) // 4, "output_tokens": max(1, len(text) // 4)}


def _completion(text, prompt, model, finish):
    usage = _usage(prompt, text)
    return {
        "id": "c", "object": "chat.completion", "model": model,
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
        ],
        "usage": {
            "prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"],
            "total_tokens": sum(usage.values()),
        },
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    with LLMServer(latency=options.latency) as server:
        server.keep_bodies = False
        print(server.port, flush=True)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
