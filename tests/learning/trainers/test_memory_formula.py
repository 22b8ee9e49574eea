"""The estimate of a finetuning's memory, term by term, and what is read of a model's files and said of bad ones."""

import json
import re
import struct
from math import prod

import pytest

from soar.errors import DataError
from soar.learning.trainers.memory import WORKSPACE, Memory, Shape, estimate, read_shape

SHAPE = Shape(
    parameters=1000,
    projections=((3, 5), (7, 11)),
    layers=2,
    hidden=13,
    intermediate=17,
    vocabulary=19,
    cache=23,
    context=None,
    stored=29,
)
CONFIG = {
    "num_hidden_layers": 2,
    "hidden_size": 12,
    "intermediate_size": 20,
    "vocab_size": 44,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 5,
    "max_position_embeddings": 64,
}
TENSORS = {
    "b.q_proj.weight": [12, 8],
    "a.down_proj.weight": [8, 20],
    "a.q_proj.bias": [9],
    "k_proj.weight": [2, 3],
    "a.v_proj.weight": [6],
    "a.norm.weight": [5],
    "weight": [4, 4],
    "q_proj": [2, 2],
}
ONE = 6 * (8 * 13 + 4 * 17)
"""The numbers that one layer keeps for two examples of three tokens, without an adapter."""


def of(method, **more):
    return estimate(SHAPE, **{"method": method, "rank": 4, "batch_size": 2, "length": 3, **more})


def written(folder, config=CONFIG, tensors=TENSORS):
    (folder / "config.json").write_text(json.dumps(config))
    entries = {name: {"dtype": "F32", "shape": shape} for name, shape in tensors.items()}
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return folder


def test_a_shape_counts_the_weights_of_its_projections_and_of_an_adapter():
    assert SHAPE.projected == 3 * 5 + 7 * 11
    assert SHAPE.adapter(4) == 4 * (3 + 5 + 7 + 11)


def test_the_total_is_the_sum_of_all_parts():
    assert Memory(1, 10, 100, 1000, 10000, 100000).total == 111111


def activations(number, *, layer, kept):
    return 6 * (number * layer + 2 * kept * 13) + WORKSPACE


LORA, FULL = 14 * 13 + 7 * 17 + 7 * 4, 18 * 13 + 7 * 17


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (of("lora"), Memory(2000, 104 * 6, 104 * 4, 104 * 8, activations(2, layer=LORA, kept=2), 0)),
        (of("lora", bf16=False), Memory(4000, 104 * 4, 104 * 4, 104 * 8, activations(4, layer=LORA, kept=4), 0)),
        (of("qlora"), Memory(47 + 2 * 908, 104 * 2, 104 * 2, 104 * 4, activations(2, layer=LORA, kept=2), 0)),
        (
            of("qlora", bf16=False),
            Memory(47 + 4 * 908, 104 * 4, 104 * 4, 104 * 8, activations(4, layer=LORA, kept=4), 0),
        ),
        (of("full"), Memory(0, 6000, 4000, 8000, activations(2, layer=FULL, kept=4), 0)),
        (of("full", bf16=False), Memory(0, 4000, 4000, 8000, activations(4, layer=FULL, kept=4), 0)),
        (of("full", gpu=False), Memory(0, 6000, 4000, 8000, 2 * 2 * ONE, 6 * 19 * 10)),
        (of("full", gpu=False, bf16=False), Memory(0, 4000, 4000, 8000, 2 * 4 * ONE, 6 * 19 * 12)),
        (of("lora", gpu=False), Memory(2000, 104 * 6, 104 * 4, 104 * 8, 2 * 2 * (ONE + 7 * 6 * 4), 6 * 19 * 10)),
    ],
)
def test_each_part_is_what_its_term_says(found, expected):
    assert found == expected


def llama(hidden, intermediate, layers, kv, vocabulary, tied):
    layer = [(hidden, hidden)] * 2 + [(kv, hidden)] * 2 + [(intermediate, hidden)] * 2 + [(hidden, intermediate)]
    weights = layers * sum(map(prod, layer)) + (1 if tied else 2) * vocabulary * hidden
    return Shape(weights, tuple(layer * layers), layers, hidden, intermediate, vocabulary, 0, None, 0)


SMALL, LARGE = llama(1024, 2816, 10, 256, 262, tied=True), llama(1536, 8960, 28, 256, 151_936, tied=False)
LARGEST = llama(3584, 18944, 28, 512, 152_064, tied=False)


@pytest.mark.parametrize(
    ("shape", "how", "measured"),
    [
        (SMALL, {"method": "lora", "rank": 32, "batch_size": 8, "length": 915}, 1_153_049_600),
        (SMALL, {"method": "full", "rank": 32, "batch_size": 8, "length": 915}, 2_786_610_176),
        (LARGE, {"method": "lora", "rank": 256, "batch_size": 1, "length": 4096}, 9.2 * 2**30),
        (LARGEST, {"method": "lora", "rank": 256, "batch_size": 1, "length": 4096}, 26.8 * 2**30),
    ],
)
def test_a_gpu_took_what_was_estimated_or_a_little_less(shape, how, measured):
    """The most memory of finetunings on an H200: those of tests/gpu, and of `make bench-gpu` and ``--shape 1.5b``."""
    assert 0.85 * estimate(shape, **how).total < measured <= estimate(shape, **how).total


def test_an_optimizer_in_fewer_bytes_and_fewer_scored_positions_take_less():
    assert of("lora", optimizer_bytes=2).optimizer == 104 * 2
    assert of("lora", gpu=False, scored=2).logits == 2 * 2 * 19 * 10
    assert of("lora", gpu=False, scored=4).logits == of("lora", gpu=False).logits


def test_sizes_are_read_of_every_tensor_and_projections_by_their_names_in_their_order(tmp_path):
    written(tmp_path)
    assert read_shape(tmp_path) == Shape(
        parameters=96 + 160 + 9 + 6 + 6 + 5 + 16 + 4,
        projections=((8, 20), (12, 8), (2, 3)),
        layers=2,
        hidden=12,
        intermediate=20,
        vocabulary=44,
        cache=2 * 2 * 2 * 5,
        context=64,
        stored=(tmp_path / "model.safetensors").stat().st_size,
    )


def test_heads_of_keys_and_their_size_follow_from_the_others_where_they_are_not_given(tmp_path):
    less = {name: CONFIG[name] for name in CONFIG if name not in ("num_key_value_heads", "head_dim")}
    del less["max_position_embeddings"]
    shape = read_shape(written(tmp_path, less))
    assert shape.cache == 2 * 2 * 4 * (12 // 4)
    assert shape.context is None


def test_of_a_multimodal_model_the_language_model_counts(tmp_path):
    inside = {**CONFIG, "hidden_size": 16}
    assert read_shape(written(tmp_path, {**CONFIG, "text_config": inside})).hidden == 16
    assert read_shape(written(tmp_path, {**CONFIG, "text_config": "none"})).hidden == 12


def test_text_beyond_ascii_in_a_configuration_is_read(tmp_path):
    written(tmp_path)
    (tmp_path / "config.json").write_bytes(json.dumps({**CONFIG, "name": "Zoë"}, ensure_ascii=False).encode())
    assert read_shape(tmp_path).hidden == 12


def refusal(folder):
    with pytest.raises(DataError) as error:
        read_shape(folder)
    return str(error.value)


def test_each_refusal_says_which_file_and_why(tmp_path):
    config, weights = tmp_path / "config.json", tmp_path / "model.safetensors"
    assert re.fullmatch(rf"{config} cannot be read: .*No such file.*", refusal(tmp_path))
    written(tmp_path, [])
    assert refusal(tmp_path) == f"{config}: expected an object, found list"
    written(tmp_path, {**CONFIG, "num_attention_heads": 0, "head_dim": None})
    assert re.fullmatch(rf"{config} does not give the size of its model: ZeroDivisionError\(.*\)", refusal(tmp_path))
    weights.write_bytes(b"abc")
    assert re.fullmatch(
        rf"{weights} is not a \.safetensors file: error\(.*\); restore it from a copy", refusal(tmp_path)
    )
    weights.unlink()
    assert refusal(tmp_path) == f"{tmp_path} holds no .safetensors file, so the size of its model is unknown"


def test_a_damaged_length_reads_no_more_than_the_file_holds(tmp_path):
    written(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", 2**63) + file.read_bytes()[8:])
    assert read_shape(tmp_path).hidden == 12
