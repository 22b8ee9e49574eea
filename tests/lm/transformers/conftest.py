import pytest
from small_models import save_small_model


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The folder of a random Llama with shared key and value heads."""
    folder = tmp_path_factory.mktemp("small")
    save_small_model(folder)
    return folder
