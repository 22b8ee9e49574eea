"""What a worker's records mean for the programs of its batch: only those that are in order count."""

import json

import pytest

from soar import codec
from soar.execution.local import wire
from soar.execution.local.batch import Batch, Job, read_failure
from soar.types import Failure

FAILED = Failure("ValueError", "said", 3, "raise", "run")
DONE = wire.pack_seconds(0.5)


def failure(*parts: object) -> bytes:
    return json.dumps(parts).encode()


SAID = failure("ValueError", "said", 3, "raise", "run")


def job(count: int = 1, *, alone: bool = False, inputs: bytes = b"inputs", code: bytes = b"code") -> tuple[Job, list]:
    """Return a job and what it hands over."""
    found: list = []
    return Job(code, inputs, count, alone, found.append, found.append), found


def batch_of(*jobs: Job, max_losses: int = 2) -> Batch:
    return Batch(jobs, codec, max_losses, lambda inputs: 60.0)


def tell(batch: Batch, *records: tuple) -> None:
    batch.feed(b"".join(wire.pack_record(*record) for record in records))


def test_a_program_alone_is_handed_over_when_it_is_done():
    one, found = job(2, alone=True)
    batch = batch_of(one)
    tell(batch, (wire.VALUE, 0, 0, b"7"), (wire.FAILURE, 0, 1, SAID))
    assert found == []
    assert not batch.settled
    tell(batch, (wire.DONE, 0, 0, DONE))
    assert [(each.outputs, each.cpu_seconds) for each in found] == [((7, FAILED), 0.5)]
    assert batch.settled


def test_programs_in_company_are_handed_over_once_nothing_was_found_changed():
    (one, first), (two, second), (three, third) = job(), job(), job()
    batch = batch_of(one, two, three)
    tell(batch, (wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE), (wire.VALUE, 1, 0, b"2"), (wire.DONE, 1, 0, DONE))
    assert first == second == []
    tell(batch, (wire.CLEAN, 0, 0))
    assert [each.outputs for each in first + second] == [(1,), (2,)]
    assert not batch.settled
    tell(batch, (wire.VALUE, 2, 0, b"3"), (wire.DONE, 2, 0, DONE))
    assert not batch.settled
    tell(batch, (wire.CLEAN, 0, 0))
    assert [each.outputs for each in third] == [(3,)]
    assert len(first) == len(second) == 1
    assert batch.settled


def test_a_program_that_does_not_load_fails_on_every_input():
    one, found = job(3, alone=True)
    tell(batch_of(one), (wire.UNLOADED, 0, 0, SAID))
    assert found[0].outputs == (FAILED,) * 3


def test_each_program_in_company_fails_to_load_with_its_own_failure():
    (one, first), (two, second) = job(1), job(2)
    batch = batch_of(one, two)
    tell(batch, (wire.UNLOADED, 0, 0, SAID), (wire.UNLOADED, 1, 0, failure("NameError", "none", None, None, "load")))
    tell(batch, (wire.CLEAN, 0, 0))
    assert first[0].outputs == (FAILED,)
    assert second[0].outputs == (Failure("NameError", "none", None, None, "load"),) * 2


def test_a_program_that_is_the_same_as_an_earlier_one_has_its_outputs():
    (one, first), (two, _), (three, third) = job(2), job(2), job(2)
    batch = batch_of(one, two, three)
    for place, values in ((0, (b"1", b"2")), (1, (b"3", b"4"))):
        tell(batch, *[(wire.VALUE, place, index, value) for index, value in enumerate(values)])
        tell(batch, (wire.DONE, place, 0, DONE))
    tell(batch, (wire.SAME, 2, 0), (wire.CLEAN, 0, 0))
    assert third[0].outputs == first[0].outputs == (1, 2)


def test_a_program_that_must_run_alone_is_tried_again_before_those_that_did_not_run():
    (one, first), (two, second), (three, _), (four, _) = job(), job(2), job(), job()
    batch = batch_of(one, two, three, four)
    tell(batch, (wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE), (wire.VALUE, 1, 0, b"2"), (wire.ALONE, 1, 0))
    assert two.outputs == []
    assert two.alone
    tell(batch, (wire.CLEAN, 0, 0), (wire.STOP, 0, 0))
    assert batch.ended({"code": 0, "killed": "", "trace": ""}) == [two, three, four]
    assert first[0].outputs == (1,)
    assert second == []
    assert (two.attempts, three.attempts) == (0, 0)
    assert not three.alone
    assert not three.doubted


def test_a_batch_is_not_settled_while_a_program_waits_to_run_alone():
    one, _ = job()
    batch = batch_of(one)
    tell(batch, (wire.ALONE, 0, 0))
    assert not batch.settled
    assert batch.ended({"code": 0, "killed": "", "trace": ""}) == [one]


def test_seconds_of_several_workers_add_up():
    one, found = job(1, alone=True)
    one.cpu_seconds = 0.25
    tell(batch_of(one), (wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE))
    assert found[0].cpu_seconds == 0.75


def test_a_time_that_a_program_forges_is_at_most_what_it_could_have_taken():
    (alone, first), (many, second) = job(1, alone=True), job(3)
    many.outputs.append(7)
    for one, inputs in ((alone, [0]), (many, [1, 2])):
        batch = Batch([one], codec, 2, lambda count: 10.0 * (count + 1))
        tell(batch, *[(wire.VALUE, 0, index, b"1") for index in inputs])
        tell(batch, (wire.DONE, 0, 0, wire.pack_seconds(9e8)), (wire.CLEAN, 0, 0))
    assert [each.cpu_seconds for each in first + second] == [20.0, 30.0]


def test_a_line_that_no_program_has_is_none():
    for line, read in ((1, 1), (0, 0), (2**31 - 1, 2**31 - 1), (2**31, None), (10**4000, None), (-1, None)):
        assert read_failure(failure("ValueError", "said", line, "raise", "run")).line == read


OUT_OF_ORDER = {
    "of the next program": [(wire.VALUE, 1, 0, b"1")],
    "of no program": [(wire.VALUE, 2, 0, b"1")],
    "of the next input": [(wire.VALUE, 0, 1, b"1")],
    "of an input that was told": [(wire.VALUE, 0, 0, b"1"), (wire.VALUE, 0, 0, b"1")],
    "of an input too many": [(wire.VALUE, 0, 0, b"1"), (wire.VALUE, 0, 1, b"1"), (wire.VALUE, 0, 2, b"1")],
    "done too early": [(wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE)],
    "the same as itself": [(wire.VALUE, 0, 0, b"1"), (wire.VALUE, 0, 1, b"1"), (wire.SAME, 0, 0)],
    "the same as a later one": [(wire.SAME, 0, 1)],
    "a failure too late": [(wire.VALUE, 0, 0, b"1"), (wire.VALUE, 0, 1, b"1"), (wire.FAILURE, 0, 2, SAID)],
    "a value that is none": [(wire.VALUE, 0, 0, b"[")],
    "an infinite value": [(wire.VALUE, 0, 0, b"1e400")],
    "a value too deep": [(wire.VALUE, 0, 0, b"[" * 60 + b"]" * 60)],
    "a failure that is none": [(wire.FAILURE, 0, 0, b"[]")],
    "a time that is none": [(wire.VALUE, 0, 0, b"1"), (wire.VALUE, 0, 1, b"1"), (wire.DONE, 0, 0, b"")],
    "a kind that there is not": [(77, 0, 0)],
    "an input's kind": [(wire.JSON, 0, 0, b"1")],
}


@pytest.mark.parametrize("name", OUT_OF_ORDER)
def test_a_record_out_of_order_ends_the_reading(name):
    (one, first), (two, second) = job(2, alone=True), job(2)
    batch = batch_of(one, two)
    tell(batch, *OUT_OF_ORDER[name])
    told = len(one.outputs)
    tell(batch, *[(wire.VALUE, 0, index, b"1") for index in range(told, 2)], (wire.DONE, 0, 0, DONE))
    assert first == second == []
    (*_, output) = one.outputs or [None]
    assert batch.ended({"code": 0, "killed": "", "trace": ""})[-1] is two
    crash = next(each for each in one.outputs if isinstance(each, Failure))
    assert crash == Failure("Crash", "the process wrote something other than results", None, None, "run")
    assert not isinstance(output, Failure)


def test_the_same_counts_only_where_as_many_outputs_are_wanted():
    (one, _), (two, second) = job(1), job(2)
    batch = batch_of(one, two)
    tell(batch, (wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE), (wire.SAME, 1, 0), (wire.CLEAN, 0, 0))
    assert second == []
    assert two.outputs == []


def test_a_program_alone_cannot_ask_to_run_alone():
    one, _ = job(1, alone=True)
    batch = batch_of(one)
    tell(batch, (wire.ALONE, 0, 0))
    assert batch.ended({"code": 0, "killed": "", "trace": ""}) == []
    assert [type(each) for each in one.outputs] == [Failure]


def test_nothing_counts_after_a_worker_said_that_it_stops():
    one, found = job(1, alone=True)
    batch = batch_of(one)
    tell(batch, (wire.STOP, 0, 0), (wire.VALUE, 0, 0, b"1"))
    tell(batch, (wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE))
    assert found == one.outputs == []
    assert batch.ended({"code": 0, "killed": "", "trace": ""}) == [one]


def test_a_request_holds_inputs_once_and_each_program_s_first_input():
    one, _ = job(3, inputs=b"A", code=b"1")
    one.outputs.append(7)
    batch = batch_of(one, job(inputs=b"B", code=b"2")[0], job(inputs=b"A", code=b"3")[0])
    request = wire.unpack_request(batch.request(1.5, 0.25))
    assert request == wire.Request(1.5, 0.25, False, [b"A", b"B"], [(0, 1, b"1"), (1, 0, b"2"), (0, 0, b"3")])


def test_a_request_is_for_a_program_alone_only_if_it_must_be():
    for jobs, wanted in (([True], True), ([False], False), ([True, True], False)):
        batch = batch_of(*(job(alone=alone)[0] for alone in jobs))
        assert wire.unpack_request(batch.request(1.0, 1.0)).alone is wanted


def test_a_job_starts_without_outputs_time_or_losses():
    one, _ = job()
    assert (one.outputs, one.cpu_seconds, one.attempts, one.losses, one.doubted) == ([], 0.0, 0, 0, False)


def test_filling_completes_a_job_with_one_failure():
    one, found = job(3)
    one.outputs.append(1)
    one.cpu_seconds = 2.0
    one.fill(FAILED)
    assert [(each.outputs, each.cpu_seconds) for each in found] == [((1, FAILED, FAILED), 2.0)]


def test_what_is_wrong_with_a_record_is_said():
    one, _ = job(1, alone=True)
    batch = batch_of(one)
    for record, said in (
        ((wire.VALUE, 1, 0, b"1"), "a record about another program"),
        ((wire.VALUE, 0, 1, b"1"), "a record about another input"),
        ((wire.DONE, 0, 0, DONE), "a record out of order"),
    ):
        with pytest.raises(wire.Malformed, match=f"^{said}$"):
            batch._take(*record)


def test_a_record_after_the_last_program_is_one_about_another():
    one, found = job(1, alone=True)
    batch = batch_of(one)
    tell(batch, (wire.VALUE, 0, 0, b"1"), (wire.DONE, 0, 0, DONE))
    assert len(found) == 1
    with pytest.raises(wire.Malformed, match="about another program"):
        batch._take(wire.VALUE, 1, 0, b"1")
