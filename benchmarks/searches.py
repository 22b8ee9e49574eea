"""What the benchmarks that search have in common: the beginning of a configuration without a language model."""


def search_config(model: str, half: int) -> str:
    """Return the configuration of a search by a function that writes completions: `half` samples a task, and as many
    refinements. It ends in [search], which what follows may continue."""
    return f"""
seed = 0
[lm]
backend = "scripted"
model = "{model}"
[prompt]
rendering = "chat"
[search]
samples = {half}
refinements = {half}
samples_per_request = 50
"""
