"""Fixtures of alerts: where they arrive."""

from collections.abc import Iterator

import pytest

from cpjump_assets_tests.receivers import HttpReceiver, MailReceiver, http_receiver, mail_receiver


@pytest.fixture
def webhook() -> Iterator[HttpReceiver]:
    """Give a web server that takes webhooks."""
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def mailbox() -> Iterator[MailReceiver]:
    """Give a mail server."""
    with mail_receiver() as receiver:
        yield receiver
