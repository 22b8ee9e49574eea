"""The files of an adapter rewritten for engines that scale by alpha / rank."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from soar.errors import DataError
from soar.learning.trainers.adapters import rewrite_adapter

A, B = "base.q_proj.lora_A.weight", "base.q_proj.lora_B.weight"


def adapter(folder, **config):
    folder.mkdir()
    weights = {A: torch.tensor([[1.0, 2.0]]), B: torch.tensor([[3.0], [5.0]], dtype=torch.bfloat16)}
    save_file(weights, folder / "adapter_model.safetensors", {"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps({"r": 9, "lora_alpha": 7, "use_rslora": True, **config}))
    return folder


def test_the_half_that_begins_at_nothing_takes_the_square_root_of_the_rank(tmp_path):
    out = tmp_path / "a" / "folder"
    rewrite_adapter(adapter(tmp_path / "given"), out)
    found = load_file(out / "adapter_model.safetensors")
    assert {name: each.tolist() for name, each in found.items()} == {A: [[1.0, 2.0]], B: [[9.0], [15.0]]}
    assert {each.dtype for each in found.values()} == {torch.float32}
    text = (out / "adapter_config.json").read_text()
    assert text == json.dumps({"r": 9, "lora_alpha": 7, "use_rslora": False}, indent=1)


def test_the_rewritten_file_says_its_format_and_may_be_written_again(tmp_path):
    from safetensors import safe_open

    given = adapter(tmp_path / "given")
    for _ in range(2):
        rewrite_adapter(given, tmp_path / "out")
    with safe_open(tmp_path / "out" / "adapter_model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_an_adapter_that_is_scaled_by_alpha_over_rank_keeps_its_weights(tmp_path):
    rewrite_adapter(adapter(tmp_path / "given", use_rslora=False), tmp_path / "out")
    assert load_file(tmp_path / "out" / "adapter_model.safetensors")[B].tolist() == [[3.0], [5.0]]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("adapter_config.json", "{", "Expecting property name.*"),
        ("adapter_config.json", '{"r": 9}', "'use_rslora'"),
        ("adapter_config.json", '{"use_rslora": true}', "'r'"),
        ("adapter_model.safetensors", None, ".*No such file.*"),
    ],
)
def test_what_is_no_adapter_is_said_with_its_folder_and_what_to_name(tmp_path, name, content, why):
    given = adapter(tmp_path / "given")
    (given / name).unlink()
    if content:
        (given / name).write_text(content)
    with pytest.raises(DataError) as error:
        rewrite_adapter(given, tmp_path / "out")
    expected = rf"{given} holds no PEFT adapter \({why}\): name the folder adapter/ of a model"
    assert re.fullmatch(expected, str(error.value))
    assert not (tmp_path / "out").exists()
