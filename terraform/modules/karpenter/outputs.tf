output "instance_profile" {
  description = "Profile of the nodes, for EC2NodeClass."
  value       = aws_iam_instance_profile.nodes.name
}

output "interruption_queue" {
  description = "Name of the queue, for the controller's settings."
  value       = aws_sqs_queue.interruptions.name
}

output "namespace" {
  description = "Namespace where the controller must run to get its rights."
  value       = var.namespace
}

output "service_account" {
  description = "Service account that the controller must use."
  value       = var.service_account
}
