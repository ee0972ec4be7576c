"""A first map: train on a folder of orthophotos, answer queries, map another folder, measure it.

Run it from the repository, where the sample town lies: ``python examples/first_map.py``.
It takes about two minutes on two CPU cores. The network is small and trains for a few steps only; for a map to use,
leave ``config`` out.
"""

import sys

import tsfal_geo as tg

out = sys.argv[1] if len(sys.argv) > 1 else "first-map"

config = tg.Config(
    data={"labelled": 0.15, "chip_size": 128},
    model={"encoder": "tu-mobilenetv2_035", "weights": None, "decoder_convs": 1},
    train={"steps": 30, "batch_labelled": 2, "batch_unlabelled": 2},
    active={"budget": 0.2, "rounds": 1},
)

workspace = tg.create_workspace(out, rasters="sample_tiles", validation="sample_tiles/val", config=config)
print(workspace.train())

# In an office people answer in QGIS. Here the model's own suggestions stand in for them.
for query in workspace.queries():
    workspace.label("anna", query, query.suggested)
print(workspace.train())

for scene in workspace.export("sample_tiles/val", layers=("confidence",)):
    print(scene.classes)

scores = workspace.evaluate("sample_tiles/val")
print(f"mIoU {scores.miou:.3f}; IoU of each class: {scores.class_iou}")
