"""What a metrics endpoint tells, by name and labels."""

import http.client

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[str, list[tuple[dict[str, str], float]]]


class Scrape:
    """The samples of one answer."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: Samples = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self.samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name that have these labels."""
        found = self.samples.get(name, [])
        return sum(value for had, value in found if labels.items() <= had.items())


def scraped(port: int) -> Scrape:
    """What the endpoint at that port of loopback answers; empty while nothing listens there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        return Scrape(connection.getresponse().read().decode())
    except (OSError, http.client.HTTPException):
        return Scrape("")
    finally:
        connection.close()


def registered(registry: CollectorRegistry) -> Scrape:
    """What a registry of this process holds."""
    return Scrape(generate_latest(registry).decode())
