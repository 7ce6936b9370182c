import subprocess
import sys
from collections import Counter, defaultdict

import pytest
from conftest import ROOT

from recbole_sam.prepare import atomic, synthetic
from recbole_sam.prepare.folder import SYNTHETIC_MARKER, is_synthetic

COMMITTED = ROOT / "dataset" / synthetic.NAME
needs_sample = pytest.mark.skipif(
    not is_synthetic(COMMITTED), reason="real data is in the place of the synthetic sample"
)


@needs_sample
def test_the_committed_files_are_what_the_script_makes(tmp_path):
    assert synthetic.main([f"--data_path={tmp_path}"]) == 0
    made = tmp_path / synthetic.NAME
    names = {path.name for path in made.iterdir()}
    assert names == {f"{synthetic.NAME}.inter", f"{synthetic.NAME}.item", SYNTHETIC_MARKER}
    for name in names:
        assert (COMMITTED / name).read_bytes() == (made / name).read_bytes(), name
    assert sum((made / name).stat().st_size for name in names) < 500_000


def test_real_data_in_its_place_is_not_overwritten(tmp_path, capsys):
    folder = tmp_path / synthetic.NAME
    folder.mkdir()
    (folder / "amazon-beauty.inter").write_text("real")
    assert synthetic.main([f"--data_path={tmp_path}"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "amazon-beauty.inter").read_text() == "real"


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "recbole_sam.prepare.synthetic", "--help"],
        cwd=COMMITTED.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--data_path" in done.stdout


@needs_sample
def test_the_marker_says_what_it_is_and_how_to_replace_it():
    text = (COMMITTED / SYNTHETIC_MARKER).read_text(encoding="utf-8")
    assert "synthetic" in text
    assert "python -m recbole_sam.prepare.synthetic" in text
    assert "python -m recbole_sam prepare" in text


@needs_sample
def test_interests_are_planted_with_noise_around_them():
    topic = {}
    for number, token in enumerate(atomic.read_item_texts(COMMITTED / "amazon-beauty.item")):
        topic[token] = number // 40
    histories = defaultdict(list)
    for _, (user, item, _, _) in atomic.read_rows(COMMITTED / "amazon-beauty.inter"):
        histories[user].append(item)
    assert len(histories) == 1000
    assert len(topic) == 400
    assert min(map(len, histories.values())) == 5
    assert all(len(set(items)) == len(items) for items in histories.values())
    pairs = [(topic[a], topic[b]) for h in histories.values() for a, b in zip(h, h[1:])]  # noqa: B905
    staying = sum(a == b for a, b in pairs) / len(pairs)
    assert 0.3 < staying < 0.6  # a tenth would be chance
    bought = Counter(item for items in histories.values() for item in items).most_common()
    assert bought[0][1] > 5 * bought[len(bought) // 2][1]
