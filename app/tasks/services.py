"""What the tasks work with, built from the settings; one of these a process."""

from functools import cached_property

from app.extract.limits import Limits
from app.fetch.address import AddressPolicy
from app.fetch.client import Client
from app.settings import Settings
from app.stores.mongo import Mongo
from app.stores.stores import Stores
from app.stores.uploads import Uploads
from app.tasks.mail import Mailer
from app.tasks.webhook import Webhook


class Services:
    """The stores, the uploads, the way to the web and the channels of notifications.

    Each is made when it is first used, so a process that only submits tasks opens nothing.

    Args of the constructor: the settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def stores(self) -> Stores:
        """The database; a process that was forked connects anew."""
        settings = self.settings
        return Stores(
            Mongo(
                settings.mongo_url,
                settings.db_name,
                max_pool_size=settings.mongo_max_pool_size,
                min_pool_size=settings.mongo_min_pool_size,
            )
        )

    @cached_property
    def uploads(self) -> Uploads:
        """The folder of uploaded files."""
        return Uploads(self.settings.uploads_dir)

    @cached_property
    def limits(self) -> Limits:
        """What one document may cost."""
        return Limits(max_file_bytes=self.settings.max_upload_bytes, max_pages=self.settings.max_document_pages)

    @cached_property
    def address_policy(self) -> AddressPolicy:
        """Where pages and webhooks may be.

        Raises:
            ValueError: `fetch_ports` or `fetch_allow` cannot be read.
        """
        try:
            return AddressPolicy.parse(self.settings.fetch_ports, self.settings.fetch_allow)
        except ValueError as exc:
            msg = f"FETCH_PORTS or FETCH_ALLOW cannot be used: {exc}"
            raise ValueError(msg) from exc

    def fetch_client(self) -> Client:
        """A new client for pages, to be used as `async with` by one task."""
        return Client(self.address_policy)

    @cached_property
    def mailer(self) -> Mailer | None:
        """The way by mail; None when no `smtp_url` is set.

        Raises:
            ValueError: `smtp_url` or `smtp_from` cannot be used.
        """
        url = self.settings.smtp_url
        return None if url is None else Mailer.parse(url.get_secret_value(), self.settings.smtp_from)

    @cached_property
    def webhook(self) -> Webhook | None:
        """The signed webhook; None when no `webhook_url` is set.

        Raises:
            ValueError: there is a URL but no `webhook_secret`: nothing is sent unsigned.
        """
        url, secret = self.settings.webhook_url, self.settings.webhook_secret
        if url is None:
            return None
        if secret is None or not secret.get_secret_value():
            msg = "WEBHOOK_URL is set without WEBHOOK_SECRET: notifications would be sent unsigned"
            raise ValueError(msg)
        return Webhook(url, secret.get_secret_value().encode(), self.address_policy)

    def check(self) -> None:
        """Return if the settings of the channels and of fetching can be used; call it when a process starts.

        Raises:
            ValueError: one of them cannot; names it without repeating a secret.
        """
        _ = (self.address_policy, self.mailer, self.webhook)

    async def close(self) -> None:
        """Close this process's connections to MongoDB."""
        if "stores" in self.__dict__:
            await self.stores.close()
