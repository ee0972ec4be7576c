"""Data for training: chips as torchgeo datasets, samplers, augmentation, the Lightning data module."""
