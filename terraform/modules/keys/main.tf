# Keys in Cloud KMS: the one that signs checkpoints; where asked for, one for data and one for sealed prompts.

resource "google_kms_key_ring" "this" {
  project  = var.project
  location = var.region
  name     = var.name # can never be deleted, nor its name used again
}

locals {
  ring = "projects/${var.project}/locations/${var.region}/keyRings/${google_kms_key_ring.this.name}"
}

resource "google_kms_crypto_key" "signing" {
  key_ring                   = local.ring
  name                       = "audit-signing"
  purpose                    = "ASYMMETRIC_SIGN"
  destroy_scheduled_duration = "2592000s" # 30 days to think again
  labels                     = var.labels

  version_template {
    algorithm        = "EC_SIGN_ED25519"
    protection_level = "SOFTWARE" # Ed25519 is not there in HSM
  }

  lifecycle {
    prevent_destroy = true # whoever verifies an old checkpoint needs it
  }
}

resource "google_kms_crypto_key_iam_member" "signers" {
  for_each      = var.signers
  crypto_key_id = "${local.ring}/cryptoKeys/${google_kms_crypto_key.signing.name}"
  role          = "roles/cloudkms.signerVerifier" # signs, and reads the public key
  member        = each.value
}

resource "google_kms_crypto_key_iam_member" "verifiers" {
  for_each      = var.verifiers
  crypto_key_id = "${local.ring}/cryptoKeys/${google_kms_crypto_key.signing.name}"
  role          = "roles/cloudkms.publicKeyViewer"
  member        = each.value
}

# --- sealed prompts: wraps each subject's key, and is no other service's ---------------------------

resource "google_kms_crypto_key" "content" {
  for_each                   = toset(length(var.sealers) > 0 ? ["content"] : [])
  key_ring                   = local.ring
  name                       = each.value
  purpose                    = "ENCRYPT_DECRYPT"
  rotation_period            = "7776000s" # 90 days; older versions go on opening what they sealed
  destroy_scheduled_duration = "2592000s"
  labels                     = var.labels

  lifecycle {
    prevent_destroy = true # with it goes every sealed prompt
  }
}

resource "google_kms_crypto_key_iam_member" "sealers" {
  for_each      = var.sealers
  crypto_key_id = "${local.ring}/cryptoKeys/${google_kms_crypto_key.content["content"].name}"
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}

# --- encryption of data -------------------------------------------------------------------------

resource "google_kms_crypto_key" "data" {
  for_each                   = toset(var.encrypt ? ["data"] : [])
  key_ring                   = local.ring
  name                       = each.value
  purpose                    = "ENCRYPT_DECRYPT"
  rotation_period            = "7776000s" # 90 days
  destroy_scheduled_duration = "2592000s"
  labels                     = var.labels

  lifecycle {
    prevent_destroy = true # with it goes all that it encrypts
  }
}

resource "google_kms_crypto_key_iam_member" "services" {
  for_each      = var.encrypt ? var.encrypters : {}
  crypto_key_id = "${local.ring}/cryptoKeys/${google_kms_crypto_key.data["data"].name}"
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}
