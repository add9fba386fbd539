# One environment of Wardgate in a project of its own. Each file wires one concern; each module makes it.

data "google_project" "this" {
  project_id = var.project
}

locals {
  number = data.google_project.this.number
  labels = merge({ app = "wardgate" }, var.labels)
  edge   = length(var.domains) > 0

  # What the policy says decides what functions need: there is one place to say it.
  default_policy  = "${path.module}/../shared/policy/default.yaml"
  policy          = yamldecode(file(var.policy_file == "" ? local.default_policy : var.policy_file))
  upstreams       = try(values(local.policy.upstreams), [])
  upstream_keys   = toset(compact([for upstream in local.upstreams : try(upstream.secret, "")]))
  vertex_projects = toset(compact([for upstream in local.upstreams : try(upstream.project, "")]))
  sealed_content  = try(local.policy.audit.content, "none") == "sealed"
  guard_policies  = concat([try(local.policy.guards, null)], [for tenant in try(values(local.policy.tenants), []) : try(tenant.guards, null)])
  second_stage    = anytrue([for guards in local.guard_policies : contains(["enforce", "monitor"], try(guards.second_stage.mode, "off"))])
  call_seconds    = coalesce(try(local.policy.calls.deadline_seconds, null), 120)
}
