# A topic, what is pushed from it, and the topic and subscription where messages end that nobody took.

locals {
  pubsub_agent = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_schema" "this" {
  for_each   = toset(var.schema == "" ? [] : [var.name])
  project    = var.project
  name       = each.value
  type       = "PROTOCOL_BUFFER"
  definition = var.schema
}

resource "google_pubsub_topic" "this" {
  project                    = var.project
  name                       = var.name
  kms_key_name               = var.kms_key == "" ? null : var.kms_key
  labels                     = var.labels
  message_retention_duration = "604800s" # so that a subscription can be taken back in time

  # Where messages lie; Secret Manager and operators publish and pull from anywhere.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  dynamic "schema_settings" {
    for_each = google_pubsub_schema.this
    content {
      schema   = "projects/${var.project}/schemas/${schema_settings.value.name}"
      encoding = "JSON"
    }
  }
}

resource "google_pubsub_topic_iam_member" "publishers" {
  for_each = var.publishers
  project  = var.project
  topic    = google_pubsub_topic.this.name
  role     = "roles/pubsub.publisher"
  member   = each.value
}

# --- push ---------------------------------------------------------------------------------------

resource "google_pubsub_subscription" "push" {
  for_each                   = var.push
  project                    = var.project
  name                       = "${var.name}-${each.key}"
  topic                      = google_pubsub_topic.this.id
  ack_deadline_seconds       = each.value.ack_deadline_seconds
  message_retention_duration = "604800s"
  labels                     = var.labels

  push_config {
    push_endpoint = each.value.endpoint

    oidc_token {
      service_account_email = each.value.service_account
      audience              = each.value.audience
    }

    # The publisher's attributes arrive as headers, ce-* among them, so that the sink sees a CloudEvent.
    dynamic "no_wrapper" {
      for_each = toset(each.value.wrapped ? [] : ["body"])
      content {
        write_metadata = true
      }
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 10
  }

  expiration_policy {
    ttl = "" # never
  }

  depends_on = [google_pubsub_topic_iam_member.dead_letters]
}

# --- pull ---------------------------------------------------------------------------------------

resource "google_pubsub_subscription" "pull" {
  for_each                   = var.pull
  project                    = var.project
  name                       = "${var.name}-${each.value}"
  topic                      = google_pubsub_topic.this.id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"
  labels                     = var.labels

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 10
  }

  expiration_policy {
    ttl = "" # never
  }

  depends_on = [google_pubsub_topic_iam_member.dead_letters]
}

# --- dead letters -------------------------------------------------------------------------------

resource "google_pubsub_topic" "dead_letters" {
  project                    = var.project
  name                       = "${var.name}-dead-letters"
  kms_key_name               = var.kms_key == "" ? null : var.kms_key
  labels                     = var.labels
  message_retention_duration = "2678400s" # 31 days, the longest there is

  # Where messages lie; Secret Manager and operators publish and pull from anywhere.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

# Dead letters wait here for `wardgate audit dead-letters`.
resource "google_pubsub_subscription" "dead_letters" {
  project                    = var.project
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s"
  retain_acked_messages      = true
  labels                     = var.labels

  expiration_policy {
    ttl = "" # never
  }
}

# Pub/Sub's own account moves dead letters: it publishes them, and acknowledges them where they came from.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  project = var.project
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each     = merge(google_pubsub_subscription.push, google_pubsub_subscription.pull)
  project      = var.project
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
