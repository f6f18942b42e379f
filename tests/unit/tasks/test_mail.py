from datetime import UTC, datetime

import pytest

from app.stores.notifications import NotificationKind
from app.tasks.delivery import DeliveryError, Parcel
from app.tasks.mail import Mailer, is_address


def parcel(title="Done", user_id="ann@example.com", identity="ntf_1", message="Hällo\nthere"):
    return Parcel(
        identity=identity,
        tenant="t1",
        user_id=user_id,
        title=title,
        message=message,
        kind=NotificationKind.INFO,
        created_at=datetime(2026, 11, 23, 12, tzinfo=UTC),
    )


MAILER = Mailer.parse("smtp://127.0.0.1:2525", "onceq@example.org")


def test_a_url_gives_server_and_credentials():
    mailer = Mailer.parse("smtps://ann%40a:p%3Aw@mail.example.org", "a@b")

    assert (mailer.host, mailer.port, mailer.is_tls) == ("mail.example.org", 465, True)
    assert (mailer.user, mailer.password) == ("ann@a", "p:w")


@pytest.mark.parametrize(
    "url", ["", "http://a", "smtp://", "smtp:///x", "smtp://:secret@host", "smtp://host:99999", "mail.example.org"]
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url):
    with pytest.raises(ValueError, match=r".") as caught:
        Mailer.parse(url, "a@b")

    assert "secret" not in str(caught.value)


def test_the_password_is_not_in_the_representation():
    assert "secret" not in repr(Mailer.parse("smtp://ann:secret@host", "a@b"))


@pytest.mark.parametrize("sender", ["", "nobody", "a@b\r\nBcc: c@d", "a@b, c@d"])
def test_a_sender_that_is_no_address_is_refused(sender):
    with pytest.raises(ValueError, match="SMTP_FROM"):
        Mailer.parse("smtp://host", sender)


@pytest.mark.parametrize("text", ["ann@example.com", "a.b+c@localhost", "o'neil@a-b.example"])
def test_an_address_is_recognised(text):
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    ["ann", "ann@", "@b", "a@b\n", "a@b,c@d", "<a@b>", "a b@c", "a@b@c", "a" * 65 + "@b", "ü@b", "a@b." + "c" * 260],
)
def test_what_is_no_plain_address_is_not_mailed_to(text):
    assert not is_address(text)


def test_the_message_id_is_the_same_for_the_same_identity_only():
    first, again = (MAILER.compose(parcel()) for _ in range(2))
    other = MAILER.compose(parcel(identity="ntf_2"))

    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert first["Message-ID"].endswith("@example.org>")


def test_the_mail_says_what_the_notification_says():
    mail = MAILER.compose(parcel(title="Größe"))

    assert (mail["Subject"], mail["To"], mail["From"]) == ("Größe", "ann@example.com", "onceq@example.org")
    assert mail.get_content().splitlines() == ["Hällo", "there"]
    assert mail["Date"].datetime == datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize("title", ["a\r\nBcc: eve@example.com", "a\nb"])
def test_a_line_break_in_a_header_is_refused(title):
    with pytest.raises(DeliveryError) as caught:
        MAILER.compose(parcel(title=title))

    assert not caught.value.is_retryable
