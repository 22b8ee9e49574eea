"""The frame that all programs of the embedded model share: the model writes only the body inside it.

Knows text, not Python: the sandbox finds out what a body does.
"""

PROLOGUE = """import numpy as np
from scipy import ndimage


def transform(grid):
    g = np.array(grid)
"""
EPILOGUE = "    return g\n"


def wrap(body: str) -> str:
    """Return the whole program of a body, whose statements begin at the left margin and read and assign ``g``."""
    lines = body.strip("\n").split("\n")
    return PROLOGUE + "".join(f"    {line}\n" if line else "\n" for line in lines) + EPILOGUE


def unwrap(code: str) -> str | None:
    """Return the body of a program in the frame, the inverse of `wrap`; None if `code` is not exactly in the frame."""
    text = code if code.endswith("\n") else code + "\n"
    if not (text.startswith(PROLOGUE) and text.endswith(EPILOGUE)):
        return None
    lines = text[len(PROLOGUE) : -len(EPILOGUE)].split("\n")
    body = "\n".join(line.removeprefix("    ") for line in lines).strip("\n")
    return body if wrap(body) == code else None
