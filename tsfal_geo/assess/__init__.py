"""Accuracy and area of maps: metrics, reference samples, estimates with confidence intervals."""
