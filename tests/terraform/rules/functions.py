"""Functions: bounded, made of this tree, and given the settings that their code reads, as it takes them."""

from __future__ import annotations

import ast
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from functions.bundle import write
from shared.audit.connect import connect_wrapper
from shared.errors import ConfigurationError
from shared.settings import load_settings
from shared.stores.connect import connect_documents, connect_events, connect_objects, connect_secrets, connect_signer
from shared.warehouse.connect import connect_warehouse
from tests.support.terraform import ROOT, Plan
from tests.terraform.rules.reading import (
    PROJECT,
    REGION,
    Rule,
    account,
    called_with,
    environment,
    functions,
    has_edge,
    is_private,
    is_whole,
    policy,
    policy_file,
    second_stage,
    url,
)

_FOLDERS = sorted(path.parent.name for path in ROOT.glob("functions/*/main.py"))
_OF_EVERY_FUNCTION = {"GOOGLE_CLOUD_PROJECT", "THREADS"}
"""What the log and functions-framework read."""

_LEAST = {"guard": 20, "model": 20, "audit_archive": 10, "audit_warehouse": 10, "audit_alerts": 10}
"""With fewer instances they would not keep up with guard's."""

_SPARINGLY = {"audit_seal": 1}
"""Two seals at once are sound, and a waste."""


def every_function_is_deployed(plan: Plan) -> Iterator[str]:
    deployed = functions(plan)
    if is_whole(plan) and sorted(deployed) != _FOLDERS:
        yield f"deployed are {sorted(deployed)}, in functions/ are {_FOLDERS}"
    for entry, function in deployed.items():
        tree = ast.parse((ROOT / f"functions/{entry}/main.py").read_text())
        if entry not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
            yield f"functions/{entry}/main.py has no function {entry}"
        if function.block("build_config")["runtime"] != "python311":
            yield f"{entry} runs on {function.block('build_config')['runtime']}, which no test does"
        if (
            "automatic_update_policy" not in function.block("build_config")
            or not function.values["build_config"][0]["automatic_update_policy"]
        ):
            yield f"{entry} gets no security fixes of its base image"
        if function.values["location"] != REGION or function.values["project"] != PROJECT:
            yield f"{entry} is somewhere else"
        if not function.values.get("description"):
            yield f"{entry} does not say what it does"


@functools.cache
def _bundles(policy: Path | None, second_stage: bool) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        return {name: write(name, Path(folder), policy=policy, second_stage=second_stage).name for name in _FOLDERS}


def guard_has_room_for_the_second_stage(plan: Plan) -> Iterator[str]:
    guard = functions(plan).get("guard")
    if guard is not None and second_stage(plan) and guard.block("service_config")["available_memory"] != "1Gi":
        yield f"guard runs the second stage in {guard.block('service_config')['available_memory']}"


def functions_are_made_of_this_tree(plan: Plan) -> Iterator[str]:
    """Terraform reckons a zip's name from the tree; here the zips are really built."""
    if not is_whole(plan):
        return
    bundles = _bundles(policy_file(plan), second_stage(plan))
    stored = {each.values["name"]: each for each in plan.of("storage_bucket_object")}
    for entry, function in functions(plan).items():
        source = function.block("build_config", "source", "storage_source")
        if source.get("object") != bundles[entry]:
            yield f"{entry} is made of {source.get('object')}, the bundle is {bundles[entry]}"
            continue
        zipped = stored.get(source["object"])
        if zipped is None or zipped.values["bucket"] != source.get("bucket"):
            yield f"the zip of {entry} is not stored"
        elif not zipped.values["source"].endswith(f"/dist/{source['object']}"):
            yield f"the zip of {entry} is {zipped.values['source']}"
        build = function.block("build_config")
        if not str(build.get("service_account")).endswith(
            "/serviceAccounts/wardgate-build@my-project.iam.gserviceaccount.com"
        ):
            yield f"{entry} is built by {build.get('service_account')}"
        if (
            build.get("docker_repository")
            != "projects/my-project/locations/europe-west4/repositories/wardgate-functions"
        ):
            yield f"{entry} has its image in {build.get('docker_repository')}"


def functions_are_bounded(plan: Plan) -> Iterator[str]:
    for name, function in functions(plan).items():
        service = function.block("service_config")
        if not 1 <= (service.get("max_instance_count") or 0) <= 100:
            yield f"{name} has no bound on its instances"
        if is_whole(plan) and "scaled" not in plan.name and service.get("max_instance_count", 0) < _LEAST.get(name, 2):
            yield f"{name} may have only {service.get('max_instance_count')} instances"
        if service.get("min_instance_count") is None:
            yield f"{name} does not say how many instances are kept"
        if not 1 <= (service.get("timeout_seconds") or 0) <= 3600:
            yield f"{name} has no timeout"
        if not 1 <= (service.get("max_instance_request_concurrency") or 0) <= 1000:
            yield f"{name} has no concurrency"
        if service.get("available_memory") is None or service.get("available_cpu") is None:
            yield f"{name} has no size"
        if service.get("all_traffic_on_latest_revision") is not True:
            yield f"{name} may go on with an old revision"


def time_for_an_answer_is_the_policys(plan: Plan) -> Iterator[str]:
    """Else Cloud Run ends a call that the policy lets go on, and its end is not recorded."""
    for name in {"guard", "model"} & set(functions(plan)):
        timeout = functions(plan)[name].block("service_config")["timeout_seconds"]
        deadline = policy(plan).file.calls.deadline_seconds
        if is_whole(plan) and timeout != deadline + 60:
            yield f"{name} has {timeout} s, which is not the policy's {deadline} and a minute"


def threads_are_the_concurrency(plan: Plan) -> Iterator[str]:
    for name, function in functions(plan).items():
        concurrency = function.block("service_config").get("max_instance_request_concurrency")
        if environment(function).get("THREADS") != str(concurrency):
            yield f"{name} serves {concurrency} requests at once with {environment(function).get('THREADS')} threads"
        if name in _SPARINGLY and concurrency != _SPARINGLY[name]:
            yield f"{name} serves {concurrency} requests at once"


def functions_have_the_settings_that_they_read(plan: Plan) -> Iterator[str]:
    """No more and no fewer, and each of a value that the code takes."""
    if not is_whole(plan):
        return
    for name, function in functions(plan).items():
        given = environment(function)
        needed = {f"WARDGATE_{setting.upper()}" for setting in called_with(name, "start")} | _OF_EVERY_FUNCTION
        if policy_file(plan) is not None:
            needed |= {"WARDGATE_POLICY"}
        if name == "guard":
            needed |= {"WARDGATE_ADMIN_AUDIENCE", "WARDGATE_ADMIN_ACCOUNTS"}
        if name == "guard" and policy(plan).file.audit.content == "sealed":
            needed |= {"WARDGATE_CONTENT_KEY"}
        if set(given) != needed:
            yield f"{name} is given {sorted(given)}, reads {sorted(needed)}"
        if given.get("GOOGLE_CLOUD_PROJECT") != PROJECT:
            yield f"{name} logs for {given.get('GOOGLE_CLOUD_PROJECT')}"
        yield from (f"{name}: {fault}" for fault in _refused(name, given))


def _refused(name: str, given: dict[str, str]) -> Iterator[str]:
    needs = called_with(name, "start")
    try:
        settings = load_settings(needs, given)
        secrets = connect_secrets(settings.secrets) if "secrets" in needs else None
        if "documents" in needs:
            connect_documents(settings.documents)
        if "events" in needs:
            connect_events(settings.events)
        if "alerts" in needs:
            connect_events(settings.alerts, setting="WARDGATE_ALERTS")
        if "objects" in needs:
            connect_objects(settings.objects)
        if "warehouse" in needs:
            connect_warehouse(settings.warehouse)
        if "signer" in needs and secrets is not None:
            connect_signer(settings.signer, secrets)
        if "WARDGATE_CONTENT_KEY" in given and secrets is not None:
            connect_wrapper(settings.content_key, secrets)
    except ConfigurationError as error:
        yield from map(str, error.faults)


def settings_name_what_is_made(plan: Plan) -> Iterator[str]:
    made = functions(plan)
    if not is_whole(plan):
        return
    (database,) = plan.of("firestore_database")
    (table,) = (each for each in plan.of("bigquery_table") if each.name == "rows")
    (evidence,) = (each for each in plan.of("storage_bucket") if each.name == "evidence")
    (signing,) = (each for each in plan.of("kms_crypto_key") if each.name == "signing")
    topics = {each.module: each.values["name"] for each in plan.of("pubsub_topic") if each.name == "this"}
    expected = {
        "WARDGATE_DOCUMENTS": f"firestore://{PROJECT}/{database.values['name']}",
        "WARDGATE_EVENTS": f"pubsub://{PROJECT}/{topics['events']}",
        "WARDGATE_ALERTS": f"pubsub://{PROJECT}/{topics['alerts']}",
        "WARDGATE_SECRETS": f"secretmanager://{PROJECT}",
        "WARDGATE_OBJECTS": f"gs://{evidence.values['name']}",
        "WARDGATE_WAREHOUSE": f"bigquery://{PROJECT}/{table.values['dataset_id']}/{table.values['table_id']}",
        "WARDGATE_SIGNER": f"kms://{signing.values['key_ring']}/cryptoKeys/{signing.values['name']}/cryptoKeyVersions/1",
        "WARDGATE_MODEL_URL": url(made["model"]),
        "WARDGATE_IDENTITY": "google://",
        "WARDGATE_GUARD_SERVICE_ACCOUNT": account(made["guard"]),
        "WARDGATE_CONTENT_KEY": f"kms://{signing.values['key_ring']}/cryptoKeys/content",
        "WARDGATE_POLICY": "policy.yaml",
        "WARDGATE_ADMIN_ACCOUNTS": f"wardgate-operator@{PROJECT}.iam.gserviceaccount.com",
    }
    for name, function in made.items():
        for variable, value in environment(function).items():
            if expected.get(variable, value) != value:
                yield f"{name}: {variable} is {value}, not {expected[variable]}"


def ingress_and_egress_go_together(plan: Plan) -> Iterator[str]:
    """Inner functions take calls from inside only where guard has a way there, and a way is there only for that."""
    if not is_whole(plan):
        return
    private = is_private(plan)
    for name, function in functions(plan).items():
        service = function.block("service_config")
        if name == "guard":
            expected = "ALLOW_INTERNAL_AND_GCLB" if has_edge(plan) else "ALLOW_ALL"
        else:
            expected = "ALLOW_INTERNAL_ONLY" if private else "ALLOW_ALL"
        if service.get("ingress_settings") != expected:
            yield f"{name} has ingress {service.get('ingress_settings')}, not {expected}"
        through = (service.get("direct_vpc_network_interface") or [{}])[0].get("subnetwork")
        needed = name == "guard" and private
        if needed != bool(through):
            yield f"{name} goes through {through}"
        if service.get("direct_vpc_egress") != ("VPC_EGRESS_PRIVATE_RANGES_ONLY" if needed else None) and needed:
            yield f"{name} has egress {service.get('direct_vpc_egress')}"
    zones = list(plan.of("dns_managed_zone"))
    subnetworks = [each for each in plan.of("compute_subnetwork") if each.values.get("private_ip_google_access")]
    if {bool(zones), bool(subnetworks)} != {private}:
        yield f"private: {private}, with {len(zones)} zones and {len(subnetworks)} subnetworks"


RULES: list[Rule] = [
    every_function_is_deployed,
    functions_are_made_of_this_tree,
    guard_has_room_for_the_second_stage,
    functions_are_bounded,
    time_for_an_answer_is_the_policys,
    threads_are_the_concurrency,
    functions_have_the_settings_that_they_read,
    settings_name_what_is_made,
    ingress_and_egress_go_together,
]
