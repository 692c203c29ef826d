output "name" {
  description = "Name of the cluster, known once it answers."
  value       = aws_eks_cluster.this.name
}

output "endpoint" {
  description = "URL of the API server."
  value       = aws_eks_cluster.this.endpoint
}

output "certificate_authority" {
  description = "The API server's certificate authority: PEM, in base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "kubernetes_version" {
  description = "Minor version that runs, which node images follow."
  value       = aws_eks_cluster.this.version
}

output "oidc_provider_arn" {
  description = "IAM's name for the cluster's OpenID Connect provider, for workloads with IRSA."
  value       = aws_iam_openid_connect_provider.this.arn
}

output "oidc_issuer" {
  description = "The provider's URL without https://, as conditions of IAM name it."
  value       = trimprefix(aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://")
}

output "security_group_id" {
  description = "Security group of the control plane and of all nodes."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "node_role_arn" {
  description = "Role of managed nodes; its access entry is made by EKS with the first group."
  value       = aws_iam_role.nodes.arn
}

output "system_nodes_ready" {
  description = "Name of the system nodes' group: what depends on it starts when nodes run."
  value       = aws_eks_node_group.system.node_group_name
}
