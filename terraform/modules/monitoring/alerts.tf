# When people are told. Each alert names its runbook, which says what it means, how to look and what to do.
#
# The conditions are PromQL, since only that can say that a series is missing altogether, and since it lets a first
# apply make an alert about a metric that has no data yet (disable_metric_validation).

locals {
  counted = { for name, series in local.series : name => "${series}{${local.of_functions}}" }
  added   = { for name, series in local.series : name => "${series}_sum{${local.of_functions}}" }
  buckets = { for name, series in local.series : name => "${series}_bucket{${local.of_functions}}" }

  # How much has been counted within a time, as far as anything was.
  within = {
    for name, series in local.counted : name => {
      "5m"  = "sum(increase(${series}[5m]))"
      "10m" = "sum(increase(${series}[10m]))"
      "1h"  = "sum(increase(${series}[1h]))"
    }
  }

  dead_letters = join("|", var.dead_letter_subscriptions)

  alerts = merge(
    {
      error-rate = {
        summary    = "More than ${var.thresholds.error_ratio * 100} % of the requests fail."
        runbook    = "error-rate"
        severity   = "CRITICAL"
        conditions = ["${local.within.failures["5m"]} / ${local.within.requests["5m"]} > ${var.thresholds.error_ratio} and ${local.within.requests["5m"]} >= 20"]
      }
      latency = {
        summary    = "One chat in twenty waits longer than ${var.thresholds.latency_p95_ms} ms."
        runbook    = "latency"
        severity   = "WARNING"
        conditions = ["histogram_quantile(0.95, sum by (le) (rate(${local.buckets.latency}[10m]))) > ${var.thresholds.latency_p95_ms}"]
      }
      denials = {
        summary    = "More than ${var.thresholds.denials} requests in ten minutes were over a limit."
        runbook    = "denials"
        severity   = "WARNING"
        conditions = ["${local.within.denials["10m"]} > ${var.thresholds.denials}"]
      }
      blocks = {
        summary    = "More than ${var.thresholds.blocks} prompts or answers in ten minutes were blocked."
        runbook    = "blocks"
        severity   = "WARNING"
        conditions = ["${local.within.blocks["10m"]} > ${var.thresholds.blocks}"]
      }
      failed-logins = {
        summary    = "More than ${var.thresholds.failed_logins} requests in ten minutes had no valid credential."
        runbook    = "failed-logins"
        severity   = "WARNING"
        conditions = ["${local.within.failed_logins["10m"]} > ${var.thresholds.failed_logins}"]
      }
      abuse = {
        summary    = "A key or user is suspicious: blocks, denials, spend, or signs of extraction."
        runbook    = "abuse"
        severity   = "WARNING"
        conditions = ["sum by (signal) (increase(${local.counted.abuse}[10m])) > 0"]
      }
      quarantines = {
        summary    = "Wardgate has stopped a key for a time."
        runbook    = "quarantines"
        severity   = "ERROR"
        conditions = ["sum by (signal) (increase(${local.counted.quarantines}[10m])) > 0"]
      }
      trail-faults = {
        summary    = "The audit trail has a gap, or was tampered with."
        runbook    = "trail-faults"
        severity   = "CRITICAL"
        conditions = ["sum by (event) (increase(${local.counted.trail_faults}[10m])) > 0"]
      }
      seal-overdue = {
        summary    = "The audit trail has not been sealed for ${var.thresholds.seal_minutes} minutes."
        runbook    = "seal-overdue"
        severity   = "CRITICAL"
        conditions = [replace(local.standstill, "SERIES", "${local.counted.seals}[${var.thresholds.seal_minutes}m]")]
      }
      rotation-overdue = {
        summary  = "A secret is overdue for rotation, or the rotation does not run."
        runbook  = "rotation-overdue"
        severity = "ERROR"
        conditions = [
          "sum by (secret) (increase(${local.counted.rotation_overdue}[1h])) > 0",
          replace(local.standstill, "SERIES", "${local.counted.rotation_runs}[${var.thresholds.rotation_silent_minutes}m]"),
        ]
      }
      spend = {
        summary    = "Models have cost more than ${var.thresholds.spend_per_hour} of the policy's currency within an hour."
        runbook    = "spend"
        severity   = "ERROR"
        conditions = ["sum(increase(${local.added.spend}[1h])) > ${var.thresholds.spend_per_hour * 1000000}"]
      }
      kill-switch-unreadable = {
        summary    = "Guard cannot read the kill switch; after five minutes it refuses every call."
        runbook    = "kill-switch"
        severity   = "CRITICAL"
        conditions = ["${local.within.switch_unreadable["5m"]} > 0"]
      }
      admission = {
        summary    = "Limits cannot be read or charged."
        runbook    = "admission"
        severity   = "CRITICAL"
        conditions = ["${local.within.admission_faults["5m"]} > 0"]
      }
      guard-faults = {
        summary    = "A guard fails to run; its fail mode in the policy decides what that means for calls."
        runbook    = "guard-faults"
        severity   = "ERROR"
        conditions = ["sum by (guard) (increase(${local.counted.guard_faults}[10m])) > 0"]
      }
    },
    length(var.dead_letter_subscriptions) == 0 ? {} : {
      dead-letters = {
        summary    = "An audit event was taken by no sink."
        runbook    = "dead-letters"
        severity   = "CRITICAL"
        conditions = ["sum by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${local.dead_letters}\"}) > 0"]
      }
    },
    var.host == "" ? {} : {
      unreachable = {
        summary    = "Guard's /healthz is not answered from two or more places."
        runbook    = "unreachable"
        severity   = "CRITICAL"
        conditions = ["count(monitoring_googleapis_com:uptime_check_check_passed{monitored_resource=\"uptime_url\",check_id=\"${google_monitoring_uptime_check_config.guard[0].uptime_check_id}\"} == 0) >= 2"]
      }
    },
  )

  # No progress: counted as nothing, or no series at all, be it that there never was one.
  standstill = "(sum(increase(SERIES)) < 1) or absent_over_time(SERIES)"
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  project      = var.project
  display_name = "${var.name}: ${each.key}"
  combiner     = "OR"
  severity     = each.value.severity
  user_labels  = { product = var.name, runbook = each.value.runbook }

  notification_channels = local.channels

  dynamic "conditions" {
    for_each = each.value.conditions

    content {
      display_name = each.value.summary

      condition_prometheus_query_language {
        query                     = conditions.value
        duration                  = "0s"
        evaluation_interval       = "60s"
        disable_metric_validation = true
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "${var.name}: ${each.key}"
    content   = "${each.value.summary}\n\nRunbook: ${coalesce(var.runbooks, "docs/runbooks")}/${each.value.runbook}.md"

    dynamic "links" {
      for_each = [for place in compact([var.runbooks]) : "${place}/${each.value.runbook}.md"]

      content {
        display_name = "Runbook"
        url          = links.value
      }
    }
  }

  alert_strategy {
    auto_close = "3600s"
  }

  # The series need their metrics, although nothing in a query says so.
  depends_on = [google_logging_metric.this]
}
