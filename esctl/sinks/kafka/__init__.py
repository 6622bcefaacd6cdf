"""Topics of Kafka as targets: what is sent appears in one transaction, together with how far it has come."""
