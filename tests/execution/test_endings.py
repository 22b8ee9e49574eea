"""What the end of a worker means for its programs: whose fault it was, what failed, and who runs again."""

import json
import signal

import pytest
from test_records import DONE, FAILED, SAID, batch_of, job, tell

from soar.execution.local import wire
from soar.execution.local.batch import failure_at_end, read_failure
from soar.types import Failure

CODE = b"def transform(x):\n    return x\n    # third"
HEAD = "Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n"
WORKER = '  File "/x/worker.py", line 3 in _result\n'


def end(code: int = 0, killed: str = "", trace: str = "") -> dict:
    return {"code": code, "killed": killed, "trace": trace, "cpu": 0.0}


def crash(code: int, killed: str = "", trace: str = "") -> Failure:
    return failure_at_end(end(code, killed, trace), CODE)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "no answer"),
        (1, "exit code 1"),
        (70, "exit code 70"),
        (-1, "signal 1 (SIGHUP)"),
        (-11, "signal 11 (SIGSEGV)"),
        (-33, "signal 33"),
        (-99, "signal 99"),
    ],
)
def test_a_crash_says_how_the_process_ended(code, said):
    assert crash(code) == Failure("Crash", f"the process ended with {said}", None, None, "run")


def test_an_end_by_the_timers_or_for_time_is_a_timeout():
    slow = Failure("Timeout", "too much CPU time, in a call that could not be interrupted", None, None, "run")
    for number in (signal.SIGVTALRM, signal.SIGXCPU, signal.SIGPROF):
        assert crash(-number) == slow
    for killed in ("cpu", "wall"):
        assert crash(-9, killed) == slow
    flood = Failure("TooMuchOutput", "wrote more than a worker may write", None, None, "run")
    assert crash(-9, "output") == flood
    assert crash(-signal.SIGSEGV).type == "Crash"


def test_a_traceback_says_in_which_line_of_the_program():
    trace = HEAD + WORKER + '  File "<program>", line 2 in transform\n  File "<program>", line 1 in <lambda>\n'
    assert crash(-11, trace=trace) == Failure(
        "Crash", "the process ended with signal 11 (SIGSEGV)", 2, "return x", "run"
    )
    assert crash(-9, "cpu", trace).line == 2
    assert crash(-9, "cpu", trace).source_line == "return x"
    assert crash(-9, "output", trace).line == 2
    assert crash(-9, "output", trace).source_line == "return x"


def test_the_last_traceback_is_the_one_that_counts():
    one, two = (f'{HEAD}  File "<program>", line {line} in transform\n' for line in (1, 3))
    assert crash(-11, trace=one + two).line == 3
    assert crash(-11, trace=one + two).source_line == "# third"


def test_what_was_loading_is_told_from_what_ran():
    for innermost in ("<module>", "helper"):
        trace = f'{HEAD}  File "<program>", line 2 in {innermost}\n  File "<program>", line 1 in <module>\n'
        assert crash(-11, trace=trace).stage == "load"
    assert crash(-11, trace=f'{HEAD}  File "<program>", line 2 in transform\n').stage == "run"
    assert crash(-11, trace=f'{HEAD}  File "/x/worker.py", line 9 in _load\n').stage == "load"
    assert crash(-11, trace=f'{HEAD}  File "/x/worker.py", line 9 in _call\n').stage == "run"
    loading = f'{HEAD}  File "<program>", line 1 in <module>\n'
    assert {crash(-9, killed, loading).stage for killed in ("cpu", "wall", "output")} == {"load"}


def test_lines_that_a_program_does_not_have_are_not_shown():
    shown = [crash(-11, trace=f'{HEAD}  File "<program>", line {line} in f\n') for line in (0, 1, 3, 4, 999_999_999)]
    assert [each.source_line for each in shown] == [None, "def transform(x):", "# third", None, None]
    assert [each.line for each in shown] == [0, 1, 3, 4, 999_999_999]
    assert crash(-11, trace=f'{HEAD}  File "<program>", line 1234567890 in f\n').line is None


def test_a_source_line_is_cut_and_bytes_that_are_no_text_are_replaced():
    trace = f'{HEAD}  File "<program>", line 1 in f\n'
    found = failure_at_end(end(-11, trace=trace), b"x = '" + b"\xff" + b"y" * 300)
    assert found.source_line == "x = '\ufffd" + "y" * 154


def test_a_failure_is_read_as_it_was_written():
    assert read_failure(SAID) == FAILED
    assert read_failure(json.dumps(["E", "", None, None, "load"]).encode()) == Failure("E", "", None, None, "load")
    assert read_failure(json.dumps(["E", "m", 1, 5, "result"]).encode()) == Failure("E", "m", 1, None, "result")


def test_a_failure_s_texts_are_cut():
    found = read_failure(json.dumps(["k" * 99, "m" * 999, 1, "s" * 999, "run"]).encode())
    assert found == Failure("k" * 80, "m" * 300, 1, "s" * 200, "run")


def test_half_a_character_is_replaced_and_other_letters_stay():
    found = read_failure(json.dumps(["\ud800", "ä\udfff", 1, "ß\ud800", "run"]).encode())
    assert found == Failure("?", "ä?", 1, "ß?", "run")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"five5"',
        b'["E", "m", 1, "s"]',
        b'["E", "m", 1, "s", "run", 1]',
        b'[1, "m", 1, "s", "run"]',
        b'["E", 1, 1, "s", "run"]',
        b'["E", "m", "1", "s", "run"]',
        b'["E", "m", true, "s", "run"]',
        b'["E", "m", 1.0, "s", "run"]',
        b'["E", "m", 1, "s", "other"]',
        b'["E", "m", 1, "s", ["run"]]',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_failure_is_malformed(said):
    with pytest.raises(wire.Malformed, match=r"^(?!None$)."):
        read_failure(said)


def test_what_has_the_wrong_types_is_said_to_be_no_failure():
    with pytest.raises(wire.Malformed, match=r"^no failure$"):
        read_failure(b'[1, "m", 1, "s", "run"]')


def test_a_program_alone_that_ends_its_worker_has_failed_on_that_input_and_goes_on_with_the_next():
    one, found = job(3, alone=True)
    batch = batch_of(one)
    tell(batch, (wire.VALUE, 0, 0, b"1"))
    assert batch.ended(end(-11)) == [one]
    assert found == []
    assert (len(one.outputs), one.losses, one.attempts) == (2, 1, 0)
    assert batch_of(one).ended(end(-11)) == []
    assert [getattr(each, "type", each) for each in found[0].outputs] == [1, "Crash", "Crash"]
    assert one.losses == 2


def test_inputs_after_the_last_loss_say_that_they_were_not_run():
    for losses, inputs in ((1, "an earlier input"), (2, "2 earlier inputs")):
        one, found = job(4, alone=True)
        again = [batch_of(one, max_losses=losses).ended(end(-11)) for _ in range(losses)]
        assert again[-1] == []
        crashed = Failure("Crash", "the process ended with signal 11 (SIGSEGV)", None, None, "run")
        said = f"not run: {inputs} ended the process (the process ended with signal 11 (SIGSEGV))"
        skipped = Failure("Crash", said, None, None, "run")
        assert found[0].outputs == (crashed,) * losses + (skipped,) * (4 - losses)


def test_what_was_not_run_names_the_line_and_is_cut():
    one, found = job(2, alone=True, code=CODE)
    tell(batch := batch_of(one, max_losses=1), (wire.FAILURE, 0, 0, SAID.replace(b"said", b"x" * 300)))
    tell(batch, (wire.STOP, 0, 0))
    assert batch.ended(end()) == []
    told = found[0].outputs[1]
    assert told == Failure(
        "ValueError", ("not run: an earlier input ended the process (" + "x" * 300)[:240], 3, "raise"
    )


def test_a_worker_that_stopped_after_an_input_goes_on_with_the_next_alone():
    one, found = job(2, alone=False)
    batch = batch_of(one)
    tell(batch, (wire.VALUE, 0, 0, b"1"), (wire.STOP, 0, 0))
    assert batch.ended(end()) == [one]
    assert (one.outputs, one.losses, one.alone, found) == ([1], 1, True, [])


def test_a_last_output_that_is_no_failure_gives_no_reason_to_stop():
    one, found = job(4, alone=True)
    for value in (b"1", b"2", b"3"):
        batch = batch_of(one)
        tell(batch, (wire.VALUE, 0, len(one.outputs), value), (wire.STOP, 0, 0))
        assert batch.ended(end()) == [one]
    assert found == []


def test_a_program_that_ends_its_worker_while_it_loads_fails_everywhere():
    one, found = job(3, alone=True)
    assert batch_of(one).ended(end(-11, trace=f'{HEAD}  File "<program>", line 1 in <module>\n')) == []
    assert [each.stage for each in found[0].outputs] == ["load"] * 3


def test_a_program_in_company_that_ends_its_worker_runs_again_alone_and_the_others_as_they_were():
    (zero, done), (one, found), (two, _) = job(), job(2), job()
    batch = batch_of(zero, one, two)
    tell(batch, (wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE), (wire.CLEAN, 0, 0), (wire.VALUE, 1, 0, b"1"))
    assert batch.ended(end(-11)) == [one, two]
    assert (one.alone, one.outputs, one.losses, one.attempts, found) == (True, [], 0, 0, [])
    assert not two.alone
    assert len(done) == 1


@pytest.mark.parametrize(("code", "killed"), [(-9, ""), (-15, ""), (-2, ""), (-9, "stopped")])
def test_a_worker_that_was_ended_from_outside_is_no_verdict(code, killed):
    (one, found), (two, _) = job(2), job()
    one.outputs.append(5)
    for attempts, alone in ((1, False), (2, True)):
        batch = batch_of(one, two)
        tell(batch, (wire.VALUE, 0, 1, b"1"))
        assert batch.ended(end(code, killed)) == [one, two]
        assert (one.outputs, one.attempts, one.alone, one.losses) == ([5], attempts, alone, 0)
    assert (two.attempts, two.alone, found) == (0, False, [])


@pytest.mark.parametrize("number", [4, 5, 6, 7, 8, 11, 13, 25, 31, 24, 26, 27])
def test_a_signal_that_a_program_can_bring_on_itself_is_a_verdict(number):
    one, found = job(alone=True)
    assert batch_of(one).ended(end(-number)) == []
    assert found[0].outputs[0].type == ("Timeout" if number in (24, 26, 27) else "Crash")


def test_what_was_judged_beside_a_trace_runs_once_more_in_company_and_then_alone():
    (one, found), (two, _) = job(), job()
    batch = batch_of(one, two)
    one.cpu_seconds = 1.0
    tell(batch, (wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE), (wire.STOP, 0, 0))
    assert batch.ended(end()) == [one, two]
    assert (one.outputs, one.cpu_seconds, one.alone, one.doubted, found) == ([], 0.0, False, True, [])
    assert (two.doubted, two.alone) == (False, False)
    batch = batch_of(one)
    tell(batch, (wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE), (wire.STOP, 0, 0))
    assert batch.ended(end()) == [one]
    assert (one.alone, found) == (True, [])


def test_a_worker_that_stopped_and_was_killed_is_judged_by_its_end():
    one, found = job(alone=True)
    batch = batch_of(one)
    tell(batch, (wire.STOP, 0, 0))
    assert batch.ended(end(-9, "cpu")) == []
    assert found[0].outputs[0].type == "Timeout"


def test_garbage_does_not_hide_how_a_process_ended():
    for code, said in ((0, "wrote something other than results"), (-11, "SIGSEGV"), (3, "exit code 3")):
        one, found = job(alone=True)
        batch = batch_of(one)
        batch.feed(b"\xff" * 99)
        assert batch.ended(end(code)) == []
        assert said in found[0].outputs[0].message


def test_the_place_of_garbage_is_told():
    one, found = job(alone=True, code=CODE)
    batch = batch_of(one)
    batch.feed(b"\xff" * 99)
    batch.ended(end(0, trace=f'{HEAD}  File "<program>", line 2 in transform\n'))
    assert (found[0].outputs[0].line, found[0].outputs[0].source_line) == (2, "return x")


def test_a_lost_zygote_is_the_fault_of_the_program_that_ran():
    (zero, _), (one, _), (two, _), (three, _) = job(), job(), job(), job()
    batch = batch_of(zero, one, two, three)
    tell(batch, (wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE), (wire.ALONE, 1, 0))
    assert batch.lost() == [zero, one, two, three]
    assert [each.attempts for each in (zero, one, two, three)] == [0, 0, 1, 0]
    assert [each.doubted for each in (zero, one, two, three)] == [True, False, False, False]
    assert [each.alone for each in (zero, one, two, three)] == [False, True, False, False]


def test_nothing_runs_again_after_a_batch_that_is_settled():
    one, found = job(alone=True)
    batch = batch_of(one)
    tell(batch, (wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE), (wire.STOP, 0, 0))
    assert batch.ended(end()) == batch.lost() == []
    assert len(found) == 1
