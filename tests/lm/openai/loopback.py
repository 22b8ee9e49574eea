"""A real HTTP server on loopback, whose answer to each request is a function of the test's."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What the server sends: `body`, or `pieces` with a pause before each; `announce` overstates the length."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = ()
    pause: float = 0.0
    announce: int = 0
    drop: bool = False


Behaviour = Callable[[dict[str, Any], int], Answer]
"""From a request's JSON body and its number (the first is 0) to the answer."""


@dataclass
class Server:
    """A running server: its address, and the requests it has seen with times and headers (names in lower case)."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    most_at_once: int = 0


def choices(*texts: str | None, reason: str | None = "stop", prompt: int = 0, completion: int = 0) -> Answer:
    """Return a well-formed chat reply with these contents."""
    listed = [
        {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return as_json({"id": "x", "object": "chat.completion", "choices": listed, "usage": usage})


def as_json(value: object, status: int = 200, **headers: str) -> Answer:
    """Return an answer with a JSON body; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


def error(status: int, message: str, **headers: str) -> Answer:
    """Return an error in OpenAI's form."""
    return as_json({"error": {"message": message, "type": "error", "param": None, "code": None}}, status, **headers)


@contextmanager
def serving(behaviour: Behaviour, port: int = 0) -> Iterator[Server]:
    """Serve on a free port of this machine until the block ends."""
    lock, running = threading.Lock(), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(server.bodies)
                server.bodies.append(body)
                server.times.append(time.monotonic())
                server.headers.append({name.lower(): text for name, text in self.headers.items()})
                server.paths.append(self.path)
                running[0] += 1
                server.most_at_once = max(server.most_at_once, running[0])
            try:
                self.send(behaviour(body, number))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            finally:
                with lock:
                    running[0] -= 1

        def send(self, answer: Answer) -> None:
            if answer.drop:
                self.close_connection = True
                return
            pieces = answer.pieces or (answer.body,)
            self.send_response(answer.status)
            for name, text in answer.headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(sum(map(len, pieces)) + answer.announce))
            self.end_headers()
            for piece in pieces:
                time.sleep(answer.pause)
                self.wfile.write(piece)
                self.wfile.flush()
            if answer.announce:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 128

    listener = Listener(("127.0.0.1", port), Handler)
    server = Server(f"http://127.0.0.1:{listener.server_port}/v1")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
