"""What a model says beside the phrases. In whole answers: ``test_parse.py``."""

import pytest

from recbole_sam.generators.reading import chatter


@pytest.mark.parametrize(
    "line",
    [
        "I'm sorry, but I can't assist with that request", "As an AI language model, I cannot know",
        "I am unable to determine the interests", "Sorry, I cannot help", "抱歉，我无法回答这个问题",
        "Let me know if you need more", "Sure",
    ],
)  # fmt: skip
def test_refusals_and_remarks(line):
    assert chatter.is_speech(line)


@pytest.mark.parametrize(
    "line",
    [
        "Sorry! board game", "I can read children's books", "I Can't Believe It's Not Butter spread",
        "Apology cards", "AI voice assistants", "抱歉贺卡", "Let me see puzzles", "Assistive devices",
    ],
)  # fmt: skip
def test_phrases_are_neither(line):
    assert not chatter.is_speech(line)


def test_openings_talk_and_lead_ins():
    assert chatter.is_opening("Sure, here you go!") and not chatter.is_opening("Hair care")
    assert chatter.is_talk("Three interests:", alone=True) and not chatter.is_talk("Hair care", alone=False)
    assert chatter.without_lead_in("Sure! Here are three: a; b; c") == "a; b; c"
    assert chatter.without_lead_in("a; b; c") == "a; b; c"


def test_sentences_about_the_customer():
    assert chatter.is_about_the_customer("The customer likes combs")
    assert not chatter.is_about_the_customer("The customer service desk bells")
