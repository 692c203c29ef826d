# Of the database, the bucket and the backups: who may use it can be seen and taken away in one place. The
# account's own policies say who that is.
resource "aws_kms_key" "this" {
  description             = "Recordings, transcripts and the queue of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}-jobs"
  target_key_id = aws_kms_key.this.key_id
}
