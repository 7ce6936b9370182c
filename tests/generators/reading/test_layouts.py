"""Thoughts and layouts of language models: what comes out of them, and what is not taken for an answer."""

import json

import pytest
from conftest import ROOT

from recbole_sam.generators.reading import phrases
from recbole_sam.llm import replies

TWO = ["steel tools", "red paper"]
LINES = "steel tools\nred paper"
THOUGHT = "The customer buys wrenches, so tools.\nalso paper\nglass vases"

CASES = ROOT / "tests" / "cases" / "llm-answers.jsonl"
GIVEN = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("case", GIVEN, ids=[case["case"] for case in GIVEN])
def test_given_cases(case):
    kept = replies.kept(case["body"], case.get("finish_reason") == "length")
    assert phrases.parse_phrases(kept, case["k"]) == case["want"]


MARKED = {
    "think": "<think>{t}</think>{a}",
    "think in capitals": "<THINK>{t}</THINK>\n{a}",
    "think with attributes": '<think lang="en">{t}</think>\n{a}',
    "thinking": "<thinking>\n{t}\n</thinking>\n\n{a}",
    "thought": "<thought>{t}</thought>{a}",
    "thoughts": "<thoughts>{t}</thoughts>{a}",
    "reason": "<reason>{t}</reason>{a}",
    "reasoning": "<reasoning>{t}</reasoning>{a}",
    "reflection": "<reflection>{t}</reflection>{a}",
    "analysis": "<analysis>{t}</analysis>{a}",
    "scratchpad": "<scratchpad>{t}</scratchpad>{a}",
    "inner monologue": "<inner_monologue>{t}</inner_monologue>{a}",
    "chain of thought": "<chain_of_thought>{t}</chain_of_thought>{a}",
    "cot": "<cot>{t}</cot>{a}",
    "namespace": "<seed:think>{t}</seed:think>{a}",
    "another namespace": "<ant:thinking>{t}</ant:thinking>{a}",
    "prefix": "<antThinking>{t}</antThinking>{a}",
    "brackets": "[THINK]{t}[/THINK]{a}",
    "triangles": "◁think▷{t}◁/think▷{a}",
    "begin of thought": "<|begin_of_thought|>{t}<|end_of_thought|>\n"
    "<|begin_of_solution|>{a}<|end_of_solution|>",
    "start thinking": "<|START_THINKING|>{t}<|END_THINKING|><|START_RESPONSE|>{a}<|END_RESPONSE|>",
    "pipes": "<|think|>{t}<|/think|>{a}",
    "channels": "<|channel|>analysis<|message|>{t}<|end|>"
    "<|start|>assistant<|channel|>final<|message|>{a}<|return|>",
    "channels, two thoughts": "<|channel|>analysis<|message|>{t}<|end|><|start|>assistant"
    "<|channel|>commentary<|message|>{t}<|end|><|start|>assistant<|channel|>final<|message|>{a}",
    "channel without its special tokens": "analysis{t}assistantfinal{a}",
    "other channels": "<|channel>thought\n{t}<channel|>{a}",
    "escaped": "&lt;think&gt;{t}&lt;/think&gt;{a}",
    "chinese": "<思考>{t}</思考>\n{a}",
    "chinese brackets": "【思考】{t}【/思考】\n{a}",
    "comment": "<!-- {t} -->\n{a}",
    "fence": "```thinking\n{t}\n```\n{a}",
    "details": "<details><summary>Thinking</summary>\n{t}\n</details>\n\n{a}",
    "since the prompt": "{t}\n</thinking>\n{a}",
    "since the prompt, in brackets": "{t}[/THINK]{a}",
    "twice": "<think>{t}</think>\n<thinking>{t}</thinking>\n{a}",
    "nested": "<think>{t}<think>{t}</think>{t}</think>{a}",
    "thought about its marks": "<think>I end with </think> when I am done.\n{t}</think>{a}",
    "answer tags": "{t}\n<answer>\n{a}\n</answer>",
    "answer tags and a remark": "<think>{t}</think><answer>{a}</answer>\nThat covers wrenches and paper",
    "final tags": "<plan>{t}</plan>\n<final_answer>{a}</final_answer>",
    "a draft": "<answer>{t}</answer><reflection>{t}</reflection><answer>{a}</answer>",
    "unknown tags": "<wondering>\n{t}\n</wondering>\n{a}",
    "unknown tags around the answer": "Here you are:\n<interest_box>\n{a}\n</interest_box>",
    "final answer": "{t}\n\nFinal answer:\n{a}",
    "final answer, bold": "{t}\n\n**Final answer:**\n{a}",
    "final answer, heading": "{t}\n\n## Final Answer\n{a}",
    "final list": "{t}\n\nSo, the final list of interests is:\n{a}",
    "answer": "Thought: {t}\nAnswer:\n{a}",
    "reasoning first": "**Reasoning:**\n{t}\n\n**Interests:**\n{a}",
    "reasoning last": "{a}\n\n**Reasoning:**\n{t}",
    "analysis heading": "### Analysis\n{t}\n\n### Final interests\n{a}",
    "final answer zh": "思考过程：\n{t}\n最终答案：\n{a}",
    "ollama": "Thinking...\n{t}\n...done thinking.\n\n{a}",
    "reasons in tags": "<interest>steel tools</interest><reason>buys wrenches</reason>\n"
    "<interest>red paper</interest><reason>buys paper</reason>",
}


@pytest.mark.parametrize("case", MARKED)
def test_thoughts_are_no_interests(case):
    for answer in (LINES, "1. steel tools\n2. red paper", json.dumps(TWO)):
        written = MARKED[case].format(t=THOUGHT, a=answer)
        assert phrases.parse_phrases(written, 2) == TWO, answer


UNFINISHED = [
    "<think>{t}", "<thinking>\n{t}", "<reasoning>{t}", "[THINK]{t}", "◁think▷{t}", "<|begin_of_thought|>{t}",
    "<|channel|>analysis<|message|>{t}", "<|channel|>analysis<|message|>{t}<|end|><|start|>assistant",
    "<|channel>thought\n{t}", "<seed:think>{t}", "analysis{t}", "```thinking\n{t}", "Thought: {t}",
    "**Reasoning:**\n{t}", "Thinking...\n{t}", "&lt;think&gt;{t}", "<think>{t}</think><thinking>{t}",
    "<|START_THINKING|>{t}", "Let me see.\n<think>\n{t}",
]  # fmt: skip


@pytest.mark.parametrize("form", UNFINISHED)
@pytest.mark.parametrize("cut", [True, False])
def test_thoughts_that_never_end_leave_nothing(form, cut):
    assert phrases.parse_phrases(replies.kept(form.format(t=THOUGHT), cut), 2) == []


LAYOUTS = {
    "table": "| Interest |\n|---|\n| steel tools |\n| red paper |",
    "table with numbers": "| # | Interest |\n|:-:|:--|\n| 1 | steel tools |\n| 2 | red paper |",
    "table with reasons": "| Interest | Reason |\n|---|---|\n| steel tools | wrenches |\n| red paper | pad |",
    "table, reasons first": "|Evidence|Interest|\n|---|---|\n|wrenches|steel tools|\n|paper|red paper|",
    "table without outer bars": "No. | Theme\n--- | ---\n1 | steel tools\n2 | red paper",
    "table after talk": "Here it is:\n\n| Rank | Customer interest |\n|---|---|\n| 1 | **steel tools** |\n"
    "| 2 | **red paper** |\n\nHope this helps!",
    "table without a rule": "| # | Interest |\n| 1 | steel tools |\n| 2 | red paper |",
    "table without a head": "| steel tools |\n| red paper |",
    "numbered table without a head": "| 1 | steel tools |\n| 2 | red paper |",
    "table in a fence": "```markdown\n| Interest |\n|---|\n| steel tools |\n| red paper |\n```",
    "table in HTML": "<table><tr><th>#</th><th>Interest</th></tr><tr><td>1</td><td>steel tools</td></tr>"
    "<tr><td>2</td><td>red paper</td></tr></table>",
    "CSV": 'interest,reason\nsteel tools,"wrenches, mostly"\nred paper,paper',
    "TSV": "1\tsteel tools\n2\tred paper",
    "phrase -> reason": '{"steel tools": "buys wrenches", "red paper": "owns two pads"}',
    "phrase -> score": '{"steel tools": 0.9, "red paper": 0.8}',
    "phrase -> evidence": '{"steel tools": ["wrench"], "red paper": ["pad", "sheet"]}',
    "phrase -> more": '{"steel tools": {"why": "buys wrenches"}, "red paper": {"why": "buys paper"}}',
    "a list of phrase -> reason": '[{"steel tools": "buys wrenches"}, {"red paper": "buys paper"}]',
    "reason before the phrase": '[{"reason": "buys wrenches", "interest": "steel tools"}, '
    '{"reason": "buys paper", "interest": "red paper"}]',
    "reasoning and a list": '{"reasoning": "The customer buys wrenches.", '
    '"interests": ["steel tools", "red paper"]}',
    "objects with names": '[{"name": "steel tools", "description": "wrenches"}, '
    '{"name": "red paper", "score": 1}]',
    "numbered fields": '{"interest1": "steel tools", "interest_2": "red paper"}',
    "numbered fields with reasons": '{"interest_1": "steel tools", "reason_1": "wrenches", '
    '"interest_2": "red paper"}',
    "numbers": '{"1": "steel tools", "2": "red paper"}',
    "letters": '{"A": "steel tools", "B": "red paper"}',
    "numbers and objects": '{"1": {"interest": "steel tools", "why": "x"}, "2": {"interest": "red paper"}}',
    "wrapped": '{"response": {"interests": ["steel tools", "red paper"]}}',
    "pairs": '[["steel tools", "buys wrenches"], ["red paper", "buys paper"]]',
    "literal breaks": "steel tools\\nred paper",
    "literal breaks and marks": "1. steel tools\\n2. red paper\\n",
    "literal windows breaks": "steel tools\\r\\nred paper",
    "a JSON string": '"steel tools\\nred paper"',
    "JSON in a JSON string": '"[\\"steel tools\\", \\"red paper\\"]"',
    "escaped JSON": '[\\"steel tools\\", \\"red paper\\"]',
    "breaks in a JSON string": '{"interests": "steel tools\\nred paper"}',
    "bold and reasons": "1. **steel tools**: buys wrenches\n2. **red paper**: two pads",
    "bold with colons": "- **Steel tools:** buys wrenches\n- **Red paper:** two pads",
    "reasons after colons": "steel tools: buys wrenches\nred paper: bought two pads",
    "reasons after dashes": "steel tools - buys wrenches\nred paper - bought two pads",
    "reasons in brackets": "1. steel tools (bought wrenches)\n2. red paper (bought pads)",
    "YAML": "interests:\n  - steel tools\n  - red paper",
    "YAML records": "- interest: steel tools\n  reason: buys wrenches\n- interest: red paper\n"
    "  reason: buys paper",
    "line ends of HTML": "steel tools<br>red paper<br/>",
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts_that_are_understood(case):
    assert [phrase.lower() for phrase in phrases.parse_phrases(LAYOUTS[case], len(TWO))] == TWO
    if case not in ("bold and reasons", "bold with colons"):
        assert phrases.parse_phrases(f"<think>{THOUGHT}</think>\n{LAYOUTS[case]}", 2) == TWO


@pytest.mark.parametrize(
    "phrase",
    ["Analysis software", "Reasoning puzzles", "Final Fantasy games", "Thinking, Fast and Slow editions",
    "Plan B pads",
     "Results gym wear", "Output cables", "Response amplifiers", "Step stools", "Explanation books",
     "5\" pliers",
     "AC|DC adapters", "K: pop albums", "Steel tools (18/10)", "Customer service bells",
     "Multiple outlet strips",
     "User manuals", "History books", "Draft beer kits", "Likes & loves cards", "C:\\ drive games"],
)  # fmt: skip
def test_phrases_that_look_like_marks_or_reasons_stay_whole(phrase):
    three = ["steel tools", phrase, "red paper"]
    assert phrases.parse_phrases("\n".join(three), 3) == three
    assert phrases.parse_phrases(json.dumps(["steel tools", phrase]), 2) == ["steel tools", phrase]


@pytest.mark.parametrize(
    "lines",
    [
        ["history books: Rome", "user manuals: cars"], ["Likes - red", "Blue - dark"],
        ["books (history)", "mugs (customer gifts)", "pans (multiple sizes)"],
    ],
)  # fmt: skip
def test_what_only_looks_like_reasons_stays(lines):
    assert phrases.parse_phrases("\n".join(lines), len(lines)) == lines


@pytest.mark.parametrize(
    "written",
    [
        "| Left | Right |\n|---|---|\n| steel tools | red paper |\n| blue glass | green wool |",
        "| steel tools | red paper |\n| blue glass | green wool |",
        '{"kitchen": "iron pans", "garden": "raised beds"}',
        '[{"zh": "钢制工具", "en": "steel tools"}, {"zh": "红纸", "en": "red paper"}]',
        '{"tools": ["wrench", "hammer"], "paper": ["pad", "sheet"]}',
        "steel tools\nred paper\n<remarks>\nwrenches mostly\nand pads\n</remarks>",
        "<|im_sep|>|steel tools|5|",
        '{"steel tools": "x", "red pap',
    ],
)
def test_what_is_not_understood_is_never_complete(written):
    assert len(phrases.parse_phrases(written, 2)) < 2
