"""Values with tuples for their lists."""

from collections import namedtuple

from soar.types import frozen


class Row(list):
    """A list of one's own."""


def test_lists_of_any_kind_become_tuples_however_deep():
    cell = namedtuple("cell", "colour")
    found = frozen([[1, 2], Row([3, [4]]), ((), "text"), [cell([5])], None])
    assert found == ((1, 2), (3, (4,)), ((), "text"), (((5,),),), None)
    assert type(found[1]) is type(found[3][0]) is tuple  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]
    assert hash(found) is not None
    assert frozen(Row([1])) == (1,)
    assert frozen("text") == "text"
