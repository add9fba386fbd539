"""What a plan does not show: lifecycles and orders, read from the configuration itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_BLOCK = re.compile(r'^(resource|module|data) "(\w+)"(?: "(\w+)")? \{\n(.*?)^\}', re.M | re.S)
_NEEDS_NO_SERVICE = {"google_project", "google_logging_project_cmek_settings", "google_project_service"}


def faults(terraform: Path) -> Iterator[str]:
    """A sentence for each fault of the configuration in a folder."""
    yield from _services_come_first(terraform)
    yield from _what_must_last_lasts(terraform)
    yield from _outputs_wait(terraform)


def _blocks(path: Path) -> Iterator[tuple[str, str]]:
    """The blocks of a file: ``type.name``, or ``module.name``, and what is inside."""
    for kind, first, second, body in _BLOCK.findall(path.read_text()):
        yield f"{first}.{second}" if second else f"{kind}.{first}", body


def _inside(terraform: Path, path: str, block: str) -> str:
    return dict(_blocks(terraform / path)).get(block, "")


def _services_come_first(terraform: Path) -> Iterator[str]:
    """An API that is not on yet refuses whatever is asked of it."""
    for path in sorted(terraform.glob("*.tf")):
        for name, body in _blocks(path):
            depends = re.search(r"^  depends_on += \[([^\]]*)\]", body, re.M)
            known = set(
                re.findall(r"(?:module|google_service_account)\.\w+|local\.\w+_email", body.partition("depends_on")[0])
            )
            needs_none = name.partition(".")[0] in _NEEDS_NO_SERVICE
            # A grant comes after what it names, which came after the services.
            implied = name.partition(".")[0].endswith("_iam_member") and known
            if not needs_none and not implied and not (depends and "google_project_service" in depends[1]):
                yield f"{path.name}: {name} does not wait for the services"


_LAST = {
    ("modules/keys/main.tf", "google_kms_crypto_key.signing"): "prevent_destroy = true",
    ("modules/keys/main.tf", "google_kms_crypto_key.content"): "prevent_destroy = true",
    ("modules/keys/main.tf", "google_kms_crypto_key.data"): "prevent_destroy = true",
    ("modules/edge/main.tf", "google_compute_managed_ssl_certificate.this"): "create_before_destroy = true",
    ("modules/build/main.tf", "google_storage_bucket_object.bundle"): "create_before_destroy = true",
    ("modules/secrets/main.tf", "google_secret_manager_secret.this"): (
        "ignore_changes = [rotation[0].next_rotation_time, version_aliases]"
    ),
}


def _what_must_last_lasts(terraform: Path) -> Iterator[str]:
    for (path, block), expected in _LAST.items():
        if expected not in _inside(terraform, path, block):
            yield f"{path}: {block} lacks '{expected}'"
    zipped = _inside(terraform, "modules/build/main.tf", "google_storage_bucket_object.bundle")
    if "ignore_changes = [source, detect_md5hash]" not in zipped:
        yield "a fresh clone, which has no zips, would upload them anew"
    if not re.search(r"depends_on += \[terraform_data\.bundle\]", zipped):
        yield "zips are uploaded before they are built"
    built = _inside(terraform, "modules/build/main.tf", "terraform_data.bundle")
    if "functions/bundle.py" not in built or not re.search(r"triggers_replace += \[each\.value\]", built):
        yield "zips are not built anew where their content changes"


_WAITING = {
    ("modules/topic/main.tf", "google_pubsub_subscription.push"): "google_pubsub_topic_iam_member.dead_letters",
    ("modules/topic/main.tf", "google_pubsub_subscription.pull"): "google_pubsub_topic_iam_member.dead_letters",
}


def _outputs_wait(terraform: Path) -> Iterator[str]:
    for (path, block), expected in _WAITING.items():
        if not re.search(rf"depends_on += \[{re.escape(expected)}\]", _inside(terraform, path, block)):
            yield f"{path}: {block} does not wait for {expected}"
    waits = {
        "function": ["google_cloud_run_v2_service_iam_member.invokers"],
        "keys": ["google_kms_crypto_key_iam_member.services"],
        "topic": ["google_pubsub_topic_iam_member.publishers"],
        "network": ["google_dns_record_set.run", "google_compute_firewall.allow_google"],
        "build": ["google_project_iam_member.build_sources", "google_project_iam_member.build_logs"],
    }
    for module, grants in waits.items():
        text = (terraform / f"modules/{module}/outputs.tf").read_text()
        yield from (f"modules/{module} is used before {grant}" for grant in grants if grant not in text)
