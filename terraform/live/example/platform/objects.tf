# Objects that are of no chart, as releases of a chart without an opinion. Helm asks for kinds only
# when it applies, so one `terraform apply` installs a kind and the objects of it.

resource "helm_release" "foundations" {
  name      = "foundations"
  namespace = "kube-system"
  chart     = "${path.module}/objects"

  values = [yamlencode({ objects = [
    {
      apiVersion = "v1"
      kind       = "Namespace"
      metadata = {
        name = local.namespace
        labels = {
          # Pods count as ready only once the load balancer finds them healthy: rollouts lose nothing.
          "elbv2.k8s.aws/pod-readiness-gate-inject" = "enabled"
          "pod-security.kubernetes.io/enforce"      = "restricted"
        }
      }
    },
    {
      apiVersion = "v1"
      kind       = "Namespace"
      metadata   = { name = "monitoring" }
    },
    {
      apiVersion = "storage.k8s.io/v1"
      kind       = "StorageClass"
      metadata = {
        name        = "gp3"
        annotations = { "storageclass.kubernetes.io/is-default-class" = "true" }
      }
      provisioner          = "ebs.csi.aws.com"
      volumeBindingMode    = "WaitForFirstConsumer"
      allowVolumeExpansion = true
      parameters = {
        type      = "gp3"
        encrypted = "true"
        # Volumes get no default tags either.
        tagSpecification_1 = "project=${local.infrastructure.name}"
      }
    },
  ] })]
}

resource "helm_release" "secrets" {
  name      = "secrets"
  namespace = "kube-system"
  chart     = "${path.module}/objects"

  values = [yamlencode({ objects = [
    {
      apiVersion = "external-secrets.io/v1"
      kind       = "ClusterSecretStore"
      metadata   = { name = "aws" }
      spec = {
        provider   = { aws = { service = "SecretsManager", region = local.infrastructure.region } }
        conditions = [{ namespaces = [local.namespace, "monitoring"] }]
      }
    },
    {
      apiVersion = "external-secrets.io/v1"
      kind       = "ExternalSecret"
      metadata   = { name = "grafana-admin", namespace = "monitoring" }
      spec = {
        refreshInterval = "1h"
        secretStoreRef  = { kind = "ClusterSecretStore", name = "aws" }
        target = {
          name = "grafana-admin"
          template = { data = {
            admin-user     = "admin"
            admin-password = "{{ .password }}"
          } }
        }
        data = [{ secretKey = "password", remoteRef = { key = local.infrastructure.secret, property = "grafana_password" } }]
      }
    },
  ] })]

  depends_on = [helm_release.external_secrets, helm_release.foundations]
}
