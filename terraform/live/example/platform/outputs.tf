output "url" {
  description = "What clients set as base_url."
  value       = "https://${local.infrastructure.host.name}/v1"
}

output "kubeconfig_command" {
  description = "How to get a kubeconfig."
  value       = "aws eks update-kubeconfig --name ${local.infrastructure.name} --region ${local.infrastructure.region}"
}

output "grafana_command" {
  description = "How to see Grafana on http://127.0.0.1:3000; it is reached from nowhere else."
  value       = "kubectl --namespace monitoring port-forward service/kube-prometheus-stack-grafana 3000:80"
}
