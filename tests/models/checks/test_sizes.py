import pytest

from recbole_sam.errors import SettingError
from recbole_sam.models.checks import sizes

FINE = {"hidden_size": 8, "inner_size": 16, "n_heads": 2, "n_layers": 1}


def test_without_layers_nothing_is_split_among_heads():
    sizes.check_transformer(FINE | {"n_layers": 0, "n_heads": 3})


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"n_heads": 0}, "n_heads is 0; it must be a whole number from 1."),
        ({"n_layers": -1}, "n_layers is -1; it must be a whole number from 0."),
        ({"hidden_size": 64.0}, "hidden_size is 64.0; it must be a whole number from 1."),
        ({"inner_size": True}, "inner_size is True; it must be"),
        ({"inner_size": None}, "inner_size is None; it must be"),
        ({"n_heads": 3}, r"hidden_size \(8\) must be a multiple of n_heads \(3\)."),
    ],
)
def test_what_no_transformer_has(wrong, sentence):
    with pytest.raises(SettingError, match=sentence):
        sizes.check_transformer(FINE | wrong)
