from pathlib import Path

import pandas as pd
import pytest
import recbole
from hypothesis import given
from hypothesis import strategies as st
from recbole.config import Config
from recbole.data.dataset import Dataset

from recbole_sam.errors import DataError
from recbole_sam.prepare import atomic
from recbole_sam.prepare.text import MISSING_MARKS

ML100K = Path(recbole.__file__).parent / "dataset_example" / "ml-100k" / "ml-100k.item"
ITEM = {"item_id": "token", "title": "token"}
NASTY = {
    "a": 'say "hello", 12" wide',
    "b": '"quoted"',
    "c": "it's 50% off; a|b, c",
    "d": '"',
    "e": "# not a comment",
    "f": "back\\slash\\",
    "g": "",
    "h": "日本語 ü",
    "i": "007",
}


def as_recbole_reads(path):
    """The call of ``Dataset._load_feat``, with its arguments."""
    columns = path.read_text(encoding="utf-8").split("\n")[0].split("\t")
    return pd.read_csv(
        path,
        delimiter="\t",
        usecols=columns,
        dtype=dict.fromkeys(columns, str),
        encoding="utf-8",
        engine="python",
    )


def test_recbole_itself_reads_back_what_was_written(tmp_path):
    folder = tmp_path / "nasty"
    folder.mkdir()
    atomic.write_rows(folder / "nasty.item", ITEM, NASTY.items())
    atomic.write_rows(
        folder / "nasty.inter",
        {"user_id": "token", "item_id": "token", "timestamp": "float"},
        [(f"u{user}", item, time) for user in range(3) for time, item in enumerate(NASTY)],
    )
    config = Config(
        model="SASRec",
        dataset="nasty",
        config_dict={
            "data_path": str(tmp_path),
            "load_col": {
                "inter": ["user_id", "item_id", "timestamp"],
                "item": ["item_id", "title"],
            },
            "train_neg_sample_args": None,
        },
    )
    dataset = Dataset(config)
    ids = dataset.field2token_id["item_id"]
    titles = dataset.get_item_feature()["title"]
    for token, title in NASTY.items():
        read = dataset.id2token("title", int(titles[ids[token]]))
        assert read == title or (title == "" and read in ("", "[PAD]"))
    assert dataset.inter_num == 3 * len(NASTY)
    assert atomic.read_item_texts(folder / "nasty.item") == NASTY


@given(
    st.lists(
        st.text(
            alphabet=st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff"),
            max_size=20,
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_clean_title_survives_pandas_and_our_own_reader(tmp_path_factory, titles):
    path = tmp_path_factory.mktemp("roundtrip") / "x.item"
    rows = [(f'"i{number}', title) for number, title in enumerate(titles)]
    atomic.write_rows(path, ITEM, rows)
    frame = as_recbole_reads(path)
    assert frame["item_id:token"].tolist() == [token for token, _ in rows]
    for read, title in zip(frame["title:token"], titles, strict=True):
        assert pd.isna(read) if title in MISSING_MARKS else read == title
    assert [cells for _, cells in atomic.read_rows(path)] == [list(row) for row in rows]


def test_the_real_titles_of_ml_100k():
    texts = atomic.read_item_texts(ML100K, fields=["movie_title"])
    assert len(texts) == 1682
    assert texts["1"] == "Toy Story"
    assert atomic.read_header(ML100K)["class"] == "token_seq"


def test_several_fields_are_joined_and_empty_ones_left_out(tmp_path):
    path = tmp_path / "x.item"
    header = {**ITEM, "brand": "token", "price": "float"}
    atomic.write_rows(path, header, [("a", "Soap", "Acme", 1), ("b", "Comb", "", 2), ("c", "", "", "")])
    texts = atomic.read_item_texts(path, fields=["title", "brand"])
    assert texts == {"a": "Soap, Acme", "b": "Comb", "c": ""}


def test_the_first_of_a_repeated_item_counts(tmp_path):
    path = tmp_path / "x.item"
    atomic.write_rows(path, ITEM, [("a", "first"), ("a", "second")])
    assert atomic.read_item_texts(path) == {"a": "first"}


def test_other_separator(tmp_path):
    path = tmp_path / "x.item"
    path.write_text("item_id:token,title:token\na,Soap\n", encoding="utf-8")
    assert atomic.read_item_texts(path, separator=",") == {"a": "Soap"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"item_id:token\ttitle:token\na\tSoap\nb\tcr\xe8me\n", "line 3: not UTF-8"),
        (
            b"item_id:token\ttitle:token\na\tSoap\nb\n",
            "line 3: 1 columns, where the header names 2",
        ),
        (b"item_id:token\ttitle:token\na\tSoap\tx\n", "line 2: 3 columns"),
        (b"item_id:token\tname:token\na\tSoap\n", "no field 'title'; it has item_id, name"),
        (b"item_id:token\ttitle:float\na\t1\n", "'title' is numeric"),
        (b"item_id,title\na,Soap\n", "not of the form field:type"),
        (b"item_id:token\ttitle:word\na\tx\n", "'title:word' is not of the form"),
        (b"item_id:token\titem_id:token\na\tx\n", "appears twice"),
    ],
)
def test_bad_files_get_one_sentence(tmp_path, content, says):
    path = tmp_path / "x.item"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="(?s)" + says.replace("(", r"\(")) as caught:
        atomic.read_item_texts(path)
    assert "\n" not in str(caught.value)
