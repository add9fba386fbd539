# What the project may cost a month, as the invoice will say it: later than the metric of spend, but all of it.

resource "google_billing_budget" "project" {
  count = var.budget.billing_account == "" ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "${var.name}: ${var.project}"

  budget_filter {
    projects               = ["projects/${var.project}"]
    calendar_period        = "MONTH"
    credit_types_treatment = "EXCLUDE_ALL_CREDITS"
  }

  amount {
    specified_amount {
      currency_code = var.budget.currency == "" ? null : var.budget.currency
      units         = tostring(var.budget.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]

    content {
      threshold_percent = threshold_rules.value
    }
  }

  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    # A budget takes five at most, and of these kinds only.
    monitoring_notification_channels = slice(local.channels, 0, min(5, length(local.channels)))
    disable_default_iam_recipients   = false
  }
}
