"""Topics of Kafka as targets: messages appear in one transaction, together with the progress of sending."""
