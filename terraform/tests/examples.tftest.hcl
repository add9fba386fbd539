# Both examples, planned whole; tests/terraform/ reads these plans.

mock_provider "google" {
  mock_data "google_project" {
    defaults = {
      number = "123456789012"
    }
  }
  mock_data "google_logging_project_cmek_settings" {
    defaults = {
      service_account_id = "cmek-p123456789012@gcp-sa-logging.iam.gserviceaccount.com"
    }
  }
}

mock_provider "google-beta" {}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }
}

run "production" {
  command = plan

  module {
    source = "./examples/production"
  }
}
