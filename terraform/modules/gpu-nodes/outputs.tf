output "node_group_name" {
  description = "Name of the group, known once its nodes are ready."
  value       = aws_eks_node_group.this.node_group_name
}

output "has_device_plugin" {
  description = "Whether the image brings NVIDIA's device plugin; a second one would fight with it."
  value       = startswith(var.ami_type, "BOTTLEROCKET")
}
