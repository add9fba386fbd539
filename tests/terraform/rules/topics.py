"""Topics: nothing that is published is lost, and nothing that is not an event is taken for one."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.terraform import ROOT, Plan
from tests.terraform.rules.reading import PROJECT, REGION, Rule, differs, encrypts, is_whole

_LONGEST = "2678400s"


def every_topic_has_dead_letters(plan: Plan) -> Iterator[str]:
    topics = {(each.module, each.name): each.values["name"] for each in plan.of("pubsub_topic")}
    subscriptions = list(plan.of("pubsub_subscription"))
    if is_whole(plan):
        modules = {module for module, kind in topics if kind == "this"}
        yield from (f"there is no topic of {name}" for name in {"alerts", "events", "reminders"} - modules)
    for (module, kind), name in topics.items():
        if kind == "dead_letters":
            continue
        if topics.get((module, "dead_letters")) != f"{name}-dead-letters":
            yield f"{name} has no topic of dead letters"
        kinds = {each.name for each in subscriptions if each.module == module}
        if "dead_letters" not in kinds or len(kinds) < 2:
            yield f"{name} has only subscriptions for {sorted(kinds)}"
    for each in subscriptions:
        if each.name != "push":
            yield from differs(each, {"ack_deadline_seconds": 60})
        if each.name == "dead_letters":
            yield from differs(each, {"message_retention_duration": _LONGEST, "retain_acked_messages": True})
            continue
        attempts = each.block("dead_letter_policy").get("max_delivery_attempts") or 0
        if not 5 <= attempts <= 20:
            yield f"{each.address} tries {attempts} times"
        yield from differs(each, {"minimum_backoff": "10s", "maximum_backoff": "600s"}, "retry_policy")
        yield from differs(each, {"message_retention_duration": "604800s"})


def no_subscription_expires(plan: Plan) -> Iterator[str]:
    for each in plan.of("pubsub_subscription"):
        if (each.values.get("expiration_policy") or [{}])[0].get("ttl") != "":
            yield f"{each.address} is deleted when nobody pulls for a while"


def messages_stay_in_the_region(plan: Plan) -> Iterator[str]:
    for each in plan.of("pubsub_topic"):
        yield from differs(each, {"allowed_persistence_regions": [REGION]}, "message_storage_policy")
        kept = _LONGEST if each.name == "dead_letters" else "604800s"
        yield from differs(each, {"message_retention_duration": kept})
        if encrypts(plan) and is_whole(plan) and not each.values.get("kms_key_name"):
            yield f"{each.address} is not encrypted with the key for data"


def events_fit_their_schema(plan: Plan) -> Iterator[str]:
    if not is_whole(plan):
        return
    (schema,) = plan.of("pubsub_schema")
    wanted = {"type": "PROTOCOL_BUFFER", "definition": (ROOT / "docs/schemas/wardgate.audit.proto").read_text()}
    yield from differs(schema, wanted)
    checked = {each.values["name"]: each for each in plan.of("pubsub_topic") if each.values.get("schema_settings")}
    if set(checked) != {"wardgate-events"}:
        yield f"a schema have {sorted(checked)}"
    for topic in checked.values():
        named = f"projects/{PROJECT}/schemas/{schema.values['name']}"
        yield from differs(topic, {"encoding": "JSON", "schema": named}, "schema_settings")


RULES: list[Rule] = [
    every_topic_has_dead_letters,
    no_subscription_expires,
    messages_stay_in_the_region,
    events_fit_their_schema,
]
