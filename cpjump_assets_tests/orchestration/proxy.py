"""nginx with the configuration that we recommend, on ports and with files of a test."""

import base64
import datetime
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cpjump_assets_tests.orchestration.browser import PROXY
from cpjump_assets_tests.processes import answers_at, free_port, process, wait_until

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
EXAMPLE = Path(__file__).parents[2] / "deploy" / "nginx" / "cpjump.conf"
USER, PASSWORD = "anna", "the password of the test"
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@contextmanager
def running_nginx(folder: Path, *, port: int, ui_port: int, host: str = PROXY) -> Iterator[None]:
    """Run nginx in front of a web UI; the example is taken as it is but for host, ports, files and the user."""
    folder.mkdir()
    _write_certificate(folder)
    salt = b"salt"
    digest = base64.b64encode(hashlib.sha1(PASSWORD.encode() + salt).digest() + salt).decode()
    (folder / "users").write_text(f"{USER}:{{SSHA}}{digest}\n")
    changes = {
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        f'https://{PROXY}"': f'https://{PROXY}:{port}"',
        "/etc/ssl/cpjump/fullchain.pem": str(folder / "certificate.pem"),
        "/etc/ssl/cpjump/privkey.pem": str(folder / "key.pem"),
        "/etc/nginx/cpjump.htpasswd;": f"{folder / 'users'};",
        "proxy_pass http://127.0.0.1:3000;": f"proxy_pass http://127.0.0.1:{ui_port};",
    }
    example = EXAMPLE.read_text()
    for found, instead in changes.items():
        assert found in example, f"the example says nothing of {found}"
        example = example.replace(found, instead)
    (folder / "cpjump.conf").write_text(example.replace(PROXY, host))
    (folder / "nginx.conf").write_text(_main(folder))
    command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "errors.log")]
    subprocess.run([*command, "-t", "-q"], check=True)
    with process(command) as started:

        def answers() -> bool:
            assert started.poll() is None, (folder / "errors.log").read_text()
            return answers_at(f"http://127.0.0.1:{port}/")  # refused, as it is not https

        wait_until(answers, "nginx answers", every=0.05)
        yield


def _main(folder: Path) -> str:
    # The workers of root would be another user's, who cannot read the test's folder.
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{part}_temp_path {folder / part};" for part in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"{user} daemon off; worker_processes 1; pid {folder / 'pid'}; events {{}}"
        f" http {{ access_log off; {temporary} include {folder / 'cpjump.conf'}; }}\n"
    )


def _write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, PROXY)])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(PROXY)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    unencrypted = serialization.NoEncryption()
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
    (folder / "key.pem").write_bytes(encoded)
