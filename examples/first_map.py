"""A first map: train on a folder of orthophotos, answer queries, map other scenes, measure the map.

Run it where the folder ``sample_tiles`` lies, in a clone of the repository: ``python examples/first_map.py``.
The network is small and trains for a few steps only, so that the example ends in minutes on a laptop. For a
map to use, leave ``config`` out.
"""

import tsfal_geo as tg

config = tg.Config(
    data={"chip_size": 128, "labelled": 0.15},
    model={"encoder": "tu-mobilenetv2_035", "weights": None, "decoder_convs": 1},
    train={"steps": 20, "val_every": 20, "batch_labelled": 2, "optimiser": "sgd", "lr": 0.03},
    active={"rounds": 1},
)

# A workspace keeps everything: models, queries, labels, maps.
workspace = tg.create_workspace("first-map", "sample_tiles", "sample_tiles/val", config)
result = workspace.train()
print(f"round {result.number}: mIoU {result.miou:.3f}, {result.queries} queries")

# In an office people answer in QGIS. Here the model's own suggestions stand in for their answers.
for query in workspace.queries():
    workspace.label("anna", query, query.suggested)

result = workspace.train()
print(f"round {result.number}: mIoU {result.miou:.3f}, {result.labelled_share:.1%} of the pixels labelled")

for scene in workspace.export("sample_tiles/val", layers=("confidence",)):
    print(scene.scene, scene.classes, scene.layers["confidence"])

scores = workspace.evaluate("sample_tiles/val")
print(f"mIoU {scores.miou:.3f} on {', '.join(scores.scenes)}")
