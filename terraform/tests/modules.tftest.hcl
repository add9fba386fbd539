# Each other module by itself: that it plans with nothing but what it must be given, and what it refuses.

mock_provider "google" {}

variables {
  project        = "my-project"
  project_number = "123456789012"
  region         = "europe-west4"
  name           = "wardgate"
}

run "build" {
  command = plan

  module {
    source = "./modules/build"
  }

  variables {
    functions = ["guard", "model"]
  }

  assert {
    condition     = alltrue([for name in ["guard", "model"] : can(regex("^${name}-[0-9a-f]{16}[.]zip$", output.sources[name].object))])
    error_message = "Each zip's name must end in the hash of its content."
  }
  assert {
    condition     = output.sources.guard.object != output.sources.model.object
    error_message = "Functions have zips of their own."
  }
}

run "build_with_a_policy" {
  command = plan

  module {
    source = "./modules/build"
  }

  variables {
    functions   = ["guard", "model"]
    policy_file = "./tests/policies/sealed.yaml"
  }

  assert {
    condition     = output.sources.guard.object != run.build.sources.guard.object
    error_message = "Another policy is another zip."
  }
}

run "build_with_the_second_stage" {
  command = plan

  module {
    source = "./modules/build"
  }

  variables {
    functions    = ["guard", "model"]
    second_stage = true
  }

  assert {
    condition     = output.sources.guard.object != run.build.sources.guard.object
    error_message = "Guard carries the second stage."
  }
  assert {
    condition     = output.sources.model.object == run.build.sources.model.object
    error_message = "No other function carries it."
  }
}

run "topic" {
  command = plan

  module {
    source = "./modules/topic"
  }

  variables {
    name = "wardgate-example"
    push = { sink = { endpoint = "https://sink.example.com", audience = "https://sink.example.com", service_account = "push@example.com" } }
    pull = ["listener"]
  }

  assert {
    condition     = output.subscriptions == tolist(["wardgate-example-listener", "wardgate-example-sink"])
    error_message = "There is a subscription for each sink and listener."
  }
  assert {
    condition     = join(" ", keys(google_pubsub_subscription_iam_member.dead_letters)) == "listener sink"
    error_message = "Pub/Sub moves dead letters of every subscription."
  }
}

run "topic_refuses_http" {
  command = plan

  module {
    source = "./modules/topic"
  }

  variables {
    push = { sink = { endpoint = "http://sink.example.com", audience = "x", service_account = "push@example.com" } }
  }

  expect_failures = [var.push]
}

run "documents" {
  command = plan

  module {
    source = "./modules/documents"
  }

  variables {
    location  = "nam5"
    expiring  = ["admission"]
    unindexed = ["admission", "keys"]
  }

  assert {
    condition     = output.uri == "firestore://my-project/wardgate"
    error_message = "The URI names project and database."
  }
}

run "documents_refuse_long_backups" {
  command = plan

  module {
    source = "./modules/documents"
  }

  variables {
    location    = "nam5"
    expiring    = []
    unindexed   = []
    backup_days = 99
  }

  expect_failures = [var.backup_days]
}

run "archive" {
  command = plan

  module {
    source = "./modules/archive"
  }

  variables {
    retention_days = 400
  }

  assert {
    condition     = google_storage_bucket.evidence.retention_policy[0].retention_period == "34560000"
    error_message = "The bucket keeps objects for so many days."
  }
}

run "archive_locked" {
  command = plan

  module {
    source = "./modules/archive"
  }

  variables {
    retention_days = 400
    lock           = true
  }

  assert {
    condition     = alltrue([google_storage_bucket.evidence.retention_policy[0].is_locked, google_logging_project_bucket_config.audit.locked])
    error_message = "A lock is on the bucket and on the logs."
  }
}

run "archive_refuses_no_retention" {
  command = plan

  module {
    source = "./modules/archive"
  }

  variables {
    retention_days = 0
  }

  expect_failures = [var.retention_days]
}

run "warehouse" {
  command = plan

  module {
    source = "./modules/warehouse"
  }

  variables {
    name           = "ward-gate"
    location       = "EU"
    retention_days = 30
  }

  assert {
    condition     = output.uri == "bigquery://my-project/ward_gate/audit"
    error_message = "A dataset's id has no hyphens."
  }
  assert {
    condition     = google_bigquery_table.rows.time_partitioning[0].expiration_ms == 2592000000
    error_message = "Rows are kept for so many days."
  }
}

run "warehouse_refuses_no_retention" {
  command = plan

  module {
    source = "./modules/warehouse"
  }

  variables {
    location       = "EU"
    retention_days = 0
  }

  expect_failures = [var.retention_days]
}

run "secrets" {
  command = plan

  module {
    source = "./modules/secrets"
  }

  variables {
    topic   = "projects/my-project/topics/reminders"
    rotator = "serviceAccount:rotator@example.com"
    members = { guard = "serviceAccount:guard@example.com", model = "serviceAccount:model@example.com" }
    secrets = {
      audit-pepper   = { period_days = 7, readers = ["guard"], rotated = true }
      openai-api-key = { period_days = 90, readers = ["model"], rotated = false }
    }
  }

  assert {
    condition     = join(" ", keys(google_secret_manager_secret_iam_member.rotator_values)) == "audit-pepper"
    error_message = "The rotator reads only what it rotates."
  }
  assert {
    condition     = join(" ", keys(google_secret_manager_secret_iam_member.accessors)) == "audit-pepper/guard openai-api-key/model"
    error_message = "A secret is read by its readers."
  }
}

run "secrets_refuse_no_period" {
  command = plan

  module {
    source = "./modules/secrets"
  }

  variables {
    topic   = "projects/my-project/topics/reminders"
    rotator = "serviceAccount:rotator@example.com"
    secrets = { audit-pepper = { period_days = 0, readers = [], rotated = true } }
  }

  expect_failures = [var.secrets]
}

run "keys" {
  command = plan

  module {
    source = "./modules/keys"
  }

  assert {
    condition     = output.data_key == ""
    error_message = "There is no key for data unless it is asked for."
  }
  assert {
    condition     = output.content_key == ""
    error_message = "There is no key for sealed prompts unless somebody seals."
  }
}

run "keys_for_data" {
  command = plan

  module {
    source = "./modules/keys"
  }

  variables {
    encrypt    = true
    encrypters = { storage = "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com" }
    sealers    = { guard = "serviceAccount:guard@example.com" }
    verifiers  = { auditor = "user:auditor@example.com" }
  }

  assert {
    condition     = output.data_key == "projects/my-project/locations/europe-west4/keyRings/wardgate/cryptoKeys/data"
    error_message = "The key for data is known before it is there."
  }
  assert {
    condition     = join(" ", keys(google_kms_crypto_key_iam_member.sealers)) == "guard"
    error_message = "Who seals may use the key for it."
  }
  assert {
    condition     = google_kms_crypto_key_iam_member.verifiers["auditor"].role == "roles/cloudkms.publicKeyViewer"
    error_message = "Who verifies reads the public key, and cannot sign."
  }
}

run "network" {
  command = plan

  module {
    source = "./modules/network"
  }

  assert {
    condition     = output.subnetwork == "projects/my-project/regions/europe-west4/subnetworks/wardgate-functions"
    error_message = "The subnetwork is known by its full name."
  }
}

run "network_refuses_a_small_range" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    cidr = "10.90.0.0/28"
  }

  expect_failures = [var.cidr]
}

run "job" {
  command = plan

  module {
    source = "./modules/job"
  }

  variables {
    description      = "Calls."
    schedule         = "*/5 * * * *"
    deadline_seconds = 300
    service_account  = "scheduler@example.com"
    url              = "https://function.example.com"
  }

  assert {
    condition     = google_cloud_scheduler_job.this.http_target[0].oidc_token[0].audience == "https://function.example.com"
    error_message = "The token is for the function."
  }
}

run "job_refuses_http" {
  command = plan

  module {
    source = "./modules/job"
  }

  variables {
    description      = "Calls."
    schedule         = "*/5 * * * *"
    deadline_seconds = 1801
    service_account  = "scheduler@example.com"
    url              = "http://function.example.com"
  }

  expect_failures = [var.url, var.deadline_seconds]
}

run "edge" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    domains = ["llm.example.com", "api.example.com"]
    service = "wardgate-guard"
  }

  assert {
    condition     = google_compute_managed_ssl_certificate.this.managed[0].domains == tolist(["api.example.com", "llm.example.com"])
    error_message = "The certificate is for all domains."
  }
}

run "edge_refuses_no_domain" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    domains             = []
    service             = "wardgate-guard"
    requests_per_minute = 0
  }

  expect_failures = [var.domains, var.requests_per_minute]
}

run "model_armor" {
  command = plan

  module {
    source = "./modules/model_armor"
  }

  assert {
    condition     = output.template == "projects/my-project/locations/europe-west4/templates/wardgate"
    error_message = "The template's full name is what the policy needs."
  }
}

run "perimeter" {
  command = plan

  module {
    source = "./modules/perimeter"
  }

  variables {
    name          = "ward-gate"
    access_policy = "123456789"
  }

  assert {
    condition     = output.name == "accessPolicies/123456789/servicePerimeters/ward_gate"
    error_message = "A perimeter's name has no hyphens."
  }
}

run "perimeter_enforced" {
  command = plan

  module {
    source = "./modules/perimeter"
  }

  variables {
    access_policy = "123456789"
    enforce       = true
  }
}

run "perimeter_refuses_a_name" {
  command = plan

  module {
    source = "./modules/perimeter"
  }

  variables {
    access_policy = "accessPolicies/123456789"
  }

  expect_failures = [var.access_policy]
}
