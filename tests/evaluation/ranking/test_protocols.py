import pytest

from recbole_sam.errors import SettingError
from recbole_sam.evaluation.ranking import protocols


def test_the_first_ranking_of_a_catalogue_chooses():
    assert protocols.parse("masked, uni100,masked") == ("masked", "uni100")
    chosen = {text: protocols.chooser(protocols.parse(text)) for text in ("uni100", "uni100,masked", "full")}
    assert chosen == {"uni100": "full", "uni100,masked": "masked", "full": "full"}
    assert protocols.chooser(()) == "full"
    assert protocols.in_order("masked") == ("masked", "full", "uni100")


@pytest.mark.parametrize("text", ["", "both", "full,", "full masked"])
def test_other_words_are_refused(text):
    with pytest.raises(SettingError, match="--protocol is a list of full, masked, uni100, such as"):
        protocols.parse(text)
