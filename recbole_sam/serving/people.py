"""The users of a bundle made ``--with-users``: tokens, whole histories, and how much was held out."""

import numpy as np

from recbole_sam.errors import DataError, SettingError
from recbole_sam.serving import bundle_files

HISTORIES = ("full", "valid", "train")
"""Which part of a known user's history counts: all, without the test items, or the training items only."""
BLOCK = 4096
"""Users of a row group: what everybody's recommendations are computed and kept by."""


def write(folder, tokens, histories, block=BLOCK):
    """Writes ``users.parquet``: one row a user number, padding left out.

    Args:
        folder (Path): the bundle.
        tokens (sequence of str): [U], padding first.
        histories (Histories): of the same.
        block (int): users of a row group.
    """
    import pyarrow as pa

    items = pa.ListArray.from_arrays(
        pa.array(histories.offsets[1:].astype(np.int32)), pa.array(histories.items)
    )
    table = pa.table(
        {
            "user": pa.array(tokens[1:].tolist(), pa.string()),
            "items": items,
            "train": pa.array(histories.train[1:]),
            "valid": pa.array(histories.valid[1:]),
        }
    )
    parquet = bundle_files.pyarrow_parquet()
    parquet.write_table(table, folder / bundle_files.USERS, row_group_size=block)


class People:
    """Looks users up. Whole columns are read only when somebody is asked for by name.

    Args:
        files (BundleFiles): of the bundle.
    """

    def __init__(self, files):
        self._files, self._number_of, self._all = files, None, None

    def numbers(self, tokens):
        """User numbers (numpy.ndarray, int64 [n]) of tokens; 0 for those that are not known."""
        if self._number_of is None:
            names = self._table().read(["user"])["user"].to_pylist()
            self._number_of = {name: number for number, name in enumerate(names, 1)}
        return np.array([self._number_of.get(str(token), 0) for token in tokens], np.int64)

    def histories(self, numbers, part="full"):
        """The histories of some users.

        Args:
            numbers (numpy.ndarray): int64 [n], user numbers from 1.
            part (str): one of :data:`HISTORIES`.

        Returns:
            tuple: items (int32, flat), starts and lengths (int64 [n]).
        """
        check_part(part)
        if self._all is None:
            self._all = _columns(self._table().read(["items", "train", "valid"]))
        items, starts, lengths = self._all
        rows = numbers - 1
        return items, starts[rows], lengths[part][rows]

    def hold(self):
        """Reads what :meth:`numbers` and :meth:`histories` need."""
        self.numbers([])
        self.histories(np.zeros(0, np.int64))

    def __len__(self):
        return self._table().metadata.num_rows

    def blocks(self):
        """How many blocks everybody comes in."""
        return self._table().metadata.num_row_groups

    def block_sizes(self):
        """Users of each block (list of int)."""
        metadata = self._table().metadata
        return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]

    def block(self, index, part="full"):
        """One block of users.

        Args:
            index (int): from 0.
            part (str): one of :data:`HISTORIES`.

        Returns:
            tuple: tokens (numpy.ndarray of str [n]), the number of the first user, and items, starts and
            lengths as :meth:`histories` gives them.
        """
        check_part(part)
        table = self._table()
        group = table.read_row_group(index)
        items, starts, lengths = _columns(group)
        first = 1 + sum(self.block_sizes()[:index])
        return group["user"].to_numpy(zero_copy_only=False), first, items, starts, lengths[part]

    def _table(self):
        if bundle_files.USERS not in self._files:
            raise DataError(
                f"The bundle {self._files.folder} holds no users: make it with --with-users, or give "
                "histories (--items, --sessions)."
            )
        return self._files.parquet(bundle_files.USERS)


def check_part(part):
    """Refuses what is no part of a history.

    Raises:
        SettingError: naming the parts.
    """
    if part not in HISTORIES:
        raise SettingError(f"history is {part!r}; it must be one of {', '.join(HISTORIES)}.")


def _columns(table):
    """Items flat, starts, and the lengths of each part."""
    lists = table["items"].combine_chunks()
    offsets = lists.offsets.to_numpy().astype(np.int64)
    items = lists.values.to_numpy()
    lengths = {"full": np.diff(offsets)}
    for part in ("valid", "train"):
        lengths[part] = table[part].to_numpy().astype(np.int64)
    return items, offsets[:-1], lengths
