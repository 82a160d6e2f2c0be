"""Messages as mail, through an SMTP server."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage

from tracker.alerts.config import EmailConfig
from tracker.alerts.failure import DeliveryError, TransientError
from tracker.alerts.message import Message
from tracker.alerts.post import within

__all__ = ["EmailSink"]


@dataclass(frozen=True, slots=True)
class EmailSink:
    """Sends each message to everybody in `config.to`; the later ones answer the first.

    Attributes:
        config: Server and addresses.
        environ: Holds the password.
        deadline: Seconds that one delivery may take in all.
    """

    config: EmailConfig
    environ: Mapping[str, str]
    deadline: float = 20.0

    @property
    def name(self) -> str:
        return "email"

    def send(self, message: Message, reference: str | None) -> str | None:
        password = None
        if self.config.password_variable is not None:
            password = self.environ.get(self.config.password_variable)
            if not password:
                raise DeliveryError(
                    f"environment variable {self.config.password_variable} is not set"
                )
        mail = _mail(message, self.config)
        within(self.deadline, lambda: _send(mail, self.config, password, self.deadline))
        return None


def _mail(message: Message, config: EmailConfig) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"] = config.sender, ", ".join(config.to)
    mail["Subject"] = " ".join(f"[{message.alert.project}] {message.title}".split())
    # Made of the delivery: where one is repeated, a mail server may drop the second.
    mail["Message-ID"] = _message_id(message.delivery_id)
    if message.stage != "opened":
        mail["In-Reply-To"] = mail["References"] = _message_id(message.thread_id)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text + "\n")
    if message.chart is not None:
        mail.add_attachment(
            message.chart.encode(), maintype="image", subtype="svg+xml", filename="history.svg"
        )
    return mail


def _message_id(identity: str) -> str:
    return f"<{hashlib.sha256(identity.encode()).hexdigest()[:32]}@pacekeeper>"


def _send(mail: EmailMessage, config: EmailConfig, password: str | None, deadline: float) -> None:
    context = ssl.create_default_context()
    try:
        if config.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                config.host, config.port, timeout=deadline, context=context
            )
        else:
            server = smtplib.SMTP(config.host, config.port, timeout=deadline)
        with server:
            if config.security == "starttls":
                server.starttls(context=context)
            if config.user is not None and password is not None:
                server.login(config.user, password)
            refused = server.send_message(mail)
    except smtplib.SMTPAuthenticationError:
        raise DeliveryError("the mail server refuses user or password") from None
    except smtplib.SMTPRecipientsRefused as error:
        raise DeliveryError(f"every recipient is refused ({_codes(error.recipients)})") from None
    except smtplib.SMTPNotSupportedError:
        raise DeliveryError("the mail server offers no STARTTLS or log-in") from None
    except smtplib.SMTPResponseException as error:
        kind = TransientError if 400 <= error.smtp_code < 500 else DeliveryError
        raise kind(f"the mail server answers {error.smtp_code}") from None
    except ssl.SSLError as error:
        raise DeliveryError(f"no secure connection: {error.reason}") from None
    except (smtplib.SMTPException, OSError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise TransientError(f"no connection: {reason}") from None
    if refused:
        raise DeliveryError(f"refused for {', '.join(sorted(refused))} ({_codes(refused)})")


def _codes(refused: Mapping[str, tuple[int, bytes]]) -> str:
    return ", ".join(sorted({str(code) for code, _ in refused.values()}))
