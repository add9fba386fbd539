# A template of Model Armor, which the policy's guard of that name asks.

resource "google_model_armor_template" "this" {
  project     = var.project
  location    = var.region
  template_id = var.name
  labels      = var.labels

  filter_config {
    pi_and_jailbreak_filter_settings {
      filter_enforcement = "ENABLED"
      confidence_level   = "MEDIUM_AND_ABOVE"
    }

    malicious_uri_filter_settings {
      filter_enforcement = "ENABLED"
    }

    sdp_settings {
      basic_config {
        filter_enforcement = "ENABLED"
      }
    }

    rai_settings {
      dynamic "rai_filters" {
        for_each = toset(["DANGEROUS", "HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT"])
        content {
          filter_type      = rai_filters.value
          confidence_level = "MEDIUM_AND_ABOVE"
        }
      }
    }
  }

  template_metadata {
    log_sanitize_operations            = false # such a log holds prompts
    log_template_operations            = true
    ignore_partial_invocation_failures = false

    multi_language_detection {
      enable_multi_language_detection = true
    }
  }
}

resource "google_project_iam_member" "users" {
  for_each = var.users
  project  = var.project
  role     = "roles/modelarmor.user"
  member   = each.value
}
