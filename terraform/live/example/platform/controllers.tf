# First of all: it answers for every Service that is made from then on.
resource "helm_release" "load_balancer_controller" {
  name       = "aws-load-balancer-controller"
  namespace  = local.identities["load-balancer-controller"].namespace
  chart      = "aws-load-balancer-controller"
  repository = local.charts["aws-load-balancer-controller"].repository
  version    = local.charts["aws-load-balancer-controller"].version

  values = [yamlencode({
    clusterName    = local.infrastructure.name
    region         = local.infrastructure.region
    vpcId          = local.infrastructure.vpc.id
    defaultTags    = local.infrastructure.tags
    serviceAccount = local.service_accounts["load-balancer-controller"]
    replicaCount   = 2
  })]
}

resource "helm_release" "external_dns" {
  name       = "external-dns"
  namespace  = local.identities["external-dns"].namespace
  chart      = "external-dns"
  repository = local.charts["external-dns"].repository
  version    = local.charts["external-dns"].version

  values = [yamlencode({
    provider       = { name = "aws" }
    sources        = ["ingress"]
    domainFilters  = [local.infrastructure.host.zone]
    policy         = "sync"
    txtOwnerId     = local.infrastructure.name
    extraArgs      = ["--zone-id-filter=${local.infrastructure.host.zone_id}"]
    env            = [{ name = "AWS_REGION", value = local.infrastructure.region }]
    serviceAccount = local.service_accounts["external-dns"]
  })]

  depends_on = [helm_release.load_balancer_controller]
}

resource "helm_release" "external_secrets" {
  name             = "external-secrets"
  namespace        = local.identities["external-secrets"].namespace
  create_namespace = true
  chart            = "external-secrets"
  repository       = local.charts["external-secrets"].repository
  version          = local.charts["external-secrets"].version

  values = [yamlencode({
    installCRDs    = true
    serviceAccount = local.service_accounts["external-secrets"]
  })]

  depends_on = [helm_release.load_balancer_controller]
}

resource "helm_release" "keda" {
  name             = "keda"
  namespace        = "keda"
  create_namespace = true
  chart            = "keda"
  repository       = local.charts["keda"].repository
  version          = local.charts["keda"].version

  values = [yamlencode({
    operator   = { replicaCount = 2 }
    prometheus = { operator = { enabled = true, podMonitor = { enabled = true } } }
  })]

  depends_on = [helm_release.monitoring]
}

locals {
  identities = local.infrastructure.identities
  service_accounts = {
    for name, identity in local.identities : name => {
      create      = true
      name        = identity.account
      annotations = identity.annotations
    }
  }
}
