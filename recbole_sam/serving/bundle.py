"""A bundle that answers: what :func:`recbole_sam.load` gives."""

import copy
import functools
import json
import threading
from logging import getLogger

import numpy as np
import torch

from recbole_sam.config.values import is_count
from recbole_sam.errors import DataError, SettingError, UnknownNameError
from recbole_sam.models.parts.interest_reader import InterestReader
from recbole_sam.prepare.text import clean_title
from recbole_sam.serving import bundle_files, load, similar, strangers, table_files
from recbole_sam.serving.catalogue import Catalogue, leave_out
from recbole_sam.serving.encoder import text_encoder
from recbole_sam.serving.fast import everybody
from recbole_sam.serving.fast.faiss_index import SAMPLE, IndexScorer
from recbole_sam.serving.people import People, check_part
from recbole_sam.serving.reasons import explanation, lending, steering, told
from recbole_sam.serving.reasons.standing import Person
from recbole_sam.serving.scores import Scorer, Sessions

ENGINES = ("local", "ray")


class Bundle:
    """A trained model with its items and, if it was made so, its users.

    Opening reads ``bundle.json`` and small files; the model is built when it is first asked.

    Args:
        folder (str or Path): as ``python -m recbole_sam bundle`` wrote it.

    Attributes:
        facts (dict): what ``bundle.json`` says: model, settings, data, metrics, versions.
        catalogue (Catalogue): the items.
        people (People): the users.

    Raises:
        DataError: there is no bundle, it is damaged, or a newer version wrote it.
    """

    def __init__(self, folder):
        self._files = bundle_files.BundleFiles(folder)
        self.facts = self._files.facts
        self.catalogue = Catalogue(*load.item_table(self._files))
        self.people = People(self._files)
        self._new_vectors = self._lists = None
        self._new_titles = {}
        self._start()

    def _start(self):
        self._scorer = self._encoder = self._words = self._texts = None
        self._lock = threading.Lock()  # strangers' interests are lent to the model

    @functools.cached_property
    def _strangers(self):
        return strangers.Strangers(self._files, self._text_encoder)

    @property
    def items(self):
        """numpy.ndarray: str [N], item tokens by number; the first is padding."""
        return self.catalogue.items

    @property
    def titles(self):
        """numpy.ndarray: str or None [N], as ``items``."""
        return self.catalogue.titles

    @property
    def identity(self):
        """str: the checksum of all that is in the bundle, with new items and the index."""
        index = f"index {self._lists}" if self._lists else ""
        new = json.dumps(list(self._new_titles.items())) if self._new_titles else ""
        return self._files.checksum + new + index

    def __contains__(self, item):
        """bool: whether an item token is known."""
        return item in self.catalogue.number_of

    def recommend(
        self,
        users=None,
        histories=None,
        k=10,
        history="full",
        exclude_seen=True,
        among=None,
        without=None,
        new_interests="live",
        strict=False,
        steer=None,
        strength=1.0,
        without_interests=(),
        as_frame=True,
    ):
        """The best next items of known users or of any histories.

        Users, items and sessions that are not known are logged with their number, and the rest is answered.

        Args:
            users (sequence of str, optional): tokens of known users.
            histories (sequence of sequences of str, or dict, optional): item tokens, oldest first, instead of
                ``users``; a dict names them.
            k (int): items a person; fewer where there are no more candidates.
            history (str): ``full``, ``valid`` or ``train``: what known users are answered from. ``valid`` is
                what the test saw, ``train`` what the validation saw.
            exclude_seen (bool): whether items of a person's history are left out.
            among (sequence of str, optional): the only candidates.
            without (sequence of str, optional): items that are no candidates.
            new_interests (str): for histories and a model that reads interests: ``live``, made on the spot
                without a language model, or ``default``, none.
            strict (bool): whether something unknown is an error.
            steer (str or sequence of str, optional): what is wanted, in words: items whose titles fit one of
                the phrases rise.
            strength (float): how much; 1 is the default, 0 nothing.
            without_interests (sequence of int): numbers of interests, from 1, that do not count.
            as_frame (bool): whether the answer is a DataFrame. Plain rows are quicker made for one person.

        Returns:
            pandas.DataFrame: user, rank (from 1), item, title, score; with new items also new. Without
            ``as_frame`` a list of dict with the same.

        Raises:
            SettingError: an argument makes no sense.
            DataError: the bundle holds no users, or is damaged.
            UnknownNameError: with ``strict``, something unknown.
        """
        strangers.check_how(new_interests)
        check_part(history)
        self._check_k(k)
        if (users is None) == (histories is None):
            raise SettingError("Give either users or histories.")
        allowed = self.catalogue.candidates(among, without, strict)
        if users is not None:
            names, sessions = self._known(users, history, strict)
            table = None
        else:
            names, sessions, said = self.catalogue.sessions(histories, strict)
            table = self._interests(said, new_interests) if names else None
        answer = self.catalogue.frame if as_frame else self.catalogue.rows
        if not names:
            return answer(names, np.zeros((0, 0), np.int64), np.zeros((0, 0), np.float32))
        scorer = self._ready()
        wish = self._wish(steer, strength)
        interests = self._lent(sessions, table, users is None, without_interests)
        with (
            self._lock,
            torch.inference_mode(),
            lending.lent(scorer.model, interests, sessions.users) as numbers,
        ):
            asked = sessions._replace(users=numbers)
            found, scores = scorer.best(asked, k, exclude_seen, allowed, wish and wish.add)
        return answer(names, found, scores)

    def recommend_all(self, output, k=10, history="full", exclude_seen=True, among=None, without=None,
                      overwrite=False, strict=False, progress=None, engine="local", workers=2):  # fmt: skip
        """The best next items of every user, into a file, a block of users at a time.

        A process that was killed leaves what it had; the same call goes on and gives the same bytes.

        Args:
            output (str or Path): ends in .parquet, .csv or .jsonl; appears when all is done.
            k, history, exclude_seen, among, without, strict: as :meth:`recommend`.
            overwrite (bool): whether a file that is there is replaced.
            progress (callable, optional): told ``(users done, users)``.
            engine (str): ``local``, or ``ray``: on a Ray cluster whose machines all see the bundle's folder.
            workers (int): processes of the cluster.

        Returns:
            int: how many users were answered.

        Raises:
            SettingError, DataError: as :meth:`recommend`, or another process writes the same file.
        """
        check_part(history)
        self._check_k(k)
        if engine not in ENGINES:
            raise SettingError(f"engine is {engine!r}; it must be {' or '.join(ENGINES)}.")
        if not is_count(workers, 1):
            raise SettingError(f"workers is {workers!r}; it must be a whole number from 1.")
        allowed = self.catalogue.candidates(among, without, strict)
        candidates = None if allowed is None else allowed.tolist()
        job = {"bundle": self.identity, "k": k, "history": history, "exclude_seen": exclude_seen,
               "candidates": candidates}  # fmt: skip
        suffix = table_files.ending(output)

        def answered(missing):
            if engine == "ray" and missing:
                from recbole_sam.serving.fast import on_cluster

                folder = self._files.folder.absolute()
                make = functools.partial(_blocks_of, folder, self._new_titles, self._lists, job, suffix)
                yield from on_cluster.answered(make, missing, workers)
                return
            for index in missing:
                yield index, self._block(job, suffix, index)

        sizes, columns = self.people.block_sizes(), self.catalogue.columns
        return everybody.write(output, job, sizes, answered, columns, overwrite, progress)

    def _block(self, job, suffix, index):
        """The bytes of one block of everybody's recommendations."""
        tokens, first, items, starts, lengths = self.people.block(index, job["history"])
        numbers = np.arange(first, first + len(tokens))
        some = lengths > 0
        answer = np.zeros((0, 0), np.int64), np.zeros((0, 0), np.float32)
        if some.any():
            sessions = Sessions(numbers[some], items, starts[some], lengths[some])
            allowed = None if job["candidates"] is None else torch.tensor(job["candidates"])
            with self._lock:
                answer = self._ready().best(sessions, job["k"], job["exclude_seen"], allowed)
        return table_files.encoded(self.catalogue.frame(tokens[some], *answer), suffix)

    def explain(
        self,
        user=None,
        history=None,
        items=(),
        part="full",
        new_interests="live",
        steer=None,
        strength=1.0,
        without_interests=(),
        strict=False,
    ):
        """Why items are recommended to somebody, or not.

        Args:
            user (str, optional): a known user.
            history (sequence of str, optional): item tokens, oldest first, instead of ``user``.
            items (sequence of str): what is explained.
            part (str): ``full``, ``valid`` or ``train``: which part of a known user's history counts.
            new_interests, steer, strength, without_interests: as :meth:`recommend`.
            strict (bool): whether something unknown in ``history`` is an error.

        Returns:
            list of dict: one an item, JSON-able: ``item``, ``title``, ``score``, ``rank`` (among what the
            person does not have yet), ``parts`` (name to number, they sum to the score), ``voters`` (``part``
            of each history item as a neighbour), ``history`` (of each item ``change``, how much less likely
            the recommendation is without it, a difference of logarithms, and ``rank_without``),
            ``interests`` (number, phrase, change, rank_without, attention over the history),
            ``rank_with_other_interests`` and ``rank_without_interests`` (None where the model reads none).

        Raises:
            SettingError: an argument makes no sense.
            UnknownNameError: the user or an item is not known.
            DataError: the bundle holds no users, or is damaged.
        """
        items = [items] if isinstance(items, str) else [str(item) for item in items]
        if not items:
            raise SettingError("Give items to explain.")
        asked = self.catalogue.numbers(items)
        person, phrases = self._person(user, history, part, new_interests, strict)
        wish = self._wish(steer, strength)
        most = None if person.interests is None else len(phrases)
        dropped = told.check_numbers(without_interests, most)
        if dropped:
            person = person._replace(interests=lending.without(person.interests, dropped))
        numbers = [number for number in range(1, len(phrases) + 1) if number not in dropped]
        with self._lock, torch.no_grad():
            found = explanation.explain(self._ready(), person, asked, wish)
        taken = self.catalogue.named(person.items)
        left = [phrases[number - 1] for number in numbers]
        named = zip(found, self.catalogue.named(asked.numpy()), strict=True)
        return [told.told(each, item, taken, numbers, left) for each, item in named]

    def interests(self, user=None, history=None, part="full", new_interests="live", strict=False):
        """The interests of somebody.

        Args:
            user, history, part, new_interests, strict: as :meth:`explain`.

        Returns:
            list of dict: number (from 1), phrase (None in a bundle of an earlier version), items (item and
            title of the history items whose titles are most like it). Empty where the model reads none.

        Raises:
            SettingError, UnknownNameError, DataError: as :meth:`explain`.
        """
        person, phrases = self._person(user, history, part, new_interests, strict)
        if not phrases:
            return []
        rows = person.interests.rows[0, : len(phrases)].long()
        texts = None
        if bundle_files.ITEM_TEXTS in self._files:
            texts = self._text_vectors()[torch.from_numpy(person.items.astype(np.int64))]
        vectors = person.interests.embeddings[rows]
        return told.described(phrases, vectors, self.catalogue.named(person.items), texts)

    def similar(self, items, k=10, by="model"):
        """The items nearest to some items.

        Args:
            items (str or sequence of str): item tokens.
            k (int): how many for each.
            by (str): ``model``, the vectors that users are compared with, or ``text``, those of the titles.

        Returns:
            pandas.DataFrame: item, rank, similar, title, similarity (a cosine).

        Raises:
            UnknownNameError: an item is not known.
            DataError: the model has no such vectors.
        """
        similar.check_by(by)
        self._check_k(k)
        items = [items] if isinstance(items, str) else [str(item) for item in items]
        if not items:
            raise SettingError("Give items to find others for.")
        numbers = self.catalogue.numbers(items)
        if by == "text":
            vectors = self._text_vectors()
        else:
            vectors = similar.model_vectors(self._ready().model, self.facts["model"])
        without = [item for item, says in zip(items, vectors[numbers].any(dim=1), strict=True) if not says]
        leave_out(without, "items that say nothing, so none is near", False)
        found, cosines = (each.numpy() for each in similar.nearest(vectors, numbers, k))
        frame = self.catalogue.frame(items, found, cosines)
        return frame.rename(columns={"item": "similar", "score": "similarity", "user": "item"})

    def with_items(self, titles, strict=False):
        """The same bundle with items that came after training, scored by their titles alone.

        Args:
            titles (dict): item token to title. Items that are known already keep their old title.
            strict (bool): whether an item that is known already is an error.

        Returns:
            Bundle: another one; tables have a column ``new``.

        Raises:
            DataError: the model reads no titles, or nothing is new.
        """
        titles = {str(token): title for token, title in titles.items()}
        known = [token for token in titles if token in self]
        leave_out(known, "new items that are in the bundle already", strict)
        new = {token: clean_title(title) for token, title in titles.items() if token not in self}
        if not new:
            raise DataError("None of the new items is new: the bundle has them all.")
        other = copy.copy(self)
        other._new_titles = self._new_titles | new
        other.catalogue = self.catalogue.with_more(new)
        vectors = self._text_encoder().encode(list(new.values()))
        other._new_vectors = vectors if self._new_vectors is None else np.r_[self._new_vectors, vectors]
        other._start()
        other._encoder = self._encoder
        other._ready()  # says at once what does not work
        return other

    def with_index(self, lists=32):
        """The same bundle, answering from a FAISS index: for catalogues where scoring every item is too slow.

        Args:
            lists (int): how many of the index's 4 x root(items) lists are read for a person; more find more
                of the exact answer.

        Returns:
            Bundle: another one; ``index_recall`` says what it finds.

        Raises:
            SettingError: FAISS is not installed, or ``lists`` makes no sense.
            DataError: the model's scores are no products of vectors.
        """
        if not is_count(lists, 1):
            raise SettingError(f"The index reads {lists!r} lists; it must be a whole number from 1.")
        other = copy.copy(self)
        other._lists = lists
        other._scorer = other._indexed(self._ready())  # of the same model, so with the same lock
        return other

    def index_recall(self, k=10):
        """How much of the exact top ``k`` the index finds.

        Returns:
            tuple: a share from 0 to 1, and of how many people: users, or sessions of one item.
        """
        with self._lock:
            return self._ready().recall(k)

    def hold(self):
        """Reads now what an answer would read later, so that the folder may change meanwhile."""
        self._ready()
        self._phrases()
        if self.facts["users"]:
            self.people.hold()
        if bundle_files.ITEM_TEXTS in self._files:
            self._text_vectors()
        if bundle_files.WORDS in self._files:
            self._text_encoder()
        if self.facts["interests"] and self.facts["interests"]["live"]:
            self._strangers.hold()

    def _ready(self):
        """The scorer, which loads the model."""
        if self._scorer is None:
            model = load.build_model(self._files, self.items, self._new_vectors)
            users, sizes = self.facts["users"], self.facts["sizes"]
            n_users = users["count"] + 1 if users else sizes["users"]
            scorer = Scorer(model, self.facts["trims"], n_users)
            self._scorer = self._indexed(scorer) if self._lists else scorer
        return self._scorer

    def _indexed(self, scorer):
        return IndexScorer(scorer, self.facts["model"], self._lists, self._some_people())

    def _some_people(self):
        """Sessions to try an index on: of users if the bundle holds any, else of one item each."""
        count = self.facts["users"]["count"] if self.facts["users"] else len(self.items) - 1
        numbers = np.unique(np.linspace(1, count, SAMPLE).astype(np.int64))
        if not self.facts["users"]:
            places = np.arange(len(numbers))
            return Sessions(np.zeros_like(numbers), numbers, places, np.ones_like(numbers))
        items, starts, lengths = self.people.histories(numbers)
        some = lengths > 0
        return Sessions(numbers[some], items, starts[some], lengths[some])

    def _text_encoder(self):
        if self._encoder is None:
            self._encoder = text_encoder(self._files)
        return self._encoder

    def _text_vectors(self):
        if bundle_files.ITEM_TEXTS not in self._files:
            raise DataError(f"{self.facts['model']} as it was trained reads no titles: use --by=model.")
        path = self._files.path(bundle_files.ITEM_TEXTS)
        if self._texts is None:
            self._texts = load.ItemTexts(path, self.items).vectors()
            if self._new_vectors is not None:
                self._texts[self.catalogue.first_new :] = torch.from_numpy(self._new_vectors)
        return self._texts

    def _lent(self, sessions, table, strangers_ask, without_interests):
        """The interests to ask the model with; None for what it has."""
        model = self._ready().model
        if not isinstance(model, InterestReader):
            told.check_numbers(without_interests, None)
            return None
        dropped = frozenset([without_interests] if isinstance(without_interests, int) else without_interests)
        if not strangers_ask and not dropped:
            return None
        with self._lock:  # else another thread's interests may stand in the model
            if strangers_ask:
                interests = lending.of_strangers(model, table, len(sessions.users))
            else:
                interests = lending.of_users(model, sessions.users)
        told.check_numbers(dropped, int(interests.k.max()))
        return lending.without(interests, dropped) if dropped else interests

    def _wish(self, steer, strength):
        """What a person typed (Steering), or None."""
        if not steer:
            return None
        if bundle_files.ITEM_TEXTS not in self._files:
            raise DataError(
                f"{self.facts['model']} as it was trained reads no titles, so no phrase can steer it: bundle "
                "a model that does, such as SAM or SASRecText."
            )
        return steering.steering(steer, strength, self._text_encoder().encode, self._text_vectors)

    def _person(self, user, history, part, new_interests, strict):
        """Somebody (Person) and the phrases of their interests."""
        strangers.check_how(new_interests)
        check_part(part)
        if (user is None) == (history is None):
            raise SettingError("Give either a user or a history.")
        if user is not None:
            _, sessions = self._known([str(user)], part, True)
            table = None
        else:
            names, sessions, said = self.catalogue.sessions([history], strict)
            if not names:
                raise UnknownNameError("The history holds no item that is in the bundle.")
            table = self._interests(said, new_interests)
        model = self._ready().model
        start, length = int(sessions.starts[0]), int(sessions.lengths[0])
        items, number = sessions.items[start : start + length], int(sessions.users[0])
        if not isinstance(model, InterestReader):
            return Person(number, items, None), []
        with self._lock:
            if user is not None:
                interests = lending.of_users(model, sessions.users)
            else:
                interests = lending.of_strangers(model, table, 1)
        phrases = self._phrases() if user is not None else table and table.phrases
        rows = interests.rows[0, : int(interests.k)].tolist()
        return Person(number, items, interests), [phrases[row] if phrases else None for row in rows]

    def _phrases(self):
        """The users' interests in words (list of str); None in a bundle of an earlier version."""
        if self._words is None and bundle_files.PHRASES in self._files:
            self._words = self._files.parquet(bundle_files.PHRASES).read()["phrase"].to_pylist()
        return self._words

    def _known(self, users, history, strict):
        """Names and sessions of the users that are known and have a history."""
        users = [users] if isinstance(users, str) else [str(user) for user in users]
        numbers = self.people.numbers(users)
        unknown = [user for user, number in zip(users, numbers, strict=True) if not number]
        leave_out(unknown, "users that are not in the bundle", strict)
        names = [user for user, number in zip(users, numbers, strict=True) if number]
        numbers = numbers[numbers > 0]
        items, starts, lengths = self.people.histories(numbers, history)
        some = lengths > 0
        without = [name for name, has in zip(names, some, strict=True) if not has]
        leave_out(without, f"users without a '{history}' history", strict)
        names = [name for name, has in zip(names, some, strict=True) if has]
        return names, Sessions(numbers[some], items, starts[some], lengths[some])

    def _interests(self, said, how):
        if not isinstance(self._ready().model, InterestReader):
            return None
        if how != "default" and not self.facts["interests"]["live"]:
            getLogger("recbole_sam").warning(
                "The interests of this bundle were made elsewhere: new people are answered without any."
            )
            return None
        number_of = self.catalogue.number_of
        titles = {token: self.titles[number_of[token]] for history in said for token in history}
        return self._strangers.interests(titles, said, how)

    def _check_k(self, k):
        if not is_count(k, 1):
            raise SettingError(f"top-k is {k!r}; it must be a whole number from 1.")


def _blocks_of(folder, titles, lists, job, suffix):
    """Opens a bundle on another machine.

    Args:
        folder (Path): of the bundle.
        titles (dict): of new items, as :meth:`Bundle.with_items` takes them.
        lists (int or None): as :meth:`Bundle.with_index` takes them.
        job (dict): what is asked.
        suffix (str): the kind of file.

    Returns:
        callable: from the number of a block to its bytes.

    Raises:
        DataError: the folder there holds another bundle.
    """
    bundle = Bundle(folder)
    bundle = bundle.with_items(titles) if titles else bundle
    bundle = bundle.with_index(lists) if lists else bundle
    if bundle.identity != job["bundle"]:
        raise DataError(f"{folder} holds another bundle on a machine of the cluster: copy this one there.")
    return functools.partial(bundle._block, job, suffix)
