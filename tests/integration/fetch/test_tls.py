"""TLS is verified against the URL's host although the socket is opened to an address."""

import asyncio
import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.fetch.address import AddressPolicy
from app.fetch.client import Client
from app.fetch.errors import CertificateRefusedError, InsecureRedirectError


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for good.test, as the path of a PEM file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "good.test")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("good.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "good.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure_site(new_site, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    site = new_site(context)
    site.answer("/", "secret")
    return site


async def loopback(host, port):
    return ("127.0.0.1",)


def fetch(site, url, ssl_context=None):
    async def run():
        policy = AddressPolicy.parse(allow=f"127.0.0.1:{site.port}")
        async with Client(policy, resolver=loopback, ssl_context=ssl_context) as client:
            return await client.fetch(url)

    return asyncio.run(run())


def test_a_certificate_for_the_host_is_believed_when_its_authority_is(secure_site, certificate):
    trusting = ssl.create_default_context(cafile=certificate)

    response = fetch(secure_site, f"https://good.test:{secure_site.port}/", trusting)

    assert response.body == b"secret"


def test_a_certificate_for_another_host_is_refused(secure_site, certificate):
    trusting = ssl.create_default_context(cafile=certificate)

    with pytest.raises(CertificateRefusedError) as caught:
        fetch(secure_site, f"https://other.test:{secure_site.port}/", trusting)

    assert not caught.value.is_retryable
    assert secure_site.requests == []


def test_a_self_signed_certificate_is_refused(secure_site, monkeypatch, certificate):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with pytest.raises(CertificateRefusedError):
        fetch(secure_site, f"https://good.test:{secure_site.port}/")


def test_a_redirect_from_https_to_http_is_refused(secure_site, certificate):
    secure_site.redirect("/down", f"http://good.test:{secure_site.port}/")
    trusting = ssl.create_default_context(cafile=certificate)

    with pytest.raises(InsecureRedirectError) as caught:
        fetch(secure_site, f"https://good.test:{secure_site.port}/down", trusting)

    assert not caught.value.is_retryable
