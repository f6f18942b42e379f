"""Notifications by mail (SMTP)."""

import asyncio
import contextlib
import hashlib
import re
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Self
from urllib.parse import unquote, urlsplit

from app.tasks.delivery import DeliveryError, Parcel

TIMEOUT_S = 20.0
# Letters, digits and the signs that people have in addresses: enough to mail to, too little to inject with.
_ADDRESS = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def is_address(text: str) -> bool:
    """Whether mail can be sent to this: a plain `name@host` in ASCII, no longer than RFC 5321 allows."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Mailer:
    """Sends notifications through one SMTP server."""

    host: str
    port: int
    sender: str
    is_tls: bool
    """TLS from the first byte (`smtps://`); otherwise STARTTLS where the server offers it."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, sender: str) -> Self:
        """The mailer of `smtp://user:password@host:port`, or `smtps://...`; user and port may be left out.

        Raises:
            ValueError: another scheme, no host, a password without a user, or `sender` is no address. The
                text does not repeat the URL, which holds the password.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            msg = "SMTP_URL must be smtp://user:password@host:port or smtps://..."
            raise ValueError(msg)
        if parts.password and not parts.username:
            msg = "SMTP_URL has a password but no user"
            raise ValueError(msg)
        if not is_address(sender):
            msg = f"SMTP_FROM {sender!r} is not a mail address"
            raise ValueError(msg)
        is_tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname,
            port=parts.port or (465 if is_tls else 25),
            sender=sender,
            is_tls=is_tls,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    async def send(self, parcel: Parcel) -> None:
        """Return when the server has taken the mail.

        The Message-ID is made of the parcel's identity: a mail that was sent, but whose answer was lost, is
        sent again under the same one, and most mailboxes show it once.

        Raises:
            DeliveryError: the server refused it, or could not be reached.
        """
        await asyncio.to_thread(self._send, self.compose(parcel), parcel.user_id)

    def compose(self, parcel: Parcel) -> EmailMessage:
        """The mail.

        Raises:
            DeliveryError: a header would hold a line break.
        """
        mail = EmailMessage(policy=SMTP)
        try:
            mail["From"] = self.sender
            mail["To"] = parcel.user_id
            mail["Subject"] = parcel.title
            mail["Date"] = format_datetime(parcel.created_at)
            digest = hashlib.sha256(parcel.identity.encode()).hexdigest()[:40]
            mail["Message-ID"] = f"<{digest}@{self.sender.rpartition('@')[2]}>"
            mail["Auto-Submitted"] = "auto-generated"
            mail["X-Notification-Kind"] = parcel.kind.value
        except ValueError as exc:
            raise DeliveryError("a header cannot be written", is_retryable=False) from exc
        mail.set_content(parcel.message)
        return mail

    def _send(self, mail: EmailMessage, recipient: str) -> None:
        try:
            server = self._connect()
            try:
                self._secure(server)
                server.send_message(mail, self.sender, [recipient])
            finally:
                # Once the mail is taken, a server that answers QUIT badly must not make it look unsent.
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    server.quit()
                server.close()
        except smtplib.SMTPResponseException as exc:
            raise _refused(exc.smtp_code) from exc
        except smtplib.SMTPRecipientsRefused as exc:
            raise _refused(min(code for code, _ in exc.recipients.values())) from exc
        except smtplib.SMTPNotSupportedError as exc:
            raise DeliveryError("the mail server lacks what this mail needs", is_retryable=False) from exc
        except ssl.SSLCertVerificationError as exc:
            raise DeliveryError("the mail server's certificate is not valid", is_retryable=False) from exc
        except (smtplib.SMTPException, OSError) as exc:
            raise DeliveryError(f"the mail server did not answer ({type(exc).__name__})", is_retryable=True) from exc

    def _connect(self) -> smtplib.SMTP:
        if self.is_tls:
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)

    def _secure(self, server: smtplib.SMTP) -> None:
        server.ehlo_or_helo_if_needed()
        if not self.is_tls and server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
        elif not self.is_tls and self.user and self.host not in _LOOPBACK:
            # A password is never sent in the clear, even if the server would take it so.
            raise DeliveryError("the mail server offers no TLS for the password", is_retryable=False)
        if self.user:
            server.login(self.user, self.password or "")


def _refused(smtp_code: int) -> DeliveryError:
    # RFC 5321, 4.2.1: 4yz may succeed later, 5yz will not.
    return DeliveryError(f"the mail server answered {smtp_code}", is_retryable=not 500 <= smtp_code <= 599)
