"""The way to Firestore with application default credentials: TLS, and a token that is fetched and sent along."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.firestore_server import firestore_server

ROOT = Path(__file__).resolve().parents[2]
CALL = """
import sys
from dataclasses import replace
from shared.stores import firestore_documents
from shared.stores.documents import Write
from shared.stores.firestore_documents import FirestoreDocuments
firestore_documents.FIRESTORE = replace(firestore_documents.FIRESTORE, host=sys.argv[1])
documents = FirestoreDocuments("project-1", timeout_seconds=30)
for _ in range(2):
    documents.commit([Write("a/a", increments={"n": 1})])
"""


class Tokens(BaseHTTPRequestHandler):
    """Google's token endpoint, which any assertion satisfies."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"access_token": "made-up-token", "expires_in": 3600, "token_type": "Bearer"}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def token_uri() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Tokens) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/token"
        server.shutdown()
        thread.join()


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_a_commit_carries_the_token_over_tls(key: rsa.RSAPrivateKey, token_uri: str, tmp_path: Path) -> None:
    account = {
        "type": "service_account",
        "project_id": "project-1",
        "private_key_id": "1",
        "private_key": pem(key).decode(),
        "client_email": "guard@project-1.iam.gserviceaccount.com",
        "token_uri": token_uri,
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    (tmp_path / "roots.pem").write_bytes(root := certificate(key))
    environment = {name: value for name, value in os.environ.items() if name != "FIRESTORE_EMULATOR_HOST"} | {
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json"),
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(tmp_path / "roots.pem"),
    }
    tls = grpc.ssl_server_credentials([(pem(key), root)])
    with firestore_server(credentials=tls) as server:
        subprocess.run([sys.executable, "-c", CALL, server.address], cwd=ROOT, env=environment, check=True, timeout=90)
    assert [call.headers["authorization"] for call in server.calls] == ["Bearer made-up-token"] * 2
    assert len({call.peer for call in server.calls}) == 1
