"""Ranks as a matrix, trainings x users, once it is certain that all were tested on the same targets."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from recbole_sam.errors import DataError


class Aligned(NamedTuple):
    """The ranks of one protocol.

    Attributes:
        models (list of str): in order of appearance.
        trainings (list of tuple): (model, seed) of each row of ``ranks``.
        users (pandas.Index): of each column.
        ranks (numpy.ndarray): int64 [trainings, users].
        column (numpy.ndarray): int64 [rows of the table], the user's column, -1 in another protocol.
    """

    models: list
    trainings: list
    users: pd.Index
    ranks: np.ndarray
    column: np.ndarray

    def by_seed(self, values):
        """Splits rows by model.

        Args:
            values (numpy.ndarray): [trainings, users].

        Returns:
            list of numpy.ndarray: [seeds of the model, users] for each model.
        """
        of = np.array([self.models.index(model) for model, _ in self.trainings])
        return [values[of == number] for number in range(len(self.models))]

    def members(self, rows):
        """The columns of a group.

        Args:
            rows (numpy.ndarray): bool [rows of the table].

        Returns:
            numpy.ndarray: bool [users].
        """
        found = np.zeros(len(self.users), dtype=bool)
        found[self.column[rows & (self.column >= 0)]] = True
        return found


def aligned(table, protocol):
    """Checks that all trainings have the same users and targets, and lays their ranks out as a matrix.

    Args:
        table (pandas.DataFrame): as in RUN/ranks.parquet.
        protocol (str): ``full``, ``masked`` or ``uni100``.

    Returns:
        Aligned: the ranks of that protocol.

    Raises:
        DataError: there are no such ranks, a training lacks a user or has one twice, or a user's target,
            history or target's popularity differs between two trainings.
    """
    here = (table["protocol"] == protocol).to_numpy()
    if not here.any():
        raise DataError(f"There are no ranks of the protocol {protocol}: no training has finished yet.")
    part = table[here]
    user, users = pd.factorize(part["user"])
    users = pd.Index(np.asarray(users, dtype=object), name="user")
    model, models = pd.factorize(part["model"])
    models = [str(name) for name in models]
    seed, seeds = pd.factorize(part["seed"])
    codes, training = np.unique(model * len(seeds) + seed, return_inverse=True)
    trainings = [(models[code // len(seeds)], int(seeds[code % len(seeds)])) for code in codes]

    cell = training * len(users) + user
    count = np.bincount(cell, minlength=len(trainings) * len(users))
    if (count != 1).any():
        where = int(np.argmax(count != 1))
        name, number = trainings[where // len(users)]
        fault = "no rank" if count[where] == 0 else f"{count[where]} ranks"
        raise DataError(
            f"{name} with seed {number} has {fault} for the user {users[where % len(users)]!r} in the "
            f"protocol {protocol}, where every training must have one: compare only trainings on one dataset "
            "with one split."
        )
    _same_split(part, user, users, training, trainings)
    ranks = np.empty(len(cell), dtype=np.int64)
    ranks[cell] = part["rank"].to_numpy()
    column = np.full(len(table), -1)
    column[here] = user
    return Aligned(models, trainings, users, ranks.reshape(len(trainings), len(users)), column)


def _same_split(part, user, users, training, trainings):
    """Raises `DataError` when what belongs to a user differs between trainings."""
    for field, what in (("item", "target"), ("history", "history"), ("popularity", "target's popularity")):
        code, values = pd.factorize(part[field])
        first = np.empty(len(users), dtype=np.int64)
        # the last write wins, so writing backwards leaves each user's first row
        first[user[::-1]] = np.arange(len(user))[::-1]
        differs = np.flatnonzero(code != code[first][user])
        if len(differs):
            row = differs[0]
            other = first[user[row]]
            (one, one_seed), (two, two_seed) = trainings[training[other]], trainings[training[row]]
            raise DataError(
                f"The {what} of the user {users[user[row]]!r} is {values[code[other]]} for {one} (seed "
                f"{one_seed}) but {values[code[row]]} for {two} (seed {two_seed}): two runs with "
                "different splits cannot be compared."
            )
