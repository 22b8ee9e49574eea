"""Tasks and parents to prompts, completions to code."""
