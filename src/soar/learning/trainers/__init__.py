"""Trainers: they finetune a model on rows of prompt and completion."""
