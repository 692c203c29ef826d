output "urls" {
  description = "Addresses of the repositories by name, as images are called, without a tag."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.repository_url }
}
