"""Settings that a person gets wrong, in a table: each is one or two sentences and exit code 2.

A row: the settings (words without their dashes), and what the sentence has to say. None may train.
"""

import importlib.util
import socket
from pathlib import Path

import pytest
from mistake_helpers import assert_one_sentence, run_command, write_shop

QUICK = ["--dataset=shop", "--epochs=1", "--MAX_ITEM_LIST_LENGTH=8", "--show_progress=False"]
SIZES = ["--hidden_size=8", "--inner_size=8", "--n_heads=2", "--n_layers=1"]
LOADED = (
    "load_col={'inter':['user_id','item_id','timestamp','rating','shelf'],'item':['item_id','words','price']}"
)

INTERVALS = [
    *[
        ([f"{name}={wrong}"], f"{name} must be an interval such as")
        for name in ("user_inter_num_interval", "item_inter_num_interval")
        for wrong in (
            "5",
            ">=9",
            "[9,)",
            "[9 inf)",
            "[9,3]",
            "9..",
            "(5,5)",
            "[1,2,3]",
            "[nan,5]",
            "{2,5}",
            "[a,b]",
            "5,",
            "[2,5];",
            "True",
            "",
            "inf",
            "[5",
            "all",
        )
    ],
    (["user_inter_num_interval=[2,5] [7,9]"], "is an expression"),
    (["user_inter_num_interval=[100,inf)"], "no interaction left"),
    (["item_inter_num_interval=[1000,2000]"], "no interaction left"),
    (["entity_kg_num_interval=3"], "entity_kg_num_interval must be an interval"),
]

FILTERS = [
    (["val_interval={'rating':'[2,inf)'}"], "val_interval names the column 'rating', which is not loaded"),
    (["val_interval=[3,5]"], "val_interval must be a dictionary from column"),
    (["val_interval={'item_id':'i3'}"], "val_interval must be a dictionary from column"),
    (["val_interval={'rating':'3'}"], "val_interval must be a dictionary"),
    (["val_interval={'rating':3}", LOADED], "val_interval must be a dictionary"),
    (["val_interval={'rating':'>3'}", LOADED], "val_interval must be a dictionary"),
    (["val_interval={'rating':[1,2,3]}", LOADED], "val_interval must be a dictionary"),
    (["val_interval={'rating':[]}", LOADED], "val_interval must be a dictionary"),
    (["val_interval={'rating':None}", LOADED], "val_interval must be a dictionary"),
    (["val_interval={'rating':['3','5']}", LOADED], "a column of numbers, words: give an interval"),
    (["val_interval={'shelf':'[1,2]'}", LOADED], "a column of words, an interval: give a list in quotes"),
    (["val_interval={'shelf':[1,2]}", LOADED], "a column of words, an interval"),
    (["val_interval={'words':['cream']}", LOADED], "a column of sequences"),
    (["val_interval={'ratng':'[3,5]'}", LOADED], "the column 'ratng', which is not loaded"),
    (["val_interval={'rating':'[9,10]'}", LOADED], "no interaction left"),
    (["val_interval={rating:[3,5]}"], "val_interval cannot be read"),
    (["val_interval=rating"], "val_interval must be a dictionary"),
    (["val_interval=3"], "val_interval must be a dictionary"),
    (["rm_dup_inter=sometimes"], "rm_dup_inter must be one of first, last, or None"),
    (["rm_dup_inter=True"], "rm_dup_inter must be one of"),
    (["rm_dup_inter=False"], "rm_dup_inter must be one of"),
    (["rm_dup_inter=0"], "rm_dup_inter must be one of"),
    (["filter_inter_by_user_or_item=1"], "filter_inter_by_user_or_item must be True or False"),
    (["filter_inter_by_user_or_item=yes"], "filter_inter_by_user_or_item must be True or False"),
    (
        ["benchmark_filename=['a','b','c']", "rm_dup_inter=first"],
        "rm_dup_inter does nothing to the ready parts",
    ),
    (
        ["benchmark_filename=['a','b','c']", "user_inter_num_interval=[5,inf)"],
        "does nothing to the ready parts",
    ),
    (["benchmark_filename=['a','b']"], "benchmark_filename must be the three parts"),
    (["benchmark_filename=train"], "benchmark_filename must be the three parts"),
    (["benchmark_filename=['a','b','c']"], "shop.a.inter"),
]

COLUMNS = [
    (["threshold={'rating':3}"], "threshold names 'rating', which"),
    (["threshold=3"], "threshold must be a dictionary of one column"),
    (["threshold={'rating':3,'timestamp':4}"], "threshold must be a dictionary of one column"),
    (["threshold={'rating':'3'}", LOADED], "threshold must be a dictionary of one column"),
    (["threshold={}", LOADED], "threshold must be a dictionary of one column"),
    (["threshold={'shelf':3}", LOADED], "threshold names 'shelf', which is no loaded column of numbers"),
    (["threshold={'price':3}", LOADED], "threshold names 'price', which is no loaded column"),
    (["threshold={'timestamp':3}", LOADED], "threshold takes 'timestamp' away"),
    (["normalize_field=rating"], "normalize_field must be a list of columns"),
    (["normalize_field=['ratng']"], "normalize_field names the column 'ratng', which is not loaded"),
    (["normalize_field=['shelf']", LOADED], "normalize_field names 'shelf', which is no column of numbers"),
    (["normalize_field=['rating']", "normalize_all=True", LOADED], "leave one out"),
    (["normalize_all=1"], "normalize_all must be True or False"),
    (["numerical_features=price"], "numerical_features must be a list of columns"),
    (["numerical_features=['prise']", LOADED], "numerical_features names the column 'prise'"),
    (["numerical_features=['shelf']", LOADED], "which is no column of numbers"),
    (
        ["discretization={'price':{'method':'ED'}}", "numerical_features=['price']", LOADED],
        "discretization must",
    ),
    (["discretization={'price':{'method':'XX','bucket':3}}", LOADED], "the methods being ED and LD"),
    (["discretization={'price':{'method':'LD'}}", LOADED], "which numerical_features does not"),
    (["discretization=price"], "discretization must be a dictionary"),
    (["discretization={'price':{'method':'ED','bucket':0}}", LOADED], "discretization must be a dictionary"),
    (["preload_weight={'item_id':'vec'}"], "preload_weight names the column 'vec', which is not loaded"),
    (["preload_weight={'item_id':'words'}", LOADED], "which is no column of numbers"),
    (["preload_weight=vec"], "preload_weight must be a dictionary"),
    (["alias_of_item_id=shelf"], "alias_of_item_id must be a list of columns"),
    (["alias_of_item_id=['other']"], "alias_of_item_id names the column 'other', which is not loaded"),
    (["alias_of_user_id=['price']", LOADED], "which is a column of numbers, not of words"),
    (["alias_of_user_id=['item_id']"], "item_id"),
    (["additional_feat_suffix=['emb']"], "shop.emb"),
    (["additional_feat_suffix=['item']"], "item"),
    (["additional_feat_suffix=3"], "additional_feat_suffix must be a list"),
    (["load_col=['user_id','item_id']"], "load_col must be a dictionary from file"),
    (["load_col={'inter':'user_id'}"], "load_col must be a dictionary from file"),
    (["load_col={'inter':['user_id','item_id']}"], "load_col leaves out 'timestamp'"),
    (
        ["load_col={'inter':['user_id','item_id','timestamp','ratng']}"],
        "load_col names 'ratng', which the .inter",
    ),
    (
        ["load_col={'inter':['user_id','item_id','timestamp'],'item':['item_id','titel']}"],
        "load_col names 'titel', which the .item",
    ),
    (["load_col={'inter':['user_id','item_id','timestamp'],'item':['title']}"], "iid_field must be loaded"),
    (["load_col={'inter':[user_id,item_id,timestamp]}"], "load_col cannot be read"),
    (["load_col=*"], "load_col must be a dictionary"),
    (["unload_col={'inter':['rating']}"], "unload_col does nothing beside load_col"),
    (["unload_col=['rating']"], "unload_col must be a dictionary"),
    (["unused_col={'inter':['ratng']}", LOADED], "unused_col names 'ratng', which is no loaded column"),
    (["unused_col={'inter':['item_id']}", LOADED], "unused_col names 'item_id', which every model needs"),
    (["unused_col={'user':['age']}", LOADED], "but no .user file is loaded"),
    (["unused_col=rating"], "unused_col must be a dictionary"),
    (["seq_len={'words':0}", LOADED], "seq_len must be a dictionary from column to length"),
    (["seq_len={'rating':3}", LOADED], "seq_len names 'rating', which is no column of sequences"),
    (["seq_len=10"], "seq_len must be a dictionary"),
    (["USER_ID_FIELD=user"], "no column 'user'"),
    (["TIME_FIELD=date"], "no column 'date'"),
    (["USER_ID_FIELD=3"], "USER_ID_FIELD must be the name of a column"),
    (["USER_ID_FIELD=item_id"], "are both 'item_id': name two columns"),
    (["TIME_FIELD=user_id"], "are both 'user_id'"),
    (
        ["TIME_FIELD=shelf", "load_col={'inter':['user_id','item_id','shelf']}"],
        "holds times, so its type must",
    ),
    (["USER_ID_FIELD=None"], "go together"),
    (["LIST_SUFFIX="], "LIST_SUFFIX must be a word"),
    (["NEG_PREFIX="], "NEG_PREFIX must be a word"),
    (["field_separator="], "field_separator must be"),
    (["field_separator=,"], "no column 'item_id'"),
    (["encoding=utf-9"], "encoding must be the name of an encoding"),
    (["encoding=8"], "encoding must be the name of an encoding"),
]

NUMBERS = [
    *[
        ([f"learning_rate={wrong}"], "learning_rate must be a")
        for wrong in ("inf", "-1", "fast", "nan", "", "True", "None", "[0.1]", "1e999", "-inf")
    ],
    *[([f"weight_decay={wrong}"], "weight_decay must be a") for wrong in ("inf", "-0.1", "some", "None")],
    *[
        ([f"epochs={wrong}"], "epochs must be a whole number from 0")
        for wrong in ("1.5", "-1", "many", "None", "True", "", "[1]", "99999999999")
    ],
    *[([f"eval_step={wrong}"], "eval_step must be a whole number from 0") for wrong in ("-3", "0.5", "x")],
    *[
        ([f"{name}={wrong}"], f"{name} must be a whole number from 1")
        for name in (
            "train_batch_size",
            "eval_batch_size",
            "MAX_ITEM_LIST_LENGTH",
            "hidden_size",
            "n_heads",
            "inner_size",
            "n_layers",
        )
        for wrong in ("0", "2.5", "-1", "big")
    ],
    *[
        ([f"{name}={wrong}"], f"{name} must be a whole number from 0")
        for name in ("stopping_step", "worker", "metric_decimal_place", "loss_decimal_place")
        for wrong in ("-1", "x")
    ],
    *[
        ([f"seed={wrong}"], "seed must be a whole number from 0 to 4294967295")
        for wrong in ("-1", "4294967296", "1.5", "abc", "True")
    ],
    *[
        ([f"hidden_dropout_prob={wrong}"], "hidden_dropout_prob must be a")
        for wrong in ("1.5", "-0.1", "half")
    ],
    (["initializer_range=-1"], "initializer_range must be a number from 0"),
    (["layer_norm_eps=tiny"], "layer_norm_eps must be a number"),
    (["model=BPR", "embedding_size=0"], "embedding_size must be a whole number from 1"),
    (["model=GRU4Rec", "num_layers=0"], "num_layers must be a whole number from 1"),
    (["n_heads=3"], "hidden_size (8) must be a multiple of n_heads (3)"),
    (["model=BERT4Rec", "hidden_size=10", "n_heads=4"], "hidden_size (10) must be a multiple of n_heads (4)"),
    (
        ["model=CORE", "embedding_size=10", "n_heads=4"],
        "embedding_size (10) must be a multiple of n_heads (4)",
    ),
    (["model=BSARec", "hidden_size=10", "n_heads=4"], "hidden_size (10) must be a multiple of n_heads (4)"),
    (["hidden_act=foo"], "SASRec cannot be built with"),
    (["model=NeuMF", "mlp_hidden_size=64"], "mlp_hidden_size must be a list"),
    (["model=NeuMF", "mlp_hidden_size=[a]"], "mlp_hidden_size cannot be read"),
    (["model=NeuMF", "mlp_hidden_size=[-3]"], "NeuMF cannot be built with"),
    (["model=NARM", "dropout_probs=3"], "dropout_probs must be a list"),
]

EVALUATION = [
    (["eval_args=3"], "eval_args must be a dictionary"),
    (["eval_args={mode: full}"], "eval_args cannot be read"),
    (
        ["eval_args={'splitt':{'LS':'valid_and_test'},'order':'TO'}"],
        "eval_args must be a dictionary with some",
    ),
    *[
        (
            [f"eval_args={{'split':{wrong},'order':'TO','group_by':'user','mode':'full'}}"],
            "split in eval_args must",
        )
        for wrong in (
            "{'RS':[0.8,-0.1,0.3]}",
            "{'RS':[0.8,0.1,0.3]}",
            "{'RS':[0.8,0.2]}",
            "{'RS':[0,0,0]}",
            "{'RS':0.8}",
            "{'RS':['a','b','c']}",
            "{'LS':'both'}",
            "{'LS':[0.8,0.1,0.1]}",
            "'LS'",
            "{'XX':[1,1,1]}",
            "{'RS':[0.8,0.1,0.1],'LS':'test_only'}",
            "{}",
            "None",
            "{'TS':[0.5,0.5]}",
            "{'RS':[0.0,0.5,0.5]}",
            "{'RS':[1e999,1,1]}",
            "[0.8,0.1,0.1]",
        )
    ],
    (["eval_args={'order':'OT','mode':'full'}"], "order in eval_args must be RO"),
    (["eval_args={'order':'TO','group_by':'item','mode':'full'}"], "group_by in eval_args must be user"),
    *[
        (
            [f"eval_args={{'split':{{'LS':'valid_and_test'}},'order':'TO','mode':{wrong}}}"],
            "mode in eval_args must",
        )
        for wrong in (
            "'ful'",
            "'uni'",
            "'uni-5'",
            "'uni0'",
            "'pop1.5'",
            "3",
            "{'valid':'ful'}",
            "{}",
            "{'train':'full'}",
            "['full']",
            "None",
        )
    ],
    (["eval_args={'mode':'uni100'}"], "needs time order"),
    *[
        ([f"metrics={wrong}"], "metric")
        for wrong in ("Foo", "[]", "['Hit','Foo']", "3", "[Hit,NDCG]", "None", "['Hit','AUC']", "")
    ],
    *[
        ([f"topk={wrong}"], "topk")
        for wrong in ("0", "-1", "[]", "[0]", "ten", "[10.5]", "None", "{}", "True", "[100]", "[5,1000000]")
    ],
    *[
        ([f"valid_metric={wrong}"], "valid_metric")
        for wrong in ("NGCD@10", "NDCG@7", "NDCG", "3", "", "None")
    ],
    (["valid_metric_bigger=sure"], "valid_metric_bigger must be True or False"),
    (["repeatable=False"], "repeatable"),
    (["model=BPR", "metrics=['AUC']", "valid_metric=AUC"], "value-based metrics"),
]

TRAINING = [
    *[([f"learner={wrong}"], "learner must be one of adam") for wrong in ("adm", "3", "None", "Adam2", "")],
    *[
        ([f"clip_grad_norm={wrong}"], "clip_grad_norm must be a dictionary")
        for wrong in (
            "5",
            "{}",
            "{'norm_type':2}",
            "{'max_norm':-1}",
            "{'max_norm':'a'}",
            "{'max_nrm':1}",
            "[1]",
        )
    ],
    *[
        (
            [f"train_neg_sample_args={wrong}", "loss_type=BPR"],
            "train_neg_sample_args must be None, or a dictionary",
        )
        for wrong in (
            "5",
            "{'distribution':'normal'}",
            "{'distribution':'uniform','sample_nm':2}",
            "{'distribution':'uniform','sample_num':0}",
            "{'distribution':'uniform','sample_num':1.5}",
            "{'distribution':'uniform','alpha':'x'}",
            "uniform",
            "{'distribution':'uniform','dynamic':1}",
        )
    ],
    (
        ["loss_type=BPR", "train_neg_sample_args={'distribution':'uniform','dynamic':True}"],
        "a candidate_num from 1",
    ),
    (["loss_type=BPR", "train_neg_sample_args=None"], "loss_type BPR compares with a sampled item"),
    (["train_neg_sample_args={'distribution':'uniform'}"], "train_neg_sample_args"),
    (["loss_type=MSE"], "loss_type"),
    (["transform=mask"], "transform must be one of"),
    (["transform=mask_itemseq"], "transform mask_itemseq needs mask_ratio"),
    (["transform=crop_itemseq"], "needs eta"),
    *[
        ([f"gpu_id={wrong}"], "gpu_id must be numbers of GPUs")
        for wrong in ("first", "0;1", "1.5", "{}", "gpu0", "-2")
    ],
    *[
        ([f"{name}=maybe"], f"{name} must be True or False")
        for name in (
            "use_gpu",
            "show_progress",
            "reproducibility",
            "shuffle",
            "save_dataset",
            "enable_amp",
            "log_wandb",
        )
    ],
    (["state=loud"], "state must be one of info"),
    (["state=3"], "state must be one of info"),
    (
        ["learning_rate=1e30", "learner=sgd", "epochs=3", "train_batch_size=30"],
        "a smaller learning_rate (now 1e+30)",
    ),
]

NAMES = [
    (["model=SAMM"], "Did you mean SAM"),
    *[
        ([f"model={wrong}"], "there is no model named")
        for wrong in (
            "../x",
            "recbole.model",
            "os.path",
            "__init__",
            "sasrec",
            "SAS Rec",
            "x" * 300,
            "a/b",
            "abstract_recommender",
        )
    ],
    (["model="], "model must be a word"),
    *[
        ([f"dataset={wrong}"], "dataset must be the name of a folder below data_path")
        for wrong in ("../shop", "a/b", "x" * 300, "", "..", "/etc", "shop/")
    ],
    (["dataset=shopp"], "Did you mean shop"),
    (["data_path=nowhere"], "there is no dataset 'shop' in nowhere"),
    (["data_path="], "data_path must be a path"),
    (["data_path=5"], "write ./5"),
    (["learning_rat=0.1"], "did you mean 'learning_rate'"),
    (["epoch=3"], "did you mean 'epochs'"),
    (["config_file=my.yaml"], "--config_files=FILE"),
    (["config_files=none.yaml"], "none.yaml: No such file"),
    (["config_files=."], "it is no regular file"),
    (["config_files=list.yaml"], "must hold lines of the form 'key: value'"),
    (["config_files=broken.yaml"], "is not YAML"),
    (["config_files=binary.yaml"], "is not YAML"),
    (["config_files=empty.yaml"], "must hold lines"),
    (["config_files=deep.yaml"], "nested too deeply"),
    (["config_files=number.yaml"], "dataset must be the name of a folder"),
    (["config_files=nproc.yaml"], "nproc in nproc.yaml does nothing"),
    (["config_files=nested.yaml"], "config_files in nested.yaml does nothing"),
    (["config_files=old.yaml"], "--config_files=FILE"),
    (["config_files=keys.yaml"], "has the key 3"),
    (["config_files=rate.yaml"], "learning_rate must be a number"),
    (["config_files=unknown.yaml"], "did you mean 'learning_rate'"),
    (["config_files=interval.yaml"], "user_inter_num_interval must be an interval"),
    (["checkpoint_dir=list.yaml"], "cannot write to checkpoint_dir list.yaml"),
    (["checkpoint_dir=/proc/none"], "cannot write to checkpoint_dir /proc/none"),
    (["checkpoint_dir="], "checkpoint_dir must be a path"),
    (["checkpoint_dir=7"], "write ./5"),
]

PROCESSES = [
    *[([f"nproc={wrong}"], "--nproc") for wrong in ("two", "0", "-1", "1.5", "")],
    (["nproc=2", "world_size=1"], "beyond --world_size=1"),
    (["nproc=2", "world_size=two"], "whole numbers"),
    (["world_size=0"], "--world_size is the number of processes on all machines"),
    (["world_size=-5"], "--world_size is the number"),
    (["nproc=2", "world_size=4", "group_offset=3"], "go beyond --world_size=4"),
    (["nproc=2", "group_offset=2"], "go beyond --world_size"),
    (["nproc=2", "group_offset=-1"], "--group_offset=-1"),
    (["nproc=2", "port=99999"], "--port is a number from 1 to 65535"),
    (["nproc=2", "port=http"], "--port are whole numbers"),
    (["nproc=2", "port=0"], "--port is a number from 1"),
    (["nproc=2", "ip=256.1.1.1"], "--ip=256.1.1.1 is no address"),
    (["nproc=2", "ip=192.0.2.1"], "cannot be used by this machine"),
    (["local_rank=1"], "--local_rank is RecBole's own"),
    (["offset=1"], "--offset is RecBole's own"),
]

TABLE = [*INTERVALS, *FILTERS, *COLUMNS, *NUMBERS, *EVALUATION, *TRAINING, *NAMES, *PROCESSES]


@pytest.fixture
def here(tmp_path):
    write_shop(tmp_path / "dataset" / "shop")
    files = {
        "list.yaml": "- 1\n",
        "broken.yaml": "a: [1",
        "empty.yaml": "",
        "deep.yaml": "a: " + "[" * 3000,
        "number.yaml": "dataset: 2024\n",
        "nproc.yaml": "nproc: 2\n",
        "nested.yaml": "config_files: a.yaml\n",
        "old.yaml": "config_file: a.yaml\n",
        "keys.yaml": "3: 4\n",
        "rate.yaml": "learning_rate: fast\n",
        "unknown.yaml": "learning_rat: 1\n",
        "interval.yaml": "user_inter_num_interval: 5\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    return tmp_path


def words_of(row):
    """A row's settings over those of a small, quick run."""
    given = [f"--{word}" for word in row]
    names = {word.partition("=")[0] for word in given}
    sizes = [] if any(word.startswith("--model=") for word in given) else ["--model=SASRec", *SIZES]
    if names & {"--hidden_size"}:
        sizes = [word for word in sizes if not word.startswith("--inner")]
    if "--config_files=number.yaml" in given:
        names.add("--dataset")
    if "--config_files=rate.yaml" in given:
        names.add("--learning_rate")
    return ["run", *(word for word in [*QUICK, *sizes] if word.partition("=")[0] not in names), *given]


@pytest.mark.parametrize(
    "row, sentence", TABLE, ids=lambda value: " ".join(value)[:70] if isinstance(value, list) else ""
)
def test_a_wrong_setting_is_one_sentence(here, row, sentence):
    before = sorted(path for path in here.rglob("*") if path.is_file())
    assert_one_sentence(words_of(row), sentence)
    after = {path for path in here.rglob("*") if path.is_file()} - set(before)
    assert not [path for path in after if not {"log", "log_tensorboard"} & set(path.parts)], after


RIGHT = [
    ["user_inter_num_interval=[3,8]"],
    ["user_inter_num_interval=(3,9)"],
    ["item_inter_num_interval=[1,inf)"],
    ["user_inter_num_interval=[1,3];[5,inf)"],
    ["user_inter_num_interval=None", "item_inter_num_interval=None"],
    ["val_interval={'rating':'[2,inf)','shelf':['s0','s1']}", LOADED],
    ["val_interval={'rating':[2,5]}", LOADED],
    ["rm_dup_inter=first"],
    ["threshold={'rating':3}", LOADED],
    ["normalize_field=['rating','price']", LOADED],
    ["normalize_all=True", LOADED],
    ["load_col=None", "unload_col={'inter':['shelf']}"],
    ["unused_col={'inter':['rating']}", LOADED],
    ["seq_len={'words':1}", LOADED],
    ["alias_of_item_id=['shelf']", LOADED],
    [
        "eval_args={'split':{'RS':[8,1,1]},'order':'TO','group_by':'user','mode':{'valid':'uni5','test':'full'}}"
    ],
    ["eval_args={'split':{'TS':[0.8,0.1,0.1]},'order':'TO','group_by':'user','mode':'full'}"],
    ["eval_args={'split':{'LS':'test_only'},'order':'TO','group_by':'user','mode':'pop10'}"],
    ["loss_type=BPR", "train_neg_sample_args={'distribution':'popularity','sample_num':2,'alpha':0.5}"],
    ["clip_grad_norm={'max_norm':1.0}", "learner=SGD", "eval_step=0"],
    ["transform=crop_itemseq", "eta=0.5", "gpu_id=-1", "seed=0"],
    ["topk=[5,31]", "metrics=['Hit','MRR']", "valid_metric=mrr@5", "state=WARNING"],
]


@pytest.mark.parametrize("row", RIGHT, ids=lambda row: " ".join(row)[:70])
def test_a_right_setting_trains(here, row):
    code, err, _ = run_command(words_of(row))
    assert code == 0, f"{row}: {code} {err[-1000:]}"


def test_a_setting_that_needs_a_package(here):
    if importlib.util.find_spec("wandb") is not None:
        pytest.skip("wandb is installed")
    assert_one_sentence(words_of(["log_wandb=True"]), "log_wandb needs wandb, which is not installed")


def test_a_port_that_is_taken(here):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert_one_sentence(
            words_of(["nproc=2", "ip=127.0.0.1", f"port={port}"]), f"--port={port} of --ip=127.0.0.1"
        )


@pytest.mark.parametrize(
    "row, sentence",
    [
        (["hidden_size=1000000000"], "hidden_size (1000000000) smaller"),
        (["inner_size=2000000000"], "inner_size (2000000000) smaller"),
        (["MAX_ITEM_LIST_LENGTH=2000000000"], "MAX_ITEM_LIST_LENGTH (2000000000) smaller"),
    ],
)
def test_memory_that_no_machine_has(here, row, sentence):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if not pages:
        pytest.skip("the memory of this process cannot be limited here")
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**32, before[1]))
    try:
        assert_one_sentence(words_of(row), sentence)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_logs_that_cannot_be_written(here):
    (here / "log").write_text("no folder")
    assert_one_sentence(words_of([]), "cannot write to ./log, where RecBole keeps its logs")
    (here / "log").unlink()
    (here / "log_tensorboard").write_text("no folder")
    assert_one_sentence(words_of([]), "cannot write to ./log_tensorboard")
