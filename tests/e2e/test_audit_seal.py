"""audit_seal and the commands around it, as they run: one home, a function's process, and the command line."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.audit.writer import ChainWriter
from shared.cli import main
from shared.clock import SystemClock
from shared.identity.caller import Caller
from shared.identity.ed25519 import read_jwks
from shared.local.prepare import prepare
from shared.policy.types import Audit
from shared.settings import load_settings
from shared.stores.connect import connect_documents, connect_secrets
from shared.stores.folder_objects import FolderObjects
from shared.stores.secret_reader import SecretReader
from tests.support.audit_events import MemoryBus, interaction, store_all
from tests.support.function_process import FunctionProcess
from tests.support.tools import need

HTTP = urllib3.PoolManager(retries=False)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a chain of three users in the archive."""
    home = tmp_path_factory.mktemp("seal") / "home"
    home.mkdir(mode=0o700)
    settings = load_settings(environ={"WARDGATE_ENV": "development", "WARDGATE_HOME": str(home)})
    prepare(settings)
    bus = MemoryBus()
    peppers = SecretReader(connect_secrets(settings.secrets), connect_documents(settings.documents), "production")
    writer = ChainWriter(bus, peppers, Audit(), SystemClock(), "//wardgate/guard")
    for tenant, user in (("acme", "ann"), ("acme", "bob"), ("other", "ann")):
        caller = Caller(tenant, "key-1", "api_key", frozenset())
        writer.record(interaction(caller=caller, user=user, request_id=f"{tenant}-{user}", admission_seq=None))
    writer.close()
    store_all(bus.events, FolderObjects(home / "objects"))
    return home


@pytest.fixture(scope="module")
def function(home: Path) -> Iterator[FunctionProcess]:
    with FunctionProcess("audit_seal", home) as running:
        yield running


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("WARDGATE_ENV", "development")
    monkeypatch.setenv("WARDGATE_HOME", str(home))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def call(function: FunctionProcess, method: str, path: str = "/") -> tuple[int, Any]:
    response = HTTP.request(method, function.url + path, timeout=30)
    return response.status, json.loads(response.data)


def test_scheduler_may_call_as_often_as_it_likes(function: FunctionProcess, run: Run) -> None:
    nothing = {"checkpoints": [], "events": 0, "refused": 0, "outrun": False, "more": False}
    assert call(function, "GET", "/healthz") == (200, {"status": "ok"})
    assert call(function, "POST") == (200, {**nothing, "checkpoints": [0], "events": 5})
    assert call(function, "POST") == (200, nothing)
    assert call(function, "GET")[0] == 405
    assert run("audit", "seal", "--json")[1] == '{"checkpoints":[],"events":0,"refused":0,"outrun":false}\n'
    code, printed, _ = run("audit", "verify", "--json")
    assert (code, json.loads(printed)["sealed"]) == (0, 5)
    assert run("audit", "seal")[1] == "0 events sealed in 0 checkpoints.\n"
    first = "5 events in 1 chain (0 without an end), 5 of them under 1 checkpoint; 0 numberings of admissions."
    assert run("audit", "verify")[1].splitlines()[0] == first


def test_a_store_that_cannot_be_used_is_a_503_that_scheduler_retries(home: Path, function: FunctionProcess) -> None:
    (home / "objects" / "checkpoints").rename(home / "kept")
    (home / "objects" / "checkpoints").symlink_to("checkpoints")  # a loop: opening it fails
    try:
        status, answer = call(function, "POST")
        assert (status, answer["error"]["code"]) == (503, "service_unavailable")
    finally:
        (home / "objects" / "checkpoints").unlink()
        (home / "kept").rename(home / "objects" / "checkpoints")


def test_whoever_holds_a_copy_and_the_public_key_can_verify(run: Run, tmp_path: Path, home: Path) -> None:
    """Without the document store, without any secret, and also with tools that are not ours."""
    keys = json.loads(run("audit", "keys")[1])
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    (public_key,) = read_jwks((tmp_path / "keys.json").read_bytes())
    pem = Ed25519PublicKey.from_public_bytes(public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    copy = tmp_path / "copy"
    shutil.copytree(home / "objects", copy / "objects")
    environment = {"WARDGATE_OBJECTS": f"file://{copy}/objects", "PATH": "/usr/bin:/bin"}
    command = [str(Path(sys.executable).with_name("wardgate")), "audit", "verify", "--offline", "--json"]
    for file in ("keys.json", "key.pem"):
        for more in ((), ("--segments",)):
            done = subprocess.run(
                [*command, "--public-key", str(tmp_path / file), *more],
                env={**environment, "WARDGATE_HOME": str(copy)},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert json.loads(done.stdout)["sealed"] == 5
    assert sorted(path.name for path in copy.iterdir()) == ["objects"]
    other = Ed25519PublicKey.from_public_bytes(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a" * 2))
    (tmp_path / "other.pem").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    code, printed, _ = run("audit", "verify", "--public-key", str(tmp_path / "other.pem"))
    assert code == 1
    assert "checkpoint_unsigned" in printed


def test_the_signature_holds_for_openssl(run: Run, home: Path, tmp_path: Path) -> None:
    """The steps that docs/audit.md gives."""
    (openssl,) = need("openssl")
    stored = (home / "objects/checkpoints/0000000000000000.json").read_bytes()
    header = stored[len(b'{"header":') : stored.index(b',"key":')]
    (tmp_path / "statement").write_text(f"wardgate audit checkpoint 0\n{hashlib.sha256(header).hexdigest()}\n")
    (tmp_path / "signature").write_bytes(base64.b64decode(json.loads(stored)["signature"]))
    (public_key,) = read_jwks(run("audit", "keys")[1].encode())
    pem = Ed25519PublicKey.from_public_bytes(public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    arguments = ("-pubin", "-inkey", "key.pem", "-rawin", "-in", "statement", "-sigfile", "signature")
    done = subprocess.run(
        [openssl, "pkeyutl", "-verify", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("content", "code"), [(b"", 2), (b"{}", 2), (b"not a key", 2), (b"-----END PUBLIC KEY-----", 2)]
)
def test_a_file_without_keys_is_an_error_and_no_verdict(run: Run, tmp_path: Path, content: bytes, code: int) -> None:
    (tmp_path / "file").write_bytes(content)
    assert run("audit", "verify", "--public-key", str(tmp_path / "file"))[:2] == (code, "")
    told, _, complaint = run("audit", "verify", "--public-key", str(tmp_path / "none"))
    assert (told, "none cannot be read: No such file" in complaint) == (2, True)


def test_tampering_is_exit_code_1_and_said_in_words(run: Run, home: Path) -> None:
    path = next(iter(sorted((home / "objects/archive").rglob("*1.json"))))
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b'"answered"', b'"blocked!"'))
    try:
        code, printed, complaint = run("audit", "verify")
        assert code == 1
        assert complaint == "", "no progress bar where there is no terminal"
        assert "integrity     FAULT" in printed
        assert "anchoring     sound" in printed
        assert "altered: a record whose fingerprint is not that of its content." in printed
        assert run("audit", "verify", "--segments")[0] == 0
        assert run("audit", "verify", "--since", "2099-01-01")[0] == 0
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", ""])
def test_a_malformed_date_is_refused(run: Run, since: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run("audit", "verify", "--since", since)
    assert ended.value.code == 2


def test_an_end_user_is_found_by_name_or_by_hash(run: Run) -> None:
    def shown(*arguments: str) -> list[str]:
        lines = run("audit", "show", "--json", "--oldest-first", *arguments)[1].splitlines()
        return [json.loads(line)["attributes"]["wardgate.request.id"] for line in lines]

    assert shown("--user", "ann") == ["acme-ann", "other-ann"]
    assert shown("--user", "ann", "--tenant", "other") == ["other-ann"]
    assert shown("--user", "nobody") == []
    (bob,) = (json.loads(line) for line in run("audit", "show", "--json", "--user", "bob")[1].splitlines())
    assert shown("--user-hmac", bob["attributes"]["wardgate.user.hmac"]) == ["acme-bob"]
    assert "ann" not in json.dumps(bob["attributes"]["wardgate.user.hmac"])


def test_peppers_that_are_gone_are_mentioned(run: Run, home: Path, tmp_path: Path) -> None:
    secrets = home / "secrets" / "audit-pepper"
    (secrets / "1.enabled").rename(tmp_path / "kept")
    try:
        code, printed, complaint = run("audit", "show", "--json", "--user", "ann")
        assert (code, printed) == (0, "")
        assert "version 1 of the pepper" in complaint
    finally:
        (tmp_path / "kept").rename(secrets / "1.enabled")
