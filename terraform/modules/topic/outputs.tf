output "dead_letters" {
  description = "Id of the subscription where dead letters wait."
  value       = google_pubsub_subscription.dead_letters.name
}

output "id" {
  description = "Full name of the topic, once its publishers may publish."
  value       = "projects/${var.project}/topics/${google_pubsub_topic.this.name}"
  depends_on  = [google_pubsub_topic_iam_member.publishers]
}

output "name" {
  description = "Name of the topic."
  value       = google_pubsub_topic.this.name
}

output "subscriptions" {
  description = "Names of the subscriptions whose messages become dead letters."
  value       = sort([for subscription in merge(google_pubsub_subscription.push, google_pubsub_subscription.pull) : subscription.name])
}
