"""What a worker says of each program that it runs, record by record."""

import json
import signal

import pytest
from raw import OTHER, tell, zygote

from soar.execution.local import wire

VALUE, FAILURE, UNLOADED, ALONE = wire.VALUE, wire.FAILURE, wire.UNLOADED, wire.ALONE
SAME, DONE, STOP, CLEAN = wire.SAME, wire.DONE, wire.STOP, wire.CLEAN
F = "def transform(x):\n    "
ECHO = F + "return x"
INPUTS = ((1, 2), (3,))
PART = 1 << 20
"""How many characters a program may print."""


def said(records) -> list[tuple]:
    """Return records with their failures read and without times."""
    read = {DONE: lambda payload: None, FAILURE: json.loads, UNLOADED: json.loads}
    return [(kind, place, index, read.get(kind, bytes)(payload)) for kind, place, index, payload in records]


def of(*programs, **options) -> list[tuple]:
    return said(tell(programs, **options)[0])


def failure(body: str, **options) -> list:
    """Return the failure of a program that runs alone, on one input, with a body of one line."""
    records, _ = tell([F + body], alone=True, **options)
    (kind, _, _, payload), *_ = said(records)
    assert kind == FAILURE
    return payload


def loading(code: str) -> list:
    """Return the failure of a program that does not load."""
    (kind, _, _, payload), *rest = of(code, alone=True)
    assert kind == UNLOADED
    assert rest == [(STOP, 0, 0, b"")]
    return payload


def test_programs_in_company_are_told_one_after_the_other_and_confirmed_at_the_end():
    assert of(ECHO, F + "return -x", inputs=((1, 2),)) == [
        (VALUE, 0, 0, b"1"),
        (VALUE, 0, 1, b"2"),
        (DONE, 0, 0, None),
        (VALUE, 1, 0, b"-1"),
        (VALUE, 1, 1, b"-2"),
        (DONE, 1, 0, None),
        (CLEAN, 1, 0, b""),
        (STOP, 1, 0, b""),
    ]


def test_a_program_alone_needs_no_confirmation():
    assert of(ECHO, alone=True) == [(VALUE, 0, 0, b"1"), (DONE, 0, 0, None), (STOP, 0, 0, b"")]


def test_a_worker_that_has_said_all_ends_without_a_fault():
    _, end = tell([ECHO])
    assert (end["code"], end["killed"], end["trace"]) == (0, "", "")


def test_programs_have_inputs_of_their_own_and_start_where_they_are_told_to():
    inputs = ((1, 2), ("a", "b", "c"))
    records = of((0, 0, ECHO), (1, 1, F + "return x * 2"), (1, 3, F + "return 7"), inputs=inputs)
    assert [each[:4] for each in records if each[0] in (VALUE, DONE)] == [
        (VALUE, 0, 0, b"1"),
        (VALUE, 0, 1, b"2"),
        (DONE, 0, 0, None),
        (VALUE, 1, 1, b'"bb"'),
        (VALUE, 1, 2, b'"cc"'),
        (DONE, 1, 0, None),
        (DONE, 2, 0, None),
    ]


def test_the_same_code_on_the_same_inputs_runs_once():
    other = F + "return x + 1"
    records = of(
        (0, 0, other), (0, 0, "\n" + other), (1, 0, other), (0, 1, other), (0, 0, other), inputs=((1, 2), (3,))
    )
    kinds = [each for each in records if each[0] in (SAME, DONE)]
    assert kinds == [
        (DONE, 0, 0, None),
        (SAME, 1, 0, b""),
        (DONE, 2, 0, None),
        (DONE, 3, 0, None),
        (SAME, 4, 0, b""),
    ]
    assert of(ECHO, other, "# again\n" + other)[-3] == (SAME, 2, 1, b"")


def test_code_that_failed_runs_again():
    bad = F + "return [][x]"
    assert [each[0] for each in of(bad, "\n" + bad, inputs=((1,),))] == [FAILURE, DONE, FAILURE, DONE, CLEAN, STOP]
    assert [each[0] for each in of("1 / 0", "\n1 / 0")] == [UNLOADED, UNLOADED, CLEAN, STOP]


def test_a_program_that_must_run_alone_is_not_run_in_company():
    assert of("import os", ECHO) == [
        (ALONE, 0, 0, b""),
        (VALUE, 1, 0, b"1"),
        (DONE, 1, 0, None),
        (CLEAN, 1, 0, b""),
        (STOP, 1, 0, b""),
    ]


def test_a_failure_is_its_type_message_line_source_and_stage():
    text = "\ndef f(x):\n    return x[5]  \n\ndef transform(x):\n    return f([])"
    assert of(text, inputs=((1, 2),))[:3] == [
        (FAILURE, 0, 0, ["IndexError", "list index out of range", 3, "return x[5]", "run"]),
        (FAILURE, 0, 1, ["IndexError", "list index out of range", 3, "return x[5]", "run"]),
        (DONE, 0, 0, None),
    ]


def test_the_line_of_a_failure_is_the_program_s_innermost():
    body = "import functools\n    return functools.reduce(lambda a, b: a / 0, [1, 2])"
    assert failure(body)[2:4] == [3, "return functools.reduce(lambda a, b: a / 0, [1, 2])"]
    assert failure("import json\n    json.loads('{')")[2:4] == [3, "json.loads('{')"]


def test_a_failure_s_texts_are_cut():
    assert failure("raise ValueError('m' * 999)")[1] == "m" * 240
    assert failure("raise ValueError()  # " + "c" * 200)[3] == ("raise ValueError()  # " + "c" * 200)[:160]
    assert failure("raise type('K' * 99, (Exception,), {})")[0] == "K" * 80
    renamed = "K = type('K', (Exception,), {}); K.__name__ = type('S', (str,), {})('x')"
    assert failure(f"{renamed}; raise K")[0] == "Exception"


def test_a_look_that_finds_nothing_ends_no_worker():
    busy = "def transform(x):\n    for _ in range(3 * 10 ** 7): pass\n    return x"  # longer than LOOK_SECONDS
    kinds = [(kind, place) for kind, place, _, _ in of(busy, ECHO, cpu=20.0)]
    assert kinds == [(VALUE, 0), (DONE, 0), (CLEAN, 0), (VALUE, 1), (DONE, 1), (CLEAN, 1), (STOP, 1)]


def test_a_program_that_does_not_compile_names_its_line():
    assert loading("x = 1\nif x\n    y = 2")[:1] + loading("x = 1\nif x\n    y = 2")[2:] == [
        "SyntaxError",
        2,
        "if x",
        "load",
    ]
    assert loading("x = 1\nif x\n    y = 2")[1] == "expected ':'"
    assert loading("def f(:")[2:] == [1, "def f(:", "load"]


def test_a_syntax_error_of_text_that_a_program_reads_is_named_where_it_was_read():
    assert loading("x = 1\neval('(')")[2:] == [2, "eval('(')", "load"]
    assert failure("return eval('(')")[2:] == [2, "return eval('(')", "run"]


def test_a_program_without_the_function_says_which_is_missing():
    wanted = ["NameError", "the program defines no function transform(x)", None, None, "load"]
    assert loading("x = 1") == loading("transform = 3") == wanted


def test_what_fails_while_loading_fails_for_all_inputs_and_the_next_program_runs():
    assert of("import math\nmath.nothing", ECHO, inputs=((1, 2),))[:2] == [
        (UNLOADED, 0, 0, ["AttributeError", "module 'math' has no attribute 'nothing'", 2, "math.nothing", "load"]),
        (VALUE, 1, 0, b"1"),
    ]


def test_a_result_that_is_none_is_invalid_without_a_line():
    found = ["InvalidOutput", "a dict, expected lists and scalars", None, None, "result"]
    assert of(F + "return {}", ECHO)[:3] == [(FAILURE, 0, 0, found), (DONE, 0, 0, None), (VALUE, 1, 0, b"1")]
    assert failure("return 'y' * (2 ** 20 - 64)") == [
        "TooMuchOutput",
        f"a result of {2**20 - 62} bytes, expected at most {2**20 - 64}",
        None,
        None,
        "result",
    ]


def test_an_exception_that_cannot_be_shown_is_named_all_the_same():
    show = "class E(Exception):\n    def __str__(self): {}\ndef transform(x): raise E"
    for body, wanted in (("return 1 / 0", ""), ("return 'fine'", "fine"), ("return 3", "")):
        records = of(show.format(body), alone=True)
        assert records[0][3] == ["E", wanted, 3, "def transform(x): raise E", "run"]
    lying = "class T(str): pass\nclass E(Exception):\n    def __str__(self): return T('a')\ndef transform(x): raise E"
    assert of(lying, alone=True)[0][3][1] == ""
    ends = "class E(Exception):\n    def __str__(self): raise KeyboardInterrupt\ndef transform(x): raise E"
    wanted = ["Exception", "an exception that cannot be shown", None, None, "run"]
    assert of(ends, alone=True)[0][3] == wanted


@pytest.mark.parametrize("raised", ["SystemExit(3)", "KeyboardInterrupt", "OSError(2, 'no')", "MemoryError"])
def test_after_what_may_have_spoilt_a_worker_no_other_program_runs_in_it(raised):
    records = of(F + f"raise {raised}", ECHO)
    if raised == "MemoryError":
        assert [each[0] for each in records] == [ALONE, CLEAN, STOP]
    else:
        assert [each[0] for each in records] == [FAILURE, DONE, CLEAN, STOP]
    assert {each[1] for each in records} == {0}
    while_loading = of(f"raise {raised}", ECHO)
    assert [each[0] for each in while_loading] == [ALONE if raised == "MemoryError" else UNLOADED, CLEAN, STOP]


def test_too_little_memory_is_said_with_the_line():
    assert failure("return [0] * 10 ** 10") == ["MemoryLimit", "no memory left", 2, "return [0] * 10 ** 10", "run"]


def test_what_came_before_a_shortage_of_memory_in_company_is_not_told():
    records = of(F + "return [0] * 10 ** (10 * (x - 1)) and 1", inputs=((1, 2, 1),))
    assert [each[0] for each in records] == [ALONE, CLEAN, STOP]


def test_a_program_may_print_a_million_characters_on_each_input():
    much = F + f"print('x' * {PART - 1})\n    return 1"
    assert [each[0] for each in of(much, "\n" + much + "+ 0", inputs=((1, 2),))[:3]] == [VALUE, VALUE, DONE]
    more = ["TooMuchOutput", f"printed more than {PART} characters", None, None, "run"]
    for code in (
        F + f"print('x' * {PART})",
        F + f"import sys\n    sys.stdout.writelines(['x'] * {PART + 1})",
        F + f"import sys\n    sys.stderr.write('x' * {PART + 1})",
        F + f"try: print('x' * {PART})\n    except Exception: pass\n    return 1",
    ):
        assert of(code, alone=True)[0][3] == more, code
    loaded = of(f"print('x' * {PART})", alone=True)
    assert loaded == [(UNLOADED, 0, 0, more), (STOP, 0, 0, b"")]


def test_what_a_program_prints_to_is_like_a_file():
    body = "import sys\n    o = sys.stdout\n    return [o.write('abc'), o.isatty(), o.flush(), o.encoding, o.closed]"
    assert of(F + body, alone=True)[0][3] == b'[3,false,null,"utf-8",false]'


def test_a_call_that_takes_too_long_is_a_timeout_with_its_line():
    assert failure("while True: pass", cpu=0.1) == [
        "Timeout",
        "more than 0.1 s of CPU time",
        2,
        "while True: pass",
        "run",
    ]
    (kind, _, _, payload), *_ = of("while True: pass", alone=True, cpu=0.1)
    assert (kind, payload[2:]) == (UNLOADED, [1, "while True: pass", "load"])
    lazy = "class L(list): pass\ndef f(n):\n    while n: pass\ndef transform(x):\n    f(1)"
    assert of(lazy, alone=True, cpu=0.1)[0][3][2:4] == [3, "while n: pass"]


def test_a_call_that_takes_too_long_in_company_runs_alone_and_no_other_program_after_it():
    records = of(ECHO, F + "while True: pass", F + "return 5", cpu=0.1)
    assert [each[:2] for each in records] == [(VALUE, 0), (DONE, 0), (ALONE, 1), (CLEAN, 1), (STOP, 1)]


def test_a_program_that_swallows_its_timeouts_is_given_up():
    # A loop that does nothing would not do: Python 3.13 leaves it, and the handler, at the first timeout.
    body = "while True:\n        try:\n            for _ in range(10 ** 9): x += 1\n        except BaseException: pass"
    records, end = tell([F + body], alone=True, cpu=0.1, inputs=((0 + 1, 2),))
    assert [each[:3] for each in said(records)] == [(FAILURE, 0, 0), (STOP, 0, 0)]
    assert said(records)[0][3][:2] == ["Timeout", "more than 0.1 s of CPU time"]
    assert (end["code"], end["killed"]) == (0, "")
    records, end = tell([ECHO, F + body, F + "return 5"], cpu=0.1)
    assert [each[:2] for each in said(records)] == [(VALUE, 0), (DONE, 0), (ALONE, 1), (STOP, 1)]
    assert end["code"] == 0


def test_a_call_in_c_is_ended_by_the_second_timer_and_the_traceback_says_where():
    records, end = tell([F + "return list(map(len, iter(list, 1)))"], alone=True, cpu=0.1)
    assert records == []
    assert (end["code"], end["killed"]) == (-signal.SIGVTALRM, "")
    assert 'File "<program>", line 2 in transform' in end["trace"]


def test_a_program_that_is_slow_alone_goes_on_with_the_next_input():
    slow = F + "while x == 1: pass\n    return x"
    records = said(tell([slow], alone=True, cpu=0.1, inputs=((1, 2),))[0])
    assert [each[:3] for each in records] == [(FAILURE, 0, 0), (VALUE, 0, 1), (DONE, 0, 0), (STOP, 0, 0)]


def test_a_worker_starts_no_program_after_its_time_slice():
    records = of(ECHO, F + "return 2", slice_seconds=0.0)
    assert [each[:2] for each in records] == [(VALUE, 0), (DONE, 0), (CLEAN, 0), (STOP, 0)]


def test_a_worker_that_has_written_much_starts_no_other_program():
    much = F + "return 'x' * 10 ** 6"
    kinds = [each[:2] for each in of(*([much] + [f"{much}  # {n}\ny = {n}" for n in range(2)]), inputs=(range(12),))]
    assert kinds[-2:] == [(CLEAN, 1), (STOP, 1)]


def test_an_empty_request_ends_at_once():
    assert of() == [(CLEAN, 0, 0, b""), (STOP, 0, 0, b"")]


def test_the_times_of_programs_are_their_own():
    records, end = tell([F + f"return sum(range(3 * 10 ** 6 + {number}))" for number in range(3)])
    times = [wire.read_seconds(payload) for kind, _, _, payload in records if kind == DONE]
    assert len(times) == 3
    assert min(times) > 0
    assert sum(times) <= end["cpu"]


def test_where_that_is_asked_for_inputs_after_a_failure_are_not_run():
    stopping = zygote(**OTHER)
    code = "def answer(x):\n    return 6 // (x - 2)"
    skipped = ["NotRun", "an earlier input failed (sandbox.stop_at_failure)", None, None, "run"]
    wanted = ["ZeroDivisionError", "integer division or modulo by zero", 2, "return 6 // (x - 2)", "run"]
    for alone in (False, True):
        assert of(code, inputs=((1, 2, 3, 4),), to=stopping, alone=alone)[:5] == [
            (VALUE, 0, 0, b"-6"),
            (FAILURE, 0, 1, wanted),
            (FAILURE, 0, 2, skipped),
            (FAILURE, 0, 3, skipped),
            (DONE, 0, 0, None),
        ]
    records = of((0, 1, code), inputs=((1, 2, 3, 4),), to=stopping)
    assert [each[:3] for each in records[:4]] == [(FAILURE, 0, 1), (FAILURE, 0, 2), (FAILURE, 0, 3), (DONE, 0, 0)]
    missing = of("x = 1", to=stopping, alone=True)[0]
    assert missing == (
        UNLOADED,
        0,
        0,
        ["NameError", "the program defines no function answer(x, y)", None, None, "load"],
    )


def test_half_a_character_in_a_program_reaches_it():
    code = (F + "return ord('\ud800')").encode("utf-8", "surrogatepass")
    assert of(code, alone=True)[0][:3] in ((VALUE, 0, 0), (UNLOADED, 0, 0))


def test_random_numbers_are_the_same_for_every_program():
    draw = "import random\nimport numpy as np\ndef transform(x): return [random.random(), float(np.random.rand())]"
    records = of(draw, "\n" + draw + "\ny = 1", "y = 2\n" + draw)
    assert len({each[3] for each in records if each[0] == VALUE}) == 1
    assert of(draw, alone=True)[0][3] == records[0][3]


def test_a_program_s_module_is_its_own():
    body = "import sys, collections\n    m = sys.modules['program']\n    return [__name__, m.y, transform.__module__]"
    assert of("y = 5\n" + F + body, alone=True)[0][3] == b'["program",5,"program"]'
