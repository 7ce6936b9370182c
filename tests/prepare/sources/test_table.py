import builtins
import csv
import gzip
import math
import shlex
import subprocess
import sys

import pytest

from recbole_sam.errors import DataError, SettingError
from recbole_sam.prepare.sources import table
from recbole_sam.prepare.sources.skips import Skips

AUTO = table.Columns()


def interactions(path, columns=AUTO, skips=None, **options):
    return list(table.read_interactions(path, columns, skips or Skips(), **options))


def items(path, columns=AUTO, skips=None):
    return list(table.read_items(path, columns, skips or Skips()))


def put(tmp_path, text, name="x.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "head",
    ["user_id,item_id,rating,timestamp", "UserID,asin,overall,unixReviewTime",
     "reviewerID;parent_asin;stars;date", "user_id:token\titem_id:token\trating:float\ttime:float"],
)  # fmt: skip
def test_usual_column_names_and_delimiters_are_recognised(tmp_path, head):
    delimiter = next(c for c in ",;\t" if c in head)
    row = delimiter.join(["u1", "i1", "4.5", "1400000000"])
    assert interactions(put(tmp_path, f"{head}\n{row}\n")) == [("u1", "i1", 4.5, 1.4e9)]


def test_columns_by_name(tmp_path):
    path = put(tmp_path, "wer,was,wann\na,b,3\n")
    with pytest.raises(DataError, match="recognised as user; it has wer, was, wann.*--user-column="):
        interactions(path)
    columns = table.Columns(user="wer", item="was", time="wann")
    (row,) = interactions(path, columns)
    assert row[:2] == ("a", "b") and math.isnan(row[2]) and row[3] == 3
    with pytest.raises(DataError, match="no column 'wrr'.*Did you mean wer?"):
        interactions(path, columns._replace(user="wrr"))


def test_empty_ratings_are_no_rating(tmp_path):
    path = put(tmp_path, "user,item,rating,time\na,b,,1\na,c,2,2\n")
    assert [row[2] for row in interactions(path)][1] == 2
    assert math.isnan(interactions(path)[0][2])


def test_unusable_rows_are_counted_by_reason(tmp_path):
    path = put(
        tmp_path,
        "user,item,rating,time\n,b,1,1\na,,1,1\na,NA,1,1\na,b,x,1\na,b,1,\na,b,1,soon\na,b,1,-4\na,b,1,5\n",
    )
    skips = Skips()
    assert interactions(path, skips=skips) == [("a", "b", 1, 5)]
    assert skips.counts == {
        "no usable user id": 1,
        "no usable item id": 2,
        "rating is not a number": 1,
        "time missing or not readable": 2,
        "negative time": 1,
    }
    assert "2 x no usable item id (first: x.csv, line 3)" in skips.sentences()
    with pytest.raises(DataError, match="line 2: no usable user id"):
        interactions(path, skips=Skips(strict=True))


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("0", 0), ("1400000000", 1.4e9), ("1400000000.5", 1400000000.5), ("1400000000000", 1.4e9),
        ("1400000000000000", 1.4e9), ("1970-01-02", 86400), ("1970-01-01T00:01:00", 60),
        ("1970-01-01 01:00:00+01:00", 0), ("1970-01-01T00:00:00Z", 0), ("-5", -5),
        ("", None), (None, None), ("nan", None), ("inf", None), ("yesterday", None),
    ],
)  # fmt: skip
def test_times(cell, seconds):
    assert table.parse_time(cell) == seconds


@pytest.mark.parametrize(
    ("cell", "price"), [("$12.50", 12.5), ("1,299.00", 1299), ("$5.00 - $9.00", 5), (7, 7)]
)
def test_prices(cell, price):
    assert table.parse_price(cell) == price
    assert math.isnan(table.parse_price("free"))


def test_quotes_tabs_and_newlines_in_titles(tmp_path):
    path = tmp_path / "items.csv"
    title = 'a "quoted",\ttabbed\nand broken title'
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["item_id", "title", "brand"], ["i", title, "Acme"]])
    (item,) = items(path)
    assert (item.title, item.brand) == (title, "Acme")


def test_items_with_categories_and_price(tmp_path):
    path = put(tmp_path, 'asin,title,category,price\ni,Soap,"Beauty,Bath",$3\nj,Comb,Hair|Tools,\n')
    first, second = items(path)
    assert first.categories == ("Beauty", "Bath") and first.price == 3
    assert second.categories == ("Hair", "Tools") and math.isnan(second.price)


def test_behaviours(tmp_path):
    path = put(tmp_path, "user,item,behavior_type,time\na,b,pv,1\na,c,buy,2\na,d,fav,3\n")
    assert len(interactions(path)) == 3
    skips = Skips(strict=True)
    rows = interactions(path, skips=skips, behaviours={"buy", "fav"})
    assert [row[1] for row in rows] == ["c", "d"]
    assert skips.counts == {"other behaviour": 1}


def test_gzip_and_byte_order_mark(tmp_path):
    text = b"\xef\xbb\xbfuser,item,time\na,b,1\n"
    assert interactions(put(tmp_path, gzip.compress(text), "x.csv.gz"))[0][:2] == ("a", "b")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"user,item\na,b\n", "no column recognised as time"),
        (b"user,item,time\na,b\n", "line 2: 2 columns, where the header has 3"),
        (b"user,item,time\na,b,1\na,\xff,1\n", "line 3: not UTF-8"),
        (gzip.compress(b"user,item,time\na,b,1\n" * 99, mtime=0)[:-20], "truncated gzip"),
        (b"\x1f\x8bnot gzip at all", "corrupt gzip"),
    ],
)
def test_bad_files_get_one_sentence(tmp_path, content, says):
    with pytest.raises(DataError, match=says):
        interactions(put(tmp_path, content))


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        interactions(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder"):
        interactions(tmp_path)


def test_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
    import pyarrow.parquet

    path = tmp_path / "x.parquet"
    columns = {"user": ["a", "a"], "item": [1, 2], "rating": [None, 3.0], "time": [5, 6]}
    pyarrow.parquet.write_table(arrow.table(columns), path)
    rows = interactions(path)
    assert [row[:2] for row in rows] == [("a", "1"), ("a", "2")]
    assert math.isnan(rows[0][2]) and rows[1][2] == 3
    listed = {"item_id": ["1"], "title": ["Soap"], "categories": [["Beauty", "Bath"]]}
    pyarrow.parquet.write_table(arrow.table(listed), path)
    assert items(path)[0].categories == ("Beauty", "Bath")
    with pytest.raises(DataError, match="not a Parquet file"):
        interactions(put(tmp_path, "user,item,time\n", "y.parquet"))


def test_a_folder_of_parquet_files_as_spark_writes_it(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
    import pyarrow.parquet

    folder = tmp_path / "x.parquet"
    folder.mkdir()
    rows = arrow.table({"user": ["a"], "item": ["b"], "time": [1]})
    for part in range(2):
        pyarrow.parquet.write_table(rows, folder / f"part-{part}.parquet")
    with pytest.raises(DataError, match="is a folder of Parquet files.*Join them: python -c") as caught:
        interactions(folder)
    python, *words = shlex.split(str(caught.value).partition("Join them: ")[2])
    subprocess.run([sys.executable, *words], check=True, cwd=tmp_path)  # the command it names does it
    assert len(interactions(tmp_path / "x.joined.parquet")) == 2


def test_a_damaged_page_of_a_parquet_file(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
    import pyarrow.parquet

    path, numbers = tmp_path / "x.parquet", list(range(5000))
    rows = arrow.table({"user": numbers, "item": [f"i{n}" for n in numbers], "time": numbers})
    pyarrow.parquet.write_table(rows, path, compression="snappy")
    content = bytearray(path.read_bytes())
    for at in range(100, 3000):
        content[at] ^= 0x5A
    path.write_bytes(content)
    with pytest.raises(DataError, match="x.parquet is damaged after row 0"):
        interactions(path)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"pip install pyarrow"):
        interactions(put(tmp_path, "x", "x.parquet"))


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ('a\t"b\t1\na\tc\t2\n', "line 3, in a row that begins in line 2: unexpected end"),
        ('a\tb\t1\na\t"b\t2\na\tc\t3\na\t"d\t4\n', "line 5, in a row that begins in line 3"),
        ('a\t"b\t1\na\tc" x\t2\n', "line 3, in a row that begins in line 2"),
        ('a\t"b\t1\na\t2"\n', "line 3: 2 columns.*The row begins in line 2"),
        ('a\t"b\t1\na\tc\t2\na\td"\t3\n', "line 4: a quoted cell holds whole rows, from line 2 on"),
    ],
)
def test_a_stray_quote_is_refused_instead_of_swallowing_rows(tmp_path, rows, line):
    with pytest.raises(DataError, match=f'{line}.*inside it is written ""'):
        interactions(put(tmp_path, "user\titem\ttime\n" + rows))


def test_proper_quotes_of_every_kind_are_read(tmp_path):
    path = put(tmp_path, 'item,"sub\ntitle",title\r\n"i","x","a ""b"" \r\n, ""c"""\r\n\r\nj,5" brush,""\r\n')
    assert [item.title for item in items(path)] == ['a "b" \r\n, "c"', ""]
    path = put(tmp_path, 'item\ttitle\tbrand\ni\t"a\nb\tc"\tAcme\nj\t"d\te\nf"\t\n')
    assert [item.title for item in items(path)] == ["a\nb\tc", "d\te\nf"]


@pytest.mark.parametrize("column", ["text", "reviewText", "review_body", "overall"])
def test_the_headline_of_a_review_is_no_title(tmp_path, column):
    path = put(tmp_path, f"title,{column},asin,user_id,timestamp\nFive Stars,5,i,u,1\n")
    assert not table.has_titles(path, AUTO)
    with pytest.raises(DataError, match=f"Beside '{column}', .*--title-column="):
        items(path)
    named = table.Columns(title="title")
    assert table.has_titles(path, named)
    assert items(path, named)[0].title == "Five Stars"
    path = put(tmp_path, f"title,{column},asin,product_title\nFive Stars,5,i,Soap\n")
    assert items(path)[0].title == "Soap"


def test_the_parent_comes_before_the_variant(tmp_path):
    path = put(tmp_path, "asin,parent_asin,user_id,timestamp,title\nred,soap,u,1,Soap\n")
    assert interactions(path)[0][1] == "soap"
    assert items(path)[0].token == "soap"


def test_bytes_and_whole_floats_in_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
    import pyarrow.parquet

    path, skips = tmp_path / "x.parquet", Skips()
    columns = {
        "user": [b"u", b"\xff", b"u"], "item": [1.0, 2.0, None], "time": [5, 6, 7],
        "rating": [b"3", b"", b""], "title": ["Caf\u00e9".encode()] * 3, "categories": [[b"Beauty"]] * 3,
    }  # fmt: skip
    pyarrow.parquet.write_table(arrow.table(columns), path)
    assert interactions(path, skips=skips) == [("u", "1", 3, 5)]
    assert skips.counts == {"no usable user id": 1, "no usable item id": 1}
    assert items(path)[0][:4] == ("1", "Caf\u00e9", "", ("Beauty",))
    floats = {"user": [1.5], "item": [2.0], "time": [5], "rating": [math.nan]}
    pyarrow.parquet.write_table(arrow.table(floats), path)
    ((user, item, rating, _),) = interactions(path)
    assert (user, item) == ("1.5", "2") and math.isnan(rating)


def test_a_tab_as_the_shell_hands_it_over(tmp_path):
    path = put(tmp_path, "user\titem\ttime\na\tb\t1\n")
    assert interactions(path, delimiter="\\t") == interactions(path, delimiter="\t") != []


@pytest.mark.parametrize("delimiter", ["", "::", '"', "\n"])
def test_what_is_no_delimiter(tmp_path, delimiter):
    with pytest.raises(SettingError, match="is no delimiter: give one character"):
        interactions(put(tmp_path, "user,item,time\na,b,1\n"), delimiter=delimiter)


def test_a_number_too_large_for_a_float_is_none():
    assert table.parse_number(10**400) is None
