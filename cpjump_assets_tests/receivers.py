"""Where alerts arrive in tests: a web server for webhooks and a mail server, both on loopback."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from cpjump_assets_tests.processes import free_port

SECRET = "s3cret-of-the-test"
"""Stands in the address of each receiver, and must never be seen elsewhere."""


def event_keys(text: str) -> list[str]:
    """Give the event keys that a message carries, in its order."""
    single, _, many = text.partition("\nEvents:\n")
    if many:
        return many.strip().splitlines()
    return [line.removeprefix("Event: ").strip() for line in single.splitlines() if line.startswith("Event: ")]


@dataclass
class HttpReceiver:
    """A webhook. What it takes is in ``posts``; what it refuses or never answers is in ``seen`` only.

    Attributes
    ----------
    status
        What it answers with; anything but 200 refuses.
    before_answer
        Called with each post after it was taken and before the answer: the moment in which a crash of the sender
        makes a message come again.
    """

    port: int
    posts: list[dict[str, Any]] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    before_answer: Callable[[dict[str, Any]], None] | None = None
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Apprise address, with a secret as webhooks have it in their paths."""
        return f"json://127.0.0.1:{self.port}/hooks/{SECRET}"

    @property
    def keys(self) -> list[str]:
        """Event keys of all posts that were taken, in their order."""
        return [key for post in self.posts for key in event_keys(post["message"])]

    def start(self) -> None:
        """Listen, or listen again on the same port."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Be down: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _take(self, post: dict[str, Any]) -> int:
        self.seen.append(post)
        if self.status == 200:
            self.posts.append(post)
            if self.before_answer is not None:
                self.before_answer(post)
        return self.status


def _handler(receiver: HttpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            post = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = receiver._take(post) if self.path == f"/hooks/{SECRET}" else 404
            try:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except (BrokenPipeError, ConnectionResetError):
                pass  # the sender was killed meanwhile

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    """Run a webhook."""
    receiver = HttpReceiver(free_port())
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


@dataclass
class MailReceiver:
    """A mail server; ``mails`` is what it took. ``reply``, when set, is its answer to each mail: a refusal."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    reply: str | None = None

    @property
    def url(self) -> str:
        """Apprise address of a mail to the team."""
        return f"mailto://127.0.0.1:{self.port}/?from=cpjump@lab.example&to=team@lab.example&name={SECRET}"

    @property
    def keys(self) -> list[str]:
        """Event keys of all mails, in their order."""
        return [key for mail in self.mails for key in event_keys(mail_text(mail))]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (named by aiosmtpd)
        """Take a mail, or refuse it."""
        if self.reply is not None:
            return self.reply
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"


def mail_text(mail: EmailMessage) -> str:
    """Give the plain text of a mail."""
    part = mail.get_body(("plain",))
    assert part is not None, "the mail has no plain text"
    return part.get_content().replace("\r\n", "\n")


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    """Run a mail server."""
    receiver = MailReceiver(free_port())
    controller = Controller(receiver, hostname="127.0.0.1", port=receiver.port)
    controller.start()
    try:
        yield receiver
    finally:
        controller.stop()
