r"""
SAM
################################################

Reference:
    Yang, Liu, Xu, Zhu, Gao and Li. "SAM: LLM-Based Semantic-Augmented Adaptive Multi-Interest Model for
    Sequential Recommendation." in WWW 2026.
"""

import contextlib
import math
from logging import getLogger

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.model.loss import BPRLoss
from torch import nn
from torch.nn import functional as F

from recbole_sam.data.dataset import SAMDataset
from recbole_sam.models import evidence, item_knn, repeats, sam_settings, score_memory
from recbole_sam.models.attention import (
    CrossInterestLayer,
    interest_aware_attention,
    masked_mean,
    recency_positions,
)
from recbole_sam.models.compilation import compiled
from recbole_sam.models.controls import CONSTANT, controlled
from recbole_sam.models.item_text import ProjectedTexts
from recbole_sam.models.known_users import known_users
from recbole_sam.models.linear_cross_entropy import linear_cross_entropy
from recbole_sam.models.padding import real_items
from recbole_sam.models.sampled_softmax import NegativeSampler, negative_weights, sampled_softmax
from recbole_sam.models.unchanged import WhileUnchanged
from recbole_sam.models.unsaved import unsaved_buffers

PROJECTED_AT_ONCE = 1_000_000
"""Distinct phrases that are projected once an evaluation, 256 MB at d = 64 (with ``interest_text`` twice); of
more, only the batch's."""
PROJECTED_CHUNK = 65_536
"""Of them at a time: 201 MB of 768 numbers in float32."""


class SAM(SequentialRecommender):
    """A user's history, read once for each of the user's interests.

    Stage 1 gave every user K interest phrases as text embeddings (:class:`SAMDataset` attaches them). Each
    interest, projected into the ID space, attends to the history; a Transformer lets the K views look at
    each other; their mean is the user, scored against the item embeddings.

    Differences to the reference implementation, all of them the paper's meaning: padded interests are
    masked in the attention and in the mean; positions are counted from the newest item, because RecBole
    pads on the right; a user without interests, also one that the dataset does not know or that an interaction
    does not name, gets one learned default interest.

    Beyond the paper, each a setting (docs/method.md; ``SAM-paper.yaml`` turns all of them off):
    ``item_text`` (an item is also its title), ``newest_item`` (the newest item is added to every view),
    ``final_norm`` (a LayerNorm of the user vector), ``repeat_bias`` (one learned number for the items already
    in the history), ``interest_evidence`` (a training sample sees an interest only with an item that supports
    it), ``interest_text`` (an interest's own text is added to its view), ``item_knn`` (the history's items
    vote for what others took with them).

    Raises:
        SettingError: a setting that makes no sense, or a dataset without interests.
    """

    dataset_class = SAMDataset
    loss_types = ("CE", "BPR", "BCE", "SSM")

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.hidden_size = config["hidden_size"]
        self.n_layers = config["n_layers"]
        self.n_heads = config["n_heads"]
        self.inner_size = config["inner_size"]
        self.hidden_dropout_prob = config["hidden_dropout_prob"]
        self.attn_dropout_prob = config["attn_dropout_prob"]
        self.hidden_act = config["hidden_act"]
        self.layer_norm_eps = config["layer_norm_eps"]
        self.initializer_range = config["initializer_range"]
        self.loss_type = config["loss_type"]
        self.loss_chunk_size = config["loss_chunk_size"]
        self.loss_negatives = config["loss_negatives"]
        self.loss_distribution = config["loss_distribution"]
        self.autocast = config["autocast"]
        self.newest_item = config["newest_item"]
        self.interest_text = config["interest_text"]
        # None stands for a setting that a checkpoint of an earlier version lacks
        self.interest_attention = config["interest_attention"] is not False
        self.interest_control = config["interest_control"]
        sam_settings.check(config)

        # the interest table: looked up, never trained, and rebuilt from the dataset instead of being
        # saved with the weights (a 1 MB model must not have a 134 MB checkpoint)
        interests = dataset.interests
        user_phrases, user_k = controlled(self.interest_control, interests, config["seed"])
        tables = {"phrase_embeddings": interests.embeddings, "user_phrases": user_phrases, "user_k": user_k}
        if config["interest_evidence"]:
            texts = dataset.item_texts
            evidence.check_encoder(interests, texts)
            tables["support"] = evidence.supporting_items(
                user_phrases,
                user_k,
                interests.embeddings,
                texts.vectors(),
                texts.known,
                dataset.training_items,
            )
        for name in ("phrase_embeddings", "user_phrases", "user_k", "support"):
            self.register_buffer(name, tables.get(name), persistent=False)

        # define layers and loss
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.item_text = None
        if config["item_text"]:
            texts = dataset.item_texts
            # without bias: a constant added to all items changes no ranking
            self.item_text = ProjectedTexts(texts, nn.Linear(texts.width, self.hidden_size, bias=False))
        self.position_embedding = nn.Embedding(self.max_seq_length, self.hidden_size)
        if self.interest_control == "constant":
            self.constant_interests = nn.Parameter(torch.empty(CONSTANT, self.hidden_size))
        else:
            self.interest_projection = nn.Linear(interests.width, self.hidden_size)
            self.default_interest = nn.Parameter(torch.empty(self.hidden_size))
        self.cross_interest_layers = nn.ModuleList(
            CrossInterestLayer(
                self.hidden_size,
                self.inner_size,
                self.n_heads,
                self.hidden_dropout_prob,
                self.attn_dropout_prob,
                sam_settings.ACTIVATIONS[self.hidden_act](),
                self.layer_norm_eps,
            )
            for _ in range(self.n_layers)
        )
        self.final_norm = None
        if config["final_norm"]:
            self.final_norm = nn.LayerNorm(self.hidden_size, eps=self.layer_norm_eps)
        self.dropout = nn.Dropout(self.hidden_dropout_prob)
        self.repeat_bias = repeats.initial_bias(dataset.inter_feat, self) if config["repeat_bias"] else None
        self.item_knn = item_knn.configured(config, dataset, self)

        if self.loss_type == "BPR":
            self.loss_fct = BPRLoss()
        elif self.loss_type == "BCE":
            self.loss_fct = nn.BCEWithLogitsLoss()
        elif self.loss_type == "SSM":
            targets = dataset.inter_feat[self.ITEM_ID]
            weights = negative_weights(self.loss_distribution, targets, self.n_items)
            self.negative_sampler = NegativeSampler(weights, self.loss_negatives)
        else:  # self.loss_type = 'CE'
            self.loss_fct = nn.CrossEntropyLoss()
        self._ddp_params_and_buffers_to_ignore = unsaved_buffers(self)
        # an evaluation computes for many batches what depends on none of them
        self._items, self._projected, self._phrase_texts = (WhileUnchanged() for _ in range(3))
        self.compiled_forward = compiled(type(self).forward) if config["compile"] else None

        # parameters initialization
        self.apply(self._init_weights)
        constant = self.interest_control == "constant"
        learned = self.constant_interests if constant else self.default_interest
        nn.init.normal_(learned, std=self.initializer_range)

        warning = score_memory.warning(config, dataset, self.parameters())
        if warning:
            getLogger().warning(warning)

    def _init_weights(self, module):
        """Initialize the weights"""
        if isinstance(module, (nn.Linear, nn.Embedding)):
            module.weight.data.normal_(mean=0.0, std=self.initializer_range)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight.data[module.padding_idx].zero_()
        elif isinstance(module, nn.LayerNorm):
            module.bias.data.zero_()
            module.weight.data.fill_(1.0)
        if isinstance(module, nn.Linear) and module.bias is not None:
            module.bias.data.zero_()

    def interest_queries(self, user, item_seq):
        """The queries of some users' interests.

        Args:
            user (torch.LongTensor): [B].
            item_seq (torch.LongTensor): [B, L], the visible items: in training, with ``interest_evidence``,
                an interest whose supporting item is not among them is left out.

        Returns:
            tuple: queries [B, K, d] and their mask [B, K]; K is the most that any user has. A user without
            interests has the learned default as the only one.
        """
        if self.interest_control == "constant":
            queries = self.constant_interests.expand(len(user), -1, -1)
            return queries, torch.ones(queries.shape[:2], dtype=torch.bool, device=user.device)
        mask = self._visible(user, item_seq)
        queries = self._projections(user, mask, self._project, self._projected, self.interest_projection)
        is_default = ~mask.any(dim=1, keepdim=True)
        is_default = is_default & (torch.arange(mask.shape[1], device=user.device) == 0)
        queries = torch.where(is_default.unsqueeze(-1), self.default_interest, queries)
        return queries, mask | is_default

    def interest_texts(self, user, item_seq):
        """The interests' own texts as item vectors, [B, K, d]; 0 where unseen.

        Args:
            user (torch.LongTensor): [B].
            item_seq (torch.LongTensor): [B, L], as in :meth:`interest_queries`.
        """
        mask = self._visible(user, item_seq)
        texts = self._projections(user, mask, self._as_items, self._phrase_texts, self.item_text.adaptor)
        return texts.masked_fill(~mask.unsqueeze(-1), 0)

    def _visible(self, user, item_seq):
        """Which of the users' interests count, bool [B, K]."""
        rank = torch.arange(self.user_phrases.shape[1], device=user.device)
        mask = rank < self.user_k[user].unsqueeze(1)
        if self.training and self.support is not None:
            mask = mask & evidence.visible(self.support[user], item_seq)
        return mask

    def _projections(self, user, mask, project, kept, layer):
        """The users' phrases through ``project`` [B, K, d]; anything where the mask is False."""
        phrases = self.user_phrases[user]
        if self._is_serving() and len(self.phrase_embeddings) <= PROJECTED_AT_ONCE:
            table = kept.get(
                lambda: torch.cat([project(some) for some in self.phrase_embeddings.split(PROJECTED_CHUNK)]),
                layer.parameters(),
            )
            return F.embedding(phrases, table)
        if phrases.device.type == "cpu" and self.compiled_forward is None:
            # only those that are seen, a third of the work; a GPU would have to wait for their number
            seen = project(F.embedding(phrases[mask], self.phrase_embeddings))
            return seen.new_zeros(*mask.shape, seen.shape[-1]).index_put(mask.nonzero(as_tuple=True), seen)
        return project(F.embedding(phrases, self.phrase_embeddings))

    def _as_items(self, phrases):
        return self.item_text.of(phrases.to(self.item_text.texts.dtype))

    def _project(self, phrases):
        return self.interest_projection(phrases.to(self.interest_projection.weight.dtype))

    def _is_serving(self):
        return not (self.training or torch.is_grad_enabled())

    def item_vectors(self):
        """All item vectors [N, d]: the ID embeddings, with ``item_text`` plus the projected titles."""
        ids, texts = self.item_embedding.weight, self.item_text
        if texts is None:
            return ids
        if self._is_serving():
            return self._items.get(lambda: ids + texts(), [ids, *texts.parameters()])
        return ids + texts()

    def forward(self, user, item_seq, item_seq_len, item_vectors):
        """User representations [B, d].

        Args:
            user (torch.LongTensor): [B].
            item_seq (torch.LongTensor): [B, L], histories, padded on the right.
            item_seq_len (torch.LongTensor): [B], at least 1.
            item_vectors (torch.Tensor): [N, d], of :meth:`item_vectors`.
        """
        queries, interest_mask = self.interest_queries(user, item_seq)
        positions = recency_positions(item_seq_len, item_seq.shape[1])
        items = self.dropout(F.embedding(item_seq, item_vectors) * math.sqrt(self.hidden_size))
        mask = torch.arange(item_seq.shape[1], device=user.device) < item_seq_len.unsqueeze(1)
        if self.interest_attention:
            keys = items + self.position_embedding(positions)
            views, _ = interest_aware_attention(queries, keys, items, mask)
        else:
            views = masked_mean(items, mask).unsqueeze(1).expand(queries.shape)
        if self.newest_item:
            views = views + self.gather_indexes(items, item_seq_len - 1).unsqueeze(1)
        if self.interest_text and self.interest_control != "constant":
            views = views + self.interest_texts(user, item_seq) * math.sqrt(self.hidden_size)
        for layer in self.cross_interest_layers:
            views = layer(views, interest_mask)
        user_output = masked_mean(views, interest_mask)  # [B d]
        return user_output if self.final_norm is None else self.final_norm(user_output)

    def _autocast(self):
        if self.autocast is None:
            return contextlib.nullcontext()  # autocast(enabled=False) would undo RecBole's enable_amp
        return torch.autocast(self.item_embedding.weight.device.type, dtype=torch.bfloat16)

    def _history(self, interaction):
        return real_items(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])

    def _users(self, interaction):
        return known_users(interaction, self, len(self.user_k))

    def _represent(self, interaction, item_vectors=None):
        if item_vectors is None:
            item_vectors = self.item_vectors()
        inputs = self._users(interaction), self._history(interaction), interaction[self.ITEM_SEQ_LEN]
        with self._autocast():
            if self.compiled_forward is not None:
                user_output = self.compiled_forward(self, *inputs, item_vectors)
            else:
                user_output = self.forward(*inputs, item_vectors)
        return user_output.to(self.item_embedding.weight.dtype)

    def calculate_loss(self, interaction):
        with self._autocast():
            items = self.item_vectors().to(self.item_embedding.weight.dtype)
            return self._loss(self._represent(interaction, items), items, interaction)

    def _loss(self, user_output, items, interaction):
        pos_items = interaction[self.POS_ITEM_ID]
        if self.loss_type == "SSM":
            return sampled_softmax(
                user_output,
                items,
                pos_items,
                self.negative_sampler(),
                self.negative_sampler.log_q,
                lambda scores, candidates: self._with_repeats(scores, interaction, candidates),
            )
        if self.loss_type == "CE":
            if self.loss_chunk_size is not None:
                return linear_cross_entropy(user_output, items, pos_items, self.loss_chunk_size)
            return self.loss_fct(self._scores(user_output, items, interaction), pos_items)
        pos_score = self._score(user_output, items, interaction, pos_items)  # [B]
        neg_score = self._score(user_output, items, interaction, interaction[self.NEG_ITEM_ID])  # [B]
        if self.loss_type == "BPR":
            return self.loss_fct(pos_score, neg_score)
        scores = torch.cat([pos_score, neg_score])
        labels = torch.cat([torch.ones_like(pos_score), torch.zeros_like(neg_score)])
        return self.loss_fct(scores, labels)

    def _with_repeats(self, scores, interaction, candidates):
        """Scores of candidates ([B, M] or [1, M]) with the bias on those of the history."""
        if self.repeat_bias is None:
            return scores
        return repeats.add_to_some(scores, self.repeat_bias, self._history(interaction), candidates)

    def _scores(self, user_output, items, interaction):
        """The scores of all items for each user, [B, N]."""
        scores, history = user_output @ items.T, self._history(interaction)
        if self.repeat_bias is not None:
            scores = repeats.add_to_all(scores, self.repeat_bias, history)
        if self.item_knn is not None:
            scores = self.item_knn.add_to_all(
                scores, self._users(interaction), history, interaction[self.ITEM_SEQ_LEN]
            )
        return scores

    def _score(self, user_output, items, interaction, item):
        """The score of one item [B] for each user, [B]."""
        score = (user_output * F.embedding(item, items)).sum(dim=-1)
        score = self._with_repeats(score.unsqueeze(1), interaction, item.unsqueeze(1)).squeeze(1)
        if self.item_knn is not None:
            history = self._history(interaction)
            score = self.item_knn.add_to_one(
                score, self._users(interaction), history, interaction[self.ITEM_SEQ_LEN], item
            )
        return score

    def predict(self, interaction):
        items = self.item_vectors()
        return self._score(self._represent(interaction, items), items, interaction, interaction[self.ITEM_ID])

    def full_sort_predict(self, interaction):
        # in float32 also with autocast: bfloat16 would tie items that differ
        items = self.item_vectors()
        return self._scores(self._represent(interaction, items), items, interaction)  # [B n_items]
