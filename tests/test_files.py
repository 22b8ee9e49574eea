"""Files that are there whole or not at all, and the lock that only says "in use" when it is."""

import fcntl
import os
import threading

import pytest

from soar.errors import StoreError
from soar.files import growing, is_published, partial, publish, write_atomically
from soar.run import locked


def test_a_growing_file_has_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "r.jsonl"
    with growing(path) as file:
        file.write("one\n")
        file.flush()
        assert (tmp_path / "r.jsonl.partial").read_text() == "one\n"
        assert not path.exists()
    assert path.read_text() == "one\n"
    assert [file.name for file in tmp_path.iterdir()] == ["r.jsonl"]


def test_what_broke_off_stays_in_part_and_what_was_there_before_stays_too(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text("old")

    def break_off():
        with growing(path) as file:
            file.write("half")
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert path.read_text() == "old"
    assert (tmp_path / "r.jsonl.partial").read_text() == "half"


def test_only_plain_files_grow_aside(tmp_path):
    (tmp_path / "to").symlink_to("real.jsonl")
    (tmp_path / "out").symlink_to("/dev/stdout")
    os.mkfifo(tmp_path / "pipe")
    assert partial(tmp_path / "to") == tmp_path / "real.jsonl.partial"
    for path in (tmp_path / "out", tmp_path / "pipe", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/null"):
        assert partial(tmp_path / path) is None


def test_a_folder_with_a_damaged_manifest_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "weights").write_text("w")
    publish(tmp_path / "aside", tmp_path / "out", {"seed": 1})
    assert is_published(tmp_path / "out", {"seed": 1})
    for text in ("", "{", "null", "[]", '{"sha256": 3}', '{"sha256": {"weights": 5}}'):
        (tmp_path / "out" / "manifest.json").write_text(text)
        with pytest.raises(StoreError, match="damaged"):
            is_published(tmp_path / "out")


def test_an_error_inside_a_held_run_directory_is_not_said_to_be_its_lock(tmp_path):
    with pytest.raises(BlockingIOError, match="fork"), locked(tmp_path / "run"):
        raise BlockingIOError("fork")
    with locked(tmp_path / "run"), pytest.raises(StoreError, match="in use"), locked(tmp_path / "run"):
        pass


def test_a_look_at_a_run_does_not_keep_another_process_from_starting_it(tmp_path):
    with locked(tmp_path / "run"):
        pass
    look = os.open(tmp_path / "run" / "lock", os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)
    over = threading.Timer(0.1, os.close, [look])
    over.start()
    with locked(tmp_path / "run"):
        over.join()


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "answers.json"
    write_atomically(path, "one")
    write_atomically(path, "two")
    assert path.read_text() == "two"
    with pytest.raises(StoreError, match="cannot write"):
        write_atomically(path / "below", "three")
