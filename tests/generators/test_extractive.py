import pytest

from recbole_sam.errors import SettingError
from recbole_sam.generators.base import COMPLETE, InterestRequest
from recbole_sam.generators.by_name import GENERATORS, make_generator

TITLES = ("brush", "comb", "soap", "brush", "towel")


def answer(k, rankings, titles=TITLES):
    request = InterestRequest("u", titles, k, rankings)
    (answer,) = make_generator("extractive").generate([request])
    assert answer.user == "u"
    assert answer.status == COMPLETE
    return answer.phrases


def test_the_most_central_title_of_each_group_strongest_first():
    assert answer(2, ((4, 0, 1, 2, 3), (1, 2, 0, 3, 4))) == ("towel", "comb")


def test_no_two_phrases_are_equal():
    rankings = ((0, 1, 2, 3, 4), (3, 0, 2, 1, 4), (2, 0, 1, 3, 4))
    assert answer(3, rankings) == ("brush", "soap", "comb")


def test_never_more_than_the_distinct_titles():
    assert answer(3, ((0, 1), (1, 0), (0, 1)), titles=("soap", "soap")) == ("soap",)


def test_it_streams():
    asked = []

    def requests():
        for user in range(3):
            asked.append(user)
            yield InterestRequest(str(user), ("soap",), 1, ((0,),))

    answers = make_generator("extractive").generate(requests())
    assert next(answers).user == "0"
    assert asked == [0]


def test_names_and_settings_are_checked():
    with pytest.raises(SettingError, match="no interest generator 'extracive'.*mean extractive"):
        make_generator("extracive")
    with pytest.raises(SettingError, match="extractive generator has no setting 'temperature'"):
        make_generator("extractive", temperature=0.3)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_generator_of_the_table_can_be_imported(name):
    from importlib import import_module

    module, factory = GENERATORS[name].split(":")
    assert getattr(import_module(module), factory).name == name
