import pytest
import torch
from conftest import experiment
from torch import nn

from recbole_sam.models.parts.unsaved import unsaved_buffers


def test_buffers_of_no_checkpoint():
    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("table", torch.ones(2), persistent=False)
            self.register_buffer("saved", torch.ones(2))

    model = nn.Sequential(Part(), nn.Linear(1, 1))
    assert unsaved_buffers(model) == ["0.table"]


@pytest.mark.parametrize("model", ["SAM", "SASRecText", "UniSRec", "EIMF"])
def test_what_the_dataset_gives_is_neither_saved_nor_sent(shop, model):
    settings = {"loss_type": "SSM", "train_neg_sample_args": None} if model == "SAM" else {}
    _, _, _, _, made = experiment(model, **settings)
    ignored = made._ddp_params_and_buffers_to_ignore
    assert ignored and set(ignored) == {name for name, _ in made.named_buffers()}
    assert not set(ignored) & set(made.state_dict())
