"""The engine carries: Kafka, Faust and RocksDB are known here and nowhere else. It has no `if` about journeys."""
