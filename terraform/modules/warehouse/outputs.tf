output "uri" {
  description = "The table as WARDGATE_WAREHOUSE names it."
  value       = "bigquery://${var.project}/${google_bigquery_table.rows.dataset_id}/${google_bigquery_table.rows.table_id}"
}
