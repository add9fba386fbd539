# A call that Cloud Scheduler makes again and again, with an ID token.

resource "google_cloud_scheduler_job" "this" {
  project          = var.project
  region           = var.region
  name             = var.name
  description      = var.description
  schedule         = var.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "${var.deadline_seconds}s"

  # What a call does not finish, the next one does.
  retry_config {
    retry_count          = 1
    min_backoff_duration = "15s"
    max_backoff_duration = "60s"
  }

  http_target {
    http_method = "POST"
    uri         = var.url

    oidc_token {
      service_account_email = var.service_account
      audience              = var.url
    }
  }
}
