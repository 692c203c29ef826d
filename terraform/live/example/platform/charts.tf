# Every chart with its version. A version changes here, after a look at its release notes.
locals {
  charts = {
    aws-load-balancer-controller = { repository = "https://aws.github.io/eks-charts", version = "3.4.2" }
    aws-for-fluent-bit           = { repository = "https://aws.github.io/eks-charts", version = "0.1.34" }
    dcgm-exporter                = { repository = "https://nvidia.github.io/dcgm-exporter/helm-charts", version = "4.8.3" }
    external-dns                 = { repository = "https://kubernetes-sigs.github.io/external-dns", version = "1.20.0" }
    external-secrets             = { repository = "https://charts.external-secrets.io", version = "2.8.0" }
    karpenter                    = { repository = "oci://public.ecr.aws/karpenter", version = "1.14.0" }
    keda                         = { repository = "https://kedacore.github.io/charts", version = "2.19.0" }
    kube-prometheus-stack        = { repository = "https://prometheus-community.github.io/helm-charts", version = "91.5.0" }
    nvidia-device-plugin         = { repository = "https://nvidia.github.io/k8s-device-plugin", version = "0.18.2" }
  }
}
