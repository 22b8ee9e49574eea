import math

from soar.domains.arc.domain import Arc
from soar.lm.embedded import SHIPPED
from soar.prompts.chat import Chat
from soar.report.prompt_sizes import DRAWN, drawn, made_up, prompt_sizes, token_count, typical_parent
from soar.types import Example, Task


def task(name: str, rows: int = 2) -> Task:
    def square(cell: int):
        return tuple(tuple((cell + x) % 10 for x in range(rows)) for _ in range(rows))

    return Task(name, tuple(Example(square(i), square(i + 1)) for i in range(3)), (Example(square(5), square(6)),))


WORDS = {"signature": "transform(grid)", "sample_tokens": 200, "refine_tokens": 100}


def letters(prompt) -> int:
    return sum(len(message.content) for message in prompt)


def test_the_means_are_those_of_the_prompts_that_a_search_would_send():
    chat, tasks = Chat(Arc()), [task("a"), task("b", rows=5)]
    found = prompt_sizes(chat, tasks, letters, **WORDS)
    asked = [letters(chat.sampling(each.without_answers())) for each in tasks]
    assert found.sampling == sum(asked) / 2
    assert found.refinement > found.sampling
    assert (found.counted, found.shortened, found.unsent) == (2, 0, 0)
    assert prompt_sizes(chat, tasks, letters, **{**WORDS, "refine_tokens": None}).refinement == 0
    assert found.longest > max(asked)
    assert prompt_sizes(chat, tasks, letters, **WORDS, few_shot=True).sampling > found.sampling


def test_a_prompt_that_does_not_fit_is_counted_as_it_would_be_shortened_or_left_out():
    chat, tasks = Chat(Arc()), [task("a"), task("b", rows=9)]
    whole = [letters(chat.sampling(each.without_answers())) for each in tasks]
    found = prompt_sizes(chat, tasks, letters, **WORDS, context=whole[1] + 199)
    assert (found.shortened, found.unsent) == (1, 0)
    assert found.sampling < sum(whole) / 2
    assert found.longest <= whole[1] + 99
    assert prompt_sizes(chat, tasks, letters, **WORDS, context=300).unsent == 2


def test_no_tasks_have_prompts_of_no_length():
    assert prompt_sizes(Chat(Arc()), [], letters, **WORDS).sampling == 0


def test_some_tasks_stand_for_many_and_always_the_same():
    many = [task(f"t{number:03}") for number in range(3 * DRAWN)]
    assert drawn(many, 0) == drawn(many, 0)
    assert len({each.id for each in drawn(many, 0)}) == DRAWN
    assert drawn(many, 0) != drawn(many, 1)
    assert drawn(many[:DRAWN], 0) == many[:DRAWN]


def test_tokens_are_counted_by_the_models_tokenizer_where_there_is_one(tmp_path):
    count, how = token_count(tmp_path)
    assert (count("x" * 9), count("12\nx")) == (3, 3)
    assert how == "one token for every digit and for every 4 other characters"
    count, how = token_count(SHIPPED)
    assert how == "the model's tokenizer"
    assert 0 < count("<task>a<write>") < math.inf


def test_the_made_up_program_is_one_and_its_outputs_are_of_the_right_kind():
    code = made_up("transform(grid)", 600)
    compile(code, "made-up", "exec")
    assert 400 < len(code) < 650
    compile(made_up("transform(x)", 1), "short", "exec")
    parent = typical_parent(task("a"), code)
    assert parent.ran
    assert parent.accuracy == 0
