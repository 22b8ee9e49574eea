"""How a model is finetuned on rows of prompt and completion."""
