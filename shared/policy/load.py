"""Reads ``policy.yaml``: typed, checked whole, and named by a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from shared.errors import ConfigurationError, Fault
from shared.policy.types import PolicyFile, RateLimit

DEFAULT_POLICY = Path(__file__).with_name("default.yaml")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that has been checked."""

    file: PolicyFile
    digest: str
    """SHA-256 over the policy with every default filled in, in hex: two files that mean the same share it."""

    source: Path


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """Safe YAML that refuses a key given twice, which YAML would let win silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        mapping: dict[object, object] = super().construct_mapping(node, deep)
        return mapping


def load_policy(path: Path | None = None) -> Policy:
    """Load and check a policy; the one that ships with Wardgate where ``path`` is None.

    Raises:
        ConfigurationError: The file cannot be read, or something in it is wrong.
    """
    source = path or DEFAULT_POLICY
    try:
        tree = yaml.load(source.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a subclass of SafeLoader
    except OSError as error:
        raise ConfigurationError([Fault(str(source), f"cannot be read: {error.strerror}.")]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError([Fault(str(source), f"is not YAML: {_one_line(error)}.")]) from error
    try:
        file = msgspec.convert(tree if tree is not None else {}, PolicyFile)
    except msgspec.ValidationError as error:
        raise ConfigurationError([_located(source, error)]) from error
    if faults := list(_contradictions(file)):
        raise ConfigurationError([Fault(f"{source}: {fault.path}", fault.problem) for fault in faults])
    return Policy(file, hashlib.sha256(msgspec.json.encode(file, order="deterministic")).hexdigest(), source)


def _located(source: Path, error: msgspec.ValidationError) -> Fault:
    """msgspec's message, with the field's path in front; an unknown field is named by its own path."""
    problem, _, path = str(error).partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    if problem.startswith("Object contains unknown field"):
        unknown = problem.split("`")[1]
        return Fault(f"{source}: {path}.{unknown}" if path else f"{source}: {unknown}", "is not a field of the policy.")
    return Fault(f"{source}: {path or 'policy'}", f"{problem}.")


def _contradictions(file: PolicyFile) -> Iterator[Fault]:
    """What no single field's type can tell."""
    for alias, model in file.models.items():
        for index, target in enumerate(model.targets):
            if target.upstream not in file.upstreams:
                known = ", ".join(sorted(file.upstreams)) or "none"
                yield Fault(
                    f"models.{alias}.targets[{index}].upstream",
                    f"'{target.upstream}' is not under upstreams (there: {known}).",
                )
    names: set[str] = set()
    for index, limit in enumerate(file.limits):
        if limit.name in names:
            yield Fault(f"limits[{index}].name", f"'{limit.name}' is used twice; each limit needs its own name.")
        names.add(limit.name)
        yield from (Fault(f"limits[{index}].{field}", problem) for field, problem in _limit_faults(limit, file))
    issuers: set[str] = set()
    for index, issuer in enumerate(file.identity.issuers):
        if issuer.issuer in issuers:
            yield Fault(f"identity.issuers[{index}].issuer", "is given twice; give each issuer once.")
        issuers.add(issuer.issuer)


def _limit_faults(limit: RateLimit, file: PolicyFile) -> Iterator[tuple[str, str]]:
    """What is wrong with a limit: the field and the problem."""
    if limit.kind == "concurrency":
        if limit.window == "day" or limit.window_seconds is not None:
            field = "window" if limit.window == "day" else "window_seconds"
            yield field, "has no meaning for calls that run at once; leave it out."
    elif limit.window == "day":
        if limit.window_seconds is not None:
            yield "window_seconds", "contradicts 'window: day'; give one of them."
    elif limit.window_seconds is None:
        yield "window_seconds", "is needed, unless 'window: day' is given."
    if limit.time_zone != "UTC":
        if limit.window != "day":
            yield "time_zone", "has a meaning only with 'window: day'."
        try:
            from zoneinfo import ZoneInfo  # a cold start without such a limit does without it

            ZoneInfo(limit.time_zone)
        except (ValueError, OSError, KeyError):
            yield "time_zone", f"'{limit.time_zone}' is not a time zone of the IANA database, or that is not installed."
    if limit.model is not None and limit.model not in file.models:
        yield "model", f"'{limit.model}' is not under models."
    elif limit.kind == "cost":
        counted = file.models if limit.model is None else {limit.model: file.models[limit.model]}
        if unpriced := sorted(alias for alias, model in counted.items() if model.price is None):
            yield "kind", f"cost cannot be counted for models without a price ({', '.join(unpriced)})."


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
