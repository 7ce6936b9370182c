"""Which samples each of several processes gets."""


class RankBlock:
    """A sampler of one rank's block of the evaluated users: the blocks, in rank order, are all users."""

    def __init__(self, loader, data, shuffle, drop_last):
        self._size = len(data)

    def _block(self):
        rank, ranks = rank_and_ranks()
        return range(self._size * rank // ranks, self._size * (rank + 1) // ranks)

    def __iter__(self):
        return iter(self._block())

    def __len__(self):
        # RecBole skips the evaluation with a loader of length 0, but a rank without users must take part.
        return min(max(len(self._block()), 1), self._size)


class RankShares:
    """A sampler of one rank's share of every batch that a run of one process would train on.

    Shares of a batch differ by at most one sample. A rank whose share of the last batch is empty gets one
    sample with weight 0, since torch averages the gradients of all ranks.
    """

    def __init__(self, loader, data, shuffle, drop_last):
        self._loader, self._size, self._shuffle = loader, len(data), shuffle

    def _batches(self, order):
        size = self._loader.batch_size * rank_and_ranks()[1]
        return [order[start : start + size] for start in range(0, self._size, size)]

    def __iter__(self):
        from torch.utils.data import RandomSampler

        rank, ranks = rank_and_ranks()
        order = range(self._size)
        if self._shuffle:
            # the loader's generator is what one process shuffles with, too
            order = list(RandomSampler(order, generator=self._loader.generator))
        for batch in self._batches(order):
            yield from batch[rank::ranks] or batch[:1]

    def __len__(self):
        rank, ranks = rank_and_ranks()
        return sum(max(len(batch[rank::ranks]), 1) for batch in self._batches(range(self._size)))

    def weights(self):
        """Yields what makes the mean over the ranks' losses, batch by batch, the mean over the batch."""
        rank, ranks = rank_and_ranks()
        for batch in self._batches(range(self._size)):
            yield len(batch[rank::ranks]) * ranks / len(batch)

    def set_epoch(self, epoch):
        """Nothing to do: the loader's generator goes on from epoch to epoch, as in one process."""


def rank_and_ranks():
    """This process's rank and the number of ranks; a checkpoint of many may be read by one process."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
