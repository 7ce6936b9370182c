"""The made-up data of the run from end to end, and what its table says."""

from collections import Counter

from benchmarks import endtoend
from benchmarks.endtoend import Took


def test_made_data_is_the_same_every_time_and_keeps_every_user(tmp_path):
    texts = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        endtoend.make(folder, 50, 20)
        texts.append([(folder / file).read_text() for file in ("clicks.csv", "items.csv")])
    assert texts[0] == texts[1]
    clicks, items = (text.splitlines()[1:] for text in texts[0])
    taken = Counter(click.split(",")[0] for click in clicks)
    assert len(taken) == 50 and min(taken.values()) >= 5
    assert {click.split(",")[1] for click in clicks} <= {item.split(",")[0] for item in items}
    assert len(items) == 20 and all(len(item.split(",")[1].split()) == 8 for item in items)


def test_exponents_are_of_users():
    found = [{"prepare": Took(2.0, 1.0, 50.0, 1.0)}, {"prepare": Took(9.0, 10.0, 50.0, 1.0)}]
    first, second = endtoend.table([(10, 5), (100, 50)], found)[2:]
    assert first == "| prepare | 10 | 2.0 | 1.0 | 50 | 1.0 | - | - |"
    assert second == "| prepare | 100 | 9.0 | 10.0 | 50 | 1.0 | 1.00 | 0.00 |"


def test_a_process_is_told_in_its_parts():
    marks = [["until one epoch", 3.0, 2.0, 10.0], ["one epoch", 5.0, 4.5, 20.0],
             ["until evaluation", 6.0, 5.0, 20.0], ["evaluation", 9.0, 7.0, 25.0]]  # fmt: skip
    parts = endtoend.parts(Took(10.0, 8.0, 26.0, 3.0), marks)
    assert [(name, took.wall, took.cpu) for name, took in parts.items()] == [
        ("load, build SAM", 3.0, 2.0), ("one epoch", 2.0, 2.5), ("evaluation", 3.0, 2.0),
    ]  # fmt: skip
    assert parts["evaluation"].peak == 26.0 and parts["evaluation"].disk == 3.0
