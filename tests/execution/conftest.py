import pytest
from shared import close_all


@pytest.fixture(autouse=True, scope="session")
def _closing():
    yield
    close_all()
