"""The transformers generator on a tiny model of Qwen's architecture, made here from a config."""

import string

import pytest
import torch
from llm_helpers import fast, make_requests

from recbole_sam.errors import DataError, SettingError
from recbole_sam.generators.base import COMPLETE, FILLED, REPAIRED, UNUSABLE
from recbole_sam.generators.dialogue import exchange
from recbole_sam.generators.dry_run import DryRun, DryRunFinished
from recbole_sam.generators.local import LocalGenerator, content_hash, find_folder
from recbole_sam.llm import replies
from recbole_sam.llm.failures import InterruptedRunError, LimitReachedError

transformers = pytest.importorskip("transformers")

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think></think>{% endif %}{% endif %}"
)


@pytest.fixture(autouse=True)
def one_thread():
    """Threads only get in each other's way on matrices this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Qwen2 model with random weights and a tokenizer of single characters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    path = tmp_path_factory.mktemp("tiny-qwen")
    characters = sorted(set(string.printable) | set("é护"))
    special = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
    vocabulary = {token: i for i, token in enumerate(special + characters)}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    raw.decoder = decoders.Fuse()
    raw.add_special_tokens(special)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token="?"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(path)
    torch.manual_seed(3)
    config = transformers.Qwen2Config(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048,
        initializer_range=1.0, eos_token_id=1, pad_token_id=2, bos_token_id=None,
    )  # fmt: skip
    transformers.Qwen2ForCausalLM(config).save_pretrained(path)
    return path


def make(folder, cache, **changes):
    settings = {"model": str(folder), "max_tokens": 40, "batch_size": 4, "device": "cpu", **changes}
    return LocalGenerator(fast(cache, **settings))


@pytest.fixture
def counted(monkeypatch):
    """Counts the prompts that go through a model."""
    calls = []
    answer = LocalGenerator.answer

    def counting(self, batch):
        calls.append(len(batch))
        return answer(self, batch)

    monkeypatch.setattr(LocalGenerator, "answer", counting)
    return calls


def test_users_are_answered_in_batches_and_then_from_the_cache(folder, tmp_path, counted):
    generator = make(folder, tmp_path)
    requests = list(make_requests(10, k=3))
    answers = {a.user: a for a in generator.generate(requests)}
    assert len(answers) == 10 and set(counted[:2]) == {4}
    for answer in answers.values():
        assert answer.status in (COMPLETE, REPAIRED, FILLED, UNUSABLE)
        assert len(answer.phrases) == 3 == len(set(answer.phrases))
    assert generator.report.asked == sum(counted) and generator.report.users == 10
    before = len(counted)
    assert {a.user: a for a in make(folder, tmp_path).generate(requests)} == answers
    assert len(counted) == before


def test_batched_equals_one_at_a_time(folder, tmp_path, monkeypatch):
    """Padding on the left, masked: a prompt's neighbours change nothing."""
    generator = make(folder, tmp_path)
    monkeypatch.setattr(replies, "finished", lambda text: text)  # whole answers, though cut, can be compared
    texts = ["one", "a longer question " * 3, "the longest of all the questions " * 6]
    ids = [generator.encode(text) for text in texts]
    alone = [generator.answer([row])[0] for row in ids]
    assert generator.answer(ids) == alone
    assert len({answer.text for answer in alone}) == 3
    assert [answer.input_tokens for answer in alone] == list(map(len, ids))


def test_the_answer_is_what_the_model_says_next(folder, tmp_path, monkeypatch):
    """Greedy decoding by hand, one token after the other, without a cache."""
    generator = make(folder, tmp_path, max_tokens=12)
    ids = generator.encode("what?")
    grown = list(ids)
    with torch.inference_mode():
        for _ in range(12):
            logits = generator._model(torch.tensor([grown])).logits[0, -1]
            grown.append(int(logits.argmax()))
            if grown[-1] == 1:
                break
    text = generator._tokenizer.decode(grown[len(ids) :], skip_special_tokens=True)
    monkeypatch.setattr(replies, "finished", lambda text: f"cut: {text}")
    cut = "" if grown[-1] == 1 else "cut: "
    assert generator.answer([ids])[0].text == cut + text


def test_an_answer_is_cut_when_its_last_token_is_not_the_models_end(folder, tmp_path):
    generator = make(folder, tmp_path, max_tokens=3)
    end, pad = generator._tokenizer.eos_token_id, generator._tokenizer.pad_token_id
    assert generator._is_cut([5, 6, 7])
    assert not any(map(generator._is_cut, ([5, 6, end], [5, end, pad], [5, 6])))
    generator._model.generation_config.eos_token_id = [end, 7]
    assert not generator._is_cut([5, 6, 7])


def test_the_chat_template_is_the_models_own_with_thinking_off(folder, tmp_path):
    generator = make(folder, tmp_path)
    text = generator._tokenizer.decode(generator.encode("hi")).replace("\n", "")
    assert text == "<|im_start|>userhi<|im_end|><|im_start|>assistant<think></think>"


def test_equal_histories_are_generated_once(folder, tmp_path, counted):
    one = next(make_requests(1))
    same = [one._replace(user=f"u{i}") for i in range(9)]
    generator = make(folder, tmp_path)
    answers = list(generator.generate(same))
    assert len(answers) == 9 and len({a.phrases for a in answers}) == 1
    assert sum(counted) <= 2
    assert generator.report.from_cache == 8 * sum(counted)


def test_equal_histories_that_nobody_got_an_answer_for_are_not_told_as_answered(folder, tmp_path):
    def interrupted():
        one = next(make_requests(1))
        yield from (one._replace(user=f"u{i}") for i in range(3))
        raise KeyboardInterrupt

    generator = make(folder, tmp_path)
    with pytest.raises(InterruptedRunError):
        list(generator.generate(interrupted()))
    assert generator.report.asked == generator.report.from_cache == 0


def test_no_more_users_are_asked_for_than_allowed(folder, tmp_path, counted):
    """Their answers are kept; users who are answered already do not count, and the rest is a second run's."""
    requests = list(make_requests(7, k=3))
    users, limit = [], "Stopped at llm_max_users \\(4\\): [0-9]+ new answers are kept in .* goes on from here"
    with pytest.raises(LimitReachedError, match=limit):
        users.extend(a.user for a in make(folder, tmp_path, max_users=4).generate(requests))
    assert sorted(users) == sorted(r.user for r in requests[:4])
    first = sum(counted)
    answers = list(make(folder, tmp_path, max_users=3).generate(requests))
    assert len(answers) == 7 and 3 <= sum(counted) - first <= 6
    everyone_known = make(folder, tmp_path, max_users=0)
    assert sorted(a.user for a in everyone_known.generate(requests)) == sorted(r.user for r in requests)


def test_a_dry_run_knows_of_no_price_and_no_limits_of_calls(folder, tmp_path, counted):
    with pytest.raises(DryRunFinished) as end:
        next(DryRun(make(folder, tmp_path)).generate(make_requests(5)))
    lines = "\n".join(end.value.estimate.lines())
    assert "to be asked                     5" in lines and "time, at least              unknown" in lines
    assert "--llm_max_users=20 shows how much" in lines and "prices.yaml" not in lines and not counted


def test_sampling_uses_the_temperature_and_the_seed(folder, tmp_path):
    ids = make(folder, tmp_path).encode("hello")
    greedy = make(folder, tmp_path).answer([ids])
    drawn = [make(folder, tmp_path, temperature=1.5, seed=s).answer([ids]) for s in (1, 1, 2)]
    assert drawn[0] == drawn[1] and len({str(d) for d in [greedy, *drawn]}) == 3


def test_a_prompt_beyond_the_context_marks_its_user(folder, tmp_path):
    long, short = make_requests(2)
    long = long._replace(titles=tuple("a" * 190 for _ in range(12)))
    generator = make(folder, tmp_path)
    answers = {a.user: a for a in generator.generate([long, short])}
    assert answers[long.user].status == "failed" and answers[short.user].phrases
    assert "context" in str(generator.report.reasons)


def test_the_fingerprint_changes_with_the_weights_and_settings(folder, tmp_path):
    import shutil

    copy = shutil.copytree(folder, tmp_path / folder.name)
    assert content_hash(copy) == content_hash(folder)
    a, b = make(folder, tmp_path), make(copy, tmp_path)
    assert a.fingerprint() == b.fingerprint()
    assert make(folder, tmp_path, max_tokens=41).fingerprint() != a.fingerprint()
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert make(copy, tmp_path).fingerprint() != a.fingerprint()


def test_missing_and_unfit_models_are_one_sentence(folder, tmp_path):
    with pytest.raises(SettingError, match="llm_model"):
        find_folder(None)
    with pytest.raises(DataError, match="config.json"):
        make(tmp_path / "nowhere", tmp_path)
    import shutil

    untuned = shutil.copytree(folder, tmp_path / "untuned")
    (untuned / "chat_template.jinja").unlink(missing_ok=True)
    with pytest.raises(SettingError, match="chat template"):
        make(untuned, tmp_path)
    (untuned / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot be loaded"):
        make(untuned, tmp_path)


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_one_sentence(folder, tmp_path, device):
    with pytest.raises(SettingError, match=f"llm_device '{device}' .*give cpu, cuda") as caught:
        make(folder, tmp_path, device=device)
    assert "\n" not in str(caught.value)


def test_it_is_the_exchange_of_all_generators(folder, tmp_path):
    generator = make(folder, tmp_path)
    request = next(make_requests(1))
    steps = exchange(request, generator.prompt, generator.fill)
    first = generator.answer([generator.encode(next(steps))])[0]
    try:
        second = steps.send(first)
        with pytest.raises(StopIteration) as end:
            steps.send(generator.answer([generator.encode(second)])[0])
        expected = end.value.value
    except StopIteration as end:
        expected = end.value
    assert list(generator.generate([request])) == [expected]
