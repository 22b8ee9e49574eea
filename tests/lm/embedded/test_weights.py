import numpy as np
import pytest
from small_llama import save_small_llama

from soar.errors import EndpointError
from soar.lm.embedded.llama import load_llama
from soar.lm.embedded.tensors import read_tensors


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "bfloat16"])
def test_weights_of_every_kind_of_float_are_read_as_what_they_are(tmp_path, kind):
    import torch
    from safetensors.torch import save_file

    values = torch.tensor([[0.0, 1.0, -2.5], [3.14159, 6e-5, -60000.0]]).to(getattr(torch, kind))
    save_file({"a": values, "b": values[0, 1].clone()}, tmp_path / "model.safetensors")
    found = read_tensors(tmp_path / "model.safetensors")
    assert found["a"].dtype == np.float32
    assert np.array_equal(found["a"], values.float().numpy())
    assert found["b"] == 1.0


def test_weights_that_are_no_floats_are_refused_with_the_tensor_named(tmp_path):
    from safetensors.numpy import save_file

    save_file({"packed": np.arange(4, dtype=np.int8)}, tmp_path / "model.safetensors")
    with pytest.raises(EndpointError, match="packed as I8, expected one of F64, F32, F16, BF16"):
        read_tensors(tmp_path / "model.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["model.layers.1.mlp.up_proj.weight", "model.norm.weight"])
def test_given_weights_that_are_not_finite_are_refused_with_the_tensor_named(tmp_path, name, value):
    from safetensors.torch import load_file, save_file

    save_small_llama(tmp_path)
    load_llama(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors[name].view(-1)[5] = value
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(EndpointError, match=name):
        load_llama(tmp_path)
