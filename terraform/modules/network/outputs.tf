output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "Address range of the VPC: what proxies in it send from."
  value       = aws_vpc.this.cidr_block
}

output "private_subnet_ids" {
  description = "Subnets of nodes and pods, in the order of the zones."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}

output "public_subnet_ids" {
  description = "Subnets of load balancers, in the order of the zones."
  value       = [for zone in var.availability_zones : aws_subnet.public[zone].id]
}

output "public_cidrs" {
  description = "Address ranges of the public subnets, where the load balancer sends from."
  value       = [for zone in var.availability_zones : local.public_cidrs[zone]]
}

output "nat_gateway_ids" {
  description = "Gateways by zone; empty with nat = none."
  value       = { for zone, gateway in aws_nat_gateway.this : zone => gateway.id }
}
