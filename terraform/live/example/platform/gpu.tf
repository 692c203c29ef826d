locals {
  managed = local.infrastructure.gpu_pool != null
  # Both images have the driver; only Bottlerocket has the device plugin, and two would fight.
  device_plugin = local.managed ? !local.infrastructure.gpu_pool.has_device_plugin : startswith(var.gpu.ami_alias, "al2023")
  gpu_nodes     = { "nvidia.com/gpu.present" = "true" }
  gpu_taint     = { key = "nvidia.com/gpu", operator = "Exists", effect = "NoSchedule" }
}

# Not the GPU operator: it would install a driver and a toolkit that the image already has.
resource "helm_release" "device_plugin" {
  count = local.device_plugin ? 1 : 0

  name       = "nvidia-device-plugin"
  namespace  = "kube-system"
  chart      = "nvidia-device-plugin"
  repository = local.charts["nvidia-device-plugin"].repository
  version    = local.charts["nvidia-device-plugin"].version

  values = [yamlencode({
    nodeSelector = local.gpu_nodes
    tolerations  = [local.gpu_taint]
  })]

  depends_on = [helm_release.load_balancer_controller]
}

resource "helm_release" "dcgm_exporter" {
  name       = "dcgm-exporter"
  namespace  = "monitoring"
  chart      = "dcgm-exporter"
  repository = local.charts["dcgm-exporter"].repository
  version    = local.charts["dcgm-exporter"].version

  values = [yamlencode({
    nodeSelector   = local.gpu_nodes
    tolerations    = [local.gpu_taint]
    serviceMonitor = { enabled = true, interval = "15s" }
    # The chart's 512 MiB are too little for the profiling metrics.
    resources = { requests = { cpu = "100m", memory = "512Mi" }, limits = { memory = "1Gi" } }
  })]

  depends_on = [helm_release.monitoring]
}
