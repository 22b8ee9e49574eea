"""`soar run endpoint` against a server on loopback that is right now and then and misbehaves otherwise."""

import json
import random
import subprocess
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from soar.domains.arc.domain import Arc

RIGHT = (
    "def transform(grid):\n    return [row[::-1] for row in grid]",
    "def transform(grid):\n    return grid[::-1]",
    "def transform(grid):\n    return [list(column) for column in zip(*grid)]",
    "def transform(grid):\n    return [row[::-1] for row in grid[::-1]]",
    "def transform(grid):\n    return [row + row[::-1] for row in grid]",
)
FLIPS = (
    lambda g: tuple(row[::-1] for row in g),
    lambda g: g[::-1],
    lambda g: tuple(zip(*g, strict=True)),
    lambda g: tuple(row[::-1] for row in g[::-1]),
    lambda g: tuple(row + row[::-1] for row in g),
)


def content(chance: random.Random) -> tuple[str | None, str]:
    """Return the text of one choice and its finish reason."""
    kind = chance.choice(["right"] * 3 + ["wrong", "syntax", "none", "long", "null", "two"])
    program = chance.choice(RIGHT)
    return {
        "right": (f"```python\n{program}\n```", "stop"),
        "wrong": ("```python\ndef transform(grid):\n    return grid[5][5]\n```", "stop"),
        "syntax": ("```python\ndef transform(grid:\n    return grid\n```", "stop"),
        "none": ("I would flip it.", "stop"),
        "long": (f"```python\n{program}", "length"),
        "null": (None, "stop"),
        "two": (f"```python\ndef transform(grid): return 1\n```\nNo, rather:\n```python\n{program}\n```", "stop"),
    }[kind]


class Handler(BaseHTTPRequestHandler):
    """Answers chat completions; every fifth request is spoilt in some way. An answer depends on the request and how
    often it came, not on what came between."""

    asked: ClassVar[Counter[bytes]] = Counter()
    lock = threading.Lock()
    choices = 0

    def log_message(self, format, *args):  # noqa: A002
        pass

    def do_POST(self):
        request = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(request)
        with self.lock:
            self.asked[request] += 1
            chance = random.Random(request + bytes([self.asked[request]]))
        spoilt = chance.random() < 0.2
        kind = chance.choice(["html", "half", "500", "429"])
        choices = [content(chance) for _ in range(body.get("n") or 1)]
        answer = {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [
                {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
                for i, (text, reason) in enumerate(choices)
            ],
            "usage": {"prompt_tokens": 10, "completion_tokens": 7 * len(choices), "total_tokens": 0},
        }
        text = json.dumps(answer)
        if not spoilt:
            with self.lock:
                type(self).choices += len(choices)
            return self.send(200, text, "application/json")
        if kind == "html":
            return self.send(200, "<html>hello</html>", "text/html")
        if kind == "half":
            return self.send(200, text[: len(text) // 2], "application/json")
        return self.send(int(kind), '{"error": {"message": "later"}}', "application/json")

    def send(self, code: int, text: str, kind: str) -> None:
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text.encode())))
        if code == 429:
            self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def server():
    """A misbehaving server on loopback; yields its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.slow
def test_a_search_over_a_misbehaving_endpoint_solves_tasks_and_accounts_for_every_completion(
    tmp_path, server, environment, soar
):
    tasks = Arc().load("arc1-training")
    flips = [t.id for t in tasks if any(all(f(e.input) == e.output for e in (*t.train, *t.test)) for f in FLIPS)]
    assert len(flips) >= 4
    others = [task.id for task in tasks if task.id not in flips][:4]
    (tmp_path / "ids.txt").write_text("\n".join([*flips, *others]))
    command = [*soar, "run", "endpoint", str(tmp_path / "run")]
    for setting in (
        f"lm.base_url={server}",
        "lm.model=tiny",
        f"tasks.ids_file={tmp_path / 'ids.txt'}",
        "search.samples=24",
        "search.refinements=16",
        "search.samples_per_request=8",
    ):
        command += ["--set", setting]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(
        subprocess.run(
            [*soar, "report", str(tmp_path / "run"), "--json"], env=environment, capture_output=True, check=True
        ).stdout
    )
    (search,) = found["iterations"]
    assert search["tasks"] == len(flips) + 4
    assert search["completions"] == search["tasks"] * 40 == sum(search["status"].values())
    assert search["solved"] == len(flips)
    assert {"ok", "failed", "syntax-error", "no-code", "truncated", "empty"} <= search["status"].keys()
    assert found["requests"]["retried"] > 0
    assert Handler.choices >= search["completions"]
    answers = json.loads((tmp_path / "run" / "answers" / "0.json").read_text())
    assert sorted(answers) == sorted([*flips, *others])
    assert all(set(attempt) == {"attempt_1", "attempt_2"} for task in answers.values() for attempt in task)


@pytest.mark.slow
def test_an_endpoint_that_is_not_there_ends_with_its_exit_code_and_one_message(tmp_path, environment, soar):
    command = [*soar, "run", "endpoint", str(tmp_path / "run")]
    for setting in ("lm.base_url=http://127.0.0.1:9/v1", "lm.give_up_seconds=0", "tasks.count=2"):
        command += ["--set", setting]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 4
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
