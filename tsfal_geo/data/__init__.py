"""Datasets, samplers, augmentation."""
