output "content_key" {
  description = "Key of sealed prompts as WARDGATE_CONTENT_KEY names it; empty: there is none."
  value       = join("", [for key in google_kms_crypto_key.content : "kms://${local.ring}/cryptoKeys/${key.name}"])
}

output "data_key" {
  description = "Key for data, once the services may use it; empty: there is none."
  value       = join("", [for key in google_kms_crypto_key.data : "${local.ring}/cryptoKeys/${key.name}"])
  depends_on  = [google_kms_crypto_key_iam_member.services]
}

output "signer" {
  description = "The first version of the signing key as WARDGATE_SIGNER names it."
  value       = "kms://${local.ring}/cryptoKeys/${google_kms_crypto_key.signing.name}/cryptoKeyVersions/1"
}
