"""How ARC's small model is made: grammar, corpus, tokenizer, training."""
