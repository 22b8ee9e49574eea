"""From a search's programs to the next model: relabel, deduplicate, curate, finetune (§3.3)."""
