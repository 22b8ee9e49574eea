import pytest
import raw
import shared


@pytest.fixture(autouse=True, scope="session")
def _closing():
    yield
    shared.close_all()
    raw.close_all()
