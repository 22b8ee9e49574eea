import subprocess
import sys

import pytest

from soar.errors import ConfigError
from soar.lm.transformers import Backend
from soar.lm.transformers.source import fingerprint, folder_of


def test_a_model_is_a_folder_or_a_name_in_the_users_cache(small, tmp_path, monkeypatch):
    import huggingface_hub.constants

    assert folder_of(str(small)) == small
    stored = tmp_path / "models--some--model"
    (stored / "snapshots").mkdir(parents=True)
    (stored / "snapshots" / "abc").symlink_to(small)
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text("abc")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert folder_of("some/model") == stored / "snapshots" / "abc"
    with pytest.raises(ConfigError, match=r"neither a folder, nor a \.gguf file, nor in the Hugging Face cache"):
        folder_of("some/other")


def test_what_is_no_model_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"no config\.json"):
        folder_of(str(tmp_path))
    (tmp_path / "adapter_config.json").touch()
    with pytest.raises(ConfigError, match="merged weights"):
        folder_of(str(tmp_path))
    for missing in ("no/such/folder", "/no/such/folder", "no such name"):
        with pytest.raises(ConfigError, match="neither a folder"):
            folder_of(missing)


def test_other_weights_and_another_configuration_have_another_fingerprint(small, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(3 << 20))
    found = [fingerprint(str(tmp_path))]
    for change in (
        lambda: (tmp_path / "model.safetensors").write_bytes(bytes((3 << 20) - 1) + b"\1"),
        lambda: (tmp_path / "model.safetensors").write_bytes(bytes((3 << 20) + 1)),
        lambda: (tmp_path / "config.json").write_text('{"a": 1}'),
        lambda: (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors"),
    ):
        change()
        found.append(fingerprint(str(tmp_path)))
    assert len(set(found)) == 5
    assert fingerprint(str(tmp_path)) == found[-1]
    assert Backend(Backend.Settings(model=str(small))).identity()["weights_sha256"] == fingerprint(str(small))


def test_settings_are_read_without_loading_torch():
    code = (
        "import sys, soar.cli\n"
        "from soar.config import validated\n"
        "validated({'lm': {'backend': 'transformers', 'model': 'x'}})\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
