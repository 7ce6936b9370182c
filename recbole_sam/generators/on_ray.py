"""The same answers from many processes: users in blocks, on a Ray cluster.

The driver routes users and writes the store, as without Ray; what is spread out is asking, which
takes nearly all the time. So the store cannot differ from the local one. Each process runs the
ordinary generator on blocks of users, with an equal share of the limits and the cache of its own
machine. The raw answers come back with the block and are kept in the DRIVER's cache before they
count, so a restarted driver does not depend on which machine a block went to before. Whatever ends
a run, the processes finish the calls they have in flight and their answers are kept too.

A process that dies is restarted and given its block again; on the same machine its cache has what
it was answered until then. The key is never sent: every machine has its own DASHSCOPE_API_KEY.

Used of Ray are only remote classes with restarts and threads, get, wait and kill, which have not
changed from 2.6.3 to 2.60.
"""

import logging
import threading
from contextlib import closing
from dataclasses import replace

from recbole_sam import errors
from recbole_sam.errors import RecBoleSAMError, SettingError
from recbole_sam.generators.by_name import check_engine, make_llm_generator
from recbole_sam.generators.dialogue import replay
from recbole_sam.generators.live import FEWEST_FAILED, check_failures
from recbole_sam.llm import failures
from recbole_sam.llm.answers import AnswerCache
from recbole_sam.llm.failures import BrokenRunError, InterruptedRunError, LimitReachedError

logger = logging.getLogger(__name__)

RESTARTS = 20
"""Times one process is restarted before its block is given up."""
BLOCKS_A_WORKER = 2
"""Blocks handed to each process at once, so that none waits for the driver."""


class RayGenerator:
    """An :class:`InterestGenerator` that spreads another one over a cluster.

    Args:
        generator: made by ``make(settings)``; it gives what is to be asked, and never asks.
        settings (LLMSettings): of the whole run; ``ray_workers``, ``ray_block``, ``ray_address``.
        make (callable): from settings to a generator; must be importable on the workers.

    Raises:
        SettingError: Ray is missing, or a setting does not go with it.
    """

    def __init__(self, generator, settings, make):
        ray_library()
        if settings.max_cost is not None:
            raise SettingError(
                "llm_max_cost is kept by one process and does not go with interest_engine=ray; use "
                "llm_max_users, or the local engine."
            )
        self.name = generator.name
        self.settings = settings
        self.prompt = generator.prompt
        self.asked_of = generator.asked_of
        self.price = generator.price
        self.fill = generator.fill
        self.report = generator.report
        self._generator = generator
        self._make = make

    def fingerprint(self):
        """The generator's own: where a prompt is asked changes nothing."""
        return self._generator.fingerprint()

    def generate(self, requests):
        """Streams; ``2 * ray_workers`` blocks of users are in work.

        Raises:
            RecBoleSAMError: what ends a run of the generator, or a block was lost for good.
        """
        ray = ray_library()
        if not ray.is_initialized():
            ray.init(address=self.settings.ray_address, logging_level="ERROR", log_to_driver=False)
        workers = start_workers(ray, self._make, self.settings)
        try:
            with AnswerCache(self.settings.cache_dir) as cache:
                try:
                    yield from _Blocks(self, ray, workers, cache).run(requests)
                except KeyboardInterrupt:
                    raise InterruptedRunError(
                        f"Interrupted: {self.report.users:,} users are done, {self.report.asked:,} new "
                        f"answers are kept in {cache.path}. The same command goes on from here."
                    ) from None
        finally:
            for worker in workers:
                ray.kill(worker)
        check_failures(self.report, self.settings, at_least=1)


class _Blocks:
    """Blocks of users on their way to the workers and back."""

    def __init__(self, generator, ray, workers, cache):
        self._generator = generator
        self._ray = ray
        self._workers = workers
        self._cache = cache
        self._work = {}  # reference -> (worker, requests)
        self._sent_users = 0

    def run(self, requests):
        """Answers of all requests, in any order; what ends it early loses no answer of a block in work."""
        try:
            yield from self._run(requests)
        except BaseException as ending:  # Ctrl-C and a closed generator too
            self._finish(ending)
            raise

    def _run(self, requests):
        generator, max_users = self._generator, self._generator.settings.max_users
        limited = False
        block, seeds = [], []
        for request in requests:
            answer, known = replay(
                request, generator.prompt, generator.fill, generator.asked_of.key, self._cache.get
            )
            if answer is not None:
                generator.report.from_cache += len(known)
                yield self._count(answer)
                continue
            limited = max_users is not None and self._sent_users >= max_users
            if limited:
                break
            self._sent_users += 1
            block.append(request)
            seeds += known
            if len(block) >= generator.settings.ray_block:
                yield from self._room()
                self._send(block, seeds)
                block, seeds = [], []
        if block:
            self._send(block, seeds)
        while self._work:
            yield from self._receive()
        if limited:
            raise LimitReachedError(
                f"Stopped at llm_max_users ({max_users:,}): {generator.report.asked:,} new answers are "
                f"kept in {self._cache.path}. The same command goes on from here."
            )

    def _room(self):
        while len(self._work) >= BLOCKS_A_WORKER * len(self._workers):
            yield from self._receive()

    def _send(self, block, seeds):
        busy = [worker for worker, _ in self._work.values()]
        worker = min(self._workers, key=busy.count)
        reference = worker.answer.remote(block, seeds)
        self._work[reference] = (worker, block)

    def _receive(self):
        """Waits for one block, keeps its raw answers, and yields its users' answers."""
        (reference,), _ = self._ray.wait(list(self._work), num_returns=1)
        for answer in self._keep(reference):
            yield self._count(answer)

    def _finish(self, ending):
        """Lets the calls in flight end and keeps the answers of all blocks in work.

        Args:
            ending (BaseException): what ends the run. What goes wrong here besides is told, but does not
                take its place.
        """
        for worker in self._workers:
            worker.stop.remote()
        for reference in list(self._work):
            try:
                self._keep(reference)
            except RecBoleSAMError as error:
                if str(error) != str(ending):  # a cause that ended every block is reported once
                    logger.warning("%s", error)

    def _keep(self, reference):
        """Waits for a block, keeps its raw answers and counts, and returns its users' answers."""
        _, block = self._work[reference]
        try:
            answers, rows, counts, error = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as broken:
            what = "A block of users on the Ray cluster"
            raise BrokenRunError.of(what, broken, self._cache.path) from broken
        except self._ray.exceptions.RayError as lost:
            raise RecBoleSAMError(
                f"A block of {len(block)} users was lost on the Ray cluster ({type(lost).__name__}) "
                f"after {RESTARTS} restarts; look at the cluster, then run the same command again."
            ) from lost
        asked_of, report = self._generator.asked_of, self._generator.report
        for future in [self._cache.store(key, asked_of, answer) for key, answer in rows]:
            future.result()
        del self._work[reference]  # not before its answers are on disk: Ctrl-C can come anywhere
        report.asked += counts["asked"]
        report.from_cache += counts["from_cache"]
        report.retries += counts["retries"]
        report.reasons.update(counts["reasons"])
        report.expect(*counts["expected"])
        report.spending.input_tokens += counts["used"][0]
        report.spending.output_tokens += counts["used"][1]
        report.spending.unreported += counts["unreported"][0]
        report.spending.unreported_cost += counts["unreported"][1]
        if error is not None:
            raise named_error(*error)
        return answers

    def _count(self, answer):
        report = self._generator.report
        report.statuses[answer.status] += 1
        check_failures(report, self._generator.settings, FEWEST_FAILED)
        return answer


class Worker:
    """A process on the cluster: an ordinary generator that is given blocks of users.

    Args:
        make (callable): from settings to a generator.
        settings (LLMSettings): with this process's share of the limits.
    """

    def __init__(self, make, settings):
        self._generator = make(settings)
        self._busy = threading.Lock()
        self._stopping = threading.Event()

    def stop(self):
        """Ends the block in work as soon as its calls in flight have ended; later ones ask nothing."""
        self._stopping.set()

    def answer(self, requests, seeds):
        """One block; a second one waits for it.

        Args:
            requests (list of InterestRequest): its users.
            seeds (list): (key, CachedAnswer) pairs that the driver has.

        Returns:
            tuple: answers; the (key, CachedAnswer) pairs behind them; counts of the run; and None,
            or the class name and sentence of the error that ended it.
        """
        with self._busy:
            return self._answer(requests, seeds)

    def _answer(self, requests, seeds):
        generator, error, answers = self._generator, None, []
        with AnswerCache(generator.settings.cache_dir) as cache:
            for future in [cache.store(key, generator.asked_of, answer) for key, answer in seeds]:
                future.result()
        try:
            with closing(generator.generate(() if self._stopping.is_set() else requests)) as run:
                for answer in run:
                    answers.append(answer)
                    if self._stopping.is_set():
                        break
        except RecBoleSAMError as stop:
            error = (type(stop).__name__, str(stop))
        except Exception as odd:  # Ray's own words for it are no sentence, and the answers would be lost
            told = BrokenRunError.of("A block of users on the Ray cluster", odd, generator.settings.cache_dir)
            error = (type(told).__name__, str(told))
        rows = []
        with AnswerCache(generator.settings.cache_dir) as cache:
            for request in requests:
                _, used = replay(request, generator.prompt, generator.fill, generator.asked_of.key, cache.get)
                rows += used
        report = generator.report
        counts = {
            "asked": report.asked,
            "from_cache": report.from_cache,
            "retries": report.retries,
            "reasons": dict(report.reasons),
            "expected": (report.expected_input, report.expected_output),
            "used": (report.spending.input_tokens, report.spending.output_tokens),
            "unreported": (report.spending.unreported, report.spending.unreported_cost),
        }
        return answers, rows, counts, error

    def process(self):
        """The process id, to tell the workers apart."""
        import os

        return os.getpid()


def start_workers(ray, make, settings):
    """The remote workers, each with its share of the limits, a list of actor handles."""
    count = settings.ray_workers
    share = replace(
        settings,
        concurrency=max(1, settings.concurrency // count),
        requests_per_minute=settings.requests_per_minute / count,
        tokens_per_minute=settings.tokens_per_minute / count,
        max_users=None,
        max_failed_share=1.0,  # the driver sees all users and decides
    )
    options = {"max_restarts": RESTARTS, "max_task_retries": RESTARTS, "num_cpus": 1}
    options["max_concurrency"] = BLOCKS_A_WORKER + 1  # threads: a block in work, those waiting, and stop
    if (settings.device or "").startswith("cuda"):
        options["num_gpus"] = 1
    remote = ray.remote(**options)(Worker)
    return [remote.remote(make, share) for _ in range(count)]


class Make:
    """Makes a generator by name; can be sent to a worker, unlike a function of a script.

    Args:
        name (str): as for ``interest_generator``.
    """

    def __init__(self, name):
        self.name = name

    def __call__(self, settings):
        return make_llm_generator(self.name, settings)


def make_ray(name, settings):
    """A generator on a Ray cluster.

    Args:
        name (str): of a generator that asks a language model: ``dashscope``, ``openai`` or
            ``transformers``.
        settings (LLMSettings): of the whole run.

    Returns:
        RayGenerator: ready.

    Raises:
        SettingError: Ray is missing, or the generator cannot be spread.
    """
    check_engine({"interest_generator": name, "interest_engine": "ray"})
    make = Make(name)
    return RayGenerator(make(settings), settings, make)


def ray_library(what="interest_engine=ray"):
    """The ``ray`` module.

    Args:
        what (str): the setting that needs it.

    Raises:
        SettingError: it is not installed, or cannot be imported.
    """
    try:
        import ray
    except ImportError as error:  # RecBole asks for an old one, which today's setuptools cannot import
        raise SettingError(f"{what} needs a Ray that works ({error}): pip install -U ray.") from error
    if not hasattr(ray, "init"):  # the stand-in that RecBole gets where there is no Ray
        raise SettingError(f"{what} needs Ray, which is not installed: pip install -U ray.")
    return ray


def named_error(name, sentence):
    """An error of ours by class name, as it came from another process."""
    kind = getattr(failures, name, None) or getattr(errors, name, None) or RecBoleSAMError
    return kind(sentence)
