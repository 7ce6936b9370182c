"""The items of a bundle by their names: tokens that people type become numbers, and numbers become tables."""

from logging import getLogger

import numpy as np
import torch

from recbole_sam.errors import SettingError, UnknownNameError, nearest
from recbole_sam.serving.scores import Sessions
from recbole_sam.serving.table_files import listed

COLUMNS = ("user", "rank", "item", "title", "score")
"""Of every table of recommendations."""


def leave_out(names, what, strict, known=()):
    """Logs what an answer leaves out, or refuses it.

    Args:
        names (list of str): nothing happens if there are none.
        what (str): what they are.
        strict (bool): whether that is an error.
        known (collection of str): names that may have been meant.

    Raises:
        UnknownNameError: with ``strict``.
    """
    if not names:
        return
    guess = nearest(str(names[0]), known) if len(names) == 1 else ""
    sentence = f"{what[0].upper()}{what[1:]}: {len(names):,} ({listed(names)}).{guess}"
    if strict:
        raise UnknownNameError(sentence)
    getLogger("recbole_sam").warning(sentence)


class Catalogue:
    """Items and their titles.

    Args:
        items (numpy.ndarray): str [N], tokens by number; the first is padding.
        titles (numpy.ndarray): str or None [N].
        first_new (int, optional): number of the first item that came after training, if any did.
    """

    def __init__(self, items, titles, first_new=None):
        import pandas as pd

        self.items, self.titles, self.first_new = items, titles, first_new
        self.number_of = {token: number for number, token in enumerate(items) if number}
        # typed once: pandas would look at every value of every answer
        self._columns = [pd.Series(column.tolist()).array for column in (items, titles)]

    @property
    def columns(self):
        """tuple of str: of a table of recommendations."""
        return COLUMNS if self.first_new is None else (*COLUMNS, "new")

    def numbers(self, tokens):
        """Numbers of items that must be known.

        Args:
            tokens (sequence of str): their tokens.

        Returns:
            torch.LongTensor: [n].

        Raises:
            UnknownNameError: one is not known.
        """
        unknown = [token for token in tokens if token not in self.number_of]
        leave_out(unknown, "items that are not in the bundle", True, self.number_of)
        return torch.tensor([self.number_of[token] for token in tokens], dtype=torch.int64)

    def named(self, numbers):
        """Items in words.

        Args:
            numbers (sequence of int): of the items.

        Returns:
            list of dict: item, title.
        """
        return [{"item": str(self.items[number]), "title": self.titles[number]} for number in numbers]

    def with_more(self, titles):
        """A longer catalogue.

        Args:
            titles (dict): token to title of items that came after training and are not known.

        Returns:
            Catalogue: another one.
        """
        items = np.append(self.items, np.array([*titles, None], object)[:-1])
        titles = np.append(self.titles, np.array([*titles.values(), None], object)[:-1])
        return Catalogue(items, titles, len(self.items) if self.first_new is None else self.first_new)

    def sessions(self, histories, strict):
        """Histories in numbers, without the items that are not known.

        Args:
            histories (sequence of sequences of str, or dict): item tokens, oldest first; a dict names them.
            strict (bool): whether something unknown is an error.

        Returns:
            tuple: names (list of str), Sessions and known tokens (list of list of str) of the histories in
            which something is known.

        Raises:
            SettingError: a text is given in place of a list.
            UnknownNameError: with ``strict``, something unknown.
        """
        if isinstance(histories, str):
            raise SettingError("histories is one text: give a list of lists of items.")
        named = histories.items() if isinstance(histories, dict) else enumerate(histories)
        names, said, flat, lengths, unknown, empty = [], [], [], [], {}, []
        for name, history in named:
            if isinstance(history, str):
                raise SettingError("A history is a list of items, not one text.")
            history = [str(item) for item in history]
            known = [item for item in history if item in self.number_of]
            unknown |= dict.fromkeys(item for item in history if item not in self.number_of)
            if not known:
                empty.append(str(name))
                continue
            names.append(str(name))
            said.append(known)
            lengths.append(len(known))
            flat += [self.number_of[item] for item in known]
        leave_out(list(unknown), "items of histories that are not in the bundle", strict, self.number_of)
        leave_out(empty, "sessions without any known item, left out", strict)
        lengths = np.array(lengths, np.int64)
        starts = lengths.cumsum() - lengths
        sessions = Sessions(np.zeros(len(names), np.int64), np.array(flat, np.int32), starts, lengths)
        return names, sessions, said

    def candidates(self, among, without, strict):
        """What may be recommended.

        Args:
            among (sequence of str, optional): the only candidates.
            without (sequence of str, optional): items that are no candidates.
            strict (bool): whether something unknown is an error.

        Returns:
            torch.LongTensor or None: item numbers, ascending; None for all.

        Raises:
            SettingError: nothing is left.
            UnknownNameError: with ``strict``, something unknown.
        """
        if among is None and without is None:
            return None
        allowed = np.ones(len(self.items), bool) if among is None else np.zeros(len(self.items), bool)
        for tokens, what in ((among, True), (without, False)):
            if tokens is None:
                continue
            tokens = [tokens] if isinstance(tokens, str) else [str(token) for token in tokens]
            unknown = [token for token in tokens if token not in self.number_of]
            name = "among" if what else "without"
            leave_out(unknown, f"items of {name} that are not in the bundle", strict, self.number_of)
            allowed[[self.number_of[token] for token in tokens if token in self.number_of]] = what
        allowed[0] = False
        if not allowed.any():
            raise SettingError("among and without leave no candidate.")
        return torch.from_numpy(np.flatnonzero(allowed))

    def frame(self, names, found, scores):
        """A table of answers; places without an item are left out.

        Args:
            names (sequence of str): [n], of the people.
            found (numpy.ndarray): int [n, k], item numbers, best first; 0 where there is none.
            scores (numpy.ndarray): float [n, k].

        Returns:
            pandas.DataFrame: with :attr:`columns`.
        """
        import pandas as pd

        n, k = found.shape
        real = found.ravel() > 0
        numbers = found.ravel()[real]
        users = pd.array(names, dtype=self._columns[0].dtype)
        columns = {
            "user": users.take(np.repeat(np.arange(n), k)[real]),
            "rank": np.tile(np.arange(1, k + 1), n)[real],
            "item": self._columns[0].take(numbers),
            "title": self._columns[1].take(numbers),
            "score": scores.ravel()[real],
        }
        if self.first_new is not None:
            columns["new"] = numbers >= self.first_new
        return pd.DataFrame(columns, copy=False)

    def rows(self, names, found, scores):
        """The same as :meth:`frame` in plain rows.

        Args:
            names, found, scores: as :meth:`frame`.

        Returns:
            list of dict: a row each.
        """
        rows = []
        for name, numbers, values in zip(names, found.tolist(), scores.tolist(), strict=True):
            for rank, (number, score) in enumerate(zip(numbers, values, strict=True), 1):
                if not number:
                    break
                row = {"user": name, "rank": rank, "item": self.items[number]}
                row |= {"title": self.titles[number], "score": score}
                if self.first_new is not None:
                    row["new"] = number >= self.first_new
                rows.append(row)
        return rows
