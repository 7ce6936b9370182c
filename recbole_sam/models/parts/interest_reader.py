"""What a model does with the interests of Stage 1: looks them up, and projects them into its own space."""

import torch
from torch import nn
from torch.nn import functional as F

from recbole_sam.models.parts import evidence
from recbole_sam.models.parts.controls import CONSTANT, controlled
from recbole_sam.models.parts.unchanged import WhileUnchanged
from recbole_sam.models.scores.known_users import known_users

PROJECTED_AT_ONCE = 1_000_000
"""Distinct phrases that are projected once an evaluation, 256 MB at d = 64 (with ``interest_text`` twice); of
more, only the batch's."""
PROJECTED_CHUNK = 65_536
"""Of them at a time: 201 MB of 768 numbers in float32."""


class InterestReader:
    """The part of a model that reads interests. Parameters stay on the model, whose checkpoints name them.

    The model has ``hidden_size``, ``item_text``, ``interest_control``, ``learned_queries``,
    ``compiled_forward`` and ``is_serving``.
    """

    def attach_interests(self, config, dataset):
        """Registers the interest table: looked up, never trained, and rebuilt from the dataset.

        It is not saved with the weights: a 1 MB model must not have a 134 MB checkpoint.

        Args:
            config (Config): of the run.
            dataset (SAMDataset): with ``interests`` and, for ``interest_evidence``, texts and training items.
        """
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
        # an evaluation computes for many batches what depends on none of them
        self._projected, self._phrase_texts = WhileUnchanged(), WhileUnchanged()

    def use_interests(self, embeddings, user_phrases, user_k):
        """Puts other people's interests in the place of the table's, for serving.

        Args:
            embeddings (torch.Tensor): [P, H], of the phrases.
            user_phrases (torch.IntTensor): [users, K], rows of ``embeddings``.
            user_k (torch.LongTensor): [users], how many interests each has.
        """
        self.phrase_embeddings, self.user_phrases, self.user_k = embeddings, user_phrases, user_k
        self.support = None
        self._projected, self._phrase_texts = WhileUnchanged(), WhileUnchanged()

    def define_interest_layers(self, width):
        """The projection of phrases of a width, and the queries that are learned.

        These are ``learned_queries`` beside a user's interests, or without them the default of a user who has
        none; with ``constant`` they are all there is, and four where the setting says none.
        """
        if self.interest_control == "constant":
            count = self.learned_queries or CONSTANT
            self.constant_interests = nn.Parameter(torch.empty(count, self.hidden_size))
            return
        self.interest_projection = nn.Linear(width, self.hidden_size)
        if self.learned_queries:
            self.learned_interests = nn.Parameter(torch.empty(self.learned_queries, self.hidden_size))
        else:
            self.default_interest = nn.Parameter(torch.empty(self.hidden_size))

    def learned_interest(self):
        """The parameter that :meth:`define_interest_layers` leaves to be initialised."""
        if self.interest_control == "constant":
            return self.constant_interests
        return self.learned_interests if self.learned_queries else self.default_interest

    def users(self, interaction):
        """User IDs [B]; 0 for users that the interest table does not know."""
        return known_users(interaction, self, len(self.user_k))

    def interest_queries(self, user, item_seq):
        """The queries of some users' interests.

        Args:
            user (torch.LongTensor): [B].
            item_seq (torch.LongTensor): [B, L], the visible items: in training, with ``interest_evidence``,
                an interest whose supporting item is not among them is left out.

        Returns:
            tuple: queries [B, K, d] and their mask [B, K]; K is the most that any user has, and the
            ``learned_queries``. Without these, a user without interests has the learned default only.
        """
        if self.interest_control == "constant":
            queries = self.constant_interests.expand(len(user), -1, -1)
            return queries, torch.ones(queries.shape[:2], dtype=torch.bool, device=user.device)
        mask = self._visible(user, item_seq)
        queries = self._projections(user, mask, self._project, self._projected, self.interest_projection)
        if self.learned_queries:
            return self._with_learned(queries, mask)
        is_default = ~mask.any(dim=1, keepdim=True)
        is_default = is_default & (torch.arange(mask.shape[1], device=user.device) == 0)
        queries = torch.where(is_default.unsqueeze(-1), self.default_interest, queries)
        return queries, mask | is_default

    def interest_texts(self, user, item_seq):
        """The interests' own texts as item vectors, [B, K, d]; 0 where unseen or without text.

        Args:
            user (torch.LongTensor): [B].
            item_seq (torch.LongTensor): [B, L], as in :meth:`interest_queries`.
        """
        mask = self._visible(user, item_seq)
        texts = self._projections(user, mask, self._as_items, self._phrase_texts, self.item_text.adaptor)
        texts = texts.masked_fill(~mask.unsqueeze(-1), 0)
        return F.pad(texts, (0, 0, 0, self.learned_queries))  # learned queries have none

    def interests_over_time(self, user, item_seq):
        """:meth:`interest_queries` for all prefixes of histories [B, L] at once.

        Returns:
            tuple: queries [B, K, d], the last being learned, and which of them count for the prefix that ends
            at each item, bool [B, L, K].
        """
        steps = torch.arange(item_seq.shape[1], device=user.device)
        if self.interest_control == "constant":
            queries = self.constant_interests.expand(len(user), -1, -1)
            return queries, steps.new_ones(len(user), len(steps), queries.shape[1], dtype=torch.bool)
        since = self._visible_since(user, item_seq)
        project = self._project, self._projected, self.interest_projection
        queries = self._projections(user, since < len(steps), *project)
        mask = since.unsqueeze(1) <= steps.unsqueeze(1)  # [B L K]
        if self.learned_queries:
            return self._with_learned(queries, mask)
        default = self.default_interest.expand(len(user), 1, -1)
        nothing_else = ~mask.any(dim=-1, keepdim=True)
        return torch.cat([queries, default], dim=1), torch.cat([mask, nothing_else], dim=-1)

    def interest_texts_over_time(self, user, mask):
        """:meth:`interest_texts` for all prefixes at once, [B, L, K, d], given what counts [B, L, K]."""
        as_items = self._as_items, self._phrase_texts, self.item_text.adaptor
        own = mask[..., : -(self.learned_queries or 1)].any(dim=1)
        texts = self._projections(user, own, *as_items)
        texts = F.pad(texts, (0, 0, 0, mask.shape[-1] - texts.shape[1]))  # learned queries have none
        return texts.unsqueeze(1).masked_fill(~mask.unsqueeze(-1), 0)

    def _with_learned(self, queries, mask):
        """Queries [B, K, d] and their mask [..., K] with the learned ones behind them."""
        learned = self.learned_interests.expand(len(queries), -1, -1)
        return torch.cat([queries, learned], dim=1), F.pad(mask, (0, len(self.learned_interests)), value=True)

    def _visible_since(self, user, item_seq):
        """The item of each history from which on each interest counts, [B, K]; L: never."""
        count, never = self.user_k[user], item_seq.shape[1]
        most = max(int(count.max()), 1)
        rank = torch.arange(most, device=user.device)
        since = torch.zeros_like(rank)
        if self.training and self.support is not None:
            since = evidence.visible_from(self.support[user, :most], item_seq)
        return torch.where(rank < count.unsqueeze(1), since, never)

    def _visible(self, user, item_seq):
        """Which of the users' interests count, bool [B, K]."""
        rank = torch.arange(self.user_phrases.shape[1], device=user.device)
        mask = rank < self.user_k[user].unsqueeze(1)
        if self.training and self.support is not None:
            mask = mask & evidence.visible(self.support[user], item_seq)
        return mask

    def _projections(self, user, mask, project, kept, layer):
        """The users' phrases through ``project`` [B, K, d]; anything where the mask is False."""
        phrases = self.user_phrases[user, : mask.shape[1]]
        if self.is_serving() and len(self.phrase_embeddings) <= PROJECTED_AT_ONCE:
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
