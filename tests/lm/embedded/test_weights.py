import pytest
from small_llama import save_small_llama

from soar.errors import EndpointError
from soar.lm.embedded.llama import load_llama


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
