"""An engine for tests: a process that serves scripted replies, one choice a request, on a port of this machine.

``stub_engine.py WEIGHTS PORT [option …]``. Its reply follows from the prompt, the seed and the weights alone. Options:
``slow=S`` seconds until it answers; ``die=FILE`` it dies in mid-request as often as FILE has lines, one of which it
takes each time; ``broken`` it ends at once; ``deaf`` it does not heed SIGTERM; ``child`` it has a child in a session
of its own; ``probes=FILE`` log-probabilities and answers by what FILE (JSON) says.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

PROGRAMS = (
    "def transform(grid):\n    return [row[::-1] for row in grid]",
    "def transform(grid):\n    return grid[::-1]",
    "def transform(grid):\n    return [list(column) for column in zip(*grid)]",
    "def transform(grid):\n    return [[cell if cell != 1 else 2 for cell in row] for row in grid]",
    "def transform(grid):\n    return [row + row for row in grid]",
    "def transform(grid):\n    return grid",
    "def transform(grid):\n    return grid[7][7]",
    "def transform(grid)\n    return grid",
)


def digest(weights: Path) -> str:
    """Return what names the weights: "" for the model itself, which has no manifest."""
    manifest = weights / "manifest.json"
    return hashlib.sha256(manifest.read_bytes()).hexdigest()[:8] if manifest.exists() else ""


def reply(messages: object, seed: int, weights: str) -> str:
    """Return a program in a code block, most times."""
    time.sleep(0.002)
    chance = random.Random(f"{messages}|{seed}|{weights}")
    if chance.random() < 0.1:
        return "I cannot."
    program = chance.choice(PROGRAMS[:6] if weights else PROGRAMS)
    return f"```python\n{program}\n# variant {chance.randrange(20)} of {weights}\n```"


class Stub(BaseHTTPRequestHandler):
    """Answers requests; what the engine was started with stands on the class."""

    protocol_version = "HTTP/1.1"
    given: ClassVar[dict[str, str]]
    served: ClassVar[str]

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "die" in self.given and "seed" in body and (lines := Path(self.given["die"]).read_text().splitlines()):
            Path(self.given["die"]).write_text("".join(line + "\n" for line in lines[1:]))
            os._exit(3)
        if "probes" in self.given:
            self.probe(json.loads(Path(self.given["probes"]).read_text()), body)
            return
        messages = body["messages"]
        words = sum(len(message["content"].split()) for message in messages)
        text = reply(messages, body["seed"], self.served)
        self.choose({"message": {"role": "assistant", "content": text}}, words, len(text.split()))

    def probe(self, said: dict, body: dict) -> None:
        """Answer by what a test wrote down: ``prompt_tokens``, ``answer``, and ``logprobs`` unless it has none."""
        if "messages" in body:
            self.choose({"message": {"role": "assistant", "content": said["answer"]}}, said["prompt_tokens"], 3)
        elif "logprobs" in said:
            self.choose({"text": "", "logprobs": {"token_logprobs": said["logprobs"]}}, 1, 1)
        else:
            self.answer(422, {"detail": "Unexpected fields: {'echo'}"})

    def choose(self, choice: dict, prompt: int, completion: int) -> None:
        usage = {"prompt_tokens": prompt, "completion_tokens": completion}
        self.answer(200, {"choices": [{"index": 0, "finish_reason": "stop", **choice}], "usage": usage})

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    weights, port, options = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    given = {name: value for name, _, value in (option.partition("=") for option in options)}
    if "deaf" in given:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "child" in given:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", str(weights)], start_new_session=True)
    sys.stderr.write(f"stub: serving {weights}\n")
    if "broken" in given:
        sys.exit("stub: no such model")
    time.sleep(float(given.get("slow", "0")))
    Stub.given, Stub.served = given, digest(weights)
    Listener(("127.0.0.1", port), Stub).serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
