"""Holds a user's own functions to what is expected of them: a wrong result is named at once, with the part that gave it
and what was expected, rather than failing somewhere behind it, after a search that was paid for.

Knows what a curator, a pairing and a voter return; does not know where they come from.
"""

import traceback
from collections.abc import Callable, Collection, Sequence
from functools import partial, update_wrapper
from typing import Any, TypeAlias

from soar.ensemble import Ballot
from soar.errors import ConfigError, SoarError
from soar.types import Program

NAMES = ("__module__", "__name__", "__qualname__", "__doc__")

Wrong: TypeAlias = Callable[[object, Sequence[Any]], str | None]
"""Says what is wrong with a result, given the arguments; None if nothing is."""


def held(function: Callable[..., Any], what: str, wrong: Wrong) -> Callable[..., Any]:
    """Return the function; when called, `ConfigError` says where it failed, or what is wrong with its result."""
    # A partial rather than a closure: other processes can be given it (`soar.parallel`).
    return update_wrapper(partial(_checked, function, what, wrong), function, NAMES, ())


def _checked(function: Callable[..., Any], what: str, wrong: Wrong, *arguments: Any) -> Any:
    try:
        found = function(*arguments)
    except SoarError:
        raise  # it says what is wrong, and which exit code that has
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.filename}, line {last.lineno}"
        raise ConfigError(f"{what} failed with {type(error).__name__}: {error} ({where})") from error
    if said := wrong(found, arguments):
        raise ConfigError(f"{what} returned {said}")
    return found


def wrong_choice(found: object, arguments: Sequence[Any]) -> str | None:
    """Say what is wrong with a curator's choice: at most `n` of the programs it was given, none twice."""
    _, programs, most, _ = arguments
    expected = f"expected a list of at most {most} of the programs that it was given, none twice"
    if not isinstance(found, list | tuple):
        return f"{_kind(found)}; {expected}"
    given = {id(program) for program in programs}
    if strange := [each for each in found if id(each) not in given]:
        return f"a list that holds {_kind(strange[0])} that it was not given; {expected}"
    if len(found) > most or len({id(each) for each in found}) < len(found):
        return f"{len(found)} programs, {len({id(each) for each in found})} of them different; {expected}"
    return None


def wrong_pairs(found: object, arguments: Sequence[Any]) -> str | None:
    """Say what is wrong with a pairing's choice: at most `n` of the pairs of parent and child it was given."""
    _, pairs, most, _ = arguments
    expected = f"expected a list of at most {most} of the pairs (parent, child) that it was given"
    if not isinstance(found, list | tuple):
        return f"{_kind(found)}; {expected}"
    given = {(id(parent), id(child)) for parent, child in pairs}
    if strange := [each for each in found if not _is_pair(each, given)]:
        return f"a list that holds {_kind(strange[0])} that it was not given; {expected}"
    return f"{len(found)} pairs; {expected}" if len(found) > most else None


def _is_pair(each: object, given: Collection[tuple[int, int]]) -> bool:
    return isinstance(each, tuple | list) and len(each) == 2 and (id(each[0]), id(each[1])) in given


def wrong_vote(found: object, arguments: Sequence[Any]) -> str | None:
    """Say what is wrong with a vote: ballots, the strongest first."""
    del arguments
    expected = "expected a list of soar.ensemble.Ballot, the strongest first"
    if not isinstance(found, list):
        return f"{_kind(found)}; {expected}"
    strange = [each for each in found if not isinstance(each, Ballot)]
    return f"a list that holds {_kind(strange[0])}; {expected}" if strange else None


def _kind(found: object) -> str:
    return "None" if found is None else "a program" if isinstance(found, Program) else f"a {type(found).__name__}"
