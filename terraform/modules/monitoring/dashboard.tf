# One page to look at first.

locals {
  charts = [
    { title = "Requests per minute, by status", query = "sum by (status) (rate(${local.counted.requests}[5m])) * 60" },
    { title = "Failures per minute, by code", query = "sum by (code) (rate(${local.counted.failures}[5m])) * 60" },
    { title = "Chats: p50 until the first byte, ms", query = "histogram_quantile(0.5, sum by (le) (rate(${local.buckets.latency}[5m])))" },
    { title = "Chats: p95 until the first byte, ms", query = "histogram_quantile(0.95, sum by (le) (rate(${local.buckets.latency}[5m])))" },
    { title = "Streams: p95 until the last byte, ms", query = "histogram_quantile(0.95, sum by (le) (rate(${local.buckets.stream_duration}[5m])))" },
    { title = "Denials per minute", query = "sum by (code) (rate(${local.counted.denials}[5m])) * 60" },
    { title = "Blocked per minute", query = "sum(rate(${local.counted.blocks}[5m])) * 60" },
    { title = "Failed logins per minute", query = "sum by (code) (rate(${local.counted.failed_logins}[5m])) * 60" },
    { title = "Refused by the kill switch, per minute", query = "sum(rate(${local.counted.killed}[5m])) * 60" },
    { title = "Tokens of answers per minute, by model", query = "sum by (model) (rate(${local.added.tokens}[5m])) * 60" },
    { title = "Spend per hour, by model", query = "sum by (model) (increase(${local.added.spend}[1h])) / 1000000" },
    { title = "Spend per hour, by tenant", query = "topk(10, sum by (tenant) (increase(${local.added.spend}[1h]))) / 1000000" },
    { title = "Failed calls of upstreams per minute", query = "sum by (upstream, code) (rate(${local.counted.upstream_failures}[5m])) * 60" },
    { title = "Alerts about keys and users, per hour", query = "sum by (signal, done) (increase(${local.counted.abuse}[1h]))" },
    { title = "Audit events refused by a sink, per hour", query = "sum by (code) (increase(${local.counted.refused_events}[1h]))" },
    { title = "Seals per hour", query = "sum(increase(${local.counted.seals}[1h]))" },
    { title = "Runs of the rotation per hour", query = "sum(increase(${local.counted.rotation_runs}[1h]))" },
    { title = "Instances of guard", query = "sum(run_googleapis_com:container_instance_count{${local.of_functions},service_name=\"${var.services.guard}\"})" },
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project

  dashboard_json = jsonencode({
    displayName = "Wardgate (${var.name})"
    mosaicLayout = {
      columns = 48
      tiles = [
        for place, chart in local.charts : {
          xPos   = place % 3 * 16
          yPos   = floor(place / 3) * 16
          width  = 16
          height = 16
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType        = "LINE"
                targetAxis      = "Y1"
                timeSeriesQuery = { prometheusQuery = chart.query }
              }]
            }
          }
        }
      ]
    }
  })
}
