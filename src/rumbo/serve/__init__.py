"""The customer view: what a worker shows to people and programs over HTTP. It reads; it knows neither Kafka nor RocksDB."""
