"""Reads ``policy.yaml``: typed, checked whole, and named by a digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
import yaml
from msgspec import Struct

from shared.errors import ConfigurationError, Fault
from shared.policy.secret_rules import secret_faults
from shared.policy.types import Guards, PolicyFile, RateLimit, UnsureFrom

DEFAULT_POLICY = Path(__file__).with_name("default.yaml")
_NO_ZONES = "this machine has no time zone database; install the package tzdata (of the system or of PyPI), or use UTC."
_PLAIN_KEY = re.compile(r"[a-zA-Z0-9_./:@-]{1,256}")


class Policy(Struct, frozen=True):
    """A policy that has been checked."""

    file: PolicyFile
    digest: str
    """SHA-256 over the policy with every default filled in, in hex: two files that mean the same share it."""

    source: Path


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """Safe YAML that refuses a key given twice, which YAML would let win silently.

    Only ``true`` and ``false`` are booleans, as in YAML 1.2: in 1.1 ``off`` and ``no`` are too.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        mapping: dict[object, object] = super().construct_mapping(node, deep)
        return mapping


_BOOLEAN = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def load_policy(path: Path | None = None) -> Policy:
    """Load and check a policy; the one that ships with Wardgate where ``path`` is None.

    Raises:
        ConfigurationError: The file cannot be read, or something in it is wrong.
    """
    source = path or DEFAULT_POLICY
    try:
        tree = yaml.load(source.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # nosec B506  # a subclass of SafeLoader
    except OSError as error:
        raise ConfigurationError([Fault(str(source), f"cannot be read: {error.strerror}.")]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A ValueError: not UTF-8, or what looks like a date or a number and is none.
        raise ConfigurationError([Fault(str(source), f"is not YAML: {_one_line(error)}.")]) from error
    tree = {} if tree is None else tree
    faults = list(_faults(tree, PolicyFile, ""))
    if isinstance(tree, dict):
        faults += _contradictions(msgspec.convert(_with_tenants(_without(tree, faults)), PolicyFile))
    if faults:
        raise ConfigurationError([Fault(f"{source}: {fault.path}", fault.problem) for fault in faults])
    file = msgspec.convert(_with_tenants(tree), PolicyFile)
    return Policy(file, hashlib.sha256(msgspec.json.encode(file, order="deterministic")).hexdigest(), source)


def _faults(value: Any, kind: Any, path: str) -> Iterator[Fault]:
    """Every fault of a value, each at the innermost path. msgspec alone stops at its first, without a map's keys."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        within = list(_faults_within(value, kind, path))
        problem, _, below = str(error).partition(" - at `$")
        yield from within or [Fault((path + below.rstrip("`")).lstrip(".") or "policy", f"{problem}.")]


def _faults_within(value: Any, kind: Any, path: str) -> Iterator[Fault]:
    """The faults of a value's parts; none where the value itself is what is wrong."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _faults_within(value, arguments[0], path)
    elif origin in (Union, UnionType):
        if member := _member(value, arguments):
            yield from _faults_within(value, member, path)
    elif origin is list and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, arguments[0], f"{path}[{index}]")
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from _faults(key, arguments[0], _step(path, key))
            yield from _faults(item, arguments[1], _step(path, key))
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        yield from _faults_of_fields(value, kind, path)


def _faults_of_fields(value: dict[Any, Any], kind: type[msgspec.Struct], path: str) -> Iterator[Fault]:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name in value:
        if name in fields:
            yield from _faults(value[name], fields[name].type, _step(path, name))
        elif name != kind.__struct_config__.tag_field:
            yield Fault(_step(path, name), "is not a field of the policy.")
    for name, field in fields.items():
        if field.required and name not in value:
            yield Fault(_step(path, name), "is missing.")


def _member(value: Any, members: tuple[Any, ...]) -> Any:
    """The member of a union that the value means: of structs the one with its tag, else the only one but None."""
    structs = [member for member in members if isinstance(member, type) and issubclass(member, msgspec.Struct)]
    if not structs:
        others = [member for member in members if member is not NoneType]
        return others[0] if len(others) == 1 else None
    if not isinstance(value, dict):
        return None
    configs = [(member, member.__struct_config__) for member in structs]
    return next((member for member, config in configs if value.get(config.tag_field) == config.tag), None)


def _step(path: str, key: object) -> str:
    """The path of a map's entry; a key that would be misread in it stands in quotes."""
    if not (isinstance(key, str) and _PLAIN_KEY.fullmatch(key)):
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key


def _without(tree: dict[Any, Any], faults: list[Fault]) -> dict[Any, Any]:
    """The parts of the policy that have no fault; models go with the upstreams that they name."""
    faulty = {re.split(r"[.[]", fault.path)[0] for fault in faults}
    if faulty & {"upstreams", "models"}:
        faulty |= {"upstreams", "models"}
    known = PolicyFile.__struct_fields__
    return {name: part for name, part in tree.items() if name in known and name not in faulty}


def _with_tenants(tree: dict[Any, Any]) -> dict[Any, Any]:
    """The policy, sound, where each tenant's guards are whole: its own fields over the policy's."""
    tenants = {
        name: {**tenant, "guards": _over(tree.get("guards", {}), tenant.get("guards", {}))}
        for name, tenant in tree.get("tenants", {}).items()
    }
    return {**tree, "tenants": tenants} if tenants else tree


def _over(base: Any, above: Any) -> Any:
    """``above`` laid over ``base``: maps field by field, anything else whole."""
    if not (isinstance(base, dict) and isinstance(above, dict)):
        return above
    return {**base, **{name: _over(base.get(name), value) for name, value in above.items()}}


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
    yield from secret_faults(file)
    tenants = {f"tenants.{name}.guards": tenant.guards for name, tenant in file.tenants.items()}
    for path, guards in {"guards": file.guards, **tenants}.items():
        if guards.model_armor.mode != "off" and guards.model_armor.template is None:
            yield Fault(f"{path}.model_armor.template", "is needed, unless 'mode: off' is given.")
        yield from (Fault(f"{path}.{field}", problem) for field, problem in _second_stage_faults(guards))
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


def _second_stage_faults(guards: Guards) -> Iterator[tuple[str, str]]:
    """Channels for which it is on and would never be asked, without the policy saying so."""
    stage = guards.second_stage
    if stage.mode == "off" or not guards.injection.always_refuses(guards.allow):
        return
    for channel in UnsureFrom.__struct_fields__:
        unsure, sure = getattr(stage.unsure_from, channel), getattr(guards.injection.thresholds, channel)
        if sure <= unsure < 1 and getattr(stage.thresholds, channel) < 1:
            field = f"second_stage.unsure_from.{channel}"
            yield field, f"must be below injection.thresholds.{channel} ({sure}); 1: never asked."


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
        if not _is_zone(limit.time_zone):
            known = _is_zone("Etc/UTC")
            yield "time_zone", f"'{limit.time_zone}' is not a time zone of the IANA database." if known else _NO_ZONES
    if limit.model is not None and limit.model not in file.models:
        yield "model", f"'{limit.model}' is not under models."
    elif limit.kind == "cost":
        counted = file.models if limit.model is None else {limit.model: file.models[limit.model]}
        if unpriced := sorted(alias for alias, model in counted.items() if model.price is None):
            yield "kind", f"cost cannot be counted for models without a price ({', '.join(unpriced)})."


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo  # a cold start without such a limit does without it

    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
