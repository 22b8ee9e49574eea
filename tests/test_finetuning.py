from soar.finetuning import SAY_SECONDS, worth_saying


def test_a_short_finetuning_says_its_last_loss_and_not_every_step():
    steps = [{"step": n, "of": 3, "loss": 1 / n} for n in (1, 2, 3)]
    assert [worth_saying(entry, 0.0) for entry in steps] == [False, False, True]
    assert worth_saying({"examples": 5}, 0.0)


def test_a_long_one_is_heard_of_now_and_then():
    assert not worth_saying({"step": 5, "of": 100}, SAY_SECONDS)
    assert worth_saying({"step": 5, "of": 100}, SAY_SECONDS + 1)
