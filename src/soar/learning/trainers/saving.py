"""Writes a finetuned model: merged weights that every engine reads alike, the adapter beside them, and never a value
that is not finite.

Knows a trainer's model after training; does not know how it was trained.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soar.errors import StoreError


def save(trainer: Any, folder: Path, base: Path, method: str) -> None:
    """Write the finetuned model in the base's number format, and its tokenizer; `StoreError` if a value is not finite.

    The base is loaded anew, whole and in its own format, however it was stored during training; LoRA is merged into it.
    The adapter is checked by itself, because its bad values may vanish in the merge. The merged model is checked too,
    because a value learnt in another format may overflow the base's.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from transformers import AutoModelForCausalLM

    state = _whole_state(trainer)
    if not trainer.is_world_process_zero():
        return
    trained = trainer.accelerator.unwrap_model(trainer.model)
    learnt = state if method == "full" else get_peft_model_state_dict(trained, state_dict=state)
    _refuse_not_finite(learnt)
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype="auto", local_files_only=True)
    if method == "full":
        model.load_state_dict(learnt)
    else:
        trained.save_pretrained(folder / "adapter", state_dict=state)
        _sort_targets(folder / "adapter" / "adapter_config.json")
        model = PeftModel.from_pretrained(model, str(folder / "adapter")).merge_and_unload()
    _refuse_not_finite(model.state_dict())
    model.save_pretrained(folder)
    trainer.processing_class.save_pretrained(folder)


def _sort_targets(config: Path) -> None:
    """Sort an adapter's target modules: PEFT keeps a set, so that repeating a training would give different bytes."""
    found = json.loads(config.read_text(encoding="utf-8"))
    found["target_modules"] = sorted(found["target_modules"])
    config.write_text(json.dumps(found, indent=2, sort_keys=True), encoding="utf-8")


def _whole_state(trainer: Any) -> Mapping[str, Any]:
    """Return a model's tensors, gathered if the model is sharded; then only the first process has them."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    if trainer.is_fsdp_enabled:
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        return get_model_state_dict(trainer.model_wrapped, options=options)
    return trainer.accelerator.get_state_dict(trainer.model)


def _refuse_not_finite(state: Mapping[str, Any]) -> None:
    if bad := not_finite(state):
        raise StoreError(
            f"finetuning ended with values that are not finite in {bad}; nothing was published. Lower finetune.lr"
        )


def not_finite(state: Mapping[str, Any]) -> str:
    """Return the names of the first three tensors that hold a value that is not finite."""
    names = [name for name, tensor in state.items() if not bool(tensor.isfinite().all())]
    return ", ".join(names[:3])
