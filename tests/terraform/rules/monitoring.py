"""Monitoring: that guard is looked at from outside, that alerts are asked for and lead somewhere, that cost is watched.

Whether each alert looks at what the code logs is for ``tests/unit`` and ``tests/e2e`` to show.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.terraform import ROOT, Plan
from tests.terraform.rules.reading import PROJECT, Rule, differs, functions, has_edge, is_whole, url


def guard_is_looked_at_from_outside(plan: Plan) -> Iterator[str]:
    checks = list(plan.of("monitoring_uptime_check_config"))
    public = any(each.values["member"] == "allUsers" for each in plan.of("cloud_run_v2_service_iam_member"))
    if is_whole(plan) and len(checks) != public:
        yield f"guard is {'public' if public else 'closed'}, with {len(checks)} checks"
    for each in checks:
        yield from differs(each, {"period": "60s", "timeout": "10s"})
        yield from differs(each, {"selected_regions": ["EUROPE", "USA", "ASIA_PACIFIC"]})
        https = {"path": "/healthz", "port": 443, "use_ssl": True, "validate_ssl": True}
        yield from differs(each, https, "http_check")
        yield from differs(each, {"content": '"ok"', "matcher": "MATCHES_JSON_PATH"}, "content_matchers")
        said = {"json_path": "$.status", "json_matcher": "EXACT_MATCH"}
        yield from differs(each, said, "content_matchers", "json_path_matcher")
        guard = functions(plan).get("guard")
        if guard is not None:
            host = "llm.example.com" if has_edge(plan) else url(guard).removeprefix("https://")
            yield from differs(each, {"labels": {"host": host, "project_id": PROJECT}}, "monitored_resource")


def alerts_are_asked_for_and_lead_somewhere(plan: Plan) -> Iterator[str]:
    alerts = list(plan.of("monitoring_alert_policy"))
    if is_whole(plan) and len(alerts) < 10:
        yield f"there are {len(alerts)} alerts"
    for each in alerts:
        if each.values.get("severity") not in ("CRITICAL", "ERROR", "WARNING"):
            yield f"{each.address} is of severity {each.values.get('severity')}"
        yield from differs(each, {"auto_close": "3600s"}, "alert_strategy")
        runbook = f"docs/runbooks/{each.values['user_labels']['runbook']}.md"
        if not (ROOT / runbook).exists():
            yield f"{each.address} leads to {runbook}, which is not there"
        for condition in each.values["conditions"]:
            (query,) = condition["condition_prometheus_query_language"]
            asked = (query["duration"], query["evaluation_interval"], query["disable_metric_validation"])
            if asked != ("0s", "60s", True):
                yield f"{each.address} is asked for {asked}"


def cost_is_watched(plan: Plan) -> Iterator[str]:
    for each in plan.of("billing_budget"):
        watched = {
            "projects": [f"projects/{PROJECT}"],
            "calendar_period": "MONTH",
            "credit_types_treatment": "EXCLUDE_ALL_CREDITS",
        }
        yield from differs(each, watched, "budget_filter")
        if not int(each.block("amount", "specified_amount").get("units") or 0):
            yield f"{each.address} is of no amount"
        yield from differs(each, {"disable_default_iam_recipients": False}, "all_updates_rule")
        given = each.values["threshold_rules"]
        rules = sorted((rule["threshold_percent"], rule["spend_basis"] or "") for rule in given)
        if [share for share, _ in rules] != [0.5, 0.9, 1, 1] or rules[-1][1] != "FORECASTED_SPEND":
            yield f"{each.address} tells at {rules}"


def somebody_is_told(plan: Plan) -> Iterator[str]:
    told = {each.key: each for each in plan.of("monitoring_notification_channel")}
    if plan.name.endswith("/production") and set(told) != {"oncall@example.com"}:
        yield f"told are {sorted(told)}"
    for address, each in told.items():
        label = {"email": "email_address", "pubsub": "topic"}.get(each.values["type"], "")
        if (each.values.get("labels") or {}).get(label) != address:
            yield f"{each.address} tells {each.values.get('labels')}"


RULES: list[Rule] = [
    guard_is_looked_at_from_outside,
    alerts_are_asked_for_and_lead_somewhere,
    cost_is_watched,
    somebody_is_told,
]
