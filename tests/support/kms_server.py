"""A small, faithful Cloud KMS: a signing key version, a symmetric key, checksums both ways, and faults on demand.

After https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys: 64-bit numbers are
strings, members that are false are left out, and a wrong checksum is refused.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VERSION = "projects/test-project/locations/europe-west4/keyRings/wardgate/cryptoKeys/audit/cryptoKeyVersions/1"
SYMMETRIC = "projects/test-project/locations/europe-west4/keyRings/wardgate/cryptoKeys/content"


def _crc32c(data: bytes) -> int:
    """Bit by bit: written apart from the code under test."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 * (value & 1))
    return value ^ 0xFFFFFFFF


class KmsServer:
    """The server's state; ``fault`` names what goes wrong."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.symmetric = [AESGCM.generate_key(256), AESGCM.generate_key(256)]
        self.primary = 1
        self.url = ""
        self.fault = ""
        self.faults_left = 1_000
        self.refused_token = ""
        self.tokens: list[str] = []
        self.signed: list[bytes] = []

    def public_key(self) -> dict[str, Any]:
        pem = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        if self._fails("another algorithm"):
            return {"pem": pem, "algorithm": "EC_SIGN_P256_SHA256", "pemCrc32c": str(_crc32c(pem.encode()))}
        crc = _crc32c(pem.encode()) ^ self._fails("damaged key")
        return {"pem": pem, "algorithm": "EC_SIGN_ED25519", "pemCrc32c": str(crc), "name": VERSION}

    def sign(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        data = base64.b64decode(request["data"])
        if "digest" in request or int(request["dataCrc32c"]) != _crc32c(data):
            return 400, {"error": {"code": 400, "status": "INVALID_ARGUMENT"}}
        self.signed.append(data)
        signature = self.key.sign(data)
        crc = _crc32c(signature) ^ self._fails("damaged signature")
        answer = {
            "signature": base64.b64encode(signature).decode(),
            "signatureCrc32c": str(crc),
            "name": VERSION.replace("/1", "/2") if self._fails("another version") else VERSION,
            "protectionLevel": "SOFTWARE",
        }
        return 200, answer if self._fails("unverified") else {**answer, "verifiedDataCrc32c": True}

    def encrypt(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        plain, aad = (base64.b64decode(request[name]) for name in ("plaintext", "additionalAuthenticatedData"))
        if int(request["plaintextCrc32c"]) != _crc32c(plain):
            return 400, {"error": {"code": 400, "status": "INVALID_ARGUMENT"}}
        nonce = os.urandom(12)
        sealed = bytes([self.primary]) + nonce + AESGCM(self.symmetric[self.primary - 1]).encrypt(nonce, plain, aad)
        answer = {
            "name": f"{SYMMETRIC}/cryptoKeyVersions/{self.primary}",
            "ciphertext": base64.b64encode(sealed).decode(),
            "ciphertextCrc32c": str(_crc32c(sealed) ^ self._fails("damaged ciphertext")),
            "verifiedPlaintextCrc32c": True,
            "protectionLevel": "SOFTWARE",
        }
        unverified = self._fails("unverified")
        return 200, answer if unverified else {**answer, "verifiedAdditionalAuthenticatedDataCrc32c": True}

    def decrypt(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        sealed, aad = (base64.b64decode(request[name]) for name in ("ciphertext", "additionalAuthenticatedData"))
        refused = {"error": {"code": 400, "status": "INVALID_ARGUMENT"}}
        if int(request["ciphertextCrc32c"]) != _crc32c(sealed) or not 1 <= sealed[0] <= len(self.symmetric):
            return 400, refused
        try:
            plain = AESGCM(self.symmetric[sealed[0] - 1]).decrypt(sealed[1:13], sealed[13:], aad)
        except (InvalidTag, ValueError):
            return 400, refused
        crc = _crc32c(plain) ^ self._fails("damaged plaintext")
        return 200, {"plaintext": base64.b64encode(plain).decode(), "plaintextCrc32c": str(crc)}

    def _fails(self, fault: str) -> bool:
        if self.fault != fault or not self.faults_left:
            return False
        self.faults_left -= 1
        return True


@contextmanager
def kms_server() -> Iterator[KmsServer]:
    """A running server on a free port."""
    state = KmsServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*((200, state.public_key()) if self.path == f"/v1/{VERSION}/publicKey" else (404, {})))

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            known = {
                f"/v1/{VERSION}:asymmetricSign": state.sign,
                f"/v1/{SYMMETRIC}:encrypt": state.encrypt,
                f"/v1/{SYMMETRIC}:decrypt": state.decrypt,
            }.get(self.path)
            self._answer(*(known(request) if known else (404, {})))

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            state.tokens.append(self.headers.get("authorization", ""))
            if state.refused_token and state.tokens[-1] == state.refused_token:
                status, body = 401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}
            if state.fault == "down":
                status, body = 503, {"error": {"code": 503, "status": "UNAVAILABLE"}}
            data = b"<html>" if state.fault == "not JSON" else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        serving.start()
        try:
            yield state
        finally:
            server.shutdown()
            serving.join()
