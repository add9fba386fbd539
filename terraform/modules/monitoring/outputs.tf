output "alerts" {
  description = "Resource name of each alert policy."
  value       = { for name, policy in google_monitoring_alert_policy.this : name => policy.name }
}

output "channels" {
  description = "Resource names of those who are told."
  value       = local.channels
}

output "dashboard" {
  description = "Resource name of the dashboard."
  value       = google_monitoring_dashboard.this.id
}

output "metrics" {
  description = "Name of each log-based metric."
  value       = { for name, metric in google_logging_metric.this : name => metric.name }
}
