"""The dataset hooks: RecBole's sequential dataset with item texts and precomputed interests attached."""

import numpy as np
import torch
from recbole.data.dataset import SequentialDataset

from recbole_sam.config import our_models
from recbole_sam.data import item_texts, store_location
from recbole_sam.data.histories import HASH_BYTES, Sequences, history_hash
from recbole_sam.data.interest_table import InterestTable, check_histories, check_width
from recbole_sam.data.samples import HistoryColumn, Samples, newest_sample, prefix_samples
from recbole_sam.data.training_items import TrainingItems
from recbole_sam.data.windows import training_windows
from recbole_sam.errors import SettingError


class ItemTextDataset(SequentialDataset):
    """RecBole's :class:`SequentialDataset` that also knows the text vector of every item.

    - ``data_augmentation`` gives RecBole's samples without Python loops, padded when a batch is drawn.
    - ``build`` attaches the vectors to each part as ``item_texts``
      (:class:`~recbole_sam.data.item_texts.ItemTexts`), if the model reads them.
    - ``train_targets: last`` keeps only the newest training sample of each user (the SAM paper's way);
      ``sequence`` has the loader give windows in place of samples, which stay in ``inter_feat``.
    """

    windows = None
    """The rows of the training part (Interaction), where they are windows."""

    def __init__(self, config):
        targets = config["train_targets"] or "all"  # a checkpoint older than the setting
        if targets not in ("all", "last", "sequence"):
            raise SettingError(f"train_targets is '{targets}'; it must be 'all', 'last' or 'sequence'.")
        if targets != "all" and config["benchmark_filename"] is not None:
            raise SettingError(
                f"train_targets '{targets}' needs whole user sequences, which benchmark_filename does not "
                "give: leave one of them out."
            )
        super().__init__(config)

    def data_augmentation(self):
        """Replaces the interactions by samples, exactly those of RecBole, and keeps the sequences."""
        self._aug_presets()
        self._check_field("uid_field", "time_field")
        self.sort(by=[self.uid_field, self.time_field], ascending=True)
        users = self.inter_feat[self.uid_field].numpy()
        self.sequences = Sequences(users, self.inter_feat[self.iid_field].numpy())
        targets, *spans = map(torch.from_numpy, prefix_samples(users, self.max_item_list_len))
        fields = {field: values[targets] for field, values in self.inter_feat.interaction.items()}
        fields[self.item_list_length_field] = spans[1]
        for field in self.inter_feat:
            if field != self.uid_field:
                values = self.inter_feat[field]
                exact = field == self.time_field and self.config["time_bias"]
                if values.is_floating_point() and not exact:
                    values = values.float()  # times are float64 while rows are sorted (compat/times.py)
                histories = HistoryColumn(values, *spans, self.max_item_list_len)
                fields[getattr(self, f"{field}_list_field")] = histories
        self.inter_feat = Samples(fields)

    def split(self):
        """RecBole's split of the samples, before anything is attached.

        Returns:
            list of ItemTextDataset: training, validation and test part.
        """
        return SequentialDataset.build(self)

    def build(self):
        """RecBole's split, with item texts attached.

        Raises:
            StoreMissingError: nobody encoded the titles yet.
            StoreError: their file cannot be used.
        """
        splits = self.split()
        self.attach_item_texts(splits)
        self.choose_targets(splits)
        return splits

    def choose_targets(self, splits):
        """Makes the training part of a split (list of datasets) teach what ``train_targets`` says."""
        train = splits[0]
        if self.config["train_targets"] == "last":
            users = train.inter_feat[self.uid_field].numpy()
            splits[0] = train.copy(train.inter_feat[newest_sample(users)])
        elif self.config["train_targets"] == "sequence":
            spans = self.training_spans(splits, newest=len(self.sequences.items))
            fields = {"user": self.uid_field, "item": self.iid_field, "length": self.item_list_length_field}
            fields["items"] = getattr(self, f"{self.iid_field}_list_field")
            train.windows = training_windows(self.sequences, spans, self.max_item_list_len, fields)
            self.logger.info(
                f"{len(train.windows):,} windows with {len(train.inter_feat):,} targets; train_batch_size "
                "counts windows"
            )

    def training_spans(self, splits, newest):
        """Where the training histories of a split (list of datasets) are: ``Sequences.training_spans``."""
        held_out = np.concatenate([part.inter_feat[self.uid_field].numpy() for part in splits[1:]])
        return self.sequences.training_spans(held_out, self.user_num, newest)

    def __len__(self):
        return super().__len__() if self.windows is None else len(self.windows)

    def __getitem__(self, index, join=True):
        rows = self.inter_feat if self.windows is None else self.windows
        rows = rows.padded(index) if isinstance(rows, Samples) else rows[index]
        return self.join(rows) if join else rows

    def attach_item_texts(self, splits):
        """Gives each part of a split (list of datasets) the vectors, if the model reads them."""
        if our_models.uses_item_texts(self.config):
            self.item_texts = item_texts.load(self.config, self.field2id_token[self.iid_field])
            for part in splits:
                part.item_texts = self.item_texts


class SAMDataset(ItemTextDataset):
    """An :class:`ItemTextDataset` that also knows every user's interests.

    ``build`` attaches the interest store to each part as ``interests`` (:class:`InterestTable`), joined by
    user token, after the leak guard compared every user's training history with the one the store was made
    from. With ``interest_evidence`` it also attaches those histories as ``training_items``
    (:class:`TrainingItems`).
    """

    def __init__(self, config):
        if config["benchmark_filename"] is not None:
            raise SettingError(
                f"{config['model']} needs whole user sequences to find the training histories, which "
                "benchmark_filename does not give: provide one .inter file and a split in eval_args."
            )
        super().__init__(config)

    def build(self):
        """RecBole's split, with interests and item texts attached.

        Raises:
            StoreMissingError: there is no interest store yet.
            StoreError: it cannot be used.
            LeakGuardError: it was made from other histories than the current training split.
        """
        splits = self.split()
        store = self.open_store(splits)
        check_width(store, self.config["interest_dim"])
        made = {part: store.fingerprint.get(part, {}).get("name") for part in ("generator", "encoder")}
        self.logger.info(
            f"Interests of {store.path}: generator {made['generator']}, text encoder {made['encoder']}, "
            f"{int((np.diff(store.offsets) > 0).sum()):,} of {store.n_users:,} users have some"
        )
        self.interests = InterestTable(store, self.field2id_token[self.uid_field])
        for part in splits:
            part.interests = self.interests
        if self.config["interest_evidence"]:
            self.attach_training_items(splits)
        self.attach_item_texts(splits)
        self.choose_targets(splits)
        return splits

    def open_store(self, splits):
        """The interest store, after the leak guard held it to the training histories of a split.

        Args:
            splits (list of SAMDataset): what :meth:`split` returned.

        Returns:
            recbole_sam.data.store.InterestStore: made from exactly these histories.

        Raises:
            StoreMissingError: there is none yet.
            StoreError: it cannot be used.
            LeakGuardError: it was made from other histories.
        """
        store = store_location.open_existing(self.config)
        hashes = bytearray()
        for _, items in self.training_histories(splits):
            hashes += history_hash(items)
        hashes = np.frombuffer(hashes, np.uint8).reshape(-1, HASH_BYTES)
        tokens = self.field2id_token[self.uid_field][self.sequences.users]
        check_histories(store, tokens, hashes, store_location.command(self.config))
        return store

    def training_histories(self, splits):
        """The newest training items of every user under a split: all that Stage 1 may see.

        Args:
            splits (list of SAMDataset): what :meth:`split` returned.

        Yields:
            tuple: user token (str) and its item tokens (list of str), oldest first, at most
            ``interest_history_length``.
        """
        user_tokens, item_tokens = self.field2id_token[self.uid_field], self.field2id_token[self.iid_field]
        spans = self.training_spans(splits, self.config["interest_history_length"])
        for user, items in self.sequences.slices(*spans):
            yield str(user_tokens[user]), item_tokens[items].tolist()

    def attach_training_items(self, splits):
        """Gives each part of a split (list of datasets) the training histories as ``training_items``."""
        longest = self.config["interest_history_length"]
        items = TrainingItems(self.sequences, *self.training_spans(splits, longest), longest)
        for part in splits:
            part.training_items = items


class OptionalInterestsDataset(SAMDataset):
    """A :class:`SAMDataset` that opens without a store too: a model can then serve, but not train."""

    def build(self):
        if store_location.path(self.config).exists():
            return super().build()
        splits = self.split()
        self.attach_item_texts(splits)
        for part in splits:
            part.interests = None
        return splits
