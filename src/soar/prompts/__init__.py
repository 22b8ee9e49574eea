"""From tasks and parents to prompts, and from completions to code."""
