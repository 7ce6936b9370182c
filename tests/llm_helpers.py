"""What the tests of the language-model generators share."""

import functools
import multiprocessing
import os
import random
import sys
from dataclasses import replace

from recbole_sam.generators.base import InterestRequest
from recbole_sam.generators.by_name import make_llm_generator
from recbole_sam.interests.extract_settings import ExtractSettings
from recbole_sam.llm.settings import LLMSettings

THINGS = "shampoo comb lipstick perfume razor towel candle mirror soap brush lotion ribbon".split()


def make_requests(count, k=3, items=5, seed=0, prefix="u"):
    """``count`` users with different histories of titles."""
    chance = random.Random(seed)
    for number in range(count):
        titles = tuple(
            f"{chance.choice(THINGS)} {chance.choice(THINGS)} no {number}-{i}" for i in range(items)
        )
        rankings = tuple(tuple((g + i) % items for i in range(items)) for g in range(min(k, items)))
        yield InterestRequest(f"{prefix}{number}", titles, k, rankings)


def fast(folder, **changes):
    """Settings without waiting."""
    settings = {
        "cache_dir": str(folder),
        "requests_per_minute": 0,
        "tokens_per_minute": 0,
        "backoff": 0.01,
        "timeout": 5.0,
        "concurrency": 8,
        **changes,
    }
    return LLMSettings(**settings)


def build_store(url, folder, users, path, options=None):
    """Stage 1 as one process does it: histories to a store, phrases by the dashscope generator.

    A function of a module, so that a fresh process can run it.
    """
    import dashscope
    import torch
    from servers.llm_server import KEY

    from recbole_sam.encoders.encode import make_encoder
    from recbole_sam.generators.by_name import make_dashscope
    from recbole_sam.interests.pipeline import extract

    torch.set_num_threads(1)
    os.environ["DASHSCOPE_API_KEY"] = KEY
    dashscope.base_http_api_url = url
    titles = {}
    histories = []
    for request in make_requests(users):
        histories.append([f"{request.user}-{i}" for i in range(len(request.titles))])
        titles.update(zip(histories[-1], request.titles, strict=True))
    return extract(
        [f"u{i}" for i in range(users)],
        histories,
        titles,
        make_encoder("lsa", dim=8, seed=1),
        make_dashscope(fast(folder, **(options or {}))),
        ExtractSettings(k_max=4, chunk=16),
        path,
    )


class Elsewhere:
    """Makes generators with a cache of their own, as on another machine."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder

    def __call__(self, settings):
        return make_llm_generator(self.name, replace(settings, cache_dir=str(self.folder)))


PRELOAD = [
    "recbole_sam.interests.pipeline",
    "recbole_sam.encoders.encode",
    "recbole_sam.llm.dashscope",
    "dashscope",
    "sklearn.decomposition",
    "servers.llm_server",
    "llm_helpers",
]
"""What a fresh process needs; loaded once, in the server that processes are forked from."""


@functools.cache
def fresh_processes():
    """A context for processes that have our modules from the start and share nothing else.

    They are forked from a small server: starting Python and importing torch for each takes seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # or the preloading finds nothing
    warm = context.Process(target=len, args=((),))
    warm.start()
    warm.join()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before
    return context


def claim_and_wait(folder, key, told):
    """Claims a prompt, says so, and never ends by itself."""
    import time

    from recbole_sam.llm.answers import AnswerCache

    cache = AnswerCache(folder)
    told.put(cache.claim(key).result())
    time.sleep(3600)
