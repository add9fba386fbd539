# What people are told, when, and where they find what to do.

mock_provider "google" {}

variables {
  project = "my-project"
  services = {
    guard           = "wardgate-guard"
    model           = "wardgate-model"
    audit_archive   = "wardgate-audit-archive"
    audit_warehouse = "wardgate-audit-warehouse"
    audit_alerts    = "wardgate-audit-alerts"
    audit_seal      = "wardgate-audit-seal"
    rotate_secrets  = "wardgate-rotate-secrets"
  }
}

run "by_default" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  assert {
    condition     = alltrue([for metric in google_logging_metric.this : startswith(metric.filter, "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(\"wardgate-")])
    error_message = "A metric counts the lines of Wardgate's own services only."
  }

  assert {
    condition     = google_logging_metric.this["latency"].metric_descriptor[0].value_type == "DISTRIBUTION" && google_logging_metric.this["latency"].value_extractor == "EXTRACT(jsonPayload.milliseconds)"
    error_message = "Latency must be distributed by its milliseconds."
  }

  assert {
    condition     = google_logging_metric.this["spend"].value_extractor == "EXTRACT(jsonPayload.cost_micros)"
    error_message = "Spend must be distributed by its cost."
  }

  assert {
    condition     = google_logging_metric.this["denials"].metric_descriptor[0].value_type == "INT64" && google_logging_metric.this["denials"].value_extractor == null
    error_message = "Denials must be counted."
  }

  assert {
    condition     = alltrue([for metric in google_logging_metric.this : { for label in metric.metric_descriptor[0].labels : label.key => true } == { for key in keys(metric.label_extractors) : key => true }])
    error_message = "Each label of a metric must be extracted, and each that is extracted must be declared."
  }

  assert {
    condition = toset(keys(google_monitoring_alert_policy.this)) == toset([
      "abuse", "admission", "blocks", "denials", "error-rate", "failed-logins", "guard-faults", "kill-switch-unreadable",
      "latency", "quarantines", "rotation-overdue", "seal-overdue", "spend", "trail-faults",
    ])
    error_message = "There must be an alert for each thing that people are to be told."
  }

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.this : strcontains(policy.documentation[0].content, "Runbook: docs/runbooks/${policy.user_labels.runbook}.md")])
    error_message = "Each alert must name its runbook."
  }

  assert {
    condition     = alltrue(flatten([for policy in google_monitoring_alert_policy.this : [for condition in policy.conditions : condition.condition_prometheus_query_language[0].disable_metric_validation]]))
    error_message = "A first apply must be able to make alerts about metrics that have no data yet."
  }

  assert {
    condition     = google_monitoring_alert_policy.this["seal-overdue"].conditions[0].condition_prometheus_query_language[0].query == "(sum(increase(logging_googleapis_com:user_wardgate_seals{monitored_resource=\"cloud_run_revision\"}[20m])) < 1) or absent_over_time(logging_googleapis_com:user_wardgate_seals{monitored_resource=\"cloud_run_revision\"}[20m])"
    error_message = "An overdue seal is the absence of seals, also if there never was one."
  }

  assert {
    condition     = length(google_monitoring_alert_policy.this["rotation-overdue"].conditions) == 2
    error_message = "Rotation is overdue if a secret is, or if nothing runs."
  }

  assert {
    condition     = length(google_monitoring_uptime_check_config.guard) == 0 && length(google_billing_budget.project) == 0
    error_message = "Without a host there is no uptime check, and without a budget none."
  }

  assert {
    condition     = length(jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles) >= 15
    error_message = "The dashboard must show what the alerts are about."
  }
}

run "with_everything" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    name                      = "wardgate-eu"
    host                      = "llm.example.com"
    runbooks                  = "https://example.com/wardgate/docs/runbooks"
    dead_letter_subscriptions = ["archive-dead", "warehouse-dead"]
    notify                    = { emails = ["oncall@example.com"], channels = ["projects/my-project/notificationChannels/1"] }
    budget                    = { billing_account = "012345-6789AB-CDEF01", amount = 500, currency = "EUR" }
    thresholds                = { spend_per_hour = 5, seal_minutes = 30, error_ratio = 0.1 }
  }

  assert {
    condition     = google_logging_metric.this["seals"].name == "wardgate-eu/seals"
    error_message = "Metrics carry the environment's name."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["seal-overdue"].conditions[0].condition_prometheus_query_language[0].query, "logging_googleapis_com:user_wardgate_eu_seals{monitored_resource=\"cloud_run_revision\"}[30m]")
    error_message = "PromQL's name of a metric has no special character, and the threshold is the variable's."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["spend"].conditions[0].condition_prometheus_query_language[0].query, "> 5000000")
    error_message = "Spend is counted in millionths."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["error-rate"].conditions[0].condition_prometheus_query_language[0].query, "> 0.1 and")
    error_message = "The error rate's threshold is the variable's."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["dead-letters"].conditions[0].condition_prometheus_query_language[0].query, "subscription_id=~\"archive-dead|warehouse-dead\"")
    error_message = "Every subscription of dead letters is watched."
  }

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.this : policy.documentation[0].links[0].url == "https://example.com/wardgate/docs/runbooks/${policy.user_labels.runbook}.md"])
    error_message = "Each alert must link its runbook."
  }

  assert {
    condition     = google_monitoring_uptime_check_config.guard[0].http_check[0].path == "/healthz" && google_monitoring_uptime_check_config.guard[0].http_check[0].validate_ssl && google_monitoring_uptime_check_config.guard[0].monitored_resource[0].labels.host == "llm.example.com"
    error_message = "The uptime check asks guard's /healthz, by HTTPS with a valid certificate."
  }

  assert {
    condition     = google_monitoring_notification_channel.email["oncall@example.com"].labels.email_address == "oncall@example.com"
    error_message = "Who is named is told."
  }

  assert {
    condition     = google_billing_budget.project[0].amount[0].specified_amount[0].units == "500" && google_billing_budget.project[0].budget_filter[0].projects == toset(["projects/my-project"])
    error_message = "The budget is the project's."
  }
}

run "told_in_the_end" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    host                      = "llm.example.com"
    dead_letter_subscriptions = ["archive-dead"]
    notify                    = { emails = ["oncall@example.com"], topics = ["projects/my-project/topics/oncall"], channels = ["projects/my-project/notificationChannels/1"] }
  }

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.this : length(policy.notification_channels) == 3])
    error_message = "Every alert reaches everybody who is to be told."
  }
}

run "refuses_a_channel_of_another_kind" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    notify = { channels = ["oncall"] }
  }

  expect_failures = [var.notify]
}

run "refuses_an_address_that_is_none" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    notify = { emails = ["oncall"] }
  }

  expect_failures = [var.notify]
}

run "refuses_a_threshold_that_never_holds" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    thresholds = { blocks = 0 }
  }

  expect_failures = [var.thresholds]
}

run "refuses_a_share_above_one" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    thresholds = { error_ratio = 5 }
  }

  expect_failures = [var.thresholds]
}

run "refuses_a_host_with_a_scheme" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    host = "https://llm.example.com"
  }

  expect_failures = [var.host]
}

run "refuses_a_billing_account_that_is_none" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    budget = { billing_account = "billingAccounts/1", amount = 1 }
  }

  expect_failures = [var.budget]
}

run "refuses_runbooks_nowhere" {
  command = plan

  module {
    source = "./modules/monitoring"
  }

  variables {
    runbooks = "docs/runbooks/"
  }

  expect_failures = [var.runbooks]
}
