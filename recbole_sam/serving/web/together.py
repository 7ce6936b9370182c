"""One thread a bundle asks the model; what waits meanwhile is scored together."""

import asyncio
import queue
import threading
from typing import NamedTuple

from recbole_sam.errors import UnknownNameError
from recbole_sam.serving.web.limits import BusyError, LateError

MOST = 64
"""Requests scored together."""


class _Waiting(NamedTuple):
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future
    work: object
    """What to do: a callable that is given the bundle, or a :class:`Wish`."""


class Wish(NamedTuple):
    """A request for recommendations; equal ``how`` are scored together."""

    user: str | None
    items: tuple
    how: tuple
    """Sorted pairs: further arguments of ``Bundle.recommend``, hashable."""

    @property
    def alone(self):
        """bool: whether nobody else may be asked for beside; others have other interests."""
        return "without_interests" in dict(self.how)


class Together:
    """Answers with a bundle that can be replaced at any time.

    Args:
        bundle (Bundle): what answers.
        limits (Limits): of waiting.
        measured (callable): told how many requests were scored together.
    """

    def __init__(self, bundle, limits, measured=lambda count: None):
        self.bundle, self._limits, self._measured = bundle, limits, measured
        self._queue = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="bundle", daemon=True)
        self._thread.start()

    def waiting(self):
        """int: about how many requests wait."""
        return self._queue.qsize()

    async def ask(self, work):
        """What a :class:`Wish` or a callable gives.

        Raises:
            BusyError: too many wait.
            LateError: it took too long.
            RecBoleSAMError: of the bundle.
        """
        if self._queue.qsize() >= self._limits.waiting:
            raise BusyError("Too many requests wait already: try again in a second.")
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self._queue.put(_Waiting(loop, answer, work))
        try:
            return await asyncio.wait_for(answer, self._limits.seconds)
        except asyncio.TimeoutError:
            raise LateError(f"No answer within {self._limits.seconds:g} seconds: try again later.") from None

    def close(self):
        """Ends the thread after all that waits."""
        self._queue.put(None)
        self._thread.join()

    def _work(self):
        while (first := self._queue.get()) is not None:
            some = [first]
            while len(some) < MOST and not self._queue.empty():
                some.append(self._queue.get_nowait())
            ends = None in some
            self._do([one for one in some if one is not None and not one.answer.cancelled()])
            if ends:
                return

    def _do(self, some):
        groups = {}
        for one in some:
            alone = not isinstance(one.work, Wish) or one.work.alone
            key = object() if alone else (one.work.user is None, one.work.how)
            groups.setdefault(key, []).append(one)
        bundle = self.bundle
        for group in groups.values():
            try:
                answers = self._answers(bundle, [one.work for one in group])
                self._measured(len(group))
            except Exception as error:
                if len(group) > 1:  # whose fault it is shows when each is asked alone
                    for one in group:
                        self._do([one])
                    continue
                answers = [error]
            for one, answer in zip(group, answers, strict=True):
                _tell(one, answer)

    def _answers(self, bundle, works):
        if not isinstance(works[0], Wish):
            return [works[0](bundle)]
        return recommended(bundle, works)


def _tell(one, answer):
    """Hands an answer to the event loop that waits for it, if it still does."""

    def hand_over():
        if one.answer.done():
            return
        if isinstance(answer, Exception):
            one.answer.set_exception(answer)
        else:
            one.answer.set_result(answer)

    try:
        one.loop.call_soon_threadsafe(hand_over)
    except RuntimeError:  # the loop is closed: nobody waits
        pass


def recommended(bundle, wishes):
    """The answers to wishes of one kind.

    Args:
        bundle (Bundle): what answers.
        wishes (list of Wish): all of users or all of sessions, and alike in ``how``.

    Returns:
        list: for each a list of dicts: rank, item, title, score; an UnknownNameError for one who is unknown.

    Raises:
        RecBoleSAMError: one of them cannot be answered.
    """
    how = {name: list(value) if isinstance(value, tuple) else value for name, value in wishes[0].how}
    if wishes[0].user is not None:
        names = [wish.user for wish in wishes]
        people = {"users": list(dict.fromkeys(names))}
    else:
        names = [str(number) for number in range(len(wishes))]
        people = {"histories": {name: wish.items for name, wish in zip(names, wishes, strict=True)}}
    found = {}
    for row in bundle.recommend(**people, **how, as_frame=False):
        found.setdefault(row.pop("user"), []).append(row)
    unknown = UnknownNameError("Nothing in the request is known to the bundle.")
    some = [wish.user is not None or any(item in bundle for item in wish.items) for wish in wishes]
    return [found.get(name, []) if known else unknown for name, known in zip(names, some, strict=True)]
