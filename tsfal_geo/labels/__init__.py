"""Labels of annotators: the label store, polygons and pixels, snapshots, agreement, import and export."""
