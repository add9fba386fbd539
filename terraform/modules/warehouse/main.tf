# The warehouse: one table of audit events in BigQuery, and the views that show each event and finding once.

locals {
  schemas    = "${path.module}/../../../docs/schemas"
  dataset_id = replace(var.name, "-", "_")
  keep_ms    = var.retention_days * 86400000
}

resource "google_bigquery_dataset" "this" {
  project                         = var.project
  dataset_id                      = local.dataset_id
  location                        = var.location
  description                     = "Wardgate's audit events, for questions; what is proved is proved by the archive."
  default_partition_expiration_ms = local.keep_ms
  delete_contents_on_destroy      = !var.deletion_protection
  max_time_travel_hours           = "168"
  labels                          = var.labels

  dynamic "default_encryption_configuration" {
    for_each = compact([var.kms_key])
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}

resource "google_bigquery_table" "rows" {
  project             = var.project
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "audit"
  description         = "A row for each event and each of its findings."
  schema              = file("${local.schemas}/warehouse.json")
  clustering          = ["tenant", "key_id"]
  deletion_protection = var.deletion_protection
  labels              = var.labels

  time_partitioning {
    type          = "DAY"
    field         = "day"
    expiration_ms = local.keep_ms
  }

  dynamic "encryption_configuration" {
    for_each = compact([var.kms_key])
    content {
      kms_key_name = encryption_configuration.value
    }
  }
}

resource "google_bigquery_table" "views" {
  #checkov:skip=CKV_GCP_80:A view holds no data.
  for_each            = toset(["events", "findings"])
  project             = var.project
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = each.value
  description         = "The table's ${each.value}, each once."
  deletion_protection = var.deletion_protection
  labels              = var.labels

  view {
    query = templatefile("${local.schemas}/warehouse_${each.value}.sql", {
      table = "${var.project}.${google_bigquery_table.rows.dataset_id}.${google_bigquery_table.rows.table_id}"
    })
    use_legacy_sql = false
  }
}

resource "google_bigquery_table_iam_member" "writers" {
  for_each   = var.writers
  project    = var.project
  dataset_id = google_bigquery_table.rows.dataset_id
  table_id   = google_bigquery_table.rows.table_id
  role       = "roles/bigquery.dataEditor" # the narrowest predefined role with tables.updateData
  member     = each.value
}
