"""The rank of every user's target, taken while RecBole's evaluator ranks."""

import torch
from recbole.evaluator import Collector

from recbole_sam.config.mistakes import check_scores
from recbole_sam.evaluation.ranking.protocols import PROTOCOLS
from recbole_sam.models.scores.target_rank import rank, rank_among_all


class RankCollector(Collector):
    """RecBole's collector, which knows masked ranking and keeps the rank of each user's target.

    It takes the place of ``trainer.eval_collector``, so RecBole's own ``trainer.evaluate`` on the
    full-ranking loader gives its usual metrics and, from the very same scores, the ranks of all protocols.
    RecBole itself ranks 1 + 100 by computing a user anew for each of the 101 candidates; the ranks are the
    same.

    Args:
        config (Config): of the experiment.
        known (KnownItems): what each user has before his target.
        masked (bool): whether RecBole's own metrics are of masked ranking: what a user has is no candidate,
            and a target that he has already is left out, as if the sample were not there.
        negatives (torch.LongTensor, optional): [users, n], item IDs drawn for each user ID; 0 stands for
            nothing. Without them no ranks are kept, as in validation.

    Attributes:
        users (list of torch.Tensor): user IDs, a tensor a batch.
        ranks (dict): protocol to 1-based ranks, a tensor a batch; 0 where masked ranking leaves the user out.
    """

    def __init__(self, config, known, masked, negatives=None):
        super().__init__(config)
        self.known, self.masked, self.negatives = known, masked, negatives
        self.users, self.ranks = [], {name: [] for name in PROTOCOLS}

    def eval_batch_collect(self, scores_tensor, interaction, positive_u, positive_i):
        """Keeps the ranks of one batch, then collects what RecBole needs."""
        if self.masked:  # what is masked here, RecBole's collector would not find
            check_scores(scores_tensor, self.config)
        users = interaction[self.config["USER_ID_FIELD"]].cpu()
        known = torch.from_numpy(self.known.table(users.numpy())).to(scores_tensor.device)
        target = scores_tensor[positive_u, positive_i].unsqueeze(1)
        repeated = (known == positive_i.to(known.device).unsqueeze(1)).any(dim=1)
        if self.negatives is not None:
            full = rank_among_all(target, scores_tensor)
            before = (scores_tensor.gather(1, known) >= target) & (known != 0)
            negatives = self.negatives[users].to(scores_tensor.device)
            self.users.append(users)
            self.ranks["full"].append(full.cpu())
            self.ranks["masked"].append(torch.where(repeated, 0, full - before.sum(dim=1)).cpu())
            self.ranks["uni100"].append(rank(target, scores_tensor.gather(1, negatives)).cpu())
        if self.masked:
            scores_tensor = scores_tensor.scatter(1, known, -torch.inf)[~repeated]
            positive_u = torch.arange(len(scores_tensor), device=positive_u.device)
            positive_i = positive_i[~repeated.to(positive_i.device)]
        super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)

    def result(self):
        """All batches together.

        Returns:
            tuple: user IDs (numpy.ndarray, int64 [n]), and protocol to ranks (dict of int64 [n]).
        """
        ranks = {protocol: torch.cat(batches).numpy() for protocol, batches in self.ranks.items()}
        return torch.cat(self.users).numpy(), ranks
