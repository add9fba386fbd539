# Both examples, planned whole; tests/terraform/ reads these plans.

mock_provider "google" {
  mock_data "google_project" {
    defaults = {
      number = "123456789012"
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
