# What there must be before the first plan, and what the accounts that check and deploy may do.

mock_provider "google" {}

variables {
  project = "my-project"
  region  = "europe-west4"
}

run "without_builds" {
  command = plan

  module {
    source = "./bootstrap"
  }

  assert {
    condition     = google_storage_bucket.state.versioning[0].enabled && google_storage_bucket.state.public_access_prevention == "enforced" && google_storage_bucket.state.uniform_bucket_level_access
    error_message = "The state must be versioned and private."
  }

  assert {
    condition     = alltrue([for role in keys(google_project_iam_member.check) : !can(regex("(admin|editor|owner|writer|user)$", lower(replace(role, "roles/logging.logWriter", ""))))])
    error_message = "The account that checks may change nothing."
  }

  assert {
    condition     = !contains(keys(google_project_iam_member.deploy), "roles/secretmanager.admin") && !contains(google_project_iam_custom_role.secrets.permissions, "secretmanager.versions.access")
    error_message = "The account that deploys may read no secret."
  }

  assert {
    condition     = length(google_project_iam_member.deploy_grants.condition) == 1 && strcontains(google_project_iam_member.deploy_grants.condition[0].expression, "hasOnly(['roles/")
    error_message = "The account that deploys may grant only the roles that are named."
  }

  assert {
    condition     = length(google_cloudbuild_trigger.check) == 0 && length(google_cloudbuild_trigger.apply) == 0
    error_message = "Without a repository there are no triggers."
  }
}

run "with_builds" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    approvers  = ["group:sre@example.com"]
    repository = { id = "projects/my-project/locations/europe-west4/connections/github/repositories/wardgate" }
    images = {
      builder = "gcr.io/buildpacks/builder:google-22@sha256:0000000000000000000000000000000000000000000000000000000000000000"
      pack    = "buildpacksio/pack:0.40.7@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    }
  }

  assert {
    condition     = google_cloudbuild_trigger.apply[0].approval_config[0].approval_required
    error_message = "Nothing is applied that nobody has approved."
  }

  assert {
    condition     = google_cloudbuild_trigger.check[0].filename == "cloudbuild.yaml" && google_cloudbuild_trigger.apply[0].filename == "cloudbuild.apply.yaml"
    error_message = "Each trigger must run its file."
  }

  assert {
    condition     = google_cloudbuild_trigger.check[0].repository_event_config[0].push[0].branch == "^main$"
    error_message = "Only the named branch is planned and deployed."
  }

  assert {
    condition     = google_project_iam_member.approvers["group:sre@example.com"].role == "roles/cloudbuild.builds.approver"
    error_message = "Whoever is named may approve."
  }
}

run "refuses_builds_without_their_images" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    repository = { id = "projects/my-project/locations/europe-west4/connections/github/repositories/wardgate" }
  }

  expect_failures = [google_cloudbuild_trigger.check]
}

run "refuses_an_image_without_a_digest" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    images = { pack = "buildpacksio/pack:latest" }
  }

  expect_failures = [var.images]
}

run "refuses_a_repository_that_is_none" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    repository = { id = "example/wardgate" }
  }

  expect_failures = [var.repository]
}

run "refuses_a_branch_with_a_wildcard" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    repository = { branch = ".*" }
  }

  expect_failures = [var.repository]
}

run "refuses_an_approver_that_is_everybody" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    approvers = ["allUsers"]
  }

  expect_failures = [var.approvers]
}

run "refuses_a_project_by_its_number" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    project = "123"
  }

  expect_failures = [var.project]
}

run "refuses_a_region_that_is_none" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    region = "Europe"
  }

  expect_failures = [var.region]
}

run "refuses_a_name_that_is_too_long" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    name = "a-name-that-is-too-long"
  }

  expect_failures = [var.name]
}
