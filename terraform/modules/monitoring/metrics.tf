# What the functions log, as metrics. See metrics.yaml for what each counts.

locals {
  metrics = yamldecode(file("${path.module}/metrics.yaml"))

  # PromQL's name of a log-based metric: the first "/" becomes ":", every other special character "_".
  # https://cloud.google.com/monitoring/promql/promql-mapping
  series = {
    for name in keys(local.metrics) :
    name => "logging_googleapis_com:user_${replace("${var.name}/${name}", "/[^A-Za-z0-9_]/", "_")}"
  }

  # Log-based metrics can have several kinds of resource, so PromQL wants to be told which.
  of_functions = "monitored_resource=\"cloud_run_revision\""
}

resource "google_logging_metric" "this" {
  for_each = local.metrics

  project     = var.project
  name        = "${var.name}/${each.key}"
  description = each.value.description

  filter = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=(${join(" OR ", [for function in each.value.functions : "\"${var.services[function]}\""])})",
    "(${each.value.filter})",
  ])

  label_extractors = { for label, field in try(each.value.labels, {}) : label => "EXTRACT(jsonPayload.${field})" }
  value_extractor  = try("EXTRACT(jsonPayload.${each.value.value})", null)

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = try(each.value.unit, "1")

    dynamic "labels" {
      for_each = try(each.value.labels, {})

      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  dynamic "bucket_options" {
    for_each = can(each.value.value) ? [1] : []

    content {
      # From 1 to 2^26, a factor of √2 apart: 45 ms are told from 64 ms, and a call's price of 60 is in range.
      exponential_buckets {
        growth_factor      = 1.4142135623730951
        num_finite_buckets = 52
        scale              = 1
      }
    }
  }
}
