# Of the account, not of a tag: a budget by tag shows nothing until the payer has activated the tag.
resource "aws_budgets_budget" "monthly" {
  name         = "${var.name}-monthly"
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"

  dynamic "notification" {
    for_each = { 50 = "ACTUAL", 80 = "ACTUAL", 100 = "ACTUAL", 110 = "FORECASTED" }
    content {
      comparison_operator       = "GREATER_THAN"
      threshold                 = tonumber(notification.key)
      threshold_type            = "PERCENTAGE"
      notification_type         = notification.value
      subscriber_sns_topic_arns = [aws_sns_topic.alerts.arn]
    }
  }

  # A budget is refused while its topic does not let it publish.
  depends_on = [aws_sns_topic_policy.alerts]
}

# Bills then have a column for `project`, which everything carries. The payer alone may do this, and only once
# AWS has seen the tag, about a day after the first apply.
resource "aws_ce_cost_allocation_tag" "project" {
  count = var.activate_cost_tag ? 1 : 0

  tag_key = "project"
  status  = "Active"
}
