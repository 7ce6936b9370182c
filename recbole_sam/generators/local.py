"""A causal language model on this machine: the ``transformers`` generator.

Prompts go through the model's own chat template and are generated in batches, on a GPU in bfloat16.
Greedy by default, because sampling in batches cannot be repeated: what a prompt draws depends on
its neighbours. Answers are kept in the same cache as paid ones; a local model costs time.
"""

import hashlib
import heapq
import re
from pathlib import Path
from typing import NamedTuple

from recbole_sam.encoders import safe_load
from recbole_sam.errors import DataError, RecBoleSAMError, SettingError
from recbole_sam.generators.dialogue import exchange
from recbole_sam.generators.extractive import central_titles
from recbole_sam.generators.live import fingerprint
from recbole_sam.generators.prompts import prompt_of
from recbole_sam.generators.run_report import RunReport
from recbole_sam.llm.answers import AnswerCache, AskedOf, CachedAnswer
from recbole_sam.llm.failures import BrokenRunError, InterruptedRunError, LimitReachedError
from recbole_sam.llm.prices import Spending
from recbole_sam.llm.replies import kept

MODEL_FOLDER = Path("LLMs")
LOOK_AHEAD = 8
"""Batches' worth of users in work, so that prompts of similar length can be put together."""
_EDGE = 1 << 20  # bytes at either end of a large file that enter the content hash
_SMALL = 16 << 20


class LocalGenerator:
    """An :class:`InterestGenerator` on a folder with a causal language model.

    Args:
        settings (LLMSettings): ``model`` is the folder, or a name under ``LLMs/``.
        fill (callable): from a request to phrases of its titles, for what the model leaves open.

    Raises:
        SettingError: no model was named, it has no chat template, or there is no such device.
        DataError: there is no such folder, or it holds no model.
    """

    name = "transformers"
    price = None

    def __init__(self, settings, fill=central_titles):
        self.settings = settings
        self.fill = fill
        self.prompt = prompt_of(settings)
        self._folder = find_folder(settings.model)
        self._tokenizer, self._model = _load(self._folder, settings.device)
        self._longest = getattr(self._model.config, "max_position_embeddings", None)
        self.asked_of = AskedOf(
            "transformers",
            f"{self._folder.name} {content_hash(self._folder)}",
            {
                "temperature": float(settings.temperature or 0.0),
                "top_p": float(settings.top_p),
                "max_tokens": settings.max_tokens,
                "dtype": str(self._model.dtype).removeprefix("torch."),
                "seed": settings.seed,
            },
            f"{self.prompt.name}/{self.prompt.version}",
        )
        self.report = RunReport(Spending(None, None, settings.max_tokens))

    def fingerprint(self):
        """Model folder's name and content hash, parameters, prompt."""
        return fingerprint(self.name, self.asked_of, self.prompt)

    def generate(self, requests):
        """Streams; some :data:`LOOK_AHEAD` batches of users are in work.

        Raises:
            LimitReachedError: ``llm_max_users`` is reached; those users are done.
            InterruptedRunError: Ctrl-C; the batch at hand is lost, all before it are kept.
            CacheError: the cache cannot be used.
        """
        self.report = RunReport(Spending(None, None, self.settings.max_tokens))
        window = LOOK_AHEAD * self.settings.batch_size
        with AnswerCache(self.settings.cache_dir) as cache:
            work, reached = _Work(self, cache), None
            try:
                try:
                    for request in requests:
                        yield from work.start(request)
                        while len(work.waiting) >= window:
                            yield from work.batch()
                except LimitReachedError as error:
                    reached = error
                while work.waiting:
                    yield from work.batch()
            except KeyboardInterrupt:
                raise InterruptedRunError(
                    f"Interrupted: {self.report.users:,} users are done, {self.report.asked:,} new "
                    f"answers are kept in {cache.path}. The same command goes on from here."
                ) from None
            if reached:
                raise LimitReachedError(
                    f"Stopped at llm_max_users ({self.settings.max_users:,}): {self.report.asked:,} new "
                    f"answers are kept in {cache.path}. The same command goes on from here."
                )

    def encode(self, prompt):
        """Token ids of a prompt in the model's chat template, a list of int."""
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        # The template has written the special tokens already.
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def fits(self, ids):
        """Whether prompt and answer fit into the model's positions."""
        return self._longest is None or len(ids) + self.settings.max_tokens <= self._longest

    def answer(self, batch):
        """Generates.

        Args:
            batch (list of list of int): token ids of B prompts.

        Returns:
            list of CachedAnswer: B answers with their token counts.
        """
        import torch

        width = max(map(len, batch))
        pad = self._tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in batch])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch])
        sampling = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if self.settings.temperature:
            torch.manual_seed(self.settings.seed)
            sampling = {
                "do_sample": True,
                "temperature": self.settings.temperature,
                "top_p": self.settings.top_p,
                "top_k": 0,
            }
        with torch.inference_mode():
            written = self._model.generate(
                input_ids=ids.to(self._model.device),
                attention_mask=mask.to(self._model.device),
                max_new_tokens=self.settings.max_tokens,
                pad_token_id=pad,
                **sampling,
            )[:, width:].tolist()
        texts = self._tokenizer.batch_decode(written, skip_special_tokens=True)
        return [
            CachedAnswer(
                kept(text, self._is_cut(new)),
                False,
                len(row),
                sum(token != pad for token in new),
            )
            for text, row, new in zip(texts, batch, written, strict=True)
        ]

    def _is_cut(self, new):
        """Whether ``llm_max_tokens`` ended an answer (list of int), not the model."""
        ends = self._model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        return len(new) >= self.settings.max_tokens and new[-1] not in (*ends, self._tokenizer.pad_token_id)


class _Waiting(NamedTuple):
    """A prompt and the users' exchanges that wait for its answer."""

    ids: list
    steps: list


class _Work:
    """The users in work: exchanges by the key of the prompt they wait for."""

    def __init__(self, generator, cache):
        self._generator = generator
        self._cache = cache
        self.waiting = {}
        self._in_work = set()  # exchanges that may ask: their users are within llm_max_users
        self._asked_for = 0

    def start(self, request):
        """Begins a user's exchange; yields the answer when the cache has all of it.

        Raises:
            LimitReachedError: it needs a new answer, and ``llm_max_users`` got theirs.
        """
        generator = self._generator
        steps = exchange(request, generator.prompt, generator.fill)
        yield from self._advance(steps, next(steps))

    def batch(self):
        """Generates the longest waiting prompts and yields the users that are done by that."""
        generator = self._generator
        keys = heapq.nlargest(
            generator.settings.batch_size, self.waiting, key=lambda k: len(self.waiting[k].ids)
        )
        chosen = [self.waiting.pop(key) for key in keys]
        try:
            answers = generator.answer([waiting.ids for waiting in chosen])
        except Exception as error:
            raise _unanswered(error, generator.settings, len(chosen), self._cache.path) from error
        answers = [generator.report.limited(answer) for answer in answers]
        stored = [
            self._cache.store(key, generator.asked_of, answer)
            for key, answer in zip(keys, answers, strict=True)
        ]
        for future, waiting, answer in zip(stored, chosen, answers, strict=True):
            future.result()
            generator.report.asked += 1
            generator.report.from_cache += len(waiting.steps) - 1  # the same prompt of other users
            generator.report.spending.settle(0, answer.input_tokens, answer.output_tokens)
            for steps in waiting.steps:
                yield from self._send(steps, answer)

    def _advance(self, steps, prompt):
        key = self._generator.asked_of.key(prompt)
        if key in self.waiting:
            self._in_work.add(steps)
            self.waiting[key].steps.append(steps)
            return
        answer = self._cache.get(key)
        if answer is not None:
            self._generator.report.from_cache += 1
            yield from self._send(steps, answer)
            return
        ids = self._generator.encode(prompt)
        if self._generator.fits(ids):
            self._admit(steps)
            self.waiting[key] = _Waiting(ids, [steps])
            return
        self._generator.report.reasons["the prompt is longer than the model's context"] += 1
        yield from self._send(steps, None)

    def _admit(self, steps):
        if steps in self._in_work:
            return
        limit = self._generator.settings.max_users
        if limit is not None and self._asked_for >= limit:
            raise LimitReachedError
        self._asked_for += 1
        self._in_work.add(steps)

    def _send(self, steps, answer):
        try:
            prompt = steps.send(answer)
        except StopIteration as end:
            self._in_work.discard(steps)
            self._generator.report.statuses[end.value.status] += 1
            yield end.value
            return
        yield from self._advance(steps, prompt)


def _unanswered(error, settings, count, path):
    """What ended a batch of prompts, as the user may see it."""
    if isinstance(error, RecBoleSAMError):
        return error
    if isinstance(error, MemoryError) or re.search("out of memory|can't allocate memory", str(error)):
        return SettingError(
            f"{count} prompts at once (llm_batch_size={settings.batch_size}) need more memory than there is: "
            f"set a smaller llm_batch_size. What was answered is kept in {path}."
        )
    return BrokenRunError.of("A batch of prompts", error, path)


def find_folder(name):
    """The folder of a local model: a path, or a name under ``LLMs/``.

    Raises:
        SettingError: no name.
        DataError: no such folder, or no model in it.
    """
    if not name:
        raise SettingError(
            "The transformers generator needs a model: set llm_model to the folder of a causal "
            "language model with a chat template, such as LLMs/Qwen3-0.6B."
        )
    for folder in (Path(name), MODEL_FOLDER / name):
        if (folder / "config.json").is_file():
            return folder
    raise DataError(
        f"There is no language model in {name} or {MODEL_FOLDER / name} (a folder with config.json, "
        "tokenizer and weights); set llm_model to one."
    )


def content_hash(folder):
    """16 hexadecimal digits that change with the model.

    Args:
        folder (Path): of the model.

    Returns:
        str: from the names and sizes of all files, the content of small ones, and both ends of
        files above 16 MiB: hashing tens of gigabytes of weights at every start would take minutes.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.name} {size} ".encode())
        with open(path, "rb") as file:
            if size <= _SMALL:
                digest.update(file.read())
            else:
                digest.update(file.read(_EDGE))
                file.seek(-_EDGE, 2)
                digest.update(file.read())
    return digest.hexdigest()[:16]


def _load(folder, device):
    """Tokenizer and model, from local files only, without running code of the folder."""
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise SettingError(
            "The transformers generator needs Transformers: pip install transformers."
        ) from error
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if str(device).startswith("cuda") else torch.float32
    tokenizer, model = safe_load.load("language model", folder, AutoTokenizer, AutoModelForCausalLM)
    if not tokenizer.chat_template:
        raise SettingError(
            f"The model in {folder} has no chat template, so it was not made to follow a request; "
            "set llm_model to an instruction-tuned one."
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    try:
        return tokenizer, model.to(device=device, dtype=dtype).eval()
    except (RuntimeError, AssertionError) as error:  # torch says so when it was built without CUDA
        raise SettingError(
            f"The language model cannot be put on llm_device {device!r} ({safe_load.first_line(error)}): "
            "give cpu, cuda, or cuda:1 for the second GPU; left out, a GPU is taken where there is one."
        ) from error
