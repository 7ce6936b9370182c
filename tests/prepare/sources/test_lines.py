import gzip
import os
import zipfile

import pytest

from recbole_sam.errors import DataError
from recbole_sam.prepare.sources.lines import text_lines


def test_the_bytes_decide_whether_it_is_gzip_not_the_name(tmp_path):
    (tmp_path / "a.gz").write_text("plain\n")
    (tmp_path / "b.txt").write_bytes(gzip.compress(b"zipped\nand more"))
    assert list(text_lines(tmp_path / "a.gz")) == ["plain\n"]
    assert list(text_lines(tmp_path / "b.txt")) == ["zipped\n", "and more"]


def test_only_a_leading_byte_order_mark_is_removed(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfx\n\xef\xbb\xbfy\n")
    assert list(text_lines(tmp_path / "a")) == ["x\n", "\ufeffy\n"]


def test_the_line_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "a").write_bytes(b"fine\nna\xefve\n")
    lines = text_lines(tmp_path / "a")
    assert next(lines) == "fine\n"
    with pytest.raises(DataError, match="line 2: not UTF-8.*iconv"):
        next(lines)


@pytest.mark.parametrize("cut", [1, 9, 40])
def test_a_gzip_file_cut_anywhere_is_refused(tmp_path, cut):
    whole = gzip.compress(b"".join(b"line %d\n" % n for n in range(1000)))
    (tmp_path / "a").write_bytes(whole[:-cut])
    with pytest.raises(DataError, match="truncated gzip"):
        list(text_lines(tmp_path / "a"))


def test_a_gzip_file_with_a_flipped_byte_is_refused(tmp_path):
    whole = bytearray(gzip.compress(b"line\n" * 50))
    whole[-6] ^= 255  # in the checksum
    (tmp_path / "a").write_bytes(whole)
    with pytest.raises(DataError, match="corrupt gzip"):
        list(text_lines(tmp_path / "a"))


def test_a_gzip_file_of_nothing_is_empty(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match="a.gz is empty"):
        list(text_lines(tmp_path / "a.gz"))


def test_a_pipe_is_refused():
    read, write = os.pipe()
    try:
        os.write(write, b"line\n")
        with pytest.raises(DataError, match="is a pipe: write it to a file first"):
            list(text_lines(f"/dev/fd/{read}"))
    finally:
        os.close(read)
        os.close(write)


def test_a_file_taken_for_a_folder(tmp_path):
    (tmp_path / "a").write_text("line\n")
    with pytest.raises(DataError, match=r"cannot be read \(Not a directory\)"):
        list(text_lines(tmp_path / "a" / "b"))


def test_parquet_and_zip_are_called_by_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.csv", "w") as file:
        file.writestr("b", "line\n")
    with pytest.raises(DataError, match="a.csv is a zip archive"):
        list(text_lines(tmp_path / "a.csv"))
    (tmp_path / "b.csv").write_bytes(b"PAR1\x15\x04\xff\n")
    with pytest.raises(DataError, match="b.csv is a Parquet file"):
        list(text_lines(tmp_path / "b.csv"))
    (tmp_path / "c.csv").write_text("PK,user\n")
    assert list(text_lines(tmp_path / "c.csv")) == ["PK,user\n"]
    (tmp_path / "d.csv").write_text("PAR1,user\n")
    assert list(text_lines(tmp_path / "d.csv")) == ["PAR1,user\n"]
