<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" sourcelanguage="en">
  <context>
    <name>Tsfal</name>
    <message>
      <location filename="../panel/export_page.py" />
      <source>25 pixels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>A click or the space bar takes a query out. One undo takes back the sheet.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>A live map needs a complete round of the method instant.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>A number key labels the entire region.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>A run is in progress; wait for it, or stop it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Accept / done</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Accept many</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>Accept suggestions together</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>Accept {count}  Return</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>Add class</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Add the maps to the project</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Also write all maps as one</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Also write pictures with a legend</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Also write polygons, in this format</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Answer</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Answer queries</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Area of interest</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Author of the labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>Browse …</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Brush</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Brush of {size} pixels: number keys choose the class; B leaves the tool.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Budget</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>CRS, for a file that does not name it</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>Choose a query first: N goes to the next one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Choose the folder of a workspace first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Choose the folder of orthophotos and a new folder for the workspace.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/keys.py" />
      <source>Class {number}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Click a query.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Click wrong places</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Column of the class</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Compare</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Confidence</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Configuration (YAML)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Create workspace</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Creating a label file for {author} …</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Creating {name} …</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Enter the classes here</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Enter your name first: labels are kept by author.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Entropy</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Error mask</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Evaluate</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Export</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Export labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Export map</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Export the map</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>File in the workspace</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <location filename="../algs/import_labels.py" />
      <source>File of labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Files</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Folder</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Folder of rasters with labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Folder of rasters with labels for validation</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Folder of rasters, for a new workspace</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Folder of rasters; empty: the workspace's own</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Folder of the maps</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Further rasters for each map</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Hide overlays while held</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>If empty: the folder maps/ of the workspace, its own orthophotos, and all of them.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Import labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Imports labels into a workspace from a GeoPackage, GeoJSON, Shapefile, FlatGeobuf or GeoParquet file, or from a GeoTIFF of classes. Classes are matched by the pairs, by id, or by name. A value that matches none of these stops the import, and the message names it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>In use by {engine}. You can label; training waits for it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>Install it with: {install} – or choose it under Settings ▸ Options ▸ TSFAL.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>IoU</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Label store</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/query.py" />
      <location filename="../algs/train.py" />
      <source>Labelled share at the end</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Labelling as {author}. N goes to the first query.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Larger brush</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Layer, for a file with several</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Layers</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>Leave these, show others</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <location filename="../live/following.py" />
      <source>Live map</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <source>Live map (M)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <source>Live: follow each answer</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Maps</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Maps every raster of a folder with the workspace's model. Each map is a cloud-optimised GeoTIFF with the raster's name and grid, and with the names and colours of the classes.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Mean IoU</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>N goes to the first query.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Next</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: answer the open queries (N), or train.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: continue the training.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: export the map.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: open or create a workspace.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: train the next round.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: train to go on with it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: wait for its first round.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/batch_approval.py" />
      <source>No open query has a suggestion; answer some, and train the next round.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>No query is left open. Train the next round.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>No query was decided in this round yet.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>No query was labelled yet in this session; press the number of a class.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>No workspace is open.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>None of your queries contains this point.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../store/labels.py" />
      <source>Not saved: edits of QGIS's own tools in {layer} ({reason}). Does each polygon have a class?</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Number of imported labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Number of processes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>One map of all</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Open a workspace first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Open workspace</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Options</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Or create it from a folder of orthophotos (with dsm/ and labels/ beside them):</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Orthophotos</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Other orthophotos</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Overall accuracy</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Pairs value=class, one a line (empty class: leave out)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Pick a query</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Picture with legend</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Polygon</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Polygon: number keys choose the class; a right click ends it; D leaves the tool.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Polygons</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Predicts every raster of a folder and compares it with its label raster, each pixel once. The outputs are the mean IoU and the overall accuracy. The JSON file also holds the IoU of each class and the confusion matrix.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Previous</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Probabilities</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <source>Queries (GeoPackage)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Queries: {open} open · {done} done · {skipped} skipped · {unsure} unsure</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/query.py" />
      <source>Query</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/query.py" />
      <source>Query strategy; empty: that of the workspace</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Query {rank} ({status}) · {scene} {chip} · {pixels} pixels
{reason}
Suggested class: {suggested}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Redo</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>Remove class</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Reopen the last</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <source>Round</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Round {round} is complete.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Round; empty: the labels of now</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Rounds of queries</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Same as last</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Scene of all labels in the file</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Scores</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Settings, one key=value a line</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Share of the labelled chips to use</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Show all scenes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>Show the previous round</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Skip</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Smaller brush</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Smallest polygon</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Smallest polygon in m²</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Source of each class</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <source>Status</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Steps of the first round</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Stop</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../engine/job.py" />
      <source>Stopped; everything finished is kept.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>Stopped; everything finished is kept. Train again to resume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>Test</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>The classes come from the label rasters, if there are any.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>The classes or options cannot be read: {error}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../engine/job.py" />
      <source>The engine is running already; wait for it, or stop it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/live_engine.py" />
      <source>The live session has ended (code {code}); answers are saved as before.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>The live session is off.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>The live session is starting …</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>The model's prediction everywhere, no labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>The program tsfal-geo</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>The program tsfal-geo, or the folder of its Python environment</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>The rest is this class</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>The run failed; see the log.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>There is no suggestion for this query; press the number of its class.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>There is one beside the data; choose it there if you trust it: {path}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>This is the first query.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>This place lies outside every scene.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Tick the groups in the Layers panel. Hold H to hide all but the orthophoto.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>To install it: {command}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/train.py" />
      <location filename="../panel/dock.py" />
      <source>Train</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Train the next round</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>Training and mapping run in tsfal-geo, a separate program:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Trains the next round of a workspace on all its labels, then selects the queries whose answers would help most. A workspace that does not exist yet is created for the folder of rasters. A run that was stopped resumes where it stopped.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Undo</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Unsure</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Vector file with the area of interest</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <location filename="../panel/dock.py" />
      <location filename="../panel/start_page.py" />
      <source>Workspace</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/query.py" />
      <source>Writes a new round of queries from the last round's model, without training.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Writes the labels of all annotators to one file, as the next round would train on them; with a round, those that it trained on. The ending of the file decides its format.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Wrong places: number keys choose the class; the wheel grows and shrinks the place; each click labels it; F leaves the tool.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Your name</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>about {hours} h {minutes} min left</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>about {minutes} min left</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <source>accuracy</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>accuracy about {accuracy} ± {error} %</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <location filename="../panel/compare_page.py" />
      <source>answers</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>budget: {spent} spent, {left} left</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>change</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>class</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>class {number}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>colour</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>done</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>failed</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>found automatically</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>further options of tsfal-geo train</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>id</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>labelled</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>labelled share at the end, such as 0.2</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>mIoU</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>mIoU: no validation scenes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>minutes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>name</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>no round is complete yet</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <location filename="../panel/pages.py" />
      <source>none</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>postgresql://… for a team; else empty</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>queries</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>round</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>round {number}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>starting …</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>stopped; everything finished is kept</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>stopping …</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>the map hardly changes any more: good enough?</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>tsfal-geo ended with code {code}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>tsfal-geo was not found.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>tsfal-geo {version} answers: {command}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{answers} answers</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>{command} did not answer as tsfal-geo does ({reason}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>{command} did not answer within 20 seconds.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>{command} does not start ({reason}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>{count} maps are written and shown.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{count} queries are settled by your answers; undo takes the last answer back.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/batch_approval.py" />
      <source>{count} suggestions were accepted; one undo takes them back.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>{name} is not complete yet.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/batch_approval.py" />
      <source>{name}: {count} open</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../engine/process.py" />
      <source>{program} does not start: {reason}. Choose the engine under Settings ▸ Options ▸ TSFAL.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>{scenes} scenes, {classes} classes.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{settled} settled by answers</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{share} % of the map changed over 50 answers</source>
      <translation type="unfinished" />
    </message>
  </context>
</TS>
