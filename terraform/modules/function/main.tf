# One function: its own service account, the function, and who may call it.

locals {
  email = "${google_service_account.this.account_id}@${var.project}.iam.gserviceaccount.com"
  url   = "https://${google_cloudfunctions2_function.this.name}-${var.project_number}.${var.region}.run.app"
}

resource "google_service_account" "this" {
  project      = var.project
  account_id   = var.name
  display_name = "Wardgate: ${var.entry_point}"
}

resource "google_cloudfunctions2_function" "this" {
  project      = var.project
  location     = var.region
  name         = var.name
  description  = var.description
  kms_key_name = var.kms_key == "" ? null : var.kms_key
  labels       = var.labels

  build_config {
    runtime           = "python311" # the version that every test runs on
    entry_point       = var.entry_point
    service_account   = var.build.service_account
    docker_repository = var.build.repository

    source {
      storage_source {
        bucket = var.build.source.bucket
        object = var.build.source.object
      }
    }

    # Security fixes of the base image arrive without a deployment.
    automatic_update_policy {}
  }

  service_config {
    service_account_email            = local.email
    ingress_settings                 = var.ingress
    available_cpu                    = var.scale.cpu
    available_memory                 = var.scale.memory
    min_instance_count               = var.scale.min_instances
    max_instance_count               = var.scale.max_instances
    max_instance_request_concurrency = var.scale.concurrency
    timeout_seconds                  = var.timeout_seconds
    all_traffic_on_latest_revision   = true
    direct_vpc_egress                = var.subnetwork == "" ? null : "VPC_EGRESS_PRIVATE_RANGES_ONLY"

    environment_variables = merge(var.environment, {
      GOOGLE_CLOUD_PROJECT = var.project
      THREADS              = tostring(var.scale.concurrency) # the framework's default is four a CPU
    })

    dynamic "direct_vpc_network_interface" {
      for_each = compact([var.subnetwork])
      content {
        subnetwork = direct_vpc_network_interface.value
      }
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "invokers" {
  for_each = var.invokers
  project  = var.project
  location = google_cloudfunctions2_function.this.location
  name     = google_cloudfunctions2_function.this.name
  role     = "roles/run.invoker"
  member   = each.value
}
