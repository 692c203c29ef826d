resource "helm_release" "karpenter" {
  count = local.managed ? 0 : 1

  name       = "karpenter"
  namespace  = local.infrastructure.karpenter.namespace
  chart      = "karpenter"
  repository = local.charts["karpenter"].repository
  version    = local.charts["karpenter"].version

  values = [yamlencode({
    replicas       = 2
    serviceAccount = { create = true, name = local.infrastructure.karpenter.service_account }
    settings = {
      clusterName       = local.infrastructure.name
      interruptionQueue = local.infrastructure.karpenter.queue
      # Replaces nodes whose GPU fails, as the node monitoring agent finds out.
      featureGates = { nodeRepair = true }
    }
    # One hop keeps pods from the metadata that would tell it.
    controller = { env = [{ name = "AWS_REGION", value = local.infrastructure.region }] }
    # Never on nodes that it starts and ends itself.
    nodeSelector = { "verbatim/nodes" = "system" }
  })]

  depends_on = [helm_release.load_balancer_controller]
}

resource "helm_release" "node_pool" {
  count = local.managed ? 0 : 1

  name      = "gpu-nodes"
  namespace = "kube-system"
  chart     = "${path.module}/objects"
  values    = [yamlencode({ objects = [local.node_class, local.node_pool] })]

  lifecycle {
    precondition {
      condition     = var.gpu.maximum * var.gpu.vcpus <= local.gpu_quota
      error_message = "gpu.maximum = ${var.gpu.maximum} nodes of ${var.gpu.vcpus} vCPUs are ${var.gpu.maximum * var.gpu.vcpus} vCPUs, and the account's quota is ${local.gpu_quota}: pods would stay Pending without an error. Ask AWS for more (docs/deploy-aws.md), apply the infrastructure again, which reads the quota, or lower gpu.maximum."
    }
  }

  depends_on = [helm_release.karpenter]
}

locals {
  gpu_quota = local.infrastructure.gpu_vcpu_quota[var.gpu.spot ? "spot" : "on_demand"]
  nvme      = startswith(var.gpu.ami_alias, "al2023")
  discovery = [{ tags = { "karpenter.sh/discovery" = local.infrastructure.name } }]

  node_class = {
    apiVersion = "karpenter.k8s.aws/v1"
    kind       = "EC2NodeClass"
    metadata   = { name = "gpu" }
    spec = {
      # For instances with GPUs the alias means the image with NVIDIA's driver.
      amiSelectorTerms           = [{ alias = var.gpu.ami_alias }]
      # Images and models lie on the instance's own NVMe, which is several times as fast as the volume.
      instanceStorePolicy        = local.nvme ? "RAID0" : null
      # SOCI's snapshotter fetches and unpacks layers side by side (nodeadm's FastImagePull). Experimental by
      # AWS's word, ignored by small instances, and slower where the disk writes less than 600 MiB/s.
      userData = var.gpu.parallel_pull ? yamlencode({
        apiVersion = "node.eks.aws/v1alpha1"
        kind       = "NodeConfig"
        spec       = { featureGates = { FastImagePull = true } }
      }) : null
      instanceProfile            = try(local.infrastructure.karpenter.instance_profile, null)
      subnetSelectorTerms        = local.discovery
      securityGroupSelectorTerms = local.discovery
      tags                       = merge(local.infrastructure.tags, { Name = "${local.infrastructure.name}-gpu" })
      # One hop: pods cannot take the node's role, they have their own by Pod Identity.
      metadataOptions = {
        httpEndpoint            = "enabled"
        httpTokens              = "required"
        httpPutResponseHopLimit = 1
      }
      blockDeviceMappings = [{
        deviceName = startswith(var.gpu.ami_alias, "bottlerocket") ? "/dev/xvdb" : "/dev/xvda"
        ebs = {
          volumeSize          = "${var.gpu.disk_gib}Gi"
          volumeType          = "gp3"
          # With NVMe the volume has the system alone, for which what costs nothing extra is enough.
          throughput          = local.nvme ? 125 : 500
          iops                = local.nvme ? 3000 : 4000
          encrypted           = true
          deleteOnTermination = true
        }
      }]
    }
  }

  node_pool = {
    apiVersion = "karpenter.sh/v1"
    kind       = "NodePool"
    metadata   = { name = "gpu" }
    spec = {
      template = {
        metadata = { labels = merge(local.gpu_nodes, { "verbatim/nodes" = "gpu" }) }
        spec = {
          nodeClassRef = { group = "karpenter.k8s.aws", kind = "EC2NodeClass", name = "gpu" }
          taints       = [{ key = "nvidia.com/gpu", value = "true", effect = "NoSchedule" }]
          requirements = [
            { key = "karpenter.k8s.aws/instance-gpu-name", operator = "In", values = var.gpu.names },
            # A replica takes one GPU; the others of a larger instance would be paid for and idle.
            { key = "karpenter.k8s.aws/instance-gpu-count", operator = "In", values = ["1"] },
            # g6f instances have a fraction of an L4 and another driver; versions of Karpenter differ in
            # whether they count it as one GPU (aws/karpenter-provider-aws#8324).
            { key = "karpenter.k8s.aws/instance-family", operator = "NotIn", values = ["g6f", "gr6f"] },
            { key = "karpenter.sh/capacity-type", operator = "In", values = var.gpu.spot ? ["spot", "on-demand"] : ["on-demand"] },
            { key = "kubernetes.io/arch", operator = "In", values = ["amd64"] },
          ]
          # Age ends a node outside of the budgets below, and before another one has started. Nodes get
          # new with ami_alias.
          expireAfter            = "Never"
          terminationGracePeriod = "${local.grace_seconds + 60}s"
        }
      }
      limits = { "nvidia.com/gpu" = var.gpu.maximum }
      disruption = {
        # A pod that works is not moved to save a node: it would cut calls and load the model again.
        consolidationPolicy = "WhenEmpty"
        consolidateAfter    = "10m"
        budgets = [
          { nodes = "1" },
          # A new image rolls the nodes by night: 5:00 to 19:00 UTC of working days none of them.
          { nodes = "0", reasons = ["Drifted"], schedule = "0 5 * * mon-fri", duration = "14h" },
        ]
      }
    }
  }
}
