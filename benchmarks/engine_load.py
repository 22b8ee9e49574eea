"""How busy a run keeps an engine of known speed: the share of its seats that are taken until 95 % of the work is done.

``python -m benchmarks.engine_load`` runs `soar run` on ARC's training tasks with ``lm.backend = "served"`` and an
engine that computes nothing. It has the manner of vLLM: `--seats` sequences side by side, first come first served; a
prompt is read at `--prefill` tokens per second, one at a time, but for what it has in common with a prompt read before,
by blocks of 16 tokens; a sequence then writes `--rate` tokens per second. A token is four characters. Its answers are
programs of `programs.jsonl` behind some words, of lengths that vary widely. Busy is a seat with a sequence in it, so a
figure below 1 is time in which the run had not asked for enough.
"""

import argparse
import hashlib
import heapq
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.programs import FILE

BLOCK = 16
CHARACTERS = 4
CONFIG = """
seed = 0
[lm]
backend = "served"
model = "{folder}"
engine = "{engine}"
[prompt]
rendering = "chat"
[sampling]
temperature = 1.0
min_p = 0.05
sample_tokens = 4096
refine_tokens = 2048
[search]
samples = {samples}
refinements = {refinements}
samples_per_request = 50
islands = 4
completions_per_refinement = 4
enough = 0
[[stages]]
source = "arc1-training"
count = {tasks}
iterations = 1
"""


@dataclass
class Engine:
    """Seats and a cache of prompts, in seconds of `time.monotonic`. Use under `lock`."""

    seats: int
    rate: float
    prefill: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    taken: list[tuple[float, float, int]] = field(default_factory=list)
    _free: list[float] = field(default_factory=list)
    _reader_free: float = 0.0
    _known: set[bytes] = field(default_factory=set)

    def seat(self, prompt: str, tokens: int) -> float:
        """Give a sequence the seat that is free first; return when it will have written its tokens."""
        now = time.monotonic()
        begun = max(now, heapq.heappop(self._free)) if len(self._free) == self.seats else now
        self._reader_free = max(self._reader_free, begun) + self._unread(prompt) / self.prefill
        ended = self._reader_free + tokens / self.rate
        heapq.heappush(self._free, ended)
        self.taken.append((begun, ended, tokens))
        return ended

    def _unread(self, prompt: str) -> int:
        """Return how many tokens of a prompt were not read before, and remember them."""
        length, hashed, unread = BLOCK * CHARACTERS, hashlib.sha256(), 0
        for start in range(0, len(prompt), length):
            block = prompt[start : start + length]
            hashed.update(block.encode())
            if hashed.digest() not in self._known:
                self._known.add(hashed.digest())
                unread += len(block) // CHARACTERS
        return unread


def answer(chance: random.Random, programs: list[str]) -> str:
    """Return a program behind some words: half of the answers have under 360 tokens, one in ten over 610."""
    words = "It seems that every shape is moved. " * int(chance.lognormvariate(2.3, 1.0))
    return f"{words}\n```python\n{chance.choice(programs)}\n# {chance.getrandbits(32):x}\n```"


def serve(engine: Engine, port: int, record: Path) -> None:
    """Answer until SIGTERM; then leave when each seat was taken, and by how many tokens, in `record`."""
    programs = [json.loads(line)["code"] for line in FILE.read_text(encoding="utf-8").splitlines()]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send({})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = "".join(message["content"] for message in body["messages"])
            chance = random.Random(body.get("seed"))
            texts = [answer(chance, programs) for _ in range(body.get("n", 1))]
            with engine.lock:
                ended = max(engine.seat(prompt, len(text) // CHARACTERS) for text in texts)
            time.sleep(max(0.0, ended - time.monotonic()))
            choices = [
                {"index": place, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
                for place, text in enumerate(texts)
            ]
            written = sum(len(text) // CHARACTERS for text in texts)
            usage = {"prompt_tokens": len(prompt) // CHARACTERS, "completion_tokens": written}
            self.send({"choices": choices, "usage": usage})

        def send(self, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 1024

    def end(*_: object) -> None:
        record.write_text(json.dumps(engine.taken))
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    Listener(("127.0.0.1", port), Handler).serve_forever(poll_interval=0.05)


def busy(taken: list[tuple[float, float, int]], seats: int, share: float) -> tuple[float, float]:
    """Return the mean share of seats that were taken until `share` of the tokens had been written, and those seconds.
    A sequence's tokens count when it ends."""
    first, whole = min(begun for begun, _, _ in taken), sum(tokens for _, _, tokens in taken)
    by_end = sorted(taken, key=lambda each: each[1])
    written = itertools.accumulate(tokens for _, _, tokens in by_end)
    until = next(ended for (_, ended, _), done in zip(by_end, written, strict=True) if done >= share * whole)
    used = sum(max(0.0, min(ended, until) - begun) for begun, ended, _ in taken)
    return used / (seats * (until - first)), until - first


def profile(taken: list[tuple[float, float, int]], seats: int, parts: int = 20) -> list[float]:
    """Return the share of seats taken in each of so many equal parts of the whole time."""
    first, last = min(begun for begun, _, _ in taken), max(ended for _, ended, _ in taken)
    step = (last - first) / parts
    edges = [first + step * place for place in range(parts + 1)]
    return [
        sum(max(0.0, min(ended, b) - max(begun, a)) for begun, ended, _ in taken) / (seats * step)
        for a, b in itertools.pairwise(edges)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seats", type=int, default=256)
    parser.add_argument("--rate", type=float, default=40.0, help="tokens per second of one sequence")
    parser.add_argument(
        "--prefill", type=float, default=20_000.0, help="tokens per second, of one prompt after another"
    )
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--refinements", type=int, default=100)
    parser.add_argument("--set", action="append", default=[], help="a setting of the run")
    parser.add_argument("--serve", nargs=3, metavar=("PORT", "RECORD", "WEIGHTS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    speed = (arguments.seats, arguments.rate, arguments.prefill)
    if arguments.serve:
        serve(Engine(*speed), int(arguments.serve[0]), Path(arguments.serve[1]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text("{}")
        record = folder / "record.json"
        options = "--seats {} --rate {} --prefill {}".format(*speed)
        engine = f"{sys.executable} -m benchmarks.engine_load {options} --serve {{port}} {record} {{weights}}"
        counts = {key: getattr(arguments, key) for key in ("samples", "refinements", "tasks")}
        config = folder / "config.toml"
        config.write_text(CONFIG.format(folder=folder, engine=engine, **counts))
        settings = [part for each in arguments.set for part in ("--set", each)]
        begun = os.times()
        subprocess.run([sys.executable, "-m", "soar", "run", str(config), str(folder / "run"), *settings], check=True)
        ended = os.times()
        taken = json.loads(record.read_text())
    share, seconds = busy(taken, arguments.seats, 0.95)
    cpu = ended.children_user + ended.children_system - begun.children_user - begun.children_system
    print(f"seats busy until 95 % of the tokens were written: {share:.3f}, over {seconds:.0f} s")
    print("by twentieths of the whole time:", " ".join(f"{part:.2f}" for part in profile(taken, arguments.seats)))
    print(f"{len(taken)} completions; CPU of run, sandbox and engine {1000 * cpu / len(taken):.1f} ms each")


if __name__ == "__main__":
    main()
