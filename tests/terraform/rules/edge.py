"""The edge: HTTPS alone, Cloud Armor before guard, and a network that leads to Google and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.terraform import Plan
from tests.terraform.rules.reading import (
    NUMBER,
    PROJECT,
    REGION,
    Rule,
    differs,
    functions,
    has_edge,
    is_private,
    is_whole,
)

_EDGE = {
    *("backend_service.guard", "region_network_endpoint_group.guard", "security_policy.this", "ssl_policy.this"),
    *("global_address.this", "managed_ssl_certificate.this", "target_https_proxy.this", "url_map.https"),
    *("global_forwarding_rule.https", "global_forwarding_rule.redirect", "target_http_proxy.redirect"),
    "url_map.redirect",
}


def only_https_is_served(plan: Plan) -> Iterator[str]:
    if not has_edge(plan):
        return
    edge = [each for each in plan.resources if each.module == "edge"]
    made = {f"{each.type.removeprefix('google_compute_')}.{each.name}" for each in edge}
    if is_whole(plan) and made != _EDGE:
        yield f"the edge differs in {sorted(made ^ _EDGE)}"
    (certificate,) = plan.of("compute_managed_ssl_certificate")
    if not certificate.values.get("name", "").startswith("wardgate-"):
        yield "a certificate for other domains could not take this one's place"
    for address in plan.of("compute_global_address"):
        yield from differs(address, {"address_type": "EXTERNAL", "ip_version": "IPV4"})
    (policy,) = plan.of("compute_ssl_policy")
    yield from differs(policy, {"profile": "RESTRICTED", "min_tls_version": "TLS_1_2"})
    if not certificate.block("managed").get("domains"):
        yield "the certificate is for nothing"
    maps = {each.name: each for each in plan.of("compute_url_map")}
    redirect = {"https_redirect": True, "strip_query": False, "redirect_response_code": "MOVED_PERMANENTLY_DEFAULT"}
    yield from differs(maps["redirect"], redirect, "default_url_redirect")
    if maps["redirect"].values.get("default_service"):
        yield "something is served over HTTP"
    ports = {each.name: each for each in plan.of("compute_global_forwarding_rule")}
    for name, port in {"https": "443", "redirect": "80"}.items():
        yield from differs(ports[name], {"port_range": port, "load_balancing_scheme": "EXTERNAL_MANAGED"})
    (backend,) = plan.of("compute_backend_service")
    yield from differs(backend, {"load_balancing_scheme": "EXTERNAL_MANAGED", "protocol": "HTTPS"})
    yield from differs(backend, {"enable": True, "sample_rate": 1}, "log_config")
    if not backend.values.get("backend"):
        yield "nothing stands behind the load balancer"
    if not any("Strict-Transport-Security" in header for header in backend.values["custom_response_headers"] or []):
        yield "browsers are not told to stay with HTTPS"
    (group,) = plan.of("compute_region_network_endpoint_group")
    yield from differs(group, {"network_endpoint_type": "SERVERLESS", "region": REGION})
    guard = functions(plan).get("guard")
    if guard is not None:
        yield from differs(group, {"service": guard.values["name"]}, "cloud_run")


_PREVIEWED = ("sqli-v33-stable", "xss-v33-stable")


def cloud_armor_looks_first(plan: Plan) -> Iterator[str]:
    for policy in plan.of("compute_security_policy"):
        yield from differs(policy, {"type": "CLOUD_ARMOR"})
        yield from differs(policy, {"json_parsing": "STANDARD", "log_level": "NORMAL"}, "advanced_options_config")
        adaptive = policy.block("adaptive_protection_config", "layer_7_ddos_defense_config")
        if (adaptive.get("enable"), adaptive.get("rule_visibility")) != (True, "STANDARD"):
            yield "Cloud Armor does not learn"
        rules = sorted(policy.values["rule"], key=lambda rule: rule["priority"])
        waf, (rate, default) = rules[:-2], rules[-2:]
        yield from _waf(waf)
        options = rate["rate_limit_options"][0]
        limit, ban = options["rate_limit_threshold"][0], options["ban_threshold"][0]
        if (rate["action"], options["enforce_on_key"], options["exceed_action"], options["conform_action"]) != (
            *("rate_based_ban", "IP", "deny(429)", "allow"),
        ):
            yield "the rate of one address is not limited"
        everybody = [{"versioned_expr": "SRC_IPS_V1", "config": [{"src_ip_ranges": ["*"]}]}]
        for rule in (rate, default):
            match = [{name: rule["match"][0].get(name) for name in ("versioned_expr", "config")}]
            if rule.get("preview") or match != everybody:
                yield f"rule {rule['priority']} is not for everybody"
        if rate["priority"] != 2000:
            yield f"the rate rule comes at {rate['priority']}"
        if (limit["count"], limit["interval_sec"], ban["count"], ban["interval_sec"]) != (600, 60, 3000, 60):
            yield f"the rate is {limit}, the ban {ban}"
        if options["ban_duration_sec"] != 300:
            yield f"the ban lasts {options['ban_duration_sec']} s"
        if (default["action"], default["priority"]) != ("deny(403)", 2147483647):
            yield f"by default Cloud Armor does {default['action']}"


def _waf(rules: list[dict]) -> Iterator[str]:
    seen = {}
    for rule in rules:
        expression = rule["match"][0]["expr"][0]["expression"]
        seen[expression] = rule
        if rule["action"] != "deny(403)" or rule.get("rate_limit_options"):
            yield f"{expression} does {rule['action']}"
        to_api = expression.startswith("request.path.startsWith('/v1/') && ")
        if rule.get("preview") is not to_api:
            yield f"{expression} is {'only reported' if rule.get('preview') else 'enforced on prompts'}"
        if "'sensitivity': 1" not in expression:
            yield f"{expression} is of another sensitivity"
    expected = {
        "evaluatePreconfiguredWaf('scannerdetection-v33-stable', {'sensitivity': 1})",
        "evaluatePreconfiguredWaf('protocolattack-v33-stable', {'sensitivity': 1})",
        "!request.path.startsWith('/v1/') && evaluatePreconfiguredWaf('cve-canary', {'sensitivity': 1})",
    }
    for name in _PREVIEWED:
        signature = f"request.path.startsWith('/v1/') && evaluatePreconfiguredWaf('{name}', {{'sensitivity': 1}})"
        expected |= {signature, f"!{signature}"}
    if set(seen) != expected:
        yield f"Cloud Armor's rules differ in {sorted(set(seen) ^ expected)}"
    if sorted(rule["priority"] for rule in rules) != [1000, 1010, 1020, 1100, 1110, 1200, 1210]:
        yield f"Cloud Armor's rules are in another order: {sorted(rule['priority'] for rule in rules)}"


def the_network_leads_to_google_alone(plan: Plan) -> Iterator[str]:
    networks = list(plan.of("compute_network"))
    if not networks:
        if is_private(plan) and is_whole(plan):
            yield "inner functions cannot be reached"
        return
    for network in networks:
        yield from differs(network, {"auto_create_subnetworks": False, "routing_mode": "REGIONAL"})
    (subnetwork,) = plan.of("compute_subnetwork")
    yield from differs(subnetwork, {"private_ip_google_access": True, "region": REGION, "purpose": "PRIVATE"})
    yield from differs(subnetwork, {"ip_cidr_range": "10.90.0.0/24"})
    sampled = {"aggregation_interval": "INTERVAL_10_MIN", "flow_sampling": 0.1, "metadata": "EXCLUDE_ALL_METADATA"}
    yield from differs(subnetwork, sampled, "log_config")
    (zone,) = plan.of("dns_managed_zone")
    yield from differs(zone, {"dns_name": "run.app.", "visibility": "private"})
    if not zone.block("private_visibility_config").get("networks"):
        yield "the zone is seen by no network"
    (record,) = plan.of("dns_record_set")
    addresses = [f"199.36.153.{last}" for last in (8, 9, 10, 11)]
    yield from differs(record, {"name": "*.run.app.", "type": "A", "rrdatas": addresses, "ttl": 300})
    walls = {each.name: each for each in plan.of("compute_firewall")}
    google = {"direction": "EGRESS", "destination_ranges": ["199.36.153.8/30"], "priority": 1000}
    yield from differs(walls["allow_google"], google)
    yield from differs(walls["allow_google"], {"protocol": "tcp", "ports": ["443"]}, "allow")
    rest = {"direction": "EGRESS", "destination_ranges": ["0.0.0.0/0"], "priority": 65000}
    yield from differs(walls["deny_rest"], rest)
    yield from differs(walls["deny_rest"], {"protocol": "all"}, "deny")
    if not walls["deny_rest"].block("log_config"):
        yield "what is denied is not logged"


def guard_goes_through_that_network(plan: Plan) -> Iterator[str]:
    guard = functions(plan).get("guard")
    for subnetwork in plan.of("compute_subnetwork"):
        if guard is not None:
            name = f"projects/{PROJECT}/regions/{REGION}/subnetworks/{subnetwork.values['name']}"
            yield from differs(guard, {"subnetwork": name}, "service_config", "direct_vpc_network_interface")


def model_armor_keeps_no_prompt(plan: Plan) -> Iterator[str]:
    for each in plan.of("model_armor_template"):
        kept = {
            "log_sanitize_operations": False,
            "ignore_partial_invocation_failures": False,
            "log_template_operations": True,
        }
        yield from differs(each, {"location": REGION})
        yield from differs(each, kept, "template_metadata")
        languages = each.block("template_metadata", "multi_language_detection")
        if languages.get("enable_multi_language_detection") is not True:
            yield "Model Armor knows English alone"
        strict = {"filter_enforcement": "ENABLED", "confidence_level": "MEDIUM_AND_ABOVE"}
        yield from differs(each, strict, "filter_config", "pi_and_jailbreak_filter_settings")
        yield from differs(each, {"filter_enforcement": "ENABLED"}, "filter_config", "malicious_uri_filter_settings")
        yield from differs(each, {"filter_enforcement": "ENABLED"}, "filter_config", "sdp_settings", "basic_config")
        filters = each.block("filter_config", "rai_settings").get("rai_filters") or []
        harms = {(each["filter_type"], each["confidence_level"]) for each in filters}
        kinds = ("DANGEROUS", "HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT")
        if harms != {(kind, "MEDIUM_AND_ABOVE") for kind in kinds}:
            yield f"Model Armor filters {sorted(harms)}"


_INSIDE = {
    *("aiplatform", "artifactregistry", "bigquery", "cloudfunctions", "cloudkms"),
    *("firestore", "pubsub", "run", "secretmanager", "storage"),
}


def the_perimeter_is_around_the_project(plan: Plan) -> Iterator[str]:
    for each in plan.of("access_context_manager_service_perimeter"):
        enforced = "enforced" in plan.name
        yield from differs(
            each, {"perimeter_type": "PERIMETER_TYPE_REGULAR", "use_explicit_dry_run_spec": not enforced}
        )
        yield from differs(each, {"parent": "accessPolicies/123456789"})
        block, other = ("status", "spec") if enforced else ("spec", "status")
        found = each.block(block)
        if found.get("resources") != [f"projects/{NUMBER}"] or each.values.get(other):
            yield f"the perimeter encloses {found.get('resources')}"
        if {service.removesuffix(".googleapis.com") for service in found.get("restricted_services") or []} != _INSIDE:
            yield f"the perimeter holds {found.get('restricted_services')}"


RULES: list[Rule] = [
    only_https_is_served,
    cloud_armor_looks_first,
    the_network_leads_to_google_alone,
    guard_goes_through_that_network,
    model_armor_keeps_no_prompt,
    the_perimeter_is_around_the_project,
]
