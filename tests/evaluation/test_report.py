"""What a comparison looks like: one small comparison in every output."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recbole_sam.evaluation import report
from recbole_sam.evaluation.report import latex, markdown, plots, provenance, terminal, views
from recbole_sam.evaluation.results import Results
from recbole_sam.evaluation.statistics import groups, tables

for package in ("rich", "matplotlib"):
    pytest.importorskip(package, reason="the extra [report] is not installed")

USERS = 60
DR = "ComiRec:interest_extractor=DR"
INTERESTS = {"generator": "dashscope", "encoder": "lsa", "cost": "0.1 CNY"}
STRENGTH = {"SAM": 0.5, "EIMF": 0.2, DR: 0.2}  # share of users whose target is ranked first


def a_trial(model, seed, status="done"):
    trial = {"model": model, "class": model.split(":")[0], "seed": seed, "status": status}
    if status == "failed":
        return trial | {"reason": "hidden_size must be a multiple of n_heads <100 %>."}
    scores = {1: 0.01, 2: None, 3: 0.03}
    curve = [{"epoch": n, "loss": 9 - n, "valid_score": scores[n], "seconds": 1.0} for n in scores]
    return trial | {
        "settings": {"interest_extractor": "DR"} if model == DR else {}, "tuned": None, "parameters": 12345,
        "epochs": 3, "best_epoch": 3, "seconds_per_epoch": 1.5, "users_per_second": 1000.0,
        "peak_memory_mb": 512.0, "memory_of": "process", "learning_rate": 0.001,
        "train_batch_size": 256,
        "valid": {"ndcg@5": 0.03}, "test": {"ndcg@5": 0.03}, "curve": curve,
        "interests": INTERESTS if model == "SAM" else None,
    }  # fmt: skip


def a_run(**changes):
    return {
        "command": "python -m recbole_sam compare --dataset=shop_1", "dataset": "shop_1", "card": None,
        "synthetic": False, "users": USERS, "items": 90, "interactions": 500, "test_users": USERS,
        "split": "leave one out", "history_length": 8, "head_from": 20,
        "topk": [5, 10], "valid_metric": "ndcg@5",
        "budget": {"epochs": 3, "stopping_step": 2, "eval_step": 1, "tuning": None, "train_batch_size": 256},
        "versions": {"recbole": "1.2.1"}, "machine": "2 cores", "date": "2026-11-24",
        **changes,
    }  # fmt: skip


def a_comparison(seeds=(1, 2), users=USERS, strength=STRENGTH, protocols=("full", "uni100"), **run):
    ranks = some_ranks(protocols, strength, seeds, users)
    parts = [*groups.user_groups(ranks), *groups.item_groups(ranks, 20)]
    trials = [a_trial(model, seed) for model in strength for seed in seeds]
    trials.append(a_trial("SINE", 1, "failed"))
    summary = tables.summary(ranks, [5, 10], parts)
    return Results(a_run(**run), trials, summary, tables.costs(trials), protocols, "ndcg@5")


def some_ranks(protocols, strength, seeds=(1, 2), users=USERS):
    """Made-up ranks, as in ranks.parquet."""
    rng = np.random.default_rng(0)
    frames = []
    for model, share in strength.items():
        for seed in seeds:
            for protocol in protocols:
                rank = np.where(np.arange(users) < share * users + seed, 1, rng.integers(2, 90, users))
                of_trial = {"model": model, "seed": seed, "protocol": protocol, "rank": rank, "item": "i1"}
                of_users = {"history": np.arange(users) % 7 + 1, "popularity": np.arange(users) % 30}
                tokens = [f"u{user}" for user in range(users)]
                frames.append(pd.DataFrame({**of_trial, **of_users, "user": tokens}))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def comparison():
    return a_comparison()


def test_the_best_is_first_bold_and_marked():
    comparison = a_comparison(seeds=(1, 2, 3, 4, 5))
    table = views.main(comparison, "full")
    assert [row[0] for row in table.rows] == ["SAM", *(row[0] for row in table.rows[1:])]
    assert {row[0] for row in table.rows[1:]} == {"EIMF (our reading)", DR}
    assert table.head == ["model", "HR@5", "NDCG@5", "MRR@5", "HR@10", "NDCG@10", "MRR@10"]
    assert table.bold == {(0, column) for column in range(1, 7)}
    assert all(cell.endswith("*") for cell in table.rows[0][1:])
    assert not any("*" in cell for row in table.rows[1:] for cell in row)
    hits = comparison.rows("full", "hit@5").set_index("model").loc["SAM"]
    assert table.rows[0][1] == f"{hits['mean']:.4f}±{hits.sd:.4f}*".replace("0.", ".")
    assert re.match(r"HR@5: SAM leads .* by \d+\.\d %, significant \(p < \.001\)\.", table.notes[2])


def test_no_mark_without_significance():
    equal = a_comparison(strength={"SAM": 0.3, "SASRec": 0.3})
    table = views.main(equal, "full")
    assert not any("*" in cell for row in table.rows for cell in row)
    assert any("not significant (p " in note for note in table.notes)
    verdicts = {row[-1] for row in views.certainty(equal, "full").rows}
    assert verdicts == {"not significant"}


def test_a_lead_of_one_seed_each_is_called_so(comparison):
    said = "; one seed each."
    assert said not in views.verdict(comparison, "full", "ndcg@5")
    alone = a_comparison(strength={"SAM": 0.5, "SASRec": 0.2}, seeds=(1,))
    assert views.verdict(alone, "full", "ndcg@5").endswith(said)


def test_too_few_users_for_a_test_is_said():
    few = a_comparison(users=12)
    assert {row[-1] for row in views.certainty(few, "full").rows} == {"too few users for a test"}
    assert not any("*" in cell for row in views.main(few, "full").rows for cell in row)
    assert any("too few users for a test" in note for note in views.groups(few, "full", "hit@5").notes)


def test_one_seed_and_one_model():
    alone = a_comparison(seeds=(1,), strength={"SAM": 0.3})
    table = views.main(alone, "full")
    assert "±" not in "".join(table.rows[0]) and "nan" not in str(table)
    assert "alone, nothing to compare with" in table.notes[1]
    assert dict(provenance.lines(alone))["Seeds"].startswith("one seed each (1)")
    assert "nan" not in markdown.text(alone)


def test_unequal_seeds_are_said(comparison):
    assert views.missing(comparison) == ["Failed, see below: SINE."]
    short = replace(
        comparison, trials=[t for t in comparison.trials if (t["model"], t["seed"]) != ("EIMF", 2)]
    )
    assert views.missing(short)[1] == "Not every model has all seeds: fewer than 2 of EIMF (our reading)."
    other = [{**t, "seed": 9} if (t["model"], t["seed"]) == ("EIMF", 2) else t for t in comparison.trials]
    assert views.missing(replace(comparison, trials=other))[1] == "Not all models have the same seeds."


def outputs(results, folder):
    from rich.console import Console

    console = Console(width=100, file=io.StringIO())
    terminal.show(results, console)
    texts = {"terminal": console.file.getvalue()}
    for file in report.write_all(results, folder):
        if file.suffix != ".png":
            texts[file.name] = file.read_text(encoding="utf-8")
    return texts


@pytest.fixture(scope="module")
def written(comparison, tmp_path_factory):
    """The folder of every output, and what stands in each."""
    folder = tmp_path_factory.mktemp("written")
    return folder, outputs(comparison, folder)


def test_every_output_says_where_it_comes_from(written):
    _, texts = written
    assert len(texts) == 6 + 5
    for name, text in texts.items():
        plain = " ".join(text.replace("\\_", "_").replace("\\", "").split())
        for part in ("shop_1", "leave one out", "recbole 1.2.1", "compare --dataset=shop_1"):
            assert part in plain, (name, part)
        assert "SYNTHETIC" not in text, name
    for name in ("terminal", "report.md", "report.tex", "report.html"):
        assert "EIMF (our reading)" in texts[name]
    for name in ("terminal", "report.md", "report.html"):
        assert "must be a multiple of n" in texts[name] and "0.1 CNY" in texts[name]
    assert max(map(len, texts["terminal"].splitlines())) <= 100


@pytest.fixture(scope="module")
def masked():
    """Masked ranking first, which chose the epochs; it leaves six users out, and STOSA's trial is older."""
    whole = a_comparison(strength={**STRENGTH, "STOSA": 0.1}, protocols=("masked", "full"))
    ranks = some_ranks(whole.protocols, {**STRENGTH, "STOSA": 0.1})
    here = ranks.protocol == "masked"
    left_out = here & ranks.user.isin([f"u{user}" for user in range(6)])
    ranks = ranks[~left_out & ~(here & (ranks.model == "STOSA"))]
    repeats = {"validation": [7, USERS], "test": [6, USERS]}
    run = a_run(topk=[5, 10, 50], chosen_by="masked", repeats=repeats)
    summary = tables.summary(ranks, [5, 10, 50], groups.item_groups(ranks, 20))
    return replace(whole, run=run, summary=summary)


@pytest.fixture(scope="module")
def masked_texts(masked, tmp_path_factory):
    return outputs(masked, tmp_path_factory.mktemp("masked"))


def test_every_output_says_what_masked_ranking_leaves_out(masked_texts):
    for name, text in masked_texts.items():
        plain = " ".join(text.replace("\\", "").split())
        if not name.endswith(".svg"):
            assert f"6 of {USERS} targets repeat such an item and are left out" in plain, name
        assert "NDCG@5 in masked ranking (7 of 60 targets left out)" in plain.replace("</tspan>", ""), name
        if name in ("terminal", "report.md", "report.html"):
            assert f"6 of {USERS} test targets repeat an item of the user's history" in html_free(plain), name
            assert "ranks of this protocol were kept, and not counted here: STOSA." in plain, name


def html_free(text):
    return text.replace("&#x27;", "'").replace("&#39;", "'")


def test_a_model_without_masked_ranks_stands_in_the_other_tables(masked):
    assert "STOSA" not in masked.models("masked") and masked.models()[-1] == "STOSA"
    assert [row[0] for row in views.main(masked, "full").rows][-1] == "STOSA"
    assert "STOSA" in [row[0] for row in views.costs(masked).rows]
    figures = plots.figures(masked)
    assert len(figures["masked-bars"].figure.axes[0].patches) == 3
    bars = {
        name: figures[name].figure.axes[0].patches[0].get_facecolor() for name in ("masked-bars", "full-bars")
    }
    assert bars["masked-bars"] == bars["full-bars"]


def test_a_third_cut_off_has_a_table_of_its_own_where_width_counts(masked, masked_texts):
    wide, narrow = views.main(masked, "masked"), views.narrow(masked, "masked")
    assert [lengths for lengths, _ in narrow] == [[5, 10], [50]]
    assert wide.head == narrow[0][1].head + narrow[1][1].head[1:]
    assert wide.notes == narrow[0][1].notes + narrow[1][1].notes
    text = latex.text(masked)
    assert r"\label{tab:masked}" in text and r"\label{tab:masked-50}" in text
    shown = masked_texts["terminal"]
    assert max(map(len, shown.splitlines())) <= 100 and "HR@50" in shown


def test_synthetic_data_is_labelled_everywhere(tmp_path):
    for name, text in outputs(a_comparison(synthetic=True, protocols=("full",)), tmp_path).items():
        assert "SYNTHETIC DATA" in text, name


def test_only_the_protocol_that_was_asked_for():
    text = markdown.text(a_comparison(protocols=("uni100",)))
    assert "1 + 100 ranking" in text and "Full ranking" not in text


def test_a_long_name_hides_neither_names_nor_numbers():
    from rich.console import Console

    long = "SAM:" + ":".join(f"setting_{n}=False" for n in range(9))
    made = a_comparison(strength={long: 0.5, "EIMF": 0.2})
    out = io.StringIO()
    terminal.show(made, Console(file=out, width=100))
    shown = out.getvalue()
    for table in shown.split("ranking: ")[1:]:
        rows = [line for line in table.splitlines() if line.startswith(" SAM:")]
        assert rows, table
    for protocol in made.protocols:
        for table in (views.main(made, protocol), views.groups(made, protocol, made.metric)):
            for row in table.rows:
                assert all(cell in shown for cell in row[1:])
        rows = views.certainty(made, protocol).rows
        words = set(" ".join(row[-1] for row in rows).split())
        assert words <= set(shown.split()), "a verdict is cut off"


def test_markdown_tables_are_whole(comparison):
    blocks = [block for block in markdown.text(comparison).split("\n\n") if block.startswith("|")]
    assert len(blocks) > 10
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1


HOSTILE = '=HYPERLINK("http://x") <img src=x onerror=alert(1)> [a](javascript:1) `b` | $c_d$ #1'


def test_nothing_that_a_user_named_is_html_a_link_or_a_formula(tmp_path):
    comparison = a_comparison(
        strength={"SAM": 0.5, "SASRec": 0.2, HOSTILE: 0.1}, protocols=("full",),
        command=f"compare --dataset=a,=1+1\n\n{HOSTILE}", dataset=HOSTILE,
    )  # fmt: skip
    report.write_all(comparison, tmp_path)
    markdown_text = (tmp_path / "report.md").read_text()
    shown = "\n".join(line for line in markdown_text.splitlines() if not line.startswith("    "))
    assert "<img" not in shown and "[a]" not in shown and "\\`b\\`" in shown and "&lt;img" in shown
    assert "<img" not in (tmp_path / "report.html").read_text()
    for name in ("summary.csv", "costs.csv"):
        text = (tmp_path / name).read_text()
        for line in text.splitlines():
            for cell in re.split(r'[,;]|"(?!")', line):
                assert not re.match(r"[=+@]|-(?!\d)", cell), line
        frame = pd.read_csv(tmp_path / name, comment="#")
        assert f"'{HOSTILE}" in set(frame.model)
        if name == "summary.csv":  # a # begins no comment
            assert frame["mean"].notna().all()


def test_latex_is_balanced_and_escaped(comparison):
    text = latex.text(comparison)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert body.count("{") - body.count(r"\{") == body.count("}") - body.count(r"\}")
    assert body.count(r"\begin{tabular}") == body.count(r"\end{tabular}") == 4
    assert r"ComiRec:interest\_extractor=DR" in body and r"$\pm$" in body and r"$^{*}$" in body
    for table in re.findall(r"\\toprule(.*?)\\bottomrule", body, re.S):
        rows = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert len({row.replace(r"\&", "").count("&") for row in rows}) == 1
    assert latex.escaped("50 % & a_b #1 {x}") == r"50 \% \& a\_b \#1 \{x\}"


def test_csv_is_read_directly(comparison, written):
    folder, _ = written
    summary = pd.read_csv(folder / "summary.csv", comment="#")
    assert list(summary.columns) == tables.SUMMARY and len(summary) == len(comparison.summary)
    assert list(pd.read_csv(folder / "costs.csv", comment="#").columns) == tables.COSTS


def test_page_needs_no_other_file(written):
    folder, texts = written
    text = texts["report.html"]
    assert text.count("<svg") == 5 and text.count("<details") == 12
    assert "&lt;100 %&gt;" in text and f"compare --from={folder}" in text
    outside = re.findall(r'(?:src|href)="(?!#)([^"]*)"', text)
    assert outside == []


def test_figures_show_the_numbers(comparison):
    figures = plots.figures(comparison)
    assert list(figures) == ["full-bars", "full-groups", "uni100-bars", "uni100-groups", "curves"]
    lengths = [patch.get_width() for patch in figures["full-bars"].figure.axes[0].patches]
    rows = comparison.rows("full", "ndcg@5").set_index("model").loc[comparison.models()]
    assert lengths == pytest.approx(rows["mean"].tolist())
    names = [label.get_text() for label in figures["full-bars"].figure.axes[0].get_yticklabels()]
    assert names == [comparison.name(label) for label in comparison.models()]
    lines = figures["curves"].figure.axes[0].lines
    assert len(lines) == 3 * (2 + 1)
    assert lines[0].get_xdata().tolist() == [1, 3] and lines[0].get_ydata().tolist() == [0.01, 0.03]


def test_figures_have_room_for_many_long_names():
    many = {f"SAM:history_filter=False:newest_item=True:learned_queries={n}": n / 50 for n in range(25)}
    drawn = plots.figures(a_comparison(strength=many, protocols=("full",)))
    for name in ("full-groups", "curves"):
        figure = drawn[name].figure
        figure.canvas.draw()  # a figure too low for its legend is drawn without layout, with a UserWarning
        (axes,), legend = figure.axes, figure.axes[0].get_legend()
        box, edge = legend.get_window_extent(), figure.bbox
        assert box.y0 >= edge.y0 and box.y1 <= edge.y1, name
        assert axes.get_position().width > 0.3, name


def test_a_figure_says_the_first_command_and_the_report_all():
    result = a_comparison(command="compare --a && compare --b && compare --c")
    footer = plots.figures(result)["full-bars"].figure.get_supxlabel()
    assert "compare --a; went on 2 times, see report.md" in footer and "--b" not in footer
    assert dict(provenance.lines(result))["Command"] == result.run["command"]


def test_settings_and_costs(comparison):
    rows = {row[0]: row for row in views.settings(comparison).rows}
    assert rows["SAM"][1:3] == ["titles, bias, interests", "its own YAML"]
    assert rows[DR][1:3] == ["none", "interest_extractor=DR"]
    costs = {row[0]: row for row in views.costs(comparison).rows}
    assert costs["SAM"][1:] == ["12,345", "3.0 (3.0)", "1.5", "512 (process)", "1,000"]
    assert json.loads(rows["SAM"][3]) == 0.001


def test_models_that_do_not_use_the_same_information_are_named():
    alike = a_comparison(strength={"SASRec": 0.5, DR: 0.2})
    assert views.unequal(alike) == []
    unlike = a_comparison(strength={"SAM": 0.5, "SASRec": 0.2})
    [note] = views.unequal(unlike)
    assert "titles, bias, interests (SAM); none (SASRec)" in note
    assert note in views.main(unlike, "full").notes and note in markdown.text(unlike)
    [trial] = [trial for trial in unlike.trials if trial["model"] == "SASRec" and trial["seed"] == 1]
    for changes in ({"settings": {"item_text": "True"}}, {"settings": {}, "tuned": {"item_text": True}}):
        trial |= {"class": "WEARec", **changes}
        assert views.besides_ids(unlike)["SASRec"] == "titles"
