import json
import struct
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from benchmarks.gpu import SHAPES
from soar.errors import DataError
from soar.learning.trainers.memory import NF4_BYTES, estimate, read_shape
from soar.lm.embedded import SHIPPED

PROJECTIONS = {
    "self_attn.q_proj": (3584, 3584),
    "self_attn.k_proj": (512, 3584),
    "self_attn.v_proj": (512, 3584),
    "self_attn.o_proj": (3584, 3584),
    "mlp.gate_proj": (18944, 3584),
    "mlp.up_proj": (18944, 3584),
    "mlp.down_proj": (3584, 18944),
}
SEVEN_BILLION = SHAPES["7b"]


def write_model(folder: Path, config: dict, files: dict[str, dict[str, tuple[int, ...]]]) -> Path:
    """Write a folder whose files of weights have headers and nothing behind them."""
    (folder / "config.json").write_text(json.dumps(config))
    for name, tensors in files.items():
        entries = {key: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]} for key, shape in tensors.items()}
        header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
        (folder / name).write_bytes(struct.pack("<Q", len(header)) + header)
    return folder


@pytest.fixture
def seven_billion(tmp_path):
    """A folder shaped like Qwen2.5-Coder-7B, its weights in two files."""
    layers = {
        f"model.layers.{layer}.{name}.weight": shape for layer in range(28) for name, shape in PROJECTIONS.items()
    }
    for layer in range(28):
        layers |= {f"model.layers.{layer}.{name}.weight": (3584,) for name in ("input_layernorm", "post_layernorm")}
        attention = f"model.layers.{layer}.self_attn"
        layers |= {f"{attention}.{k}_proj.bias": PROJECTIONS[f"self_attn.{k}_proj"][:1] for k in "qkv"}
    rest = {"model.embed_tokens.weight": (152064, 3584), "lm_head.weight": (152064, 3584), "model.norm.weight": (3584,)}
    return write_model(tmp_path, SEVEN_BILLION, {"model-1.safetensors": layers, "model-2.safetensors": rest})


def test_a_models_sizes_are_read_from_headers_alone(seven_billion):
    shape = read_shape(seven_billion)
    assert shape.parameters == 7_615_616_512, "what the model's card says: 7.61 B"
    assert (shape.layers, shape.hidden, shape.intermediate, shape.vocabulary) == (28, 3584, 18944, 152064)
    assert shape.cache == 2 * 28 * 4 * 128
    assert shape.context == 32768
    assert len(shape.projections) == 28 * 7


def test_lora_on_seven_billion_takes_what_the_paper_could_afford(seven_billion):
    shape = read_shape(seven_billion)
    assert shape.adapter(256) == pytest.approx(646e6, rel=1e-3)
    lora = estimate(shape, method="lora", rank=256, batch_size=1, length=16384, scored=4096)
    assert lora.weights == 2 * shape.parameters
    assert lora.gradients + lora.optimizer == 12 * shape.adapter(256)
    assert 30e9 < lora.total < 80e9, "one H100 (App. D.4)"
    small = estimate(shape, method="qlora", rank=256, batch_size=1, length=16384, scored=4096, optimizer_bytes=2)
    assert small.weights == round(NF4_BYTES * shape.projected) + 2 * (shape.parameters - shape.projected)
    assert small.optimizer == 2 * shape.adapter(256)
    full = estimate(shape, method="full", rank=256, batch_size=1, length=16384, scored=4096)
    assert (full.weights, full.optimizer) == (0, 8 * shape.parameters)
    assert small.total < lora.total < full.total


def test_more_at_once_takes_more_and_a_gpus_checkpointing_takes_less(seven_billion):
    shape = read_shape(seven_billion)

    def total(**changes) -> int:
        return estimate(shape, **{"method": "lora", "rank": 64, "batch_size": 2, "length": 2048, **changes}).total

    assert total(batch_size=4) > total()
    assert total(batch_size=4, length=1024) == total(), "tokens count, however they are grouped"
    assert total(gpu=False) > total()
    assert total(bf16=False) > total()
    assert total(gpu=False, scored=128) < total(gpu=False) == total(gpu=False, scored=9999)


def test_the_sizes_of_the_shipped_model_are_those_of_its_weights():
    weights = load_file(SHIPPED / "model.safetensors")
    shape = read_shape(SHIPPED)
    assert shape.parameters == sum(tensor.size for tensor in weights.values())
    assert shape.stored == (SHIPPED / "model.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "model-1.safetensors").write_bytes(b"abc"), "is not a .safetensors file"),
        (lambda folder: (folder / "model-1.safetensors").write_bytes(b"\xff" * 64), "is not a .safetensors file"),
        (lambda folder: [file.unlink() for file in folder.glob("*.safetensors")], "holds no .safetensors"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text('{"vocab_size": 3}'), "does not give the size"),
        (lambda folder: (folder / "config.json").write_text("[]"), "expected an object"),
    ],
)
def test_a_folder_that_says_too_little_is_refused_with_the_reason(seven_billion, change, said):
    change(seven_billion)
    with pytest.raises(DataError, match=said):
        read_shape(seven_billion)
