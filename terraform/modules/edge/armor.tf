# Cloud Armor. The first rule that matches decides, so the rate rule, which matches all, stands last.

locals {
  # Prompts hold code, SQL and HTML: under /v1/ such signatures are only reported.
  texts  = ["sqli-v33-stable", "xss-v33-stable"]
  to_api = "request.path.startsWith('/v1/')"

  rules = concat(
    [
      { priority = 1000, preview = false, description = "Scanners.", expression = "evaluatePreconfiguredWaf('scannerdetection-v33-stable', {'sensitivity': 1})" },
      { priority = 1010, preview = false, description = "Attacks on the protocol.", expression = "evaluatePreconfiguredWaf('protocolattack-v33-stable', {'sensitivity': 1})" },
    ],
    [for index, name in local.texts : {
      priority    = 1100 + 10 * index
      preview     = true
      description = "Signatures of ${name} in prompts, reported only."
      expression  = "${local.to_api} && evaluatePreconfiguredWaf('${name}', {'sensitivity': 1})"
    }],
    [for index, name in local.texts : {
      priority    = 1200 + 10 * index
      preview     = false
      description = "Signatures of ${name} everywhere else."
      expression  = "!${local.to_api} && evaluatePreconfiguredWaf('${name}', {'sensitivity': 1})"
    }],
  )
}

resource "google_compute_security_policy" "this" {
  #checkov:skip=CKV_GCP_73:The rule is below, where no prompt can be, since a prompt may well be about Log4j; checkov knows it only without such a condition

  project     = var.project
  name        = var.name
  description = "What reaches guard."
  type        = "CLOUD_ARMOR"
  labels      = var.labels

  advanced_options_config {
    json_parsing = "STANDARD"
    log_level    = "NORMAL" # VERBOSE would log parts of prompts
  }

  adaptive_protection_config {
    layer_7_ddos_defense_config {
      enable          = true
      rule_visibility = "STANDARD"
    }
  }

  dynamic "rule" {
    for_each = local.rules
    content {
      action      = "deny(403)"
      priority    = rule.value.priority
      preview     = rule.value.preview
      description = rule.value.description
      match {
        expr {
          expression = rule.value.expression
        }
      }
    }
  }

  rule {
    action      = "deny(403)"
    priority    = 1020
    preview     = false
    description = "Log4j and its like, where no prompt can be."
    match {
      expr {
        expression = "!request.path.startsWith('/v1/') && evaluatePreconfiguredWaf('cve-canary', {'sensitivity': 1})"
      }
    }
  }

  rule {
    action      = "rate_based_ban"
    priority    = 2000
    description = "Requests of one address."
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      conform_action   = "allow"
      exceed_action    = "deny(429)"
      enforce_on_key   = "IP"
      ban_duration_sec = 300
      rate_limit_threshold {
        count        = var.requests_per_minute
        interval_sec = 60
      }
      ban_threshold {
        count        = 5 * var.requests_per_minute
        interval_sec = 60
      }
    }
  }

  rule {
    action      = "deny(403)"
    priority    = 2147483647
    description = "Nothing gets here."
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}
