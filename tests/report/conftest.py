import pytest
from scripted_runs import search, write_config

from soar import session
from soar.errors import BudgetReached


@pytest.fixture(scope="session")
def scripted(tmp_path_factory):
    """The configuration of a scripted run of two stages, the second with hidden answers."""
    return write_config(tmp_path_factory.mktemp("scripted"))


@pytest.fixture(scope="session")
def finished(scripted):
    """A finished run; not to be changed."""
    search(scripted, scripted.parent / "finished")
    return scripted.parent / "finished"


@pytest.fixture(scope="session")
def stopped(scripted, finished):
    """A run that a limit stopped in its second search; not to be changed."""
    path = scripted.parent / "stopped"
    with session.view_run(finished) as view:
        first, second = (view.reader.totals("train", iteration) for iteration in range(2))
    limit = first.prompt_tokens + first.completion_tokens + second.prompt_tokens // 2
    with pytest.raises(BudgetReached):
        search(scripted, path, f"budget.max_tokens={limit}", "search.tasks_in_flight=1")
    now = session.read_status(path)
    assert now is not None
    assert (now.stage, now.iteration, now.searches_done) == ("train", 1, 1)
    assert 0 < now.completions < 60
    return path


@pytest.fixture(scope="session")
def reseeded(scripted):
    """The same run as `finished` by another seed; not to be changed."""
    search(scripted, scripted.parent / "reseeded", "seed=2")
    return scripted.parent / "reseeded"


@pytest.fixture(scope="session")
def short(scripted):
    """A run of another configuration on the same tasks: fewer samples, no learning; not to be changed."""
    overrides = ("search.samples=4", "search.refinements=0", "stages.0.iterations=1")
    search(scripted, scripted.parent / "short", *overrides)
    return scripted.parent / "short"
