output "template" {
  description = "Full name of the template, as the policy names it."
  value       = "projects/${var.project}/locations/${var.region}/templates/${google_model_armor_template.this.template_id}"
}
