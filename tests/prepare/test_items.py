"""Choosing among the descriptions of an item, and counting where its text comes from."""

from recbole_sam.prepare.items import Item, titles_of

SCRIPT = "var aPageStart = (new Date()).getTime();"


def titles(*rows):
    items, counts = titles_of(rows, {"a"})
    return items["a"].title, {name: count for name, count in counts.items() if count}


def test_a_later_title_replaces_a_missing_one():
    assert titles(Item("a"), Item("a", "Soap"), Item("a", "Comb")) == ("Soap", {"title": 1})
    assert titles(Item("a", brand="Acme"), Item("a", "Soap")) == ("Soap", {"title": 1})
    assert titles(Item("a", SCRIPT), Item("a", "Soap")) == ("Soap", {"title": 1})


def test_a_later_brand_replaces_nothing_at_all_only():
    instead = {"brand and category instead": 1}
    assert titles(Item("a"), Item("a", brand="Acme"), Item("a", brand="Bolt")) == ("Acme", instead)
    assert titles(Item("a", brand="Acme"), Item("a")) == ("Acme", instead)
    assert titles(Item("a", "Soap"), Item("a", brand="Acme")) == ("Soap", {"title": 1})


def test_a_script_is_counted_once():
    counts = {"no text": 1, "script instead of title": 1}
    assert titles(Item("a", SCRIPT), Item("a", SCRIPT), Item("a")) == ("", counts)
