# Who is told.

resource "google_monitoring_notification_channel" "email" {
  for_each = var.notify.emails

  project      = var.project
  display_name = "${var.name}: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
}

resource "google_monitoring_notification_channel" "topic" {
  for_each = var.notify.topics

  project      = var.project
  display_name = "${var.name}: ${each.key}"
  type         = "pubsub"
  labels       = { topic = each.key }
}

locals {
  channels = concat(
    [for email in sort(var.notify.emails) : google_monitoring_notification_channel.email[email].id],
    [for topic in sort(var.notify.topics) : google_monitoring_notification_channel.topic[topic].id],
    sort(var.notify.channels),
  )
}
