# One function, and the sizes that it refuses.

mock_provider "google" {}

variables {
  project         = "my-project"
  project_number  = "123456789012"
  region          = "europe-west4"
  name            = "wardgate-model"
  entry_point     = "model"
  description     = "Calls the models."
  ingress         = "ALLOW_INTERNAL_ONLY"
  timeout_seconds = 60
  scale           = { concurrency = 8, cpu = "1", max_instances = 3, memory = "512Mi", min_instances = 1 }
  build = {
    repository      = "projects/my-project/locations/europe-west4/repositories/wardgate-functions"
    service_account = "projects/my-project/serviceAccounts/wardgate-build@my-project.iam.gserviceaccount.com"
    source          = { bucket = "sources", object = "model-0123456789abcdef.zip" }
  }
}

run "plain" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    invokers = { guard = "serviceAccount:guard@example.com" }
  }

  assert {
    condition     = output.url == "https://wardgate-model-123456789012.europe-west4.run.app"
    error_message = "The address follows from name, project and region."
  }
  assert {
    condition     = google_cloudfunctions2_function.this.service_config[0].environment_variables.THREADS == "8"
    error_message = "Threads are the concurrency."
  }
  assert {
    condition     = length(google_cloudfunctions2_function.this.service_config[0].direct_vpc_network_interface) == 0
    error_message = "Without a subnetwork there is no egress through one."
  }
  assert {
    condition     = join(" ", keys(google_cloud_run_v2_service_iam_member.invokers)) == "guard"
    error_message = "Only who is named may call."
  }
}

run "refuses_wrong_values" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    ingress         = "ALLOW_SOME"
    name            = "a-name-that-is-longer-than-an-account-may-have"
    timeout_seconds = 3601
    scale           = { concurrency = 8, cpu = "0.5", max_instances = 0, memory = "512Mi", min_instances = 1 }
  }

  expect_failures = [var.ingress, var.name, var.timeout_seconds, var.scale]
}
