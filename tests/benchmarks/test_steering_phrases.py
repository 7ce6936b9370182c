"""The phrases that ``benchmarks.steering`` types."""

from benchmarks import steering


def written(tmp_path, categories):
    titles = ["Red nail polish 5", "The nail file", "Polish for the nail", "A comb"]
    rows = [f"i{number},{titles[number]},{category}" for number, category in enumerate(categories)]
    path = tmp_path / "items.csv"
    path.write_text("\n".join(["item_id,title,category", *rows]) + "\n")
    return path


def test_a_phrase_is_the_last_category(tmp_path):
    path = written(tmp_path, ['"Beauty,Nails, hands"', "Beauty", "", ""])
    assert steering.phrases_of(path) == {"i0": "Nails, hands", "i1": "Beauty", "i2": "", "i3": ""}


def test_without_categories_it_is_the_words_that_most_titles_share(tmp_path, monkeypatch):
    monkeypatch.setattr(steering, "SHARED", 2)
    assert steering.phrases_of(written(tmp_path, [""] * 4)) == {
        "i0": "nail polish", "i1": "nail", "i2": "polish nail", "i3": "",
    }  # fmt: skip
