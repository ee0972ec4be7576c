<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" sourcelanguage="en">
  <context>
    <name>Tsfal</name>
    <message>
      <location filename="../panel/runs.py" />
      <source>A run is going on; wait for it, or stop it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Accept / done</source>
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
      <location filename="../algs/import_labels.py" />
      <source>Brings labels into a workspace: GeoPackage, GeoJSON, Shapefile, FlatGeobuf, GeoParquet, or a GeoTIFF of classes. Classes are matched by the pairs, by id, or by name; a value that is none of these stops the import and is told.</source>
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
      <source>Brush of {size} pixels: number keys choose the class; B leaves.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Budget</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>CRS of a file that does not say</source>
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
      <location filename="../panel/start_page.py" />
      <source>Classes are those of the label rasters, if there are any.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Click a query.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Column that holds the class</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Compare</source>
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
      <location filename="../answering/answering.py" />
      <source>Do again</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Empty: the folder maps/ of the workspace.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Enter your name first: labels are kept by author.</source>
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
      <location filename="../algs/export.py" />
      <source>Export map</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Export the map</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>File in the workspace</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>File of labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
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
      <location filename="../answering/answering.py" />
      <source>Hide overlays while held</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/query.py" />
      <source>How queries are chosen; empty: as before</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Import labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>In use by {who}. You can label; training waits for it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>Install it with: {install} – or choose it under Settings ▸ Options ▸ TSFAL.</source>
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
      <location filename="../algs/import_labels.py" />
      <source>Labels brought in</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Larger brush</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Layer of a file with several</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Layers</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Making a label file for {author} …</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Maps</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Maps every raster of a folder wall-to-wall with the workspace's model: a cloud-optimised GeoTIFF with the raster's name and grid, class names and colours included.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Mean IoU</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>More rasters of each</source>
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
      <source>Next: answer the open queries (N), or train with what is there.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: export the map.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: go on with training.</source>
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
      <location filename="../answering/session.py" />
      <source>No query is left open. Train the next round.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>No workspace is open.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../store/labels.py" />
      <source>Not saved: what QGIS itself drew in {layer} ({why}). Has each polygon a class?</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>Nothing was decided in this round yet.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Number keys give the whole region a class and go on.</source>
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
      <source>Orthophotos</source>
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
      <location filename="../answering/answering.py" />
      <source>Polygon</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Polygon: number keys choose the class; right click ends it; D leaves.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Polygons too, in this format</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Predicts a folder of rasters wall-to-wall and compares with their label rasters, each pixel once: IoU of each class, mIoU, overall accuracy, confusion matrix. The JSON file holds all of them.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Previous</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/query.py" />
      <location filename="../algs/train.py" />
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
      <location filename="../panel/pages.py" />
      <source>Query {rank} ({status}) · {scene} {chip} · {pixels} pixels
{reason}
Suggested: {suggested}</source>
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
      <location filename="../algs/query.py" />
      <location filename="../algs/train.py" />
      <source>Round</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Round {round} is complete.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Rounds of queries</source>
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
      <location filename="../panel/pages.py" />
      <source>Show the round before</source>
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
      <location filename="../algs/export.py" />
      <source>Smallest polygon in m²</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/query.py" />
      <location filename="../algs/train.py" />
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
      <location filename="../engine/engine.py" />
      <source>Stopped; everything finished is kept.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>Stopped; everything finished is kept. Train again to go on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Take back</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>Test</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>That was the first query.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>The classes or options cannot be read: {error}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>The engine is at work already; wait for it, or stop it.</source>
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
      <location filename="../panel/runs.py" />
      <source>The run failed; see the log.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>The scene that all of it is about</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>There is no query of yours at that place.</source>
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
      <location filename="../panel/pages.py" />
      <source>Tick the groups in the Layers panel. Hold H to see the orthophoto alone.</source>
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
      <source>Training and mapping run in tsfal-geo, a program beside QGIS:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Trains the next round of a workspace with all labels that are there, then asks for the labels that would help most. A workspace that does not exist yet is made for the folder of rasters. A run that was stopped goes on where it stopped.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Unsure</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Who made it</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/base.py" />
      <location filename="../panel/dock.py" />
      <location filename="../panel/start_page.py" />
      <source>Workspace</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Write the classes down here</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Write the confidence too</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../algs/query.py" />
      <source>Writes a new round of queries from the last round's model, without training.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Your name</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>budget: {spent} spent, {left} left</source>
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
      <source>found by itself</source>
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
      <location filename="../panel/pages.py" />
      <source>labelled</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>mIoU</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>mIoU: no validation scenes</source>
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
      <location filename="../panel/pages.py" />
      <source>nothing</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>or create it from a folder of orthophotos (dsm/ and labels/ beside them):</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>postgresql://… for a team; else empty</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>queries</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>round</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>share labelled in the end, such as 0.2</source>
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
      <location filename="../engine/engine.py" />
      <source>{program} does not start: {reason}. Choose the engine under Settings ▸ Options ▸ TSFAL.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>{scenes} scenes, {classes} classes.</source>
      <translation type="unfinished" />
    </message>
  </context>
</TS>
