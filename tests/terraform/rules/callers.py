"""Whoever calls functions from outside does so with an ID token of an account that may."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.terraform import Plan
from tests.terraform.rules.reading import Rule, differs, functions, is_whole, url

_PUSHED = {
    "wardgate-events-alerts": ("audit_alerts", ""),
    "wardgate-events-archive": ("audit_archive", ""),
    "wardgate-events-warehouse": ("audit_warehouse", ""),
    "wardgate-reminders-rotate_secrets": ("rotate_secrets", "/notifications"),
}
_SCHEDULED = {"wardgate-rotate": "rotate_secrets", "wardgate-seal": "audit_seal"}


def pushes_arrive(plan: Plan) -> Iterator[str]:
    pushing = {each.values["name"]: each for each in plan.of("pubsub_subscription") if each.name == "push"}
    if not is_whole(plan):
        return
    if set(pushing) != set(_PUSHED):
        yield f"pushed are {sorted(pushing)}"
    for name, subscription in pushing.items():
        function, path = _PUSHED[name]
        address = url(functions(plan)[function])
        yield from differs(subscription, {"push_endpoint": address + path}, "push_config")
        token = {"audience": address, "service_account_email": "wardgate-push@my-project.iam.gserviceaccount.com"}
        yield from differs(subscription, token, "push_config", "oidc_token")
        # Sinks take CloudEvents as they are; notifications come wrapped.
        plain = subscription.block("push_config", "no_wrapper").get("write_metadata")
        if plain is not (None if path else True):
            yield f"{name} writes metadata: {plain}"
        if not 10 <= subscription.values["ack_deadline_seconds"] <= 600:
            yield f"{name} waits {subscription.values['ack_deadline_seconds']} s"
        timeout = functions(plan)[function].block("service_config")["timeout_seconds"]
        if subscription.values["ack_deadline_seconds"] < timeout:
            yield f"{name} sends again while {function} still works on it"


def schedules_arrive(plan: Plan) -> Iterator[str]:
    jobs = {each.values["name"]: each for each in plan.of("cloud_scheduler_job")}
    if not is_whole(plan):
        return
    if set(jobs) != set(_SCHEDULED):
        yield f"scheduled are {sorted(jobs)}"
    for name, job in jobs.items():
        function = functions(plan)[_SCHEDULED[name]]
        timeout = function.block("service_config")["timeout_seconds"]
        every_five_minutes = {"schedule": "*/5 * * * *", "time_zone": "Etc/UTC", "attempt_deadline": f"{timeout}s"}
        yield from differs(job, every_five_minutes)
        yield from differs(job, {"http_method": "POST", "uri": url(function)}, "http_target")
        account = "wardgate-scheduler@my-project.iam.gserviceaccount.com"
        token = {"audience": url(function), "service_account_email": account}
        yield from differs(job, token, "http_target", "oidc_token")
        again = {"retry_count": 1, "min_backoff_duration": "15s", "max_backoff_duration": "60s"}
        yield from differs(job, again, "retry_config")
        if job.values.get("paused"):
            yield f"{name} is paused"


RULES: list[Rule] = [pushes_arrive, schedules_arrive]
