import argparse
import json
import math

import pytest
from conftest import REAL_DATA
from recbole.config import Config
from recbole.data import create_dataset, data_preparation

from recbole_sam.cli import prepare as command
from recbole_sam.errors import DataError, SettingError
from recbole_sam.prepare import atomic
from recbole_sam.prepare.card import card_line, read_card
from recbole_sam.prepare.conversion import Source, prepare
from recbole_sam.prepare.filters import Filters
from recbole_sam.prepare.items import Item, titles_of
from recbole_sam.prepare.sources.skips import Skips

SHARED = REAL_DATA
NONE = Filters(k_core="none")


def source(rows, items=None, files=()):
    return Source("rows of a test", rows, Skips(), files, items and (lambda wanted: items))


def rows_of(folder):
    return [cells for _, cells in atomic.read_rows(folder / f"{folder.name}.inter")]


def run(*options):
    """The command line, as ``python -m recbole_sam prepare`` hands it over."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(), "makes a dataset")
    return command.run(parser.parse_args(["prepare", *options]))


@pytest.fixture
def tables(tmp_path):
    """Six users with five items each, and items with difficult titles."""
    interactions = tmp_path / "interactions.csv"
    lines = [f"u{u},i{i},5,{u + i}" for u in range(6) for i in range(5)]
    interactions.write_text("user_id,item_id,rating,timestamp\n" + "\n".join([*lines, "u9,i0,3,1"]))
    items = tmp_path / "items.csv"
    items.write_text(
        "item_id,title,brand,category\n"
        'i0,"tab\there, ""quoted"" <b>bold</b>\nnext line",Acme,"Beauty,Soap"\n'
        'i1,var x = 1; function f() { go() },Acme,"Beauty,Soap"\n'
        "i2,,,\n"
        "i3,Salt &amp; Pepper,,\n"
    )
    return tmp_path, f"--interactions={interactions}", f"--items={items}"


def test_tables_to_a_dataset_that_recbole_reads(tables, capsys):
    tmp_path, interactions, items = tables
    path = f"--data_path={tmp_path}"
    assert run("--dataset=mine", path, interactions, items) == 0
    printed = capsys.readouterr().out
    assert "mine: 6 users, 5 items, 30 interactions; 2 titles; table; 5-core once" in printed
    assert "5-core, counted once" in printed
    assert "--model=SAM --dataset=mine" in printed
    folder = tmp_path / "mine"
    assert atomic.read_item_texts(folder / "mine.item") == {
        "i0": 'tab here, "quoted" bold next line',
        "i1": "Acme Soap",
        "i2": "",
        "i3": "Salt & Pepper",
        "i4": "",  # not described, but RecBole drops interactions with unlisted items
    }
    card = read_card(folder)
    assert card["titles"] == {
        "title": 2,
        "brand and category instead": 1,
        "no text": 1,
        "script instead of title": 1,
        "not in the item file": 1,
    }
    assert card["counts"]["interactions"] == 30
    assert [file["name"] for file in card["source"]["files"]] == ["interactions.csv", "items.csv"]
    assert str(tmp_path) not in json.dumps(card)
    config = Config(
        model="SASRec",
        dataset="mine",
        config_dict={
            "data_path": str(tmp_path),
            "load_col": {
                "inter": ["user_id", "item_id", "timestamp"],
                "item": ["item_id", "title"],
            },
            "train_neg_sample_args": None,
        },
    )
    dataset = create_dataset(config)
    assert (dataset.user_num - 1, dataset.item_num - 1, dataset.inter_num) == (6, 5, 30)
    _, _, test = data_preparation(config, dataset)
    assert test.dataset.inter_num == 6


def test_time_order_survives_recboles_float32(tmp_path):
    """Ten seconds apart is the same moment in float32: the order of rows decides."""
    start = 1_400_000_000
    rows = [("u", f"i{n}", math.nan, start + 10 * (n * 7 % 10)) for n in range(10)]
    prepare(tmp_path / "close", source(rows), NONE)
    in_time = [item for _, item, _, _ in sorted(rows, key=lambda row: row[3])]
    assert [cells[1] for cells in rows_of(tmp_path / "close")] == in_time
    config = Config(
        model="SASRec",
        dataset="close",
        config_dict={
            "data_path": str(tmp_path),
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "train_neg_sample_args": None,
        },
    )
    _, _, test = data_preparation(config, create_dataset(config))
    history = test.dataset.inter_feat["item_id_list"][0, :9]
    assert test.dataset.id2token("item_id", history).tolist() == in_time[:9]


def test_cells_are_as_short_as_they_can_be(tmp_path):
    rows = [("u", "a", 4.0, 10.0), ("u", "b", math.nan, 10.5), ("u", "c", 4.5, 11.0)]
    prepare(tmp_path / "x", source(rows), NONE)
    assert rows_of(tmp_path / "x") == [
        ["u", "a", "4", "10"],
        ["u", "b", "", "10.5"],
        ["u", "c", "4.5", "11"],
    ]


def test_no_rating_column_without_ratings(tmp_path):
    prepare(tmp_path / "x", source([("u", "a", math.nan, 1)]), NONE)
    assert atomic.read_header(tmp_path / "x" / "x.inter") == {
        "user_id": "token",
        "item_id": "token",
        "timestamp": "float",
    }
    assert not (tmp_path / "x" / "x.item").exists()
    assert "no titles" in card_line(read_card(tmp_path / "x"))


def test_a_user_with_one_item_is_kept_when_nothing_is_filtered(tmp_path):
    card = prepare(tmp_path / "x", source([("u", "a", 5, 1), ("v", "a", 5, 1), ("v", "b", 5, 2)]), NONE)
    assert card["counts"]["shortest_history"] == 1
    assert card["counts"]["users"] == 2


def test_item_columns_appear_when_there_is_something_in_them(tmp_path):
    items = [Item("a", "Soap", price=2.5), Item("b", "Comb", "Acme", ("Hair", "Combs"))]
    items.append(Item("other", "not bought"))
    prepare(tmp_path / "x", source([("u", "a", 5, 1), ("u", "b", 5, 2)], items), NONE)
    assert list(atomic.read_header(tmp_path / "x" / "x.item")) == [
        "item_id", "title", "brand", "categories", "price",
    ]  # fmt: skip
    assert [cells for _, cells in atomic.read_rows(tmp_path / "x" / "x.item")] == [
        ["a", "Soap", "", "", "2.5"],
        ["b", "Comb", "Acme", "Hair, Combs", ""],
    ]


def test_nothing_left_is_refused_and_nothing_is_written(tables):
    tmp_path, interactions, _ = tables
    with pytest.raises(DataError, match="Nothing is left of the 31 interactions .*--min-count"):
        run("--dataset=mine", f"--data_path={tmp_path}/d", interactions, "--min-count=50")
    assert list((tmp_path / "d").iterdir()) == []


def test_a_file_without_a_usable_row_says_why(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("user,item,time\n,a,1\n,b,2\n")
    with pytest.raises(DataError, match=r"no usable interaction \(2 x no usable user id"):
        run("--dataset=x", f"--data_path={tmp_path}", f"--interactions={path}")


def test_an_item_file_of_another_dataset_is_refused(tmp_path):
    rows = [("u", f"i{n}", 5, n) for n in range(20)]
    files = (tmp_path / "rows.csv", tmp_path / "items.csv")
    with pytest.raises(DataError, match="1 of the 20 items are described in items.csv"):
        prepare(tmp_path / "x", source(rows, [Item("i0", "Soap")], files), NONE)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_dataset_survives_bad_input(tables):
    tmp_path, interactions, items = tables
    path = f"--data_path={tmp_path}"
    run("--dataset=mine", path, interactions, items)
    before = {file.name: file.read_bytes() for file in (tmp_path / "mine").iterdir()}
    with pytest.raises(DataError, match="--overwrite"):
        run("--dataset=mine", path, interactions)
    (tmp_path / "bad.csv").write_bytes(b"user,item,time\na,b,1\n\xff,b,1\n")
    with pytest.raises(DataError, match="line 3: not UTF-8"):
        run("--dataset=mine", path, f"--interactions={tmp_path}/bad.csv", "--overwrite")
    assert {file.name: file.read_bytes() for file in (tmp_path / "mine").iterdir()} == before
    run("--dataset=mine", path, interactions, "--overwrite")
    assert not (tmp_path / "mine" / "mine.item").exists()


def test_an_error_of_reading_is_not_called_one_of_writing(tmp_path):
    def rows():
        yield "u", "a", 5, 1
        raise OSError(5, "Input/output error")

    def items():
        yield Item("a", "Soap")
        raise OSError("gone")

    file = tmp_path / "rows.csv"
    file.write_text("x")
    whole = [("u", "a", 5, 1)]
    for broken in (source(rows(), files=(file,)), source(whole, items(), (file,)),
                   source(whole, files=(tmp_path / "no.csv",))):  # fmt: skip
        with pytest.raises(DataError, match=r"(rows|no)\.csv could not be read to the end") as caught:
            prepare(tmp_path / "x", broken, NONE)
        assert "written" not in str(caught.value)


def test_names_that_are_paths_are_refused(tables):
    with pytest.raises(SettingError, match="plain name"):
        run("--dataset=../x", tables[1])


def test_the_first_description_of_an_item_counts():
    items, counts = titles_of([Item("a", "one"), Item("a", "two"), Item("z", "no")], {"a", "b"})
    assert items["a"].title == "one"
    assert counts["not in the item file"] == 1


@pytest.mark.parametrize(
    ("name", "users", "items", "interactions", "titles"),
    [
        ("amazon-industrial-scientific", 8442, 4385, 59427, 4385),
        ("amazon-beauty-2014", 22363, 12101, 198502, 12094),
    ],
)
def test_real_tables(tmp_path, name, users, items, interactions, titles):
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the real data in {SHARED} is not on this machine")
    run(
        f"--dataset={name}",
        f"--data_path={tmp_path}",
        f"--interactions={folder / 'interactions.csv'}",
        f"--items={folder / 'items.csv'}",
    )
    card = read_card(tmp_path / name)
    counts = card["counts"]
    assert (counts["users"], counts["items"], counts["interactions"]) == (
        users,
        items,
        interactions,
    )
    assert card["titles"]["title"] == titles
    assert card["skipped"] == {}
    config = Config(
        model="SASRec",
        dataset=name,
        config_dict={
            "data_path": str(tmp_path),
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "train_neg_sample_args": None,
        },
    )
    dataset = create_dataset(config)
    assert (dataset.user_num - 1, dataset.item_num - 1) == (users, items)
    assert dataset.inter_num == interactions
