"""What tests on a GPU share: a model large enough for the kernels that real ones use, and a GPU that is nearly full."""

from contextlib import contextmanager

import pytest
import torch
from small_models import save_small_model


@pytest.fixture(scope="session", autouse=True)
def gpu():
    assert torch.cuda.is_available(), "make test-gpu needs a GPU, and torch finds none here"


@pytest.fixture(scope="session")
def medium(tmp_path_factory):
    """The folder of a random Llama of 113 million parameters, heads of 64 numbers, its bytes' distribution peaked."""
    folder = tmp_path_factory.mktemp("medium")
    save_small_model(
        folder,
        hidden_size=1024,
        intermediate_size=2816,
        num_hidden_layers=10,
        num_attention_heads=16,
        num_key_value_heads=4,
        head_dim=64,
        max_position_embeddings=4096,
        initializer_range=0.05,
    )
    return folder


@pytest.fixture
def little_room():
    """A context in which only so many bytes of the GPU are free."""

    @contextmanager
    def left(wanted: int):
        torch.cuda.empty_cache()
        taken = torch.empty(torch.cuda.mem_get_info()[0] - wanted, dtype=torch.uint8, device="cuda")
        try:
            yield
        finally:
            del taken
            torch.cuda.empty_cache()

    return left
