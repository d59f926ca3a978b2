"""The small judgements at the door, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.settings import Settings, SettingsInvalid, load_settings, unknown_variables
from clew.web.errors import ForeignOrigin
from clew.web.files import OPAQUE, type_of
from clew.web.requests import Doorkeeper, RequestIds, language_of, negotiate

OFFERS = ("application/graphql-response+json", "application/json", "text/event-stream")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, OFFERS[0]),
        (b"", OFFERS[0]),
        (b"application/*", OFFERS[0]),
        (b"text/event-stream", OFFERS[2]),
        (b"application/json;q=0.5, text/event-stream;q=0.6", OFFERS[2]),
        (b"APPLICATION/JSON", OFFERS[1]),
        (b"image/png", None),
        (b"*/*;q=0", None),
        (b"application/json;q=nonsense", None),
    ],
)
def test_negotiation(accept: bytes | None, chosen: str | None) -> None:
    assert negotiate(accept, OFFERS) == chosen


@pytest.mark.parametrize("host", [b"127.0.0.1:8000", b"localhost", b"[::1]:8000", b"LOCALHOST:1"])
def test_this_machine_may_come_in(host: bytes) -> None:
    Doorkeeper(Settings()).check({}, {b"host": host})


@pytest.mark.parametrize("host", [b"clew.example", b"127.0.0.1.evil.example", b"", b"[", b"localhost.evil:80"])
def test_other_names_for_this_machine_may_not(host: bytes) -> None:
    with pytest.raises(ForeignOrigin):
        Doorkeeper(Settings()).check({}, {b"host": host})


def test_a_name_from_the_origins_may() -> None:
    keeper = Doorkeeper(Settings(origins=("https://clew.example",)))
    keeper.check({}, {b"host": b"clew.example", b"origin": b"https://clew.example"})


def test_request_ids_are_harmless() -> None:
    assert RequestIds().of({b"x-request-id": b"abc-12345"}) == "abc-12345"
    for bad in (b"a\nb", b"x" * 65, b"short", b'{"a":1}xxxx'):
        assert RequestIds().of({b"x-request-id": bad}) != bad.decode()


def test_the_setting_wins_over_the_browsers_language() -> None:
    assert language_of({b"accept-language": b"zh-CN"}, Settings()) == "zh"
    assert language_of({b"accept-language": b"zh-CN"}, Settings(lang="en")) == "en"


def test_types_are_what_the_bytes_say() -> None:
    assert type_of(b"%PDF-1.7") == "application/pdf"
    assert type_of(b"RIFF1234WEBPVP8 ") == "image/webp"
    for active in (b"<svg ", b"<!doctype html>", b"MZ", b""):
        assert type_of(active) == OPAQUE


def test_settings_take_the_option_then_the_environment_then_the_file(tmp_path: Path) -> None:
    file = tmp_path / "clew.toml"
    file.write_text('port = 1\nhost = "::1"\nbody_limit = 2000\n', encoding="utf-8")
    environ = {"CLEW_PORT": "2", "CLEW_HOST": "localhost", "CLEW_ORIGINS": "https://a, https://b"}
    found = load_settings(file, environ, port=3, host=None)
    assert (found.port, found.host, found.body_limit) == (3, "localhost", 2000)
    assert found.origins == ("https://a", "https://b")
    assert load_settings(None, {"CLEW_SETTINGS": str(file)}).port == 1


def test_a_setting_that_does_not_exist_is_refused_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "clew.toml"
    file.write_text("prot = 1\n", encoding="utf-8")
    with pytest.raises(SettingsInvalid, match="port"):
        load_settings(file, {})
    with pytest.raises(SettingsInvalid):
        load_settings(None, {"CLEW_PORT": "99999999"})
    assert list(unknown_variables({"CLEW_PROT": "1", "CLEW_LANG": "zh"})) == [("CLEW_PROT", "CLEW_PORT")]


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(Settings(database_url="postgresql://clew:secret@db/clew"))
