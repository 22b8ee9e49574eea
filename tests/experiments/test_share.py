import threading
import time

from experiments.share import part_of, watched


def test_a_threads_cpu_time_is_put_down_to_what_it_does():
    enough = threading.Event()

    def burn():
        while not enough.is_set():
            pass

    threads = [threading.Thread(target=burn, name=name) for name in ("decode", "archive")]
    with watched() as seen:
        for thread in threads:
            thread.start()
        numbers = [thread.native_id or 0 for thread in threads]
        while any(seen.get(number, ("", 0.0))[1] < 0.05 for number in numbers):
            time.sleep(0.05)
        enough.set()
    assert [seen[number][0] for number in numbers] == ["decoding", "storing"]


def test_a_librarys_threads_count_as_decoding_and_the_event_loop_as_the_rest():
    assert part_of(None) == "decoding"
    assert part_of("MainThread") == "the rest"
