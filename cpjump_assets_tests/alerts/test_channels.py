"""Channels against real receivers: a web server and a mail server; what they refuse; no secret anywhere."""

import json
import logging
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cpjump_assets.alerts.channels import apprise_channel, open_channels
from cpjump_assets.alerts.channels.apprise_channel import AppriseChannel
from cpjump_assets.alerts.channels.channel import ChannelError
from cpjump_assets.alerts.channels.json_lines import FILE_NAME, JsonLinesChannel
from cpjump_assets.alerts.channels.log import LogChannel
from cpjump_assets.alerts.delivery import deliver
from cpjump_assets.alerts.state import AlertState
from cpjump_assets_tests.alerts.samples import CHECK, event, message, plate_check
from cpjump_assets_tests.processes import free_port
from cpjump_assets_tests.receivers import SECRET, HttpReceiver, MailReceiver, event_keys, mail_text

DIGEST = message(*(event(plate_check(number), severity="warning") for number in range(107)))


def test_a_webhook_gets_the_text_and_the_kind(webhook: HttpReceiver) -> None:
    channel = AppriseChannel(webhook.url)
    given = message(event())
    channel.send(given)
    channel.send(message(event(state="recovered")))
    channel.send(message(event(severity="warning")))
    assert [post["type"] for post in webhook.posts] == ["failure", "success", "warning"]
    assert (webhook.posts[0]["title"], webhook.posts[0]["message"]) == (given.title, given.body)


def test_a_mail_arrives_whole_with_its_key(mailbox: MailReceiver) -> None:
    odd = replace(event(), what="Expected <b>384</b> wells & found 83 µm: *all* of BR00116995.")
    AppriseChannel(mailbox.url).send(message(odd))
    (mail,) = mailbox.mails
    assert mail["Subject"] == message(odd).title
    assert mail_text(mail).strip() == message(odd).body
    assert mailbox.keys == [f"{CHECK.key}@0"]


def test_a_digest_of_all_plates_arrives_by_both(webhook: HttpReceiver, mailbox: MailReceiver) -> None:
    for receiver in (webhook, mailbox):
        AppriseChannel(receiver.url).send(DIGEST)
        assert receiver.keys == list(DIGEST.keys)


def test_what_is_too_long_for_a_service_is_split_and_not_refused(
    webhook: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apprise.plugins.custom_json import NotifyJSON

    monkeypatch.setattr(NotifyJSON, "body_maxlen", 1000)
    AppriseChannel(webhook.url).send(DIGEST)
    assert len(webhook.posts) > 5
    assert all(key in "".join(post["message"] for post in webhook.posts) for key in DIGEST.keys[:3])


def test_what_has_more_parts_than_a_try_has_time_for_is_cut_and_taken(
    webhook: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of Teams: a thousand characters a part, and 5.5 s between two of them."""
    from apprise.plugins.custom_json import NotifyJSON

    monkeypatch.setattr(NotifyJSON, "body_maxlen", 1000)
    monkeypatch.setattr(NotifyJSON, "request_rate_per_sec", 5.5)
    AppriseChannel(webhook.url).send(DIGEST)
    assert len(webhook.posts) == 2
    text = "".join(post["message"] for post in webhook.posts)
    assert DIGEST.body.startswith(text[:800])
    assert text.rstrip().endswith(
        f"{len(DIGEST.keys)} events, all of them in alerts.jsonl; the first is {DIGEST.keys[0]}"
    )


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_refusal_says_its_status(webhook: HttpReceiver, status: int) -> None:
    webhook.status = status
    with pytest.raises(ChannelError, match=str(status)):
        AppriseChannel(webhook.url).send(message())


def test_a_mail_that_the_server_refuses_was_not_taken(mailbox: MailReceiver) -> None:
    mailbox.reply = "550 no such receiver"
    with pytest.raises(ChannelError, match="failed"):
        AppriseChannel(mailbox.url).send(message())


def test_nobody_listens() -> None:
    for address in (f"json://127.0.0.1:{free_port()}/x", f"mailto://127.0.0.1:{free_port()}/?from=a@lab.example"):
        with pytest.raises(ChannelError, match=r"onnection|failed"):
            AppriseChannel(address).send(message())


def test_a_service_that_does_not_answer_is_left_in_time(webhook: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    webhook.before_answer = lambda post: released.wait(30)
    monkeypatch.setattr(apprise_channel, "TRY_SECONDS", 0.5)
    try:
        with pytest.raises(ChannelError, match="did not finish"):
            AppriseChannel(webhook.url).send(message())
    finally:
        released.set()


@pytest.mark.parametrize("address", ["nope://abc", "slack://nonsense", "mailto://", "json://"])
def test_an_address_that_apprise_does_not_know_fails_and_names_its_scheme(address: str) -> None:
    with pytest.raises(ChannelError, match=f"cannot use the address: see {address.partition(':')[0]}://"):
        AppriseChannel(address).send(message())


@pytest.mark.parametrize(
    "address",
    [
        "json://user:Pa55-w0rd@127.0.0.1:{port}/s3cret/p%40th?+X-Token=t0ken-in-header&rto=1",
        "mailto://user:Pa55-w0rd@lab.example?smtp=127.0.0.1&port={port}&to=t0ken-in-header@lab.example&mode=insecure",
        "slack://T1JJ3T3L2/A1BRTD4JD/t0ken-in-header00000000/#s3cret",
        "tgram://123456789:t0ken-in-headerPa55-w0rdp-th0000000/12315544/",
        "nope://s3cret:Pa55-w0rd@t0ken-in-header/p@th",
    ],
)
def test_no_part_of_an_address_is_seen_anywhere(
    address: str,
    webhook: HttpReceiver,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the most talkative level of every log, with a server that answers and with nobody listening."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")  # nothing leaves this machine
    seen: list[str] = []

    def save(state: AlertState) -> None:
        seen.append(state.to_text())

    with caplog.at_level(1):
        for port in (webhook.port, free_port()):
            channel = AppriseChannel(address.format(port=port))
            if "lab.example" in address and port == webhook.port:
                continue  # a web server that is asked for mail says nothing for long
            state = AlertState().receive([event()], None)
            state = deliver(state, [channel], save=save)
            assert state.waiting_for(channel.name) == 1
            seen += [repr(channel), channel.name, state.to_text()]
    seen += [caplog.text, "".join(capfd.readouterr())]
    for secret in ("s3cret", "Pa55-w0rd", "p@th", "p%40th", "t0ken-in-header", "T1JJ3T3L2", "A1BRTD4JD", "123456789"):
        assert not [text for text in seen if secret.lower() in text.lower()], secret


def test_an_error_of_a_service_does_not_repeat_the_address(webhook: HttpReceiver) -> None:
    told = AppriseChannel(webhook.url).without_secrets(f"bad path /HOOKS/{SECRET} of 127.0.0.1")
    assert told == "bad path /***/*** of ***"


def test_names_are_stable_tell_channels_apart_and_hold_nothing_of_the_address(tmp_path: Path) -> None:
    urls = ["json://127.0.0.1/a", "json://127.0.0.1/b", "mailto://x:y@lab.example", "json://127.0.0.1/a"]
    names = [channel.name for channel in open_channels(urls, folder=tmp_path)]
    again = [channel.name for channel in open_channels(urls[::-1], folder=tmp_path)]
    assert names[:2] == ["log", FILE_NAME]
    assert len(set(names)) == len(names) == 5
    assert set(names) == set(again)
    assert [name.rpartition("-")[0] for name in names[2:]] == ["json", "json", "mailto"]


def test_addresses_with_the_same_tag_by_chance_have_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apprise_channel.hashlib, "scrypt", lambda *given, **more: b"\x1f\x2e")
    urls = [f"json://127.0.0.1/{number}" for number in range(3)]
    names = [channel.name for channel in open_channels(urls, folder=tmp_path)]
    assert names[2:] == ["json-1f2e", "json-1f2e-1", "json-1f2e-2"]


def test_each_event_is_a_line_of_json(tmp_path: Path) -> None:
    channel = JsonLinesChannel(tmp_path / "store")
    channel.send(message(event()))
    channel.send(DIGEST)
    lines = (tmp_path / "store" / FILE_NAME).read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == [f"{CHECK.key}@0", *DIGEST.keys]
    assert json.loads(lines[0]) == {
        "key": f"{CHECK.key}@0",
        "subject": {"key": CHECK.key, **CHECK.__dict__},
        "state": "failed",
        "severity": "error",
        "what": "promise_target on split_manifest failed.",
        "numbers": {"wells that cross": "12"},
        "link": "http://127.0.0.1:3000/runs/1234",
        "advice": "Open the check's metadata: it lists the wells.",
        "happened_at": "2026-03-02T04:00:00+00:00",
    }


def test_a_line_that_a_crash_cut_off_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"key": "cut o')
    JsonLinesChannel(tmp_path).send(message(event()))
    cut, whole = (tmp_path / FILE_NAME).read_text().splitlines()
    assert cut == '{"key": "cut o'
    assert json.loads(whole)["key"] == f"{CHECK.key}@0"


def test_a_file_that_cannot_be_written_is_a_channel_that_failed(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ChannelError, match=r"alerts\.jsonl cannot be written: Is a directory"):
        JsonLinesChannel(tmp_path).send(message())


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource
    import signal

    channel = JsonLinesChannel(tmp_path)
    channel.send(message(event()))
    before = (tmp_path / FILE_NAME).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
    try:
        with pytest.raises(ChannelError, match="File too large"):
            channel.send(DIGEST)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_the_log_shows_failures_and_their_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "cpjump.alerts"):
        LogChannel().send(message(event()))
        LogChannel().send(message(event(state="recovered")))
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert event_keys(caplog.records[0].getMessage()) == [f"{CHECK.key}@0"]


def test_a_receiver_that_goes_and_comes_back_gets_everything(
    webhook: HttpReceiver, mailbox: MailReceiver, tmp_path: Path
) -> None:
    """All channels at once, the webhook down at first."""
    kept: list[str] = []
    channels = open_channels([webhook.url, mailbox.url], folder=tmp_path)
    state = AlertState().receive([event()], None)  # one: apprise waits 5.5 s between two mails
    keys = [key for queued in state.outbox for key in queued.message.keys]
    webhook.stop()
    state = deliver(state, channels, save=lambda state: kept.append(state.to_text()))
    assert mailbox.keys == keys
    assert webhook.keys == []
    webhook.start()
    clock_later = max(record.next_try for record in state.channels.values() if record.next_try is not None)
    state = deliver(AlertState.from_text(kept[-1]), channels, save=lambda state: None, clock=lambda: clock_later)
    assert webhook.keys == mailbox.keys == keys
    assert [json.loads(line)["key"] for line in (tmp_path / FILE_NAME).read_text().splitlines()] == keys
    assert state.outbox == ()
