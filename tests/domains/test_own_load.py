"""What a domain of one's own loads is held to what all else relies on; what it raises is told with the source."""

import pytest

from soar.domains.complete import complete
from soar.errors import DataError, EndpointError
from soar.tasks_in_hand import tasks_named
from soar.types import Example, Task


class Own:
    """A domain whose `load` does what it is given."""

    def __init__(self, load):
        self.load = load

    def parse(self, value):
        return value


def loaded(load):
    return complete(Own(load)).load("words.json")


def raising(error):
    def load(source):
        raise error

    return load


def pairs_of_one_and_a_half(source):
    return [Task("t", tuple(Example(x, y) for x, y in [("ab", "ba"), ["c1", "d", "e"]]), (Example("x", None),))]


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (pairs_of_one_and_a_half, "ValueError: too many values to unpack"),
        (raising(KeyError("train")), "KeyError: 'train'"),
        (raising(TypeError("no list")), "TypeError: no list"),
        (raising(FileNotFoundError("nowhere")), "FileNotFoundError: nowhere"),
        (lambda source: None, "TypeError: 'NoneType' object is not iterable"),
        (lambda source: (int(text) for text in ["1", "x"]), "ValueError: invalid literal"),
    ],
)
def test_what_load_raises_names_the_source(load, said):
    with pytest.raises(DataError, match=rf"^words\.json cannot be read: the domain's load raised {said}"):
        loaded(load)


@pytest.mark.parametrize("error", [DataError("line 3 is no pair"), EndpointError("no server")])
def test_an_error_of_our_own_passes_unchanged(error):
    with pytest.raises(type(error)) as raised:
        loaded(raising(error))
    assert raised.value is error


def test_an_id_that_utf_8_cannot_hold_is_refused():
    with pytest.raises(DataError, match=r"must be text that UTF-8 can hold, found 'caf\\udce9'"):
        loaded(lambda source: [Task("caf\udce9", (Example(1, 2),), (Example(3, None),))])


def test_what_cannot_be_the_name_of_a_file_is_refused_with_what_is_expected():
    text = '{"train": [' + "1, " * 3000
    with pytest.raises(DataError, match=r"cannot be a file's name .*soar\.Task.*`soar solve -`") as raised:
        tasks_named(complete(Own(raising(KeyError()))), text)
    assert len(str(raised.value)) < 400
