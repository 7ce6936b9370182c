"""One person's scores without Python's cost of a call: a model's operations, recorded by ``torch.jit``.

A record is kept only if it scores histories of all lengths as the model does. It holds the weights, and torch
frees it with the process only.
"""

import warnings

import numpy as np
import torch

AFTER = 20
"""Calls for one person after which the model is recorded, which takes about as long as 100 of them."""
TRIED = 32
"""Histories on which a record is held to the model."""
RTOL, ATOL = 1e-5, 1e-5


class OnePerson:
    """A model that is asked for one person at a time.

    Args:
        model (SequentialRecommender): in evaluation mode.
    """

    def __init__(self, model):
        self._model, self._calls, self._record = model, 0, None
        self._interests = getattr(model, "user_k", None)

    def scores(self, interaction, sample):
        """The scores of all items for an interaction of one person.

        Args:
            interaction (dict): of tensors, B = 1.
            sample (callable): gives interactions to try a record on, as :meth:`record` takes them.

        Returns:
            torch.FloatTensor: [1, N], or [N].
        """
        if getattr(self._model, "user_k", None) is not self._interests:  # lent ones: no record holds them
            return self._model.full_sort_predict(interaction)
        self._calls += 1
        if self._calls == AFTER:
            self.record(sample())
        if self._record is not None:
            try:
                return self._record(*_inputs(self._model, interaction))
            except RuntimeError:  # a shape that it does not know
                self._record = None
        return self._model.full_sort_predict(interaction)

    def never_record(self):
        """Asks the model however often, for processes that open one bundle after the other."""
        self._calls = AFTER

    def record(self, sample):
        """Records the model, unless a record would score otherwise.

        Args:
            sample (list of dict): of one person each; the first is recorded.
        """
        model, self._calls = self._model, AFTER
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # whether a value was taken for a constant is tried out
                inputs = _inputs(model, sample[0])
                record = torch.jit.freeze(torch.jit.trace(_Scores(model).eval(), inputs, check_trace=False))
                for one in sample:
                    found, wanted = record(*_inputs(model, one)), model.full_sort_predict(one)
                    if not torch.allclose(found, wanted, RTOL, ATOL):
                        return
        except (RuntimeError, TypeError, ValueError):  # what is no tensor cannot be recorded
            return
        self._record = record


class _Scores(torch.nn.Module):
    """Full ranking as a function of tensors."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, users, histories, lengths):
        model = self.model
        return model.full_sort_predict(
            {model.USER_ID: users, model.ITEM_SEQ: histories, model.ITEM_SEQ_LEN: lengths}
        )


def _inputs(model, interaction):
    return interaction[model.USER_ID], interaction[model.ITEM_SEQ], interaction[model.ITEM_SEQ_LEN]


def histories(n_users, n_items, longest):
    """Made-up people with histories of all lengths.

    Args:
        n_users (int), n_items (int): numbers, padding included.
        longest (int): items of a history.

    Returns:
        list of tuple: user number, item numbers (numpy.ndarray, int64).
    """
    chance = np.random.default_rng(0)
    lengths = np.unique(np.linspace(1, longest, TRIED).astype(int))
    users = np.linspace(0, n_users - 1, len(lengths)).astype(int)
    return [(user, chance.integers(1, n_items, length)) for user, length in zip(users, lengths, strict=True)]
