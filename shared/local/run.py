"""One run of the local stack: from options to the line ``ready``, and to an end that leaves nothing behind."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from shared.errors import ConfigurationError, Fault, StoreError
from shared.local import smollm2
from shared.local.delivery import Delivery, SpoolDelivery
from shared.local.greeting import greeting
from shared.local.home import only_stack_of, tell_stores
from shared.local.prepare import prepare
from shared.local.processes import HOST, Process, Service
from shared.local.schedule import Schedule
from shared.local.stack import Signals, Stack, StackFailed, Stopped, check_ports
from shared.policy import load_policy
from shared.policy.types import PolicyFile
from shared.settings import Settings, load_settings

if TYPE_CHECKING:
    from shared.local.emulation import Emulation

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"

CONCURRENCY = 100
"""Requests that one process serves at once. The framework's own default, 4 per CPU, starves event streams."""

SINK_NICENESS = 10
"""Sinks and delivery give way to answers."""

DRAIN_SECONDS = 3.0
"""What delivery gets to empty the spool when the stack ends, and the seal to cover it; the next start does the rest."""

SEAL_SECONDS = 300.0
"""How often the trail is sealed."""

ROTATE_SECONDS = 60.0
"""How often secrets are looked at, so that grace periods end about when they should."""

EMULATORS_SECONDS = 180.0
"""Longest wait for the emulators: to start Java is a lot of work, and the machine may have other work."""

_SEAL = "audit_seal"
_ROTATE = "rotate_secrets"

_FRAMEWORK_VARIABLES = (
    *("DEBUG", "FUNCTION_SIGNATURE_TYPE", "FUNCTION_SOURCE", "FUNCTION_TARGET", "FUNCTION_USE_ASGI"),
    *("HOST", "PORT", "WORKERS"),
)
"""What the framework reads: one left over in a developer's shell must not change the stack."""


def main(signals: Signals, arguments: Sequence[str] | None = None) -> int:
    """Run the stack until a signal ends it. Exit code: 0, or 1 after a crash, or 2 where it cannot start."""
    options = _options(arguments)
    try:
        emulation = _emulation() if options.emulators else None
        settings = _settings(options.port, emulation)
        policy = load_policy(settings.policy).file
        services = _services(settings, policy, options.port, options.local_model)
        with only_stack_of(settings.home):
            check_ports(services)
            return _run(services, settings, signals, emulation)
    except ConfigurationError as error:
        for fault in error.faults:
            _say(f"wardgate: {fault}", sys.stderr)
        return 2


def _run(services: Sequence[Service], settings: Settings, signals: Signals, emulation: Emulation | None) -> int:
    stack = Stack(settings.home / "logs", signals)
    urls = {service.name: f"http://{HOST}:{service.port}/" for service in services}
    delivery: Delivery = (
        emulation.delivery(settings)
        if emulation is not None
        else SpoolDelivery(
            Path(settings.events.partition("://")[2]),
            {service.name: urls[service.name] for service in services if service.sink},
            niceness=SINK_NICENESS,
            on_failure=signals.wake,
        )
    )
    sealing = Schedule(urls[_SEAL], seconds=SEAL_SECONDS)
    rotating = Schedule(urls[_ROTATE], seconds=ROTATE_SECONDS, at_once=False)  # `prepare` has just done it
    try:
        with ExitStack() as until_the_end:
            if emulation is not None:
                _say("Starting Google's emulators of Firestore and Pub/Sub.")
                stack.start(emulation.services, within=EMULATORS_SECONDS)
                # Before anything else: a `kill on` that is typed meanwhile must not go to the home's own stores.
                until_the_end.enter_context(tell_stores(settings.home, emulation.variables))
                emulation.settle(urls)
            key = prepare(settings)
            stack.start(services)
            delivery.start()
            sealing.start()
            rotating.start()
            _say(greeting(services, settings.home, key, emulation))
            while delivery.failure is None:
                stack.check()
                signals.wait()
        _say(f"wardgate: events cannot be delivered: {delivery.failure}", sys.stderr)
    except Stopped:
        return 0
    except StackFailed as failure:
        _say(f"wardgate: {failure}", sys.stderr)
    finally:
        stores = [process for process in stack.processes if emulation and process.service in emulation.services]
        last = [process for process in stack.processes if process.service.sink or process.service.name == _SEAL]
        stack.stop([process for process in stack.processes if process not in (*stores, *last)])
        _drain(delivery, sealing, last, signals)
        stack.stop(last)
        delivery.stop()
        stack.stop(stores)
    return 1


def _drain(delivery: Delivery, sealing: Schedule, last: Sequence[Process], signals: Signals) -> None:
    """Wait a while until the sinks have everything that was published, and until that is sealed."""
    deadline = time.monotonic() + DRAIN_SECONDS
    # Where the spool cannot be read or somebody is impatient, the rest is delivered at the next start.
    with suppress(StoreError, Stopped):
        while (
            delivery.is_at_work()
            and delivery.pending()
            and all(process.exit_code is None for process in last)
            and time.monotonic() < deadline
        ):
            signals.wait(0.05)
        sealing.finish()
        while sealing.is_at_work() and time.monotonic() < deadline:
            signals.wait(0.05)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make run", description="Serve every function of Wardgate on this machine.")
    parser.add_argument("--port", type=int, default=8080, help="guard's port; the others take the ports after it")
    parser.add_argument(
        "--emulators", action="store_true", help="keep documents and events in Google's emulators, as long as it runs"
    )
    parser.add_argument("--local-model", choices=[smollm2.NAME], help="answer with a real, small model")
    return parser.parse_args(arguments)


def _emulation() -> Emulation:
    from shared.local.emulation import Emulation  # gRPC takes long to import, and few runs need it

    return Emulation()


def _settings(port: int, emulation: Emulation | None) -> Settings:
    """The functions' settings, which they inherit through the environment."""
    for name in _FRAMEWORK_VARIABLES:
        os.environ.pop(name, None)
    if emulation is not None:
        if twice := [name for name in emulation.stores if os.environ.get(name)]:
            raise ConfigurationError(
                [Fault(name, "and EMULATORS both name a store; give one of them.") for name in twice]
            )
        os.environ.update(emulation.variables)
    os.environ["WARDGATE_ENV"] = "development"
    os.environ["WARDGATE_HOME"] = str(Path(os.environ.get("WARDGATE_HOME") or ".wardgate").absolute())
    os.environ["WARDGATE_MODEL_URL"] = f"http://{HOST}:{port + 1}"
    os.environ["THREADS"] = str(CONCURRENCY)
    return load_settings()


def _services(settings: Settings, policy: PolicyFile, port: int, local_model: str | None) -> list[Service]:
    """What runs, on ``port`` and those after it."""
    served, upstream = _local_model(settings, port + 7) if local_model else ([], {})
    return [
        # The encoder of the second stage works outside Python's lock, and so on as many cores as there are.
        _function("guard", port, one_core=not _has_second_stage(policy)),
        _function("model", port + 1, environment=upstream),
        _function("audit_archive", port + 2, niceness=SINK_NICENESS, sink=True),
        _function(_ROTATE, port + 3, niceness=SINK_NICENESS),
        _function("audit_warehouse", port + 4, niceness=SINK_NICENESS, sink=True),
        _function("audit_alerts", port + 5, niceness=SINK_NICENESS, sink=True),
        _function(_SEAL, port + 6, niceness=SINK_NICENESS),
        *served,
    ]


def _has_second_stage(policy: PolicyFile) -> bool:
    """Whether it is on for anybody."""
    guards = (policy.guards, *(tenant.guards for tenant in policy.tenants.values()))
    return any(each.second_stage.mode != "off" for each in guards)


def _function(
    name: str,
    port: int,
    *,
    environment: dict[str, str] | None = None,
    niceness: int = 0,
    one_core: bool = False,
    sink: bool = False,
) -> Service:
    source = str(FUNCTIONS / name / "main.py")
    return Service(
        name=name,
        port=port,
        module="functions_framework",
        arguments=("--target", name, "--source", source, "--host", HOST, "--port", str(port)),
        environment=environment or {},
        niceness=niceness,
        one_core=one_core,
        sink=sink,
    )


def _local_model(settings: Settings, port: int) -> tuple[list[Service], dict[str, str]]:
    """The server of the local model, and the variables that make it the model function's upstream."""
    if settings.upstream_url:
        raise ConfigurationError([Fault("LOCAL_MODEL", "and UPSTREAM_URL both name a model; give one of them.")])
    smollm2.weights()
    key = secrets.token_urlsafe(24)
    server = Service(
        name=smollm2.NAME,
        port=port,
        module=smollm2.__name__,
        arguments=(str(port),),
        environment={"LOCAL_MODEL_KEY": key},
        probe="/health",
    )
    return [server], {
        "UPSTREAM_URL": f"http://{HOST}:{port}/v1",
        "UPSTREAM_MODEL": smollm2.NAME,
        "UPSTREAM_API_KEY": key,
    }


def _say(text: str, to: TextIO | None = None) -> None:
    print(text, file=to or sys.stdout, flush=True)
