"""wss:// with a certificate made here, its change by SIGHUP, and loopback of IPv6."""

from __future__ import annotations

import datetime
import os
import signal
import socket
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.sync.client import connect

from tests.harness import Gateway
from tests.integration.stream.client import Publisher, ask, next_frame, subscribe


def certificate(folder: Path, name: str) -> None:
    """A self-signed certificate for localhost named `name`, as cert.pem and key.pem in `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)


def shown_name(port: int) -> str:
    """The common name of the certificate that the gateway shows."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, trusting().wrap_socket(plain) as sock:
        raw = sock.getpeercert(binary_form=True)
    assert raw is not None
    return str(x509.load_der_x509_certificate(raw).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_wss_and_a_new_certificate_while_it_runs(tmp_path: Path) -> None:
    certificate(tmp_path, "first")
    files = {"WS_TLS_CERT": str(tmp_path / "cert.pem"), "WS_TLS_KEY": str(tmp_path / "key.pem")}
    with Gateway("--feed", "none", home=None, **files) as gateway, Publisher(gateway) as bus:
        assert gateway.ws_url.startswith("wss://")
        port = int(gateway.ws_url.rsplit(":", 1)[1])
        verified = ssl.create_default_context(cafile=files["WS_TLS_CERT"])
        with connect(gateway.ws_url, ssl=verified, server_hostname="localhost") as client:
            assert ask(client, action="auth", api_key=gateway.add_key("asha"))["status"] == "success"
            subscribe(client, "SAFE")
            bus.send("NSE_SAFE_LTP", {"ltp": 1})
            assert next_frame(client)["data"] == {"ltp": 1}
            assert shown_name(port) == "first"

            (tmp_path / "key.pem").write_text("broken")
            os.kill(gateway.pid, signal.SIGHUP)
            wait_for(lambda: "settings were not taken over" in gateway.log)
            assert shown_name(port) == "first"

            certificate(tmp_path, "second")
            os.kill(gateway.pid, signal.SIGHUP)
            wait_for(lambda: shown_name(port) == "second")
            bus.send("NSE_SAFE_LTP", {"ltp": 2})
            assert next_frame(client)["data"] == {"ltp": 2}


def wait_for(true: object, seconds: float = 5.0) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    certificate(tmp_path, "first")
    (tmp_path / "key.pem").write_text("no key")
    files = {"WS_TLS_CERT": str(tmp_path / "cert.pem"), "WS_TLS_KEY": str(tmp_path / "key.pem")}
    done = Gateway(home=tmp_path, **files).command("market", timeout=20)
    assert done.returncode in (1, 2)
    assert "WS_TLS_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_loopback_of_ipv6() -> None:
    with Gateway("--feed", "none", WEBSOCKET_HOST="::1") as gateway:
        assert gateway.ws_url.startswith("ws://[::1]:")
        with connect(gateway.ws_url) as client:
            assert ask(client, action="auth", api_key=gateway.add_key("asha"))["status"] == "success"
