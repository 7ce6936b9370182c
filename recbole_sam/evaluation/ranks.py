"""The rank of every user's target, taken while RecBole's evaluator ranks."""

import torch
from recbole.evaluator import Collector


class RankCollector(Collector):
    """RecBole's collector, which also keeps the rank of each user's target.

    It takes the place of ``trainer.eval_collector``, so RecBole's own ``trainer.evaluate`` on the
    full-ranking loader gives its usual metrics and, from the very same scores, both ranks. RecBole itself
    ranks 1 + 100 by computing a user anew for each of the 101 candidates; the ranks are the same.

    Args:
        config (Config): of the experiment.
        negatives (torch.LongTensor): [users, n], item IDs drawn for each user ID; 0 stands for nothing.

    Attributes:
        users, full, sampled (list of torch.Tensor): user IDs and 1-based ranks, among all items and among the
            target and its negatives, a tensor a batch.
    """

    def __init__(self, config, negatives):
        super().__init__(config)
        self.negatives = negatives
        self.users, self.full, self.sampled = [], [], []

    def eval_batch_collect(self, scores_tensor, interaction, positive_u, positive_i):
        """Collects what RecBole needs (which `registry` lets refuse NaN), then the ranks of one batch."""
        super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)
        user = interaction[self.config["USER_ID_FIELD"]].cpu()
        target = scores_tensor[positive_u, positive_i].unsqueeze(1)
        negatives = self.negatives[user].to(scores_tensor.device)
        self.users.append(user)
        self.full.append(rank(target, scores_tensor).cpu() - 1)  # the target is among all items
        self.sampled.append(rank(target, scores_tensor.gather(1, negatives)).cpu())

    def result(self):
        """All batches together.

        Returns:
            tuple of numpy.ndarray: int64 [n], user IDs, ranks among all items, ranks among 1 + n.
        """
        return tuple(torch.cat(part).numpy() for part in (self.users, self.full, self.sampled))


def rank(target, others):
    """The 1-based rank of a score among others. Ties count against it.

    A model that gives every item the same score must not look good; RecBole's top-k breaks ties by chance.

    Args:
        target (torch.Tensor): [B, 1].
        others (torch.Tensor): [B, n], without the target.

    Returns:
        torch.LongTensor: [B], from 1 to n + 1.
    """
    return 1 + (others >= target).sum(dim=1)
