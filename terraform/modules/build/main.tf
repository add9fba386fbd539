# What functions are made of and made by: their zips, the registry of their images, the account that builds them.

locals {
  repository_root = "${path.module}/../../.."
  bundles         = "${local.repository_root}/dist"

  # functions/bundle.py reckons the same digest from the same files, and refuses a tree with files of other kinds than it
  # carries; tests/terraform compares the two.
  left_out     = "^shared/(local|cli)/|/__pycache__/"
  model        = "^shared/guards/encoder_model/"
  shared_files = [for path in fileset(local.repository_root, "shared/**") : path if !can(regex(local.left_out, path))]
  shared_lines = [for path in sort(local.shared_files) : "${filesha256("${local.repository_root}/${path}")}  ${path}\n"]
  plain_lines  = [for line in local.shared_lines : line if !can(regex(local.model, split("  ", line)[1]))]
  policy_lines = [for path in compact([var.policy_file]) : "${filesha256(path)}  policy.yaml\n"]

  # The function that can run the second stage has requirements of its own for that.
  requirements = { for name in var.functions : name => var.second_stage ? fileexists("${local.repository_root}/functions/${name}/second-stage-requirements.txt") ? "second-stage-requirements.txt" : "requirements.txt" : "requirements.txt" }

  digests = { for name in var.functions : name => substr(sha256(join("", concat(
    ["wardgate bundle 1\n", "${filesha256("${local.repository_root}/functions/${name}/main.py")}  main.py\n"],
    local.policy_lines,
    ["${filesha256("${local.repository_root}/functions/${name}/${local.requirements[name]}")}  requirements.txt\n"],
    local.requirements[name] == "requirements.txt" ? local.plain_lines : local.shared_lines,
  ))), 0, 16) }

  policy_argument = var.policy_file == "" ? "" : "--policy '${abspath(var.policy_file)}'"
  extra_argument  = var.second_stage ? "--second-stage" : ""
}

# --- zips --------------------------------------------------------------------------------------

# The plan needs the digest alone; the zip is built where it is uploaded.
resource "terraform_data" "bundle" {
  for_each         = local.digests
  triggers_replace = [each.value]

  provisioner "local-exec" {
    command = "python3 '${local.repository_root}/functions/bundle.py' --into '${local.bundles}' ${local.policy_argument} ${local.extra_argument} '${each.key}'"
  }

  lifecycle {
    precondition {
      condition     = local.requirements[each.key] == "requirements.txt" ? true : length(local.plain_lines) < length(local.shared_lines)
      error_message = "The policy switches the second stage on, and this tree does not hold its model (shared/guards/encoder_model)."
    }
  }
}

resource "google_storage_bucket" "sources" {
  #checkov:skip=CKV_GCP_62:Cloud Audit Logs have every read and write of it; usage logs would add nothing.
  project                     = var.project
  name                        = "${var.project}-${var.name}-sources"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  labels                      = var.labels
  force_destroy               = true # holds nothing that a clone does not

  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 30
    }
    action {
      type = "Delete"
    }
  }

  dynamic "encryption" {
    for_each = compact([var.kms_key])
    content {
      default_kms_key_name = encryption.value
    }
  }
}

resource "google_storage_bucket_object" "bundle" {
  for_each     = local.digests
  bucket       = google_storage_bucket.sources.name
  name         = "${each.key}-${each.value}.zip"
  source       = "${local.bundles}/${each.key}-${each.value}.zip"
  content_type = "application/zip"
  depends_on   = [terraform_data.bundle]

  lifecycle {
    create_before_destroy = true
    # The name tells the content, and a fresh clone has no zip to compare with.
    ignore_changes = [source, detect_md5hash]
  }
}

# --- images ------------------------------------------------------------------------------------

resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.region
  repository_id = "${var.name}-functions"
  description   = "Images of Wardgate's functions."
  format        = "DOCKER"
  kms_key_name  = var.kms_key == "" ? null : var.kms_key
  labels        = var.labels

  vulnerability_scanning_config {
    enablement_config = "INHERITED" # on, since containerscanning.googleapis.com is
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 10
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "7776000s"
    }
  }
}

# --- the account that builds --------------------------------------------------------------------

resource "google_service_account" "build" {
  project      = var.project
  account_id   = "${var.name}-build"
  display_name = "Wardgate: builds the functions' images"
}

locals {
  build_member = "serviceAccount:${google_service_account.build.account_id}@${var.project}.iam.gserviceaccount.com"
}

resource "google_project_iam_member" "build_logs" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = local.build_member
}

resource "google_artifact_registry_repository_iam_member" "build_images" {
  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.writer"
  member     = local.build_member
}

# Cloud Run functions copies each source into a bucket of its own, which is there only after the first build.
resource "google_project_iam_member" "build_sources" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = local.build_member

  condition {
    title       = "sources-only"
    description = "Buckets that hold functions' sources, and no other."
    expression  = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${var.project_number}-${var.region}/\") || resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.sources.name}/\")"
  }
}
