"""What holds data: kept as long as it must, closed to the public, hard to delete, encrypted as asked for."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator

from shared.policy.secret_rules import (
    AUDIT_SIGNING_KEY,
    CONTENT_KEY,
    HELD_SECRETS,
    operators_secrets,
    signing_secrets,
)
from shared.policy.types import PolicyFile
from shared.rotation.inventory import timing_of
from tests.support.terraform import ROOT, Plan
from tests.terraform.rules.reading import NUMBER, PROJECT, REGION, Rule, differs, encrypts, is_whole, policy

_KEY = f"projects/{PROJECT}/locations/{REGION}/keyRings/wardgate/cryptoKeys/data"


def buckets_are_closed(plan: Plan) -> Iterator[str]:
    for each in plan.of("storage_bucket"):
        closed = {"uniform_bucket_level_access": True, "public_access_prevention": "enforced", "location": REGION}
        yield from differs(each, closed)
        # A clone of the tree makes the sources anew; nothing makes evidence anew.
        yield from differs(each, {"force_destroy": each.name == "sources"})
        if each.name == "sources":
            yield from differs(each, {"enabled": True}, "versioning")
            yield from differs(each, {"days_since_noncurrent_time": 30}, "lifecycle_rule", "condition")
            yield from differs(each, {"type": "Delete"}, "lifecycle_rule", "action")
    if is_whole(plan) and {each.name for each in plan.of("storage_bucket")} != {"evidence", "sources"}:
        yield "there are other buckets than those of sources and evidence"


def evidence_is_retained(plan: Plan) -> Iterator[str]:
    for each in plan.of("storage_bucket"):
        if each.name != "evidence":
            continue
        policy = each.block("retention_policy")
        if int(policy.get("retention_period") or 0) < 400 * 86_400:
            yield f"{each.address} keeps evidence for {policy.get('retention_period')} s"
        cheaper = {"type": "SetStorageClass", "storage_class": "COLDLINE"}  # and never deleted
        yield from differs(each, cheaper, "lifecycle_rule", "action")
        yield from differs(each, {"age": 60, "matches_prefix": ["archive/"]}, "lifecycle_rule", "condition")
        if len(each.values["lifecycle_rule"]) != 1:
            yield f"{each.address} has other rules"
    for each in plan.of("logging_project_bucket_config"):
        if (each.values.get("retention_days") or 0) < 400:
            yield f"{each.address} keeps audit logs for {each.values.get('retention_days')} days"
        yield from differs(each, {"location": REGION})


def a_lock_is_set_only_where_it_is_asked_for(plan: Plan) -> Iterator[str]:
    asked_for = "locked" in plan.name
    for each in plan.of("storage_bucket"):
        if each.name == "evidence":
            yield from differs(each, {"is_locked": asked_for}, "retention_policy")
    for each in plan.of("logging_project_bucket_config"):
        yield from differs(each, {"locked": asked_for})


def audit_logs_are_kept(plan: Plan) -> Iterator[str]:
    if not is_whole(plan):
        return
    (sink,) = plan.of("logging_project_sink")
    (bucket,) = plan.of("logging_project_bucket_config")
    place = f"projects/{PROJECT}/locations/{REGION}/buckets/{bucket.values['bucket_id']}"
    yield from differs(sink, {"destination": f"logging.googleapis.com/{place}", "unique_writer_identity": True})
    if "cloudaudit.googleapis.com" not in sink.values["filter"]:
        yield f"{sink.address} keeps {sink.values['filter']}"
    read = {each.values["service"]: each for each in plan.of("project_iam_audit_config")}
    for service in ("cloudkms", "secretmanager", "storage"):
        config = read.get(f"{service}.googleapis.com")
        kinds = {each["log_type"] for each in config.values["audit_log_config"]} if config else set()
        if not kinds >= {"ADMIN_READ", "DATA_READ", "DATA_WRITE"}:
            yield f"of {service} are logged {sorted(kinds)}"


def the_warehouse_is_the_codes(plan: Plan) -> Iterator[str]:
    for dataset in plan.of("bigquery_dataset"):
        if is_whole(plan):
            yield from differs(dataset, {"default_partition_expiration_ms": 400 * 86_400_000})
        yield from differs(dataset, {"delete_contents_on_destroy": False, "max_time_travel_hours": "168"})
    for table in plan.of("bigquery_table"):
        if table.name != "rows":
            if f"`{PROJECT}.{table.values['dataset_id']}.audit`" not in table.block("view").get("query", ""):
                yield f"{table.address} does not read the table"
            yield from differs(table, {"use_legacy_sql": False}, "view")
            yield from differs(table, {"deletion_protection": True})
            continue
        schema = json.loads((ROOT / "docs/schemas/warehouse.json").read_text())
        if json.loads(table.values["schema"]) != schema:
            yield f"{table.address} has not the columns of docs/schemas/warehouse.json"
        yield from differs(table, {"clustering": ["tenant", "key_id"], "deletion_protection": True})
        yield from differs(table, {"type": "DAY", "field": "day"}, "time_partitioning")
        if is_whole(plan):
            yield from differs(table, {"expiration_ms": 400 * 86_400_000}, "time_partitioning")
    if is_whole(plan) and {each.values["table_id"] for each in plan.of("bigquery_table")} != {
        "audit",
        "events",
        "findings",
    }:
        yield "the warehouse has not the table and its views"


def the_document_store_is_protected(plan: Plan) -> Iterator[str]:
    for each in plan.of("firestore_database"):
        protected = {
            "type": "FIRESTORE_NATIVE",
            "delete_protection_state": "DELETE_PROTECTION_ENABLED",
            "deletion_policy": "ABANDON",
            "point_in_time_recovery_enablement": "POINT_IN_TIME_RECOVERY_ENABLED",
            "concurrency_mode": "OPTIMISTIC",
            "app_engine_integration_mode": "DISABLED",
        }
        yield from differs(each, protected)
        backups = [backup for backup in plan.of("firestore_backup_schedule") if backup.values.get("daily_recurrence")]
        for backup in backups:
            yield from differs(backup, {"database": each.values["name"]})
        if not backups or int(backups[0].values["retention"].rstrip("s")) < 7 * 86_400:
            yield f"{each.address} has no daily backup of a week"


_NAMED = re.compile(r"""(?:^_?COLLECTION(?:: \w+)? = |\bf)"([a-z_]+)(?:"$|/\{)""", re.M)
_NOT_DEPLOYED = ("limits_", "stores/")


@functools.cache
def collections() -> tuple[set[str], set[str]]:
    """The collections that the code names, and those of them whose documents it lets expire."""
    named, expiring = set(), set()
    for path in sorted((ROOT / "shared").rglob("*.py")):
        inside = str(path.relative_to(ROOT / "shared"))
        text = path.read_text()
        if any(part in inside for part in _NOT_DEPLOYED) and "secret_pointer" not in inside:
            continue
        found = {name for name in _NAMED.findall(text) if name not in ("projects", "archive", "checkpoints")}
        named |= found
        if re.search(r'"expires_at"', text) and "api_keys" not in inside and "reading" not in inside:
            expiring |= found
    return named, expiring


def firestore_knows_the_codes_collections(plan: Plan) -> Iterator[str]:
    if not is_whole(plan):
        return
    named, expiring = collections()
    fields = list(plan.of("firestore_field"))
    (database,) = plan.of("firestore_database")
    ttl = {each.values["collection"] for each in fields if each.values.get("ttl_config")}
    bare = {each.values["collection"] for each in fields if each.values["field"] == "*"}
    if ttl != expiring:
        yield f"documents expire in {sorted(ttl)}, by the code in {sorted(expiring)}"
    if not bare >= named - {"switch"}:
        yield f"indexed for nothing: {sorted(named - bare)}"
    for each in fields:
        if each.values["field"] not in ("*", "expires_at") or each.values["database"] != database.values["name"]:
            yield f"{each.address} is of field {each.values['field']} in {each.values['database']}"
        if not each.values.get("index_config") or each.block("index_config").get("indexes"):
            yield f"{each.address} is indexed"


def _named(file: PolicyFile) -> set[str]:
    """The secrets that the code makes or reads under a policy."""
    content = [CONTENT_KEY] if file.audit.content == "sealed" else []
    driven = [name for name, rule in file.secrets.per_secret.items() if rule.driver is not None]
    return {*HELD_SECRETS, *content, *driven, *signing_secrets(file), *operators_secrets(file)}


def secrets_are_those_of_the_code(plan: Plan) -> Iterator[str]:
    secrets = {each.values["secret_id"]: each for each in plan.of("secret_manager_secret")}
    if is_whole(plan):
        named = _named(policy(plan).file)
        if set(secrets) != named:
            yield f"there are {sorted(secrets)}, the code and the policy name {sorted(named)}"
    for each in secrets.values():
        yield from differs(each, {"deletion_protection": True, "version_destroy_ttl": "86400s"})
        if is_whole(plan):
            period = timing_of(policy(plan).file.secrets, each.values["secret_id"]).period
            yield from differs(each, {"rotation_period": f"{period}s"}, "rotation")
            yield from differs(each, {"name": f"projects/{PROJECT}/topics/wardgate-reminders"}, "topics")
        if not each.block("rotation").get("next_rotation_time"):
            yield f"{each.address} is never due"
        if not encrypts(plan) and not each.block("replication").get("auto"):
            yield f"{each.address} is not replicated by Google"
        if encrypts(plan) and is_whole(plan):
            replica = each.block("replication", "user_managed", "replicas")
            if replica.get("location") != REGION:
                yield f"{each.address} is not in the region"
            if replica.get("customer_managed_encryption") != [{"kms_key_name": _KEY}]:
                yield f"{each.address} is not encrypted with the key for data"


def nobody_reads_the_key_that_kms_replaces(plan: Plan) -> Iterator[str]:
    for each in plan.of("secret_manager_secret_iam_member"):
        if each.values["secret_id"] == AUDIT_SIGNING_KEY and each.name == "accessors":
            yield f"{each.address} reads a key that signs nothing"


def keys_are_kept(plan: Plan) -> Iterator[str]:
    for each in plan.of("kms_crypto_key"):
        yield from differs(each, {"destroy_scheduled_duration": "2592000s"})
        if each.name == "signing":
            yield from differs(each, {"purpose": "ASYMMETRIC_SIGN"})
            version = {"algorithm": "EC_SIGN_ED25519", "protection_level": "SOFTWARE"}
            yield from differs(each, version, "version_template")
        else:
            yield from differs(each, {"purpose": "ENCRYPT_DECRYPT", "rotation_period": "7776000s"})
    for each in plan.of("kms_crypto_key", "kms_key_ring"):
        ring = f"projects/{PROJECT}/locations/{REGION}/keyRings/wardgate"
        if each.type == "google_kms_crypto_key" and each.values["key_ring"] != ring:
            yield f"{each.address} is in {each.values['key_ring']}"
        if each.type == "google_kms_key_ring" and each.values["location"] != REGION:
            yield f"{each.address} is in {each.values['location']}"


_ENCRYPTED = {
    "artifact_registry_repository": ("kms_key_name",),
    "bigquery_dataset": ("default_encryption_configuration", "kms_key_name"),
    "bigquery_table": ("encryption_configuration", "kms_key_name"),
    "cloudfunctions2_function": ("kms_key_name",),
    "firestore_database": ("cmek_config", "kms_key_name"),
    "logging_project_bucket_config": ("cmek_settings", "kms_key_name"),
    "pubsub_topic": ("kms_key_name",),
    "storage_bucket": ("encryption", "default_kms_key_name"),
}


def all_data_has_the_key_that_was_asked_for(plan: Plan) -> Iterator[str]:
    if not is_whole(plan):
        return
    expected = _KEY if encrypts(plan) else None
    for kind, (*path, name) in _ENCRYPTED.items():
        for each in plan.of(kind):
            if each.type == "google_bigquery_table" and each.name != "rows":
                continue
            found = each.block(*path) if path else each.values
            if found.get(name) != expected:
                yield f"{each.address} is encrypted with {found.get(name)}, not with {expected}"


def services_are_on(plan: Plan) -> Iterator[str]:
    on = {each.values["service"].removesuffix(".googleapis.com"): each for each in plan.of("project_service")}
    if not is_whole(plan):
        return
    used = {
        "artifactregistry": "artifact_registry_repository",
        "bigquery": "bigquery_dataset",
        "billingbudgets": "billing_budget",
        "cloudbuild": "cloudfunctions2_function",
        "cloudfunctions": "cloudfunctions2_function",
        "cloudkms": "kms_key_ring",
        "cloudscheduler": "cloud_scheduler_job",
        "compute": "compute_network compute_url_map",
        "containerscanning": "artifact_registry_repository",
        "dns": "dns_managed_zone",
        "firestore": "firestore_database",
        "iam": "service_account",
        "logging": "logging_project_sink",
        "modelarmor": "model_armor_template",
        "monitoring": "project_service",
        "accesscontextmanager": "access_context_manager_service_perimeter",
        "pubsub": "pubsub_topic",
        "run": "cloudfunctions2_function",
        "secretmanager": "secret_manager_secret",
        "storage": "storage_bucket",
    }
    for service, kinds in used.items():
        needed = any(True for _ in plan.of(*kinds.split()))
        if needed != (service in on):
            yield f"{service} is {'off and used' if needed else 'on and not used'}"
    vertex = any(each.values["role"] == "roles/aiplatform.user" for each in plan.of("project_iam_member"))
    if vertex != ("aiplatform" in on):
        yield "aiplatform does not go with the policy's upstreams"
    for each in on.values():
        yield from differs(each, {"disable_on_destroy": False})
    made = {each.values["service"].removesuffix(".googleapis.com") for each in plan.of("project_service_identity")}
    encrypting = {"artifactregistry", "cloudfunctions", "firestore", "run"} if encrypts(plan) else set()
    if made != {"pubsub", "secretmanager"} | encrypting:
        yield f"Google's accounts are made of {sorted(made)}"


def images_are_scanned(plan: Plan) -> Iterator[str]:
    for each in plan.of("artifact_registry_repository"):
        yield from differs(each, {"format": "DOCKER", "location": REGION})
        yield from differs(each, {"enablement_config": "INHERITED"}, "vulnerability_scanning_config")
        cleaning = {rule["action"]: rule for rule in each.values.get("cleanup_policies") or []}
        kept = (cleaning.get("KEEP", {}).get("most_recent_versions") or [{}])[0].get("keep_count")
        gone = (cleaning.get("DELETE", {}).get("condition") or [{}])[0].get("older_than")
        if (kept, gone) != (10, "7776000s"):
            yield f"{each.address} keeps {kept} images and deletes those that are older than {gone}"


def _has_labels(labels: dict[str, str], name: str) -> bool:
    own = {"environment": "production"} if name.endswith("/production") else {}
    return {**labels, **own, "app": "wardgate"} == labels


def everything_is_labelled(plan: Plan) -> Iterator[str]:
    if not is_whole(plan):
        return
    for each in plan.resources:
        of_its_own_kind = each.type == "google_monitoring_notification_channel"
        if "labels" in each.values and not of_its_own_kind and not _has_labels(each.values["labels"] or {}, plan.name):
            yield f"{each.address} has labels {each.values['labels']}"


def googles_own_accounts_are_those_of_the_project(plan: Plan) -> Iterator[str]:
    for each in plan.resources:
        member = str(each.values.get("member")) if each.type.endswith("_iam_member") else ""
        if (
            re.search(r"@(gcp-sa-|gcf-admin|serverless-robot|gs-project|bigquery-encryption)", member)
            and NUMBER not in member
        ):
            yield f"{each.address} is for {member}"


RULES: list[Rule] = [
    buckets_are_closed,
    evidence_is_retained,
    a_lock_is_set_only_where_it_is_asked_for,
    audit_logs_are_kept,
    the_warehouse_is_the_codes,
    the_document_store_is_protected,
    firestore_knows_the_codes_collections,
    secrets_are_those_of_the_code,
    nobody_reads_the_key_that_kms_replaces,
    keys_are_kept,
    all_data_has_the_key_that_was_asked_for,
    services_are_on,
    images_are_scanned,
    everything_is_labelled,
    googles_own_accounts_are_those_of_the_project,
]
