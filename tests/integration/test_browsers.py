"""A page in real browsers: Chromium driven by Playwright, Firefox reporting back by itself."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.harness import ROOT, Gateway

PAGE = ROOT / "tests/browser/page.html"
CHROMIUM_ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-quic --no-first-run "
    "--disable-component-update --disable-sync"
).split()
#: no first-run pages, updates, telemetry or captive-portal checks
FIREFOX_PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}


class Site:
    """Serves the page on loopback and keeps what it reports."""

    def __init__(self) -> None:
        self.reports: queue.Queue[dict[str, Any]] = queue.Queue()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = PAGE.read_bytes() if self.path == "/page.html" else b""
                self.answer(200 if body else 404, body)

            def do_POST(self) -> None:
                site.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer(200, b"")

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def url(self, gateway: Gateway, key: str) -> str:
        """The page with its task in the fragment."""
        task = urlencode({"ws": gateway.ws_url, "key": key, "report": 1})
        return f"http://127.0.0.1:{self.server.server_address[1]}/page.html#{task}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Gateway("--feed", "simulated", SIMULATED_INSTRUMENTS="20") as running:
        yield running


@pytest.fixture
def site() -> Iterator[Site]:
    one = Site()
    yield one
    one.stop()


def installed(*names: str) -> str:
    """The path of the first browser that is there; skips the test where none is."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"{names[0]} is not installed; .ci/run or `apt-get install {names[0]}` brings it")
    return found


def test_chromium(gateway: Gateway, site: Site) -> None:
    from playwright.sync_api import sync_playwright

    path = installed("chromium", "chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        page = browser.new_page()
        page.goto(site.url(gateway, gateway.add_key("chromium")))
        page.wait_for_function("document.getElementById('state').textContent === 'live'", timeout=20_000)
        lines = page.locator("#ticks li").all_text_contents()
        page.goto("about:blank")
        page.goto(site.url(gateway, "w" * 40))
        page.wait_for_function("document.getElementById('state').textContent === 'error'", timeout=20_000)
        browser.close()
    assert {line.rsplit(" ", 1)[0] for line in lines} == {f"NSE:RELIANCE {mode}" for mode in (1, 2, 3)}
    assert all(float(line.rsplit(" ", 1)[1]) > 0 for line in lines)
    assert site.reports.get(timeout=5)["modes"] == [1, 2, 3]


def test_firefox(gateway: Gateway, site: Site, tmp_path: Path) -> None:
    path = installed("firefox-esr", "firefox")
    profile = tmp_path / "profile"
    profile.mkdir()
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in FIREFOX_PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command = [path, "--headless", "--no-remote", "--profile", str(profile), site.url(gateway, gateway.add_key("fox"))]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "MOZ_HEADLESS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as firefox:
        try:
            report = site.reports.get(timeout=60)
        finally:
            firefox.terminate()
            firefox.wait(20)
    assert "Firefox" in report["agent"]
    assert report["modes"] == [1, 2, 3]
