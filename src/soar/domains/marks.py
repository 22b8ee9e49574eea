"""The marks that the prompts of our own small models share: where a task begins, where a parent does, where to write.

Each is one token of those models' tokenizers. Knows nothing about the text between them.
"""

BEGIN, PARENT, WRITE = "<task>", "<parent>", "<write>"
"""What a prompt begins with, what comes before a parent's text, and what asks for the program."""
