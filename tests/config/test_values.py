import pytest

from recbole_sam.config import configuration
from recbole_sam.errors import SettingError


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"topk": "5"}, r"valid_metric is 'MRR@10'; it must be one of hit@5, mrr@5, .* and topk \[5\]"),
        ({"valid_metric": "NGCD@10"}, "valid_metric is 'NGCD@10'; it must be one of hit@10"),
        ({"metrics": "Hit"}, "it must be one of hit@10, for"),
        ({"epochs": "1.5"}, "epochs must be a whole number from 0, not 1.5"),
        ({"eval_step": "-1"}, "eval_step must be a whole number from 0, not -1"),
        ({"epochs": "-1"}, "epochs must be a whole number from 0, not -1"),
        ({"train_batch_size": "0"}, "train_batch_size must be a whole number from 1, not 0"),
        ({"MAX_ITEM_LIST_LENGTH": "0"}, "MAX_ITEM_LIST_LENGTH must be a whole number from 1"),
        ({"eval_args": "{'mode':'uni100'}"}, "eval_args has the order 'RO' .* give all of it, such as"),
        ({"metrics": "[Hit,NDCG]"}, r"metrics cannot be read: \[Hit,NDCG\]. .* --metrics=\"\['a', 'b'\]\""),
        ({"item_text_fields": "[title,brand]"}, r"item_text_fields cannot be read: \[title,brand\]."),
        ({"eval_args": "{mode: full}"}, "eval_args cannot be read.* --eval_args=\"{'a': 'b'}\""),
        ({"loss_type": "BPR", "train_neg_sample_args": "None"}, "loss_type BPR compares with a sampled item"),
        ({"model": "SASRecText", "repeat_bias": "no"}, "repeat_bias must be True or False, not 'no'"),
        ({"model": "MIND", "adaptive_interests": "Flase"}, "adaptive_interests must be True or False"),
        ({"learning_rate": "-1"}, "learning_rate must be a number from 0 on, not -1"),
        ({"weight_decay": "-0.1"}, "weight_decay must be a number from 0 on"),
        ({"initializer_range": "-1"}, "initializer_range must be a number from 0 on"),
        ({"model": "BSARec", "hidden_dropout_prob": "1.5"}, "hidden_dropout_prob must be a number from 0 "),
        ({"model": "UniSRec", "adaptor_dropout_prob": "2"}, "adaptor_dropout_prob must be a number from"),
        ({"clip_grad_norm": "5"}, "clip_grad_norm must be a dictionary such as"),
        ({"interest_store": "5"}, "interest_store must be a path; write ./5"),
        ({"item_text_fields": "5"}, "item_text_fields must be a list of columns"),
        ({"llm_model": "123"}, "llm_model must be the name of a model"),
        ({"llm_prompt_file": "5"}, "llm_prompt_file must be a path"),
        ({"llm_price_region": "5"}, "llm_price_region must be a section"),
        ({"interest_seed": "-1"}, "interest_seed must be a whole number from 0 to 4294967295, not -1"),
        ({"interest_readout": "None"}, "interest_readout must be one of max, mean"),
        ({"text_max_length": "2.5"}, "text_max_length must be a whole number from 1, not 2.5"),
        ({"text_encoder_dim": "True"}, "text_encoder_dim must be a whole number from 1, not True"),
        ({"interest_alpha": "True"}, "interest_alpha must be a number such as 0.6, not True"),
        ({"model": "STOSA", "pvn_weight": "None"}, "pvn_weight must be a number such as 0.005, not None"),
        ({"model": "EIMF", "alignment_weight": "-1"}, "alignment_weight must be a number from 0 on"),
        ({"model": "eSASRec", "attn_dropout_prob": "None"}, "attn_dropout_prob must be a number such as"),
        ({"model": "MIND", "label_power": "much"}, "label_power must be a number such as inf, not 'much'"),
        # what a model says itself, before any data is read or a language model is paid
        ({"interest_control": "random"}, "interest_control is 'random'; it must be"),
        ({"train_targets": "sequence"}, "history_filter reads a history both ways"),
        ({"compile": "True"}, "set compile to False"),
        ({"interest_text": "True", "item_text": "False"}, "set item_text to True, or interest_text to False"),
        ({"loss_chunk_size": "128"}, "set repeat_bias to False, or take loss_type SSM"),
        ({"loss_type": "SSM", "item_knn": "True"}, "take another loss_type than SSM"),
        ({"model": "HSTU", "train_targets": "sequence"}, "set time_bias to False"),
        ({"model": "SASRecText", "n_heads": "3"}, r"hidden_size \(64\) must be a multiple of n_heads \(3\)"),
        (
            {"model": "SASRecText", "loss_type": "BPR", "train_targets": "sequence"},
            "draws no negatives for BPR",
        ),
        ({"model": "UniSRec", "temperature": "0"}, "temperature=0 makes no sense"),
        ({"model": "TedRec", "item_text": "False"}, "leave item_text True"),
        ({"model": "WEARec", "alpha": "2"}, "alpha=2 is no share"),
        ({"model": "BSARec", "cutoff": "-1"}, "cutoff"),
        ({"model": "MIND", "label_power": "0.5"}, "label_power=0.5 makes no sense"),
        ({"model": "ComiRec", "interest_extractor": "SR"}, "'SR' is none of ComiRec's"),
        ({"model": "EIMF", "alignment_temperature": "0"}, "alignment_temperature=0 makes no sense"),
        ({"model": "STOSA", "train_neg_sample_args": "None"}, "STOSA's loss compares with a sampled item"),
        ({"model": "eSASRec", "item_knn_size": "0", "item_knn": "True", "loss_type": "CE"}, "item_knn_size"),
    ],
)
def test_what_recbole_would_find_out_late(shop, wrong, sentence):
    with pytest.raises(SettingError, match=sentence):
        configuration.make_config({"model": "SAM", "dataset": "shop", **wrong})


@pytest.mark.parametrize(
    "fine",
    [
        {"model": "BPR", "eval_args": "{'mode':'uni100'}"},
        {"model": "BPR", "eval_args": "{'mode':'labeled'}", "metrics": "AUC", "valid_metric": "AUC"},
        {"model": "SASRec", "topk": "5", "valid_metric": "mrr@5", "epochs": "0"},
        {"model": "SASRec", "metrics": "['Hit','ItemCoverage']", "valid_metric": "ItemCoverage@10"},
        {"model": "BPR", "eval_step": "0", "metrics": "['Recall']"},  # never validates
        {"model": "SASRec", "learning_rate": "0", "hidden_dropout_prob": "1", "shuffle": "0"},
        {"model": "BERT4Rec", "loss_type": "BPR", "train_neg_sample_args": "None"},  # masks, draws its own
    ],
)
def test_what_recbole_can_do_is_not_refused(shop, fine):
    configuration.make_config({"dataset": "shop", **fine})
