"""Options of `prepare` that would do nothing or something else, odd files, ids of spreadsheets."""

import gzip
import os
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from recbole_sam.cli.main import _main
from recbole_sam.errors import DataError, RecBoleSAMError, SettingError
from recbole_sam.prepare import atomic
from recbole_sam.prepare.card import read_card
from recbole_sam.prepare.sources import lines
from recbole_sam.prepare.sources.lines import LONGEST_LINE


def table(head, more=""):
    """Five users with five items each, as CSV."""
    return head + "".join(f"u{u},i{i},{u * 10 + i}{more}\n" for u in range(5) for i in range(5))


LOG = table("user,item,time\n")


def run(*options):
    return _main(["prepare", *options])


@pytest.fixture(autouse=True)
def log():
    Path("log.csv").write_text(LOG)
    Path("rated.csv").write_text(table("user,item,time,rating\n", ",3"))
    Path("kinds.csv").write_text(table("user,item,time,behaviour\n", ",buy"))
    Path("items.csv").write_text("item,title\n" + "".join(f"i{i},Title {i}\n" for i in range(5)))
    Path("dataset/other").mkdir(parents=True)
    Path("dataset/other/other.inter").write_text("keep me")


MISTAKES = {
    "an unset name": (["--dataset=", "--overwrite"], "--dataset is empty"),
    "a blank name": (["--dataset= ", "--overwrite"], "--dataset is empty"),
    "the folder itself": (["--dataset=.", "--overwrite"], "plain name"),
    "the folder above": (["--dataset=..", "--overwrite"], "plain name"),
    "a folder below": (["--dataset=a/b"], "plain name"),
    "a line end": (["--dataset=a\nb"], "plain name"),
    "a missing value": (["--dataset=NA"], "plain name"),
    "a long name": (["--dataset=" + "x" * 300], "longer than 150 bytes"),
    "an unset path": (["--data_path="], "--data_path is empty"),
    "unset items": (["--items="], "--items is empty"),
    "unset behaviours": (["--behaviours="], "--behaviours is empty"),
    "an unset header": (["--header="], "--header is empty"),
    "an unset delimiter": (["--delimiter="], "--delimiter is empty"),
    "an unset column": (["--user-column="], "--user-column is empty"),
    "an unset preset": (["--preset="], "--preset is empty"),
    "an unset cache": (["--cache="], "--cache is empty"),
    "a column twice": (["--header=user,user,item,time"], "names the column 'user' twice"),
    "a behaviour twice": (["--behaviours=buy,buy"], "names the behaviour 'buy' twice"),
    "an empty behaviour": (["--behaviours=buy,,cart"], "has an empty name"),
    "no ratings": (["--min-rating=3"], "no interaction has a rating"),
    "rating nan": (["--min-rating=nan"], "min_rating is nan"),
    "rating -inf": (["--min-rating=-inf"], "min_rating is -inf"),
    "count without core": (["--k-core=none", "--min-count=3"], "--min-count does nothing"),
    "count 0": (["--min-count=0"], "at least 1"),
    "a column without behaviours": (["--behaviour-column=time"], "that only --behaviours reads"),
    "item column without items": (["--brand-column=x"], "--brand-column would do nothing"),
    "two roles": (["--item-column=user"], "'user' would be both user and item"),
    "rating as time": (["--rating-column=time"], "'time' would be both time and rating"),
    "cache beside files": (["--cache=c"], "the files are given"),
    "offline beside files": (["--offline"], "the files are given"),
    "foreign preset": (["--preset=ml-1m"], "--preset=ml-1m does not describe --interactions"),
    "accept beside files": (["--accept"], "leave out --interactions"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_options_that_do_nothing_or_something_else_are_one_sentence(mistake):
    options, sentence = MISTAKES[mistake]
    usual = ["--dataset=x", "--interactions=log.csv"]
    with pytest.raises(RecBoleSAMError, match=sentence) as caught:
        run(*(word for word in usual if word.split("=")[0] not in " ".join(options)), *options)
    assert "\n" not in str(caught.value).replace("a\\nb", "")
    assert Path("dataset/other/other.inter").read_text() == "keep me"
    assert [path.name for path in Path("dataset").iterdir()] == ["other"]


def test_what_is_right_stays_right():
    run("--dataset=a", "--interactions=rated.csv", "--min-rating=3")
    Path("bare.csv").write_text(table(""))
    run("--dataset=b", "--interactions=bare.csv", "--header=user, item ,time")
    run("--dataset=c", "--interactions=kinds.csv", "--behaviours=buy, cart")
    [note] = read_card(Path("dataset/c"))["notes"]
    assert note == "kinds.csv has no row with the behaviour 'cart'; it has buy."
    with pytest.raises(DataError, match="no row with the behaviour 'byu'.*Did you mean buy"):
        run("--dataset=d", "--interactions=kinds.csv", "--behaviours=buy,byu", "--strict")


def test_two_columns_of_one_name():
    Path("twice.csv").write_text(LOG.replace("user,item,time", "user,item,item"))
    with pytest.raises(DataError, match="more than one column named 'item'"):
        run("--dataset=x", "--interactions=twice.csv", "--time-column=item")


def put(name, text, encoding="utf-8"):
    Path(name).write_bytes(text.encode(encoding))
    return name


def items_of(name):
    return {cells[1] for _, cells in atomic.read_rows(Path("dataset") / name / f"{name}.inter")}


def test_ids_that_a_spreadsheet_made_floats_are_the_whole_numbers_of_the_items(capsys):
    rows = [f"1{u}.0,1{i}.0,{i}" for u in range(5) for i in range(5)]
    put("log.csv", "\n".join(["user_id,item_id,time", *rows, ",10.0,7", "11.0,,7"]))
    put("items.csv", "item_id,title\n" + "".join(f"1{i},Title {i}\n" for i in range(5)))
    run("--dataset=x", "--interactions=log.csv", "--items=items.csv")
    assert items_of("x") == {f"1{i}" for i in range(5)}
    assert "repaired: 25 x id written as a float" in capsys.readouterr().out
    # the other way round, and on both sides
    put("items.csv", "item_id,title\n" + "".join(f"1{i}.0,Title {i}\n" for i in range(5)))
    run("--dataset=y", "--interactions=log.csv", "--items=items.csv")
    put("log.csv", "\n".join(["user_id,item_id,time", *(row.replace(".0", "") for row in rows)]))
    run("--dataset=z", "--interactions=log.csv", "--items=items.csv")
    assert {read_card(Path("dataset") / name)["titles"]["title"] for name in "xyz"} == {5}


def test_mixed_ids_stay_and_both_forms_are_shown():
    rows = [f"u{u},1{i}.0,{i}" for u in range(5) for i in range(5)] + ["u0,x1,9"]
    put("log.csv", "\n".join(["user_id,item_id,time", *rows]))
    put("items.csv", "item_id,title\n" + "".join(f"1{i},Title {i}\n" for i in range(5)))
    run("--dataset=x", "--interactions=log.csv")
    assert "10.0" in items_of("x") and "u0" in {c[0] for _, c in atomic.read_rows(Path("dataset/x/x.inter"))}
    with pytest.raises(DataError, match="like '10.0', '11.0', '12.0' and there like '10', '11', '12'"):
        run("--dataset=y", "--interactions=log.csv", "--items=items.csv")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_called_by_its_name(encoding):
    put("log.csv", LOG, encoding)
    with pytest.raises(DataError, match="is UTF-16 text.*iconv -f utf-16") as caught:
        run("--dataset=x", "--interactions=log.csv")
    assert "latin1" not in str(caught.value)
    put("reviews.json", '{"reviewerID": "u"}\n', encoding)
    with pytest.raises(DataError, match="is UTF-16 text"):
        run("--dataset=x", "--reviews=reviews.json")


def test_unreadable_dates_say_which_forms_work(capsys):
    put("log.csv", LOG + "u0,i1,28.11.2026\n")
    run("--dataset=x", "--interactions=log.csv")
    assert "first: log.csv, line 27; times are numbers of seconds" in capsys.readouterr().out
    put("log.csv", "user,item,time\nu0,i1,28.11.2026\n")
    with pytest.raises(DataError, match="ISO dates like 2026-11-28"):
        run("--dataset=y", "--interactions=log.csv")


def bomb(name, start, repeated):
    """A gzip file of a line of 64 MB and a few thousand bytes."""
    with gzip.open(name, "wb", 9) as file:
        file.write(start)
        for _ in range(64):
            file.write(repeated * (1 << 20))
    return name


def test_bombs_are_one_sentence_in_bounded_memory():
    with zipfile.ZipFile("ml-1m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml-1m/ratings.dat", b"1" * (4 * LONGEST_LINE))
    bomb("log.gz", b"user,item,time\n", b"u")
    bomb("reviews.gz", b"", b"[")
    for way, name in (("archive", "ml-1m.zip"), ("interactions", "log.gz"), ("reviews", "reviews.gz")):
        tracemalloc.start()
        with pytest.raises(DataError, match=f"{name}.*line [12]: longer than 16 MB"):
            run("--dataset=x", f"--{way}={name}")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * LONGEST_LINE, (way, peak)
    assert not Path("dataset/x").exists()


def test_brackets_in_brackets_are_a_line_left_out():
    deep = "[" * 200_000 + "\n" + '{"a":' * 100_000 + "\n" + "{'a':" * 100_000 + "\n"
    good = "".join(
        f'{{"reviewerID": "u{u}", "asin": "i{i}", "overall": 5, "unixReviewTime": {i}}}\n'
        for u in range(5) for i in range(5)
    )  # fmt: skip
    put("reviews.json", deep + good)
    run("--dataset=x", "--reviews=reviews.json")
    assert read_card(Path("dataset/x"))["skipped"] == {"not a record of the expected form": 3}


@pytest.mark.parametrize("option", ["interactions", "reviews", "archive", "items", "meta"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "absent", "device"])
def test_what_is_no_file_is_one_sentence_and_nothing_waits(option, kind):
    name = "x.parquet" if option == "interactions" else "x"
    if kind == "pipe":
        os.mkfifo(name)
    elif kind == "folder":
        os.mkdir(name)
    path = "/dev/zero" if kind == "device" else name
    others = ["--interactions=log.csv"] if option in ("items", "meta") else []
    with pytest.raises(DataError, match="pipe|folder|does not exist|device"):
        run("--dataset=y", f"--{option}={path}", *others)


def test_a_missing_file_of_items_is_found_before_the_interactions_are_read():
    put("few.csv", "user_id,item_id,timestamp\nu,i,1\n")  # of which no 5-core is left
    with pytest.raises(DataError, match="titles.csv does not exist"):
        run("--dataset=x", "--interactions=few.csv", "--items=titles.csv")


def test_files_and_folders_that_may_not_be_read(monkeypatch):
    def forbidden(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lines, "irregular", forbidden)
    for option in ("--interactions=log.csv", "--archive=log.csv", "--interactions=x.parquet", "--atomic=no"):
        with pytest.raises(DataError, match="(?i)permission denied|no such file"):
            run("--dataset=x", option)


def test_a_data_path_that_cannot_be_looked_into():
    for path in ("log.csv", "log.csv/below", "y" * 300):
        with pytest.raises(DataError):
            run("--dataset=x", f"--data_path={path}", "--interactions=log.csv")


@pytest.mark.parametrize("moment", ["report.html", "report-lengths.png"])
def test_a_disk_that_fills_up_with_the_report_keeps_the_data(monkeypatch, moment):
    pytest.importorskip("matplotlib")
    replace = os.replace

    def full(source, target):
        if Path(target).name == moment:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match=f"dataset in dataset/x is whole.*{moment}.*No space left"):
        run("--dataset=x", "--interactions=log.csv", "--report")
    assert read_card(Path("dataset/x"))["counts"]["interactions"] == 25
    assert not [name for name in os.listdir("dataset/x") if name == moment or name.endswith("tmp")]


@pytest.mark.parametrize("call", ["mkdir", "rename"])
def test_a_full_or_read_only_disk_leaves_the_folder(monkeypatch, call):
    run("--dataset=x", "--interactions=log.csv")
    before = {path.name: path.read_bytes() for path in Path("dataset/x").iterdir()}

    def full(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(DataError, match="could not be written and is as it was"):
        run("--dataset=x", "--interactions=rated.csv", "--overwrite")
    assert {path.name: path.read_bytes() for path in Path("dataset/x").iterdir()} == before


def test_accept_makes_the_card_of_changed_files_true(capsys):
    run("--dataset=x", "--interactions=log.csv", "--items=items.csv")
    folder, old = Path("dataset/x"), read_card(Path("dataset/x"))
    inter = folder / "x.inter"
    inter.write_text("\n".join(inter.read_text().splitlines()[:-1]) + "\n")
    (folder / "x.item").write_text((folder / "x.item").read_text().replace("Title", "Thing"))
    run("--dataset=x", "--accept")
    card = read_card(folder)
    assert card["counts"]["interactions"] == old["counts"]["interactions"] - 1
    assert card["steps"] == old["steps"] and card["files"] != old["files"]
    assert card["notes"][-1].startswith("changed by hand and accepted on ")
    assert card["notes"][-1].endswith("x.inter, x.item")
    run("--dataset=x", "--accept")
    assert read_card(folder) == card  # nothing to accept any more
    inter.write_bytes(inter.read_bytes()[:-5])
    with pytest.raises(DataError, match="line 25"):
        run("--dataset=x", "--accept")
    with pytest.raises(DataError, match="no card.json"):
        run("--dataset=other", "--accept")
    with pytest.raises(SettingError, match="leave out --min-count"):
        run("--dataset=x", "--accept", "--min-count=3")
