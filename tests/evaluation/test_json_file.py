import json

import pytest

from recbole_sam.evaluation import json_file


def test_there_whole_or_as_before(tmp_path):
    path = tmp_path / "result.json"
    json_file.write(path, {"a": [1, None]})
    assert json.loads(path.read_text()) == {"a": [1, None]}
    with pytest.raises(TypeError):
        json_file.write(path, {"b": object()})
    assert json.loads(path.read_text()) == {"a": [1, None]}
    json_file.write(path, {"b": 2})
    assert json.loads(path.read_text()) == {"b": 2} and list(tmp_path.iterdir()) == [path]
