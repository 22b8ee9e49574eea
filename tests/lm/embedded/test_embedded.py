import asyncio
import shutil
import threading
from collections import Counter
from collections.abc import Sequence

import pytest
from small_llama import save_small_llama

from soar.domains.arc.compact import Compact
from soar.errors import ConfigError, EndpointError, PromptTooLong
from soar.lm.embedded import SHIPPED
from soar.lm.embedded.engine import Embedded
from soar.lm.embedded.shared_prefix import SharedPrefixDecoder
from soar.types import Example, Message, Prompt, Sampling, Task

FLIP = Task(
    "flip",
    tuple(Example(g, tuple(row[::-1] for row in g)) for g in (((1, 0, 2), (3, 0, 0)), ((4, 4, 0), (0, 5, 0)))),
    (Example(((0, 6, 7),), None),),
)
PROMPT = Compact().sampling(FLIP)
SAMPLING = Sampling(temperature=1.0, min_p=0.0, max_new_tokens=64)


async def collect(lm, prompt: Prompt = PROMPT, seeds: Sequence[int] = range(8), sampling=SAMPLING):
    return [completion async for _, completion in ordered(lm.generate(prompt, list(seeds), sampling))]


async def ordered(stream):
    for item in sorted([item async for item in stream], key=lambda item: item[0]):
        yield item


def use(action, **settings):
    """Open the model, await `action` on it, close it."""

    async def run():
        lm = Embedded(**{"threads": 1, **settings})
        try:
            return await action(lm)
        finally:
            await lm.close()

    return asyncio.run(run())


def test_the_shipped_model_takes_less_than_25_megabytes():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 25e6


def test_the_shipped_model_writes_programs():
    completions = use(lambda lm: collect(lm, seeds=range(32)))
    codes = [Compact().extract(each.text).code for each in completions if each.finish_reason == "stop"]
    assert len(codes) > 24
    compiled = 0
    for code in codes:
        try:
            compile(code or "", "program", "exec")
            compiled += 1
        except SyntaxError:
            pass
    assert compiled > 0.7 * len(codes)


def test_a_completion_depends_on_its_seed_and_not_on_its_neighbours():
    async def action(lm):
        alone = await collect(lm, seeds=[5])
        other = Compact().sampling(Task("other", FLIP.train[:1], FLIP.test))
        together, _ = await asyncio.gather(collect(lm, seeds=[3, 5, 9]), collect(lm, other, range(20)))
        return alone[0].text, together[1].text

    alone, together = use(action)
    assert alone == together


def test_equal_seeds_give_equal_completions_and_others_differ():
    first, second = (use(lambda lm: collect(lm, seeds=range(16))) for _ in range(2))
    assert [each.text for each in first] == [each.text for each in second]
    assert len({each.text for each in first}) > 4


def test_two_threads_give_what_one_gives():
    async def action(lm):
        tasks = [Task(str(n), FLIP.train[: 1 + n % 2], FLIP.test) for n in range(6)]
        found = await asyncio.gather(
            *(collect(lm, Compact().sampling(task), range(n, n + 5)) for n, task in enumerate(tasks))
        )
        return [[each.text for each in completions] for completions in found]

    assert use(action, threads=2) == use(action)


def test_a_burst_of_requests_is_shared_by_threads_that_have_nothing_to_do(monkeypatch):
    taken = Counter()
    admit = SharedPrefixDecoder.admit

    def noted(decoder, jobs):
        taken[threading.current_thread()] += sum(len(job.seeds) for job in jobs)
        return admit(decoder, jobs)

    async def action(lm):
        with lm._wake:  # so that all of them wait when the threads look
            calls = [asyncio.ensure_future(collect(lm, PROMPT, range(8 * n, 8 * n + 8))) for n in range(6)]
            for _ in range(3):
                await asyncio.sleep(0)
            assert len(lm._waiting) == 6
        await asyncio.gather(*calls)

    monkeypatch.setattr(SharedPrefixDecoder, "admit", noted)
    use(action, threads=2)
    assert sorted(taken.values()) == [24, 24]
    taken.clear()
    use(action, threads=1)
    assert [*taken.values()] == [48]


def test_every_completion_tells_its_tokens_and_how_it_ended():
    for each in use(lambda lm: collect(lm, sampling=Sampling(1.0, 0.0, 12))):
        assert each.finish_reason in ("stop", "length")
        assert each.prompt_tokens > 20
        assert 1 <= each.completion_tokens <= 12


def test_a_prompt_that_does_not_fit_is_refused_before_anything_is_generated():
    async def action(lm):
        assert lm.fits(PROMPT, 4096)
        assert not lm.fits(PROMPT * 40, 64)
        with pytest.raises(PromptTooLong):
            await collect(lm, PROMPT * 40)

    use(action)


def test_a_caller_who_leaves_early_does_not_hold_up_the_others():
    async def action(lm):
        stream = lm.generate(PROMPT, list(range(50)), SAMPLING)
        async for _ in stream:
            break
        await stream.aclose()
        return await collect(lm, seeds=range(4))

    assert len(use(action)) == 4


def test_chat_messages_are_refused_with_what_to_set():
    async def action(lm):
        with pytest.raises(ConfigError, match="compact"):
            await collect(lm, (Message("user", "hello"),))

    use(action)


def test_requests_are_counted():
    async def action(lm):
        await asyncio.gather(collect(lm), collect(lm))
        return lm.requests()

    assert use(action) == {"issued": 2, "retried": 0, "failed": 0}


def test_a_closed_model_generates_no_more():
    async def action(lm):
        await lm.close()
        with pytest.raises(EndpointError, match="closed"):
            await collect(lm)

    use(action)


def test_who_waits_when_the_model_is_closed_is_told():
    async def action(lm):
        calls = [asyncio.create_task(collect(lm, seeds=range(64))) for _ in range(12)]
        await asyncio.sleep(0.1)
        await lm.close()
        done = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)
        told = [each for each in done if isinstance(each, EndpointError)]
        assert told
        assert {str(each) for each in told} == {"the embedded model was closed"}

    use(action)


@pytest.mark.slow
def test_a_folder_that_transformers_wrote_is_loaded_in_place_of_the_shipped_model(tmp_path):
    vocabulary = len(shipped_tokenizer())
    save_small_llama(tmp_path, vocab_size=vocabulary, max_position_embeddings=512)
    shutil.copy(SHIPPED / "tokenizer.json", tmp_path)
    assert len(use(lambda lm: collect(lm, sampling=Sampling(1.0, 0.0, 5)), weights=tmp_path)) == 8


def shipped_tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(SHIPPED, local_files_only=True)


def test_transformers_load_the_shipped_folder_and_the_tokenizers_agree():
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(str(SHIPPED / "tokenizer.json")).encode(PROMPT, add_special_tokens=False).ids
    assert shipped_tokenizer()(PROMPT)["input_ids"] == ids


@pytest.mark.parametrize("damage", ["missing", "truncated", "no tokenizer"])
def test_a_damaged_folder_is_refused_with_one_clear_message(tmp_path, damage):
    folder = tmp_path / "weights"
    shutil.copytree(SHIPPED, folder)
    if damage == "no tokenizer":
        (folder / "tokenizer.json").write_text("{")
    else:
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").unlink()
        if damage == "truncated":
            (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(EndpointError, match="cannot be read"):
        Embedded(folder)
