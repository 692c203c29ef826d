locals {
  namespace = local.identities["verbatim"].namespace
  # The chart's sum: the drain, what SIGTERM adds to it, and a margin. Spot's notice is two minutes.
  spot          = local.managed ? try(local.infrastructure.gpu_pool.spot, false) : var.gpu.spot
  drain_seconds = coalesce(var.drain_seconds, local.spot ? 90 : 300)
  stop_seconds  = local.spot ? 15 : 30
  grace_seconds = local.drain_seconds + local.stop_seconds + 15
  model         = var.model_source == "bucket" ? "/models/${basename(var.model_prefix)}" : var.model

  # Secrets of the server, by their names in the infrastructure's secret.
  secret_keys = concat(["keys", "signing_key"], local.infrastructure.jobs == null ? [] : ["jobs_database"])

  aws_cli = "public.ecr.aws/aws-cli/aws-cli:2.31.0"

  # Models of the bucket are copied to the node's disk before the server starts.
  fetch_model = [for prefix in compact([var.model_prefix]) : {
    name  = "fetch-model"
    image = local.aws_cli
    args = [
      "s3", "sync", "--no-progress",
      "s3://${local.infrastructure.models_bucket}/${prefix}", local.model,
    ]
    env = [
      { name = "AWS_REGION", value = local.infrastructure.region },
      { name = "HOME", value = "/tmp" },
    ]
    volumeMounts = [{ name = "models", mountPath = "/models" }, { name = "tmp", mountPath = "/tmp" }]
    resources    = { requests = { cpu = "500m", memory = "512Mi", ephemeral-storage = "10Gi" }, limits = { memory = "1Gi" } }
    securityContext = {
      allowPrivilegeEscalation = false
      readOnlyRootFilesystem   = true
      capabilities             = { drop = ["ALL"] }
    }
  }]

  verbatim = {
    image = { repository = local.infrastructure.image, tag = var.image_tag }

    settings = {
      model = local.model
      # What the image or the bucket does not have is an error at start and not a download.
      models = { offline = var.model_source != "hub" }
      server = {
        drain_seconds   = local.stop_seconds
        trusted_proxies = local.infrastructure.vpc.public_cidrs
        # A connection that the load balancer still holds must not be closed here: that is a 502.
        idle_connection_seconds = var.idle_timeout_seconds + 60
      }
      engine    = { device = "cuda" }
      telemetry = { log_format = "json", metrics_port = 9090 }
    }
    secrets = {
      keys         = { name = "verbatim", key = "keys" }
      signingKey   = { name = "verbatim", key = "signing_key" }
      jobsDatabase = { for key in local.infrastructure.jobs == null ? [] : ["name", "key"] : key => key == "name" ? "verbatim" : "jobs_database" }
    }
    jobs = {
      enabled = local.infrastructure.jobs != null
      objects = local.infrastructure.jobs == null ? "" : local.infrastructure.jobs.objects
      workers = {
        enabled     = var.workers > 0
        autoscaling = { enabled = true, maxReplicas = max(var.workers, 1) }
      }
    }
    externalSecret = {
      enabled        = true
      target         = "verbatim"
      secretStoreRef = { kind = "ClusterSecretStore", name = "aws" }
      data = [for key in local.secret_keys : {
        secretKey = key
        remoteRef = { key = local.infrastructure.secret, property = key }
      }]
    }
    serviceAccount = local.service_accounts["verbatim"]

    gpu          = { count = 1 }
    nodeSelector = { "verbatim/nodes" = "gpu" }
    # Karpenter does not empty a node of it to save money or for a smaller one. A new image, Spot's notice and a
    # drain by hand do, and the pod has its grace period for what it has taken on.
    podAnnotations = { "karpenter.sh/do-not-disrupt" = "true" }
    resources = {
      requests = { cpu = "2", memory = "10Gi", ephemeral-storage = "10Gi" }
      limits   = { memory = "14Gi" }
    }
    # Not a secret: the network says who may connect.
    extraEnv = [
      { name = "VERBATIM_LIMITS__STORE", value = local.infrastructure.limit_store_url },
      { name = "AWS_REGION", value = local.infrastructure.region },
    ]
    placeholder = { replicas = var.placeholders }
    # A fixed pool has no room for one pod more while a rollout is on.
    strategy = { rollingUpdate = local.managed ? { maxSurge = 0, maxUnavailable = 1 } : { maxSurge = 1, maxUnavailable = 0 } }

    # /models, beside which the image's own models stay where they are.
    modelCache     = { type = var.model_source == "image" ? "none" : "emptyDir", sizeLimit = "20Gi" }
    initContainers = local.fetch_model
    drain          = { seconds = local.drain_seconds }

    ingress = {
      enabled = true
      hosts   = [local.infrastructure.host.name]
      alb = {
        certificateArn     = local.infrastructure.certificate_arn
        idleTimeoutSeconds = var.idle_timeout_seconds
        wafAclArn          = var.web_acl_arn == null ? "" : var.web_acl_arn
        inboundCidrs       = var.inbound_cidrs
        accessLogsBucket   = local.infrastructure.access_logs_bucket
      }
    }
    autoscaling = {
      type        = "keda"
      minReplicas = var.replicas.minimum
      # More would wait for ever on a pool that does not grow.
      maxReplicas = local.managed ? min(var.replicas.maximum, local.infrastructure.gpu_pool.nodes) : var.replicas.maximum
      keda        = { serverAddress = local.prometheus_url, cron = var.hours }
    }
    podMonitor = { enabled = true }
    # The rule that KEDA follows, and the alerts.
    prometheusRule = { enabled = true }
    dashboards     = { enabled = true }
    networkPolicy = {
      enabled     = true
      from        = [for cidr in local.infrastructure.vpc.public_cidrs : { ipBlock = { cidr = cidr } }]
      metricsFrom = [{ namespaceSelector = { matchLabels = { "kubernetes.io/metadata.name" = "monitoring" } } }]
      egress = [
        # The agent of Pod Identity, which hands out the pod's role.
        { to = [{ ipBlock = { cidr = "169.254.170.23/32" } }], ports = [{ protocol = "TCP", port = 80 }] },
        { to = [{ ipBlock = { cidr = local.infrastructure.vpc.cidr } }], ports = [{ protocol = "TCP", port = 6379 }] },
        # S3, the model hub, the identity provider.
        { to = [{ ipBlock = { cidr = "0.0.0.0/0" } }], ports = [{ protocol = "TCP", port = 443 }] },
      ]
    }
  }
}

resource "helm_release" "verbatim" {
  name      = "verbatim"
  namespace = local.namespace
  chart     = var.chart
  version   = var.chart_version
  # A first pod waits for a node, an image of gigabytes and a model.
  timeout = 1800
  # A release that fails goes back to what ran before.
  atomic = true

  values = concat([yamlencode(local.verbatim)], var.values)

  lifecycle {
    precondition {
      condition     = !local.managed || try(var.replicas.minimum <= local.infrastructure.gpu_pool.nodes, false)
      error_message = "The managed group has fewer nodes than replicas.minimum."
    }
    precondition {
      condition     = !local.spot || local.grace_seconds <= 120
      error_message = "Spot gives a pod two minutes: drain_seconds must be 90 at most, or null."
    }
    precondition {
      condition     = var.workers == 0 || (local.infrastructure.jobs != null && !local.managed)
      error_message = "workers run jobs, which the infrastructure must have, on nodes of Karpenter's; in a group of fixed size the servers run them."
    }
  }

  depends_on = [
    helm_release.dcgm_exporter,
    helm_release.device_plugin,
    helm_release.external_dns,
    helm_release.keda,
    helm_release.load_balancer_controller,
    helm_release.model,
    helm_release.node_pool,
    helm_release.secrets,
  ]
}
