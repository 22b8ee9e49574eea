"""How what was learnt is written: merged weights that every engine reads alike, the adapter beside them, never a value
that is not finite.

Knows a trainer's model when it has learnt; does not know how it did.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soar.errors import StoreError


def save(trainer: Any, folder: Path, base: Path, method: str) -> None:
    """Write the finetuned model in the base's number format, and its tokenizer; `StoreError` if not finite.

    The base is loaded anew, whole and in its own format, however it was kept while it learnt; LoRA is merged into it.
    The adapter is looked at by itself: merged, its values may vanish. So is the model in the base's format, which may
    be too small for what was learnt in another.
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
    """Write an adapter's target modules in order: PEFT keeps a set, and the same training would give other bytes."""
    found = json.loads(config.read_text(encoding="utf-8"))
    found["target_modules"] = sorted(found["target_modules"])
    config.write_text(json.dumps(found, indent=2, sort_keys=True), encoding="utf-8")


def _whole_state(trainer: Any) -> Mapping[str, Any]:
    """Return a model's tensors, gathered where it was shared out; then only the first process has them."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    if trainer.is_fsdp_enabled:
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        return get_model_state_dict(trainer.model_wrapped, options=options)
    return trainer.accelerator.get_state_dict(trainer.model)


def _refuse_not_finite(state: Mapping[str, Any]) -> None:
    if bad := not_finite(state):
        raise StoreError(
            f"finetuning ended with values that are not finite, in {bad}: not published; lower finetune.lr"
        )


def not_finite(state: Mapping[str, Any]) -> str:
    """Return the names of the tensors that hold a value that is not finite, the first three."""
    names = [name for name, tensor in state.items() if not bool(tensor.isfinite().all())]
    return ", ".join(names[:3])
