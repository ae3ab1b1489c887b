"""Tests state rules. Quick ones need no broker; those in broker/ run on a real Kafka."""
