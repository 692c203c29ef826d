# One job asks the hub, and not each new pod: twenty pods of a burst would download 32 GB through one
# address. Another model or prefix is another job.
locals {
  pull = var.pulled_model == null ? null : {
    name    = "model-pull-${substr(sha256("${var.pulled_model} ${var.model_prefix}"), 0, 8)}"
    to      = "s3://${local.infrastructure.models_bucket}/${var.model_prefix}"
    account = local.service_accounts["model-pull"]
  }
  pull_security = {
    allowPrivilegeEscalation = false
    readOnlyRootFilesystem   = true
    capabilities             = { drop = ["ALL"] }
  }
  pull_resources = {
    requests = { cpu = "500m", memory = "1Gi", ephemeral-storage = "10Gi" }
    limits   = { memory = "2Gi" }
  }
  pull_mounts = [{ name = "models", mountPath = "/models" }, { name = "tmp", mountPath = "/tmp" }]
}

resource "helm_release" "model" {
  count = local.pull == null ? 0 : 1

  name          = "model-pull"
  namespace     = local.namespace
  chart         = "${path.module}/objects"
  timeout       = 1800
  wait_for_jobs = true

  values = [yamlencode({ objects = [
    {
      apiVersion                   = "v1"
      kind                         = "ServiceAccount"
      metadata                     = { name = local.pull.account.name, annotations = local.pull.account.annotations }
      automountServiceAccountToken = false
    },
    {
      apiVersion = "batch/v1"
      kind       = "Job"
      metadata   = { name = local.pull.name }
      spec = {
        backoffLimit = 3
        template = { spec = {
          serviceAccountName           = local.pull.account.name
          automountServiceAccountToken = false
          restartPolicy                = "Never"
          securityContext = {
            runAsNonRoot   = true
            runAsUser      = 10001
            runAsGroup     = 10001
            fsGroup        = 10001
            seccompProfile = { type = "RuntimeDefault" }
          }
          initContainers = [{
            name            = "pull"
            image           = "${local.infrastructure.image}:${var.image_tag}"
            command         = ["sh", "-c", "python -m app models pull \"$0\" > /models/folder", var.pulled_model]
            env             = [{ name = "VERBATIM_MODELS__DIRECTORY", value = "/models" }]
            volumeMounts    = local.pull_mounts
            resources       = local.pull_resources
            securityContext = local.pull_security
          }]
          containers = [{
            name    = "upload"
            image   = local.aws_cli
            command = ["sh", "-c", "aws s3 sync --no-progress \"$(cat /models/folder)\" \"$0\"", local.pull.to]
            env = [
              { name = "AWS_REGION", value = local.infrastructure.region },
              { name = "HOME", value = "/tmp" },
            ]
            volumeMounts    = local.pull_mounts
            resources       = local.pull_resources
            securityContext = local.pull_security
          }]
          volumes = [{ name = "models", emptyDir = {} }, { name = "tmp", emptyDir = {} }]
        } }
      }
    },
  ] })]

  depends_on = [helm_release.foundations]
}
