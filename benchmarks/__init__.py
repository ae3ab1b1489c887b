"""The benchmark: one job, several engines, ratios from one run. Nothing here is imported by the product."""
