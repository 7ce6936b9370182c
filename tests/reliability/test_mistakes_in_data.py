"""Files of a dataset that are wrong, in a table: each is one or two sentences and exit code 2.

A row: what is done to the dataset ``shop``, settings of the run, and what the sentence has to say.
"""

import os

import pytest
from mistake_helpers import assert_one_sentence, write_shop
from test_mistakes_in_settings import words_of

HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"


def inter(content):
    """Replaces the interactions by a text or bytes; ``HEADER`` comes before a text that begins with a row."""

    def change(folder):
        data = content if isinstance(content, bytes) else content.encode()
        (folder / "shop.inter").write_bytes(data)

    return change


def beside(ending, content):
    """Writes another file of the dataset."""
    return lambda folder: (folder / f"shop.{ending}").write_text(content)


def replaced(old, new, ending="inter"):
    """Replaces a text in a file of the dataset, once."""

    def change(folder):
        path = folder / f"shop.{ending}"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def special(ending, make):
    """Puts something in the place of a file."""

    def change(folder):
        path = folder / f"shop.{ending}"
        path.unlink(missing_ok=True)
        make(path)

    return change


ONE = HEADER + "u1\ti1\t1\nu1\ti2\t2\nu1\ti3\t3\n"

TABLE = [
    (inter(""), [], "shop.inter is empty"),
    (inter("\n"), [], "shop.inter is empty"),
    (inter(HEADER), [], "holds no interactions"),
    (inter(HEADER + "\n\n\n"), [], "shop"),
    (inter(b"\x00" * 1000), [], "no column 'user_id'"),
    (inter(b"\xff\xfe" + HEADER.encode("utf-16-le")), [], "no column 'user_id'"),
    (inter(b"\x1f\x8b\x08\x00rubbish"), [], "no column 'user_id'"),
    (inter("user_id,item_id,timestamp\nu1,i1,1\n"), [], "no column"),
    (inter("user_id\titem_id\ttimestamp\nu1\ti1\t1\n"), [], "has no types"),
    (
        inter("user_id:token\titem_id\ttimestamp:float\nu1\ti1\t1\n"),
        [],
        "has the column 'item_id': it must be name",
    ),
    (
        inter("user_id:token\titem_id:tokens\ttimestamp:float\nu1\ti1\t1\n"),
        [],
        "has the column 'item_id:tokens'",
    ),
    (
        inter("user_id:token\titem_id:token\ttimestamp:date\nu1\ti1\t1\n"),
        [],
        "has the column 'timestamp:date'",
    ),
    (inter("user_id:token\titem_id:token\ttimestamp:float:x\nu1\ti1\t1\n"), [], "timestamp:float:x"),
    (
        inter("user_id:token\titem_id:token\ttimestamp:float\titem_id:token\nu1\ti1\t1\ti1\n"),
        [],
        "'item_id' twice",
    ),
    (
        inter("user_id:token\titem_id:token\ttimestamp:token\nu1\ti1\t1\nu1\ti2\t2\nu1\ti3\t3\n"),
        [],
        "its type must be float",
    ),
    (inter("user:token\titem_id:token\ttimestamp:float\nu1\ti1\t1\n"), [], "no column 'user_id'"),
    (inter("user_id:token\titem_id:token\nu1\ti1\nu1\ti2\n"), [], "no column 'timestamp'"),
    (inter("user_id:float\titem_id:token\ttimestamp:float\n1\ti1\t1\n1\ti2\t2\n1\ti3\t3\n"), [], "shop"),
    (inter(HEADER + "u1\ti1\tyesterday\n"), [], "cannot read dataset 'shop'"),
    (inter(HEADER + "u1\ti1\t1,5\nu1\ti2\t2\n"), [], "cannot read dataset 'shop'"),
    (inter(HEADER + "u1\ti1\t2020-01-01\nu1\ti2\t2\n"), [], "cannot read dataset 'shop'"),
    (inter(HEADER + "u1\ti1\t1\t9\t9\nu1\ti2\t2\n"), [], "shop"),
    (
        inter(HEADER + "u1\ti1\nu1\ti2\t2\nu1\ti3\t3\n"),
        [],
        "1 rows of the .inter file of 'shop' have no finite",
    ),
    (inter(HEADER + "u1\ti1\tnan\nu1\ti2\t2\nu1\ti3\t3\n"), [], "no finite 'timestamp'"),
    (inter(HEADER + "u1\ti1\tinf\nu1\ti2\t2\nu1\ti3\t3\n"), [], "no finite 'timestamp'"),
    (inter(HEADER + 'u1\t"i1\t1\nu1\ti2\t2\nu1\ti3\t3\n'), [], "shop"),
    (inter(HEADER + "u\x001\ti1\t1\nu1\ti2\t2\n"), [], "shop"),
    (inter(HEADER.encode() + b"u\xe9\ti1\t1\nu2\ti1\t2\n"), [], "0xe9 is not utf-8"),
    (inter(HEADER + "u1\ti1\t1\nu2\ti2\t2\n"), [], "no training sample"),
    (inter(HEADER + "u1\ti1\t1\nu1\ti2\t2\n"), [], "no training sample"),
    (inter(HEADER + "\ti1\t1\n\ti2\t2\n"), [], "shop"),
    (inter(HEADER + "u1\t\t1\nu1\t\t2\n"), [], "shop"),
    (inter(ONE), ["topk=[20]", "valid_metric=NDCG@20"], "topk asks for 20 items, but 'shop' has 3"),
    (special("inter", lambda path: None), [], "shop.inter is missing"),
    (special("inter", os.mkdir), [], "shop.inter is missing"),
    (special("inter", os.mkfifo), [], "shop.inter is missing"),
    (special("inter", lambda path: path.symlink_to("nowhere")), [], "shop.inter is missing"),
    (special("inter", lambda path: path.symlink_to("shop.inter")), [], "shop.inter is missing"),
    (
        beside("item", ""),
        ["load_col={'inter':['user_id','item_id','timestamp'],'item':['item_id','title']}"],
        "shop",
    ),
    (
        beside("item", "item_id\ttitle\ni1\tx\n"),
        ["load_col={'inter':['user_id','item_id','timestamp'],'item':['item_id','title']}"],
        "shop",
    ),
    (
        beside("item", "item_id:token\ttitle:token\nzz\tx\n"),
        ["load_col={'inter':['user_id','item_id','timestamp'],'item':['item_id','title']}"],
        "no interaction left",
    ),
    (
        beside("user", "user_id:token\tage:float\nu1\told\n"),
        ["load_col={'inter':['user_id','item_id','timestamp'],'user':['user_id','age']}"],
        "cannot read dataset",
    ),
    (
        beside("user", "user:token\tage:float\nu1\t3\n"),
        ["load_col={'inter':['user_id','item_id','timestamp'],'user':['user','age']}"],
        "uid_field must be loaded",
    ),
    (
        beside("emb", "eid:token\tvec:float_seq\ni1\t0.1 x\n"),
        [
            "load_col={'inter':['user_id','item_id','timestamp'],'emb':['eid','vec']}",
            "additional_feat_suffix=['emb']",
        ],
        "cannot read dataset",
    ),
    (
        beside("emb", "eid:token\tvec:float_seq\ni1\t0.1 0.2\n"),
        ["additional_feat_suffix=['emb']"],
        "but load_col loads none of its columns",
    ),
    (
        beside("emb", "eid:token\tvec:float_seq\ni1\t0.1 0.2\n"),
        [
            "load_col={'inter':['user_id','item_id','timestamp'],'emb':['eid','vec']}",
            "additional_feat_suffix=['emb']",
            "preload_weight={'item_id':'vec'}",
        ],
        "preload",
    ),
    (beside("train.inter", ONE), ["benchmark_filename=['train','valid','test']"], "shop.valid.inter"),
    # models that read texts
    (special("item", lambda path: None), ["model=SAM"], "shop.item does not exist"),
    (beside("item", ""), ["model=SAM"], "shop.item"),
    (beside("item", "item_id:token\ttitle:token\n"), ["model=SAM"], "title"),
    (beside("item", "item_id:token\tname:token\ni1\tx\n"), ["model=SAM"], "title"),
    (beside("item", "item_id:token\ttitle:float\ni1\t3\n"), ["model=SAM"], "numeric"),
    (beside("item", "item_id:token\ttitle:token\ni1\tx\ty\n"), ["model=SAM"], "columns"),
    (replaced("title:token", "titel:token", "item"), ["model=SAM"], "title"),
    (
        beside("item", "item_id:token\ttitle:token\n" + "".join(f"i{n}\t\n" for n in range(30))),
        ["model=SAM"],
        "title",
    ),
    (
        beside("item", "item_id:token\ttitle:token\n" + "".join(f"i{n}\t!!\n" for n in range(30))),
        ["model=SAM"],
        "words",
    ),
]


@pytest.mark.parametrize("change, row, sentence", TABLE, ids=range(len(TABLE)))
def test_a_wrong_file_is_one_sentence(tmp_path, change, row, sentence):
    folder = tmp_path / "dataset" / "shop"
    write_shop(folder)
    change(folder)
    assert_one_sentence(words_of(row), sentence)
    assert not list(tmp_path.glob("saved/*.pth")) and not list(folder.glob("*.safetensors"))


@pytest.mark.parametrize("make", [os.mkdir, lambda path: path.write_text("a file")], ids=["folder", "file"])
def test_something_else_where_the_folder_should_be(tmp_path, make):
    (tmp_path / "dataset").mkdir()
    make(tmp_path / "dataset" / "shop")
    assert_one_sentence(words_of([]), "shop")


def test_a_download_of_recbole_that_nobody_can_get(tmp_path, monkeypatch):
    import urllib.error

    from recbole.data.dataset import dataset as module

    def refuse(url):
        raise urllib.error.URLError("no route to host")

    (tmp_path / "dataset").mkdir()
    monkeypatch.setattr(module, "decide_download", refuse)
    assert_one_sentence(words_of(["dataset=amazon-books"]), "cannot download it")
