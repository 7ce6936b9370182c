"""A published checkpoint in our model: names, item numbers, masked ranks."""

import random
import re

import pytest
import torch
from circle import circle_config, circle_data, write_circle
from recbole.data import create_dataset
from recbole.utils import get_model

from benchmarks import checkpoints

FEW = {"hidden_size": 8, "inner_size": 12, "n_heads": 2, "MAX_ITEM_LIST_LENGTH": 6}


def as_published(model, numbers):
    """Our parameters as the authors would have saved them, their items numbered by ``numbers``."""
    theirs = {"item_encoder.blocks.0.layer.gate_param": torch.tensor(0.0)}
    for name, tensor in model.state_dict().items():
        name = re.sub("^blocks", "item_encoder.blocks", name)
        name = name.replace("item_embedding", "item_embeddings").replace(
            "position_embedding", "position_embeddings"
        )
        block, dot, rest = name.rpartition("wavelet.weight")
        if dot:
            name, tensor = f"{block}layer.complex_weight", tensor.unsqueeze(0)
        name = name.replace("filter.factor", "layer.base_filter").replace("filter.shift", "layer.base_bias")
        name = name.replace("filter.adjust", "layer.adaptive_mlp")
        name = re.sub(r"(blocks\.\d\.)LayerNorm", r"\1layer.LayerNorm", name)
        if name == "item_embeddings.weight":
            shuffled = torch.empty_like(tensor)
            shuffled[[0, *(numbers[item] for item in range(1, len(tensor)))]] = tensor
            tensor = shuffled
        theirs[name] = tensor
    return theirs


@pytest.fixture
def published(tmp_path):
    """A model on the circle, and its checkpoint and histories as published files."""
    write_circle(tmp_path)
    inter = (tmp_path / "circle" / "circle.item").read_text().replace("never\tnowhere\n", "")
    (tmp_path / "circle" / "circle.item").write_text(inter)
    config = circle_config(tmp_path, "WEARec", **FEW)
    model = get_model("WEARec")(config, circle_data(config)[0].dataset).eval()
    histories = create_dataset(config).inter_feat.groupby("user_id")["item_id"].apply(list)
    order = random.Random(5).sample(range(1, model.n_items), model.n_items - 1)
    numbers = dict(zip(range(1, model.n_items), order, strict=True))
    torch.save(as_published(model, numbers), tmp_path / "theirs.pt")
    lines = [" ".join(map(str, [n, *(numbers[i] for i in items)])) for n, items in enumerate(histories)]
    (tmp_path / "theirs.txt").write_text("\n".join(lines) + "\n")
    return model, histories.to_dict(), tmp_path


def words(folder, **settings):
    settings = {"checkpoint": folder / "theirs.pt", "sequences": folder / "theirs.txt", "dataset": "circle",
                "data_path": folder, **FEW, "load_col": "{'inter': ['user_id', 'item_id', 'timestamp']}",
                **settings}  # fmt: skip
    return [f"--{name}={value}" for name, value in settings.items()]


def test_the_table_is_that_of_the_model(published, capsys):
    model, histories, folder = published
    config = circle_config(folder, "WEARec", **FEW)
    test = circle_data(config)[2].dataset.inter_feat
    hits = 0
    for row in range(len(test)):
        sample = test[row : row + 1]
        with torch.no_grad():
            scores = model.full_sort_predict(sample)[0].tolist()
        target, known = int(sample["item_id"]), set(histories[int(sample["user_id"])][:-1])
        better = [i for i, s in enumerate(scores) if i and i not in known - {target} and s > scores[target]]
        hits += len(better) < 10
    checkpoints.main(words(folder))
    out = capsys.readouterr().out
    assert f"{len(test)} users" in out
    assert f"| HR@10 | 0.1041 | {hits / len(test):.4f} |" in out


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"checkpoint": "theirs.txt"}, "cannot be loaded"),
        ({"sequences": "other.txt"}, "does not hold the histories"),
        ({"sequences": "absent.txt"}, "absent.txt"),
        ({"n_heads": 4}, "does not fit"),
    ],
)
def test_what_does_not_fit_is_one_sentence(published, changes, sentence, capsys):
    folder = published[2]
    text = (folder / "theirs.txt").read_text()
    (folder / "other.txt").write_text(text.replace("1", "2"))
    changes = {name: folder / value if name != "n_heads" else value for name, value in changes.items()}
    assert checkpoints.guarded(lambda: checkpoints.main(words(folder, **changes))) == 2
    err = capsys.readouterr().err
    assert sentence in err and "Traceback" not in err
