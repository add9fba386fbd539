"""``make run``: what it prints, that it finds its state again, and that it leaves nothing behind, however it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import urllib3

from tests.support.stack import PORTS, LocalStack, free_ports

ROOT = Path(__file__).resolve().parents[2]
HTTP = urllib3.PoolManager(retries=False)
FUNCTIONS = ["guard", "model", "audit_archive", "rotate_secrets", "audit_warehouse", "audit_alerts", "audit_seal"]

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


@pytest.fixture
def started(tmp_path):
    """Starts a stack on this test's home, and sees in the end that nothing of it is left."""
    running = []

    def start(ready=True, **options):
        stack = LocalStack(tmp_path / "home", **options)
        running.append(stack)
        stack.start()
        if ready:
            stack.wait_until_ready()
        return stack

    yield start
    for stack in running:
        stack.stop()
    assert_nothing_left(*running)


def assert_nothing_left(*stacks, within=10):
    deadline = time.monotonic() + within
    while any(stack.processes() or stack.open_ports() for stack in stacks):
        assert time.monotonic() < deadline, [(stack.processes(), stack.open_ports(), stack.output) for stack in stacks]
        time.sleep(0.05)


def chat(stack, key=None):
    body = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": f"Bearer {key or stack.key}"}
    return HTTP.request("POST", f"{stack.url}/v1/chat/completions", json=body, headers=headers)


def group_of(stack, name):
    """The processes of one function: gunicorn's master, which leads the group, and its worker."""
    source = str(ROOT / "functions" / name / "main.py")
    pids = [pid for pid in stack.processes() if source in Path(f"/proc/{pid}/cmdline").read_text().split("\0")]
    (master,) = (pid for pid in pids if os.getpgid(pid) == pid)
    return master, [pid for pid in pids if pid != master]


# --- what it prints -------------------------------------------------------------------------------


def printed_between(output, first, last):
    """The indented lines of the output between two that begin as given, as they would be pasted."""
    block = output.partition(first)[2].partition(last)[0]
    return "\n".join(line.removeprefix("  ") for line in block.splitlines()[1:])


def test_what_is_printed_works_as_it_stands(default_stack):
    output = default_stack.output
    assert output.splitlines()[-1] == "ready"
    assert default_stack.url in output
    assert default_stack.key in output
    snippet = printed_between(output, "With Python's openai package:", "Logs")
    ran = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, check=False)
    assert (ran.returncode, "stand-in" in ran.stdout) == (0, True), ran.stderr


@pytest.mark.needs("curl", "bash")
def test_the_printed_curl_line_works_as_it_stands(default_stack):
    line = printed_between(default_stack.output, "With curl:", "With Python")
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert json.loads(ran.stdout)["object"] == "chat.completion", ran.stderr


def test_the_key_is_kept_where_only_its_owner_can_read_it(default_stack):
    assert default_stack.home.stat().st_mode & 0o777 == 0o700
    assert (default_stack.home / "dev-key").stat().st_mode & 0o777 == 0o600


def test_it_listens_on_loopback_only(default_stack):
    ours = {f"{port:04X}" for port in range(default_stack.port, default_stack.port + PORTS)}
    listening = [
        line.split()[1].split(":")
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    found = {(address, port) for address, port in listening if port in ours}
    assert len(found) == len(FUNCTIONS)
    assert {address for address, _ in found} == {"0100007F"}


def test_every_function_is_a_process_of_its_own_and_sinks_give_way(default_stack):
    niceness = {name: os.getpriority(os.PRIO_PROCESS, group_of(default_stack, name)[0]) for name in FUNCTIONS}
    behind = {niceness[name] for name in FUNCTIONS[2:]}
    assert niceness["guard"] == niceness["model"] < min(behind) == max(behind)


def test_guard_keeps_to_one_core(default_stack):
    cores = os.sched_getaffinity(0)
    if len(cores) == 1:
        pytest.skip("this machine has one core")
    try:
        os.sched_setaffinity(0, cores)
    except OSError:
        pytest.skip("this system lets no process keep to a core")
    guard, guards = cores_of(default_stack, "guard")
    assert len(guard) == 1
    assert guards == [guard]
    for name in FUNCTIONS[1:]:
        assert cores_of(default_stack, name)[0] == cores


def cores_of(stack, name):
    """Where the master of a function may run, and where its workers may."""
    master, workers = group_of(stack, name)
    return os.sched_getaffinity(master), [os.sched_getaffinity(pid) for pid in workers]


def test_an_answer_reaches_the_archive(stack):
    request_id = chat(stack).headers["x-request-id"]
    archive = stack.home / "objects" / "archive"
    deadline = time.monotonic() + 60
    while not any(request_id.encode() in path.read_bytes() for path in archive.rglob("*") if path.is_file()):
        assert time.monotonic() < deadline, stack.log("audit_archive")
        time.sleep(0.1)


# --- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_and_leaves_nothing(started, number):
    before = signal.signal(number, signal.default_int_handler)  # under nohup, SIGHUP would be ignored by all that start
    try:
        stack = started()
    finally:
        signal.signal(number, before)
    assert len(stack.processes()) > len(FUNCTIONS)
    assert stack.stop(number) == 0
    assert_nothing_left(stack, within=0)


def test_a_signal_to_the_whole_group_twice(started):
    stack = started()
    for pause in (0, 0.02, 0.7):
        time.sleep(pause)
        try:
            os.killpg(stack.supervisor.pid, signal.SIGINT)
        except ProcessLookupError:
            break
    assert stack.supervisor.wait(10) == 0
    assert_nothing_left(stack, within=0)


@pytest.mark.parametrize("delay", [0.3, 0.8, 1.5])
def test_a_signal_during_the_start(started, delay):
    stack = started(ready=False)
    time.sleep(delay)
    assert stack.stop(signal.SIGTERM) in (0, -signal.SIGTERM)  # the latter before Python itself was up
    assert_nothing_left(stack, within=0)


@pytest.mark.parametrize("delay", [0.8, None])
def test_a_killed_supervisor_takes_everything_with_it(started, delay):
    stack = started(ready=delay is None)
    time.sleep(delay or 0)
    stack.supervisor.kill()
    assert_nothing_left(stack)


@pytest.mark.parametrize("name", ["guard", "audit_archive"])
def test_a_crash_is_shown_and_ends_the_stack(started, name):
    stack = started()
    master, _ = group_of(stack, name)
    os.kill(master, signal.SIGKILL)
    assert stack.supervisor.wait(20) == 1
    assert f"{name} ended with signal SIGKILL" in stack.output
    assert_nothing_left(stack, within=0)


def test_make_run_ends_with_the_terminal_s_interrupt(tmp_path):
    stack = LocalStack(tmp_path / "home")
    stack.port = free_ports()
    with (tmp_path / "output").open("wb") as output:
        make = subprocess.Popen(
            ["make", "run", f"--old-file={sys.prefix}/.installed", f"PORT={stack.port}", f"VENV={sys.prefix}"],
            cwd=ROOT,
            env=stack.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 90
        while "ready" not in (printed := (tmp_path / "output").read_text()).splitlines():
            assert make.poll() is None, printed
            assert time.monotonic() < deadline, printed
            time.sleep(0.05)
        os.killpg(make.pid, signal.SIGINT)
        make.wait(20)
        assert_nothing_left(stack, within=0)
    finally:
        if make.poll() is None:
            os.killpg(make.pid, signal.SIGTERM)
            make.wait(20)


# --- state ----------------------------------------------------------------------------------------


def test_a_second_start_finds_the_state_of_the_first(started):
    stack = started()
    request_id = chat(stack).headers["x-request-id"]
    key = stack.key
    stack.restart()
    assert stack.key == key
    assert chat(stack).status == 200
    assert request_id in stack.wardgate("audit", "show", "--json").stdout

    assert stack.wardgate("keys", "revoke", key.split("_")[1]).returncode == 0
    stack.restart()
    assert stack.key != key
    assert (chat(stack).status, chat(stack, key).status) == (200, 401)


def test_events_that_a_kill_left_undelivered_are_delivered_at_the_next_start(started):
    stack = started()
    _, workers = group_of(stack, "audit_archive")
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    request_id = chat(stack).headers["x-request-id"]
    stack.supervisor.kill()
    assert_nothing_left(stack)
    stack.restart()
    deadline = time.monotonic() + 30
    while request_id not in stack.wardgate("audit", "show", "--json").stdout:
        assert time.monotonic() < deadline, stack.log("audit_archive")
        time.sleep(0.2)


# --- does not start -------------------------------------------------------------------------------


def refused(stack):
    """The one line that a stack prints which does not start."""
    assert stack.supervisor.wait(30) == 2
    (line,) = stack.output.splitlines()
    return line


def test_a_taken_port_is_named(tmp_path):
    stack = LocalStack(tmp_path / "home")
    first = free_ports()
    with socket.create_server(("127.0.0.1", first + 1)):
        stack.start(first)
        line = refused(stack)
    assert line.startswith(f"wardgate: port {first + 1}: is needed by model but taken")
    assert re.search(r"make run PORT=\d+", line)
    assert not stack.processes()


@pytest.mark.parametrize("port", [-1, 65_534])
def test_a_port_without_room_is_refused(tmp_path, port):
    stack = LocalStack(tmp_path / "home")
    stack.start(port)
    assert refused(stack) == f"wardgate: PORT: {port} is not the first of {len(FUNCTIONS)} ports in a row."


def test_a_bad_policy_is_named_with_its_path(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("limits: [{name: few, amount: -1, window_seconds: 60}]")
    stack = LocalStack(tmp_path / "home", policy=policy)
    stack.start()
    assert refused(stack).startswith(f"wardgate: {policy}: limits[")


def test_a_second_stack_on_the_same_home_is_refused(stack):
    second = LocalStack(stack.home)
    second.start()
    assert "another stack runs on" in refused(second)
    assert chat(stack).status == 200


def test_a_home_that_others_can_enter_is_refused(tmp_path):
    stack = LocalStack(tmp_path / "home")
    stack.home.mkdir(mode=0o755)
    stack.start()
    assert "chmod 700" in refused(stack)


def test_an_unknown_local_model_is_refused(tmp_path):
    stack = LocalStack(tmp_path / "home", arguments=("--local-model", "gpt"))
    stack.start()
    assert stack.supervisor.wait(30) == 2
    assert "smollm2" in stack.output
