import gzip

import pytest

from recbole_sam.data.lines import text_lines
from recbole_sam.errors import DataError


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
