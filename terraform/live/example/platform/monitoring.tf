locals {
  prometheus_url = "http://kube-prometheus-stack-prometheus.monitoring.svc:9090"
  remote_write = local.infrastructure.metrics_write_url == null ? [] : [{
    url   = local.infrastructure.metrics_write_url
    sigv4 = { region = local.infrastructure.region }
    # Everything that is collected would cost hundreds of dollars a month.
    writeRelabelConfigs = [{ sourceLabels = ["__name__"], regex = "(stt|http_|DCGM_|ALERTS).*", action = "keep" }]
  }]
}

resource "helm_release" "monitoring" {
  name       = "kube-prometheus-stack"
  namespace  = "monitoring"
  chart      = "kube-prometheus-stack"
  repository = local.charts["kube-prometheus-stack"].repository
  version    = local.charts["kube-prometheus-stack"].version
  timeout    = 600

  values = [yamlencode({
    # EKS shows nobody its control plane, and kube-proxy answers on loopback: their alerts would never
    # end.
    kubeControllerManager = { enabled = false }
    kubeScheduler         = { enabled = false }
    kubeEtcd              = { enabled = false }
    kubeProxy             = { enabled = false }
    prometheus = {
      serviceAccount = try(local.service_accounts["prometheus"], { create = true, name = "prometheus" })
      prometheusSpec = {
        # Pods are scaled by it, and a zone may fail.
        replicas      = 2
        retention     = "15d"
        retentionSize = "40GB"
        remoteWrite   = local.remote_write
        # Take what any chart brings, not only what this release has labelled.
        serviceMonitorSelectorNilUsesHelmValues = false
        podMonitorSelectorNilUsesHelmValues     = false
        ruleSelectorNilUsesHelmValues           = false
        storageSpec = { volumeClaimTemplate = { spec = {
          storageClassName = "gp3"
          accessModes      = ["ReadWriteOnce"]
          resources        = { requests = { storage = "50Gi" } }
        } } }
      }
    }
    alertmanager = {
      serviceAccount = local.service_accounts["alertmanager"]
      config = {
        route = {
          receiver = "sns"
          group_by = ["alertname", "namespace"]
          # It fires for ever to show that alerting works; CloudWatch tells when it stops.
          routes = [{
            receiver        = "heartbeat"
            matchers        = ["alertname = Watchdog"]
            group_wait      = "0s"
            group_interval  = "1m"
            repeat_interval = "4m"
          }]
        }
        receivers = [
          { name = "heartbeat", sns_configs = [{
            topic_arn     = local.infrastructure.heartbeat_topic
            sigv4         = { region = local.infrastructure.region }
            send_resolved = false
          }] },
          { name = "sns", sns_configs = [{
            topic_arn     = local.infrastructure.alerts_topic
            sigv4         = { region = local.infrastructure.region }
            send_resolved = true
          }] },
        ]
      }
    }
    grafana = {
      # The chart's own password is known to everybody.
      admin   = { existingSecret = "grafana-admin", userKey = "admin-user", passwordKey = "admin-password" }
      sidecar = { dashboards = { searchNamespace = "ALL" } }
    }
  })]

  depends_on = [helm_release.secrets]
}

resource "helm_release" "logs" {
  name       = "fluent-bit"
  namespace  = "monitoring"
  chart      = "aws-for-fluent-bit"
  repository = local.charts["aws-for-fluent-bit"].repository
  version    = local.charts["aws-for-fluent-bit"].version

  values = [yamlencode({
    # The first that takes a role from Pod Identity; the chart's own is older.
    image          = { tag = "2.32.5" }
    serviceAccount = local.service_accounts["fluent-bit"]
    tolerations    = [{ operator = "Exists" }]
    cloudWatchLogs = {
      enabled         = true
      region          = local.infrastructure.region
      logGroupName    = local.infrastructure.log_group
      autoCreateGroup = false
      # Else each namespace would want a group of its own.
      logGroupTemplate = ""
    }
  })]

  depends_on = [helm_release.foundations, helm_release.load_balancer_controller]
}
