"""How the embedded model is made: grammar, corpus, tokenizer, training."""
