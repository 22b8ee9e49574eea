"""How the embedded models are made: grammar, corpus, tokenizer, training."""
