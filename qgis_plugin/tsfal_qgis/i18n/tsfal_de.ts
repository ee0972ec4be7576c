<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" sourcelanguage="en" language="de">
  <context>
    <name>Tsfal</name>
    <message>
      <location filename="../panel/export_page.py" />
      <source>25 pixels</source>
      <translation>25 Pixel</translation>
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>A click or the space bar takes a query out. One undo takes back the sheet.</source>
      <translation>Ein Klick oder die Leertaste nimmt eine Frage heraus. Einmal Rückgängig nimmt den Bogen zurück.</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>A live map needs a complete round of the method instant.</source>
      <translation>Eine Live-Karte braucht eine fertige Runde der Methode instant.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>A number key labels the entire region.</source>
      <translation>Eine Zifferntaste gibt der ganzen Fläche ihre Klasse.</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>A run is in progress; wait for it, or stop it.</source>
      <translation>Ein Lauf ist im Gang; warten Sie, oder halten Sie ihn an.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Accept / done</source>
      <translation>Annehmen / fertig</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Accept many</source>
      <translation>Viele annehmen</translation>
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>Accept suggestions together</source>
      <translation>Vorschläge zusammen annehmen</translation>
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>Accept {count}  Return</source>
      <translation>{count} annehmen  Eingabe</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>Add class</source>
      <translation>Klasse hinzufügen</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Add the maps to the project</source>
      <translation>Karten dem Projekt hinzufügen</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Also write all maps as one</source>
      <translation>Auch alle Karten als eine schreiben</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Also write pictures with a legend</source>
      <translation>Auch Bilder mit Legende schreiben</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Also write polygons, in this format</source>
      <translation>Auch Polygone schreiben, in diesem Format</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Answer</source>
      <translation>Antworten</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Answer queries</source>
      <translation>Fragen beantworten</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Area of interest</source>
      <translation>Gebiet</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Author of the labels</source>
      <translation>Urheber der Labels</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>Browse …</source>
      <translation>Durchsuchen …</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Brush</source>
      <translation>Pinsel</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Brush of {size} pixels: number keys choose the class; B leaves the tool.</source>
      <translation>Pinsel von {size} Pixeln: Zifferntasten wählen die Klasse; B verlässt das Werkzeug.</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Budget</source>
      <translation>Budget</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>CRS, for a file that does not name it</source>
      <translation>KBS, für eine Datei, die es nicht nennt</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>Choose a query first: N goes to the next one.</source>
      <translation>Wählen Sie zuerst eine Frage: N geht zur nächsten.</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Choose the folder of a workspace first.</source>
      <translation>Wählen Sie zuerst den Ordner eines Arbeitsbereichs.</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Choose the folder of orthophotos and a new folder for the workspace.</source>
      <translation>Wählen Sie den Ordner der Orthofotos und einen neuen Ordner für den Arbeitsbereich.</translation>
    </message>
    <message>
      <location filename="../answering/keys.py" />
      <source>Class {number}</source>
      <translation>Klasse {number}</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Click a query.</source>
      <translation>Klicken Sie auf eine Frage.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Click wrong places</source>
      <translation>Falsche Stellen anklicken</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Column of the class</source>
      <translation>Spalte der Klasse</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Compare</source>
      <translation>Vergleichen</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Confidence</source>
      <translation>Konfidenz</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Configuration (YAML)</source>
      <translation>Konfiguration (YAML)</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Create workspace</source>
      <translation>Arbeitsbereich anlegen</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Creating a label file for {author} …</source>
      <translation>Eine Label-Datei für {author} wird angelegt …</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Creating {name} …</source>
      <translation>{name} wird angelegt …</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Enter the classes here</source>
      <translation>Klassen hier eingeben</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Enter your name first: labels are kept by author.</source>
      <translation>Geben Sie zuerst Ihren Namen ein: Labels werden nach Urheber geführt.</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Entropy</source>
      <translation>Entropie</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Error mask</source>
      <translation>Fehlermaske</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Evaluate</source>
      <translation>Bewerten</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Export</source>
      <translation>Ausgeben</translation>
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Export labels</source>
      <translation>Labels ausgeben</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Export map</source>
      <translation>Karte ausgeben</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Export the map</source>
      <translation>Karte ausgeben</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>File in the workspace</source>
      <translation>Datei im Arbeitsbereich</translation>
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <location filename="../algs/import_labels.py" />
      <source>File of labels</source>
      <translation>Datei mit Labels</translation>
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Files</source>
      <translation>Dateien</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Folder</source>
      <translation>Ordner</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Folder of rasters with labels</source>
      <translation>Ordner mit Rastern und Labels</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Folder of rasters with labels for validation</source>
      <translation>Ordner mit Rastern und Labels zur Validierung</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Folder of rasters, for a new workspace</source>
      <translation>Ordner mit Rastern, für einen neuen Arbeitsbereich</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Folder of rasters; empty: the workspace's own</source>
      <translation>Ordner mit Rastern; leer: die des Arbeitsbereichs</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Folder of the maps</source>
      <translation>Ordner der Karten</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Further rasters for each map</source>
      <translation>Weitere Raster zu jeder Karte</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Hide overlays while held</source>
      <translation>Überlagerungen ausblenden, solange gedrückt</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>If empty: the folder maps/ of the workspace, its own orthophotos, and all of them.</source>
      <translation>Wenn leer: der Ordner maps/ des Arbeitsbereichs, seine eigenen Orthofotos, und diese ganz.</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Import labels</source>
      <translation>Labels einlesen</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Imports labels into a workspace from a GeoPackage, GeoJSON, Shapefile, FlatGeobuf or GeoParquet file, or from a GeoTIFF of classes. Classes are matched by the pairs, by id, or by name. A value that matches none of these stops the import, and the message names it.</source>
      <translation>Liest Labels in einen Arbeitsbereich ein, aus einer Datei von GeoPackage, GeoJSON, Shapefile, FlatGeobuf oder GeoParquet, oder aus einem GeoTIFF von Klassen. Klassen werden nach den Paaren, nach Nummer oder nach Namen zugeordnet. Ein Wert, der zu keiner passt, hält das Einlesen an, und die Meldung nennt ihn.</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>In use by {engine}. You can label; training waits for it.</source>
      <translation>In Gebrauch durch {engine}. Sie können labeln; das Training wartet darauf.</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>Install it with: {install} – or choose it under Settings ▸ Options ▸ TSFAL.</source>
      <translation>Installieren Sie es mit: {install} – oder wählen Sie es unter Einstellungen ▸ Optionen ▸ TSFAL.</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>IoU</source>
      <translation>IoU</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Label store</source>
      <translation>Label-Speicher</translation>
    </message>
    <message>
      <location filename="../algs/query.py" />
      <location filename="../algs/train.py" />
      <source>Labelled share at the end</source>
      <translation>Gelabelter Anteil am Ende</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Labelling as {author}. N goes to the first query.</source>
      <translation>Sie labeln als {author}. N geht zur ersten Frage.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Larger brush</source>
      <translation>Größerer Pinsel</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Layer, for a file with several</source>
      <translation>Layer, für eine Datei mit mehreren</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Layers</source>
      <translation>Layer</translation>
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>Leave these, show others</source>
      <translation>Diese lassen, andere zeigen</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <location filename="../live/following.py" />
      <source>Live map</source>
      <translation>Live-Karte</translation>
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <source>Live map (M)</source>
      <translation>Live-Karte (M)</translation>
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <source>Live: follow each answer</source>
      <translation>Live: jeder Antwort folgen</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Maps</source>
      <translation>Karten</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Maps every raster of a folder with the workspace's model. Each map is a cloud-optimised GeoTIFF with the raster's name and grid, and with the names and colours of the classes.</source>
      <translation>Kartiert jedes Raster eines Ordners mit dem Modell des Arbeitsbereichs. Jede Karte ist ein Cloud-optimiertes GeoTIFF mit Namen und Gitter des Rasters und mit Namen und Farben der Klassen.</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Mean IoU</source>
      <translation>Mittlere IoU</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>N goes to the first query.</source>
      <translation>N geht zur ersten Frage.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Next</source>
      <translation>Weiter</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: answer the open queries (N), or train.</source>
      <translation>Als Nächstes: offene Fragen beantworten (N), oder trainieren.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: continue the training.</source>
      <translation>Als Nächstes: das Training fortsetzen.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: export the map.</source>
      <translation>Als Nächstes: die Karte ausgeben.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: open or create a workspace.</source>
      <translation>Als Nächstes: einen Arbeitsbereich öffnen oder anlegen.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: train the next round.</source>
      <translation>Als Nächstes: die nächste Runde trainieren.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: train to go on with it.</source>
      <translation>Als Nächstes: trainieren, um damit fortzufahren.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: wait for its first round.</source>
      <translation>Als Nächstes: auf die erste Runde warten.</translation>
    </message>
    <message>
      <location filename="../answering/batch_approval.py" />
      <source>No open query has a suggestion; answer some, and train the next round.</source>
      <translation>Keine offene Frage hat einen Vorschlag; beantworten Sie einige, und trainieren Sie die nächste Runde.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>No query is left open. Train the next round.</source>
      <translation>Keine Frage ist mehr offen. Trainieren Sie die nächste Runde.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>No query was decided in this round yet.</source>
      <translation>In dieser Runde ist noch keine Frage entschieden.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>No query was labelled yet in this session; press the number of a class.</source>
      <translation>In dieser Sitzung ist noch keine Frage gelabelt; drücken Sie die Ziffer einer Klasse.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>No workspace is open.</source>
      <translation>Kein Arbeitsbereich ist offen.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>None of your queries contains this point.</source>
      <translation>Keine Ihrer Fragen enthält diesen Punkt.</translation>
    </message>
    <message>
      <location filename="../store/labels.py" />
      <source>Not saved: edits of QGIS's own tools in {layer} ({reason}). Does each polygon have a class?</source>
      <translation>Nicht gespeichert: Änderungen mit QGIS' eigenen Werkzeugen in {layer} ({reason}). Hat jedes Polygon eine Klasse?</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Number of imported labels</source>
      <translation>Anzahl der eingelesenen Labels</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Number of processes</source>
      <translation>Anzahl der Prozesse</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>One map of all</source>
      <translation>Eine Karte aus allen</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Open a workspace first.</source>
      <translation>Öffnen Sie zuerst einen Arbeitsbereich.</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Open workspace</source>
      <translation>Arbeitsbereich öffnen</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Options</source>
      <translation>Optionen</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Or create it from a folder of orthophotos (with dsm/ and labels/ beside them):</source>
      <translation>Oder legen Sie ihn aus einem Ordner mit Orthofotos an (mit dsm/ und labels/ daneben):</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Orthophotos</source>
      <translation>Orthofotos</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Other orthophotos</source>
      <translation>Andere Orthofotos</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Overall accuracy</source>
      <translation>Gesamtgenauigkeit</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Pairs value=class, one a line (empty class: leave out)</source>
      <translation>Paare Wert=Klasse, eines je Zeile (leere Klasse: weglassen)</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Pick a query</source>
      <translation>Frage auswählen</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Picture with legend</source>
      <translation>Bild mit Legende</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Polygon</source>
      <translation>Polygon</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Polygon: number keys choose the class; a right click ends it; D leaves the tool.</source>
      <translation>Polygon: Zifferntasten wählen die Klasse; ein Rechtsklick schließt es; D verlässt das Werkzeug.</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Polygons</source>
      <translation>Polygone</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Predicts every raster of a folder and compares it with its label raster, each pixel once. The outputs are the mean IoU and the overall accuracy. The JSON file also holds the IoU of each class and the confusion matrix.</source>
      <translation>Sagt jedes Raster eines Ordners vorher und vergleicht es mit seinem Label-Raster, jedes Pixel einmal. Die Ergebnisse sind die mittlere IoU und die Gesamtgenauigkeit. Die JSON-Datei enthält auch die IoU jeder Klasse und die Konfusionsmatrix.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Previous</source>
      <translation>Zurück</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Probabilities</source>
      <translation>Wahrscheinlichkeiten</translation>
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <source>Queries (GeoPackage)</source>
      <translation>Fragen (GeoPackage)</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Queries: {open} open · {done} done · {skipped} skipped · {unsure} unsure</source>
      <translation>Fragen: {open} offen · {done} fertig · {skipped} übersprungen · {unsure} unsicher</translation>
    </message>
    <message>
      <location filename="../algs/query.py" />
      <source>Query</source>
      <translation>Fragen</translation>
    </message>
    <message>
      <location filename="../algs/query.py" />
      <source>Query strategy; empty: that of the workspace</source>
      <translation>Fragestrategie; leer: die des Arbeitsbereichs</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Query {rank} ({status}) · {scene} {chip} · {pixels} pixels
{reason}
Suggested class: {suggested}</source>
      <translation>Frage {rank} ({status}) · {scene} {chip} · {pixels} Pixel
{reason}
Vorgeschlagene Klasse: {suggested}</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Redo</source>
      <translation>Wiederholen</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>Remove class</source>
      <translation>Klasse entfernen</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Reopen the last</source>
      <translation>Letzte wieder öffnen</translation>
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <source>Round</source>
      <translation>Runde</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Round {round} is complete.</source>
      <translation>Runde {round} ist fertig.</translation>
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Round; empty: the labels of now</source>
      <translation>Runde; leer: die Labels von jetzt</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Rounds of queries</source>
      <translation>Runden von Fragen</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Same as last</source>
      <translation>Wie zuletzt</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Scene of all labels in the file</source>
      <translation>Szene aller Labels in der Datei</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Scores</source>
      <translation>Kennzahlen</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Settings, one key=value a line</source>
      <translation>Einstellungen, ein Schlüssel=Wert je Zeile</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Share of the labelled chips to use</source>
      <translation>Anteil der gelabelten Kacheln, der benutzt wird</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Show all scenes</source>
      <translation>Alle Szenen zeigen</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>Show the previous round</source>
      <translation>Die Runde davor zeigen</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Skip</source>
      <translation>Überspringen</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Smaller brush</source>
      <translation>Kleinerer Pinsel</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Smallest polygon</source>
      <translation>Kleinstes Polygon</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Smallest polygon in m²</source>
      <translation>Kleinstes Polygon in m²</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Source of each class</source>
      <translation>Herkunft jeder Klasse</translation>
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <source>Status</source>
      <translation>Status</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Steps of the first round</source>
      <translation>Schritte der ersten Runde</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Stop</source>
      <translation>Anhalten</translation>
    </message>
    <message>
      <location filename="../engine/job.py" />
      <source>Stopped; everything finished is kept.</source>
      <translation>Angehalten; alles Fertige bleibt erhalten.</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>Stopped; everything finished is kept. Train again to resume.</source>
      <translation>Angehalten; alles Fertige bleibt erhalten. Trainieren Sie erneut, um fortzufahren.</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>Test</source>
      <translation>Prüfen</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>The classes come from the label rasters, if there are any.</source>
      <translation>Die Klassen kommen aus den Label-Rastern, wenn es welche gibt.</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>The classes or options cannot be read: {error}</source>
      <translation>Klassen oder Optionen sind nicht lesbar: {error}</translation>
    </message>
    <message>
      <location filename="../engine/job.py" />
      <source>The engine is running already; wait for it, or stop it.</source>
      <translation>Die Engine läuft schon; warten Sie, oder halten Sie sie an.</translation>
    </message>
    <message>
      <location filename="../live/live_engine.py" />
      <source>The live session has ended (code {code}); answers are saved as before.</source>
      <translation>Die Live-Sitzung ist zu Ende (Code {code}); Antworten werden wie vorher gespeichert.</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>The live session is off.</source>
      <translation>Die Live-Sitzung ist aus.</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>The live session is starting …</source>
      <translation>Die Live-Sitzung beginnt …</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>The model's prediction everywhere, no labels</source>
      <translation>Überall die Vorhersage des Modells, keine Labels</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>The program tsfal-geo</source>
      <translation>Das Programm tsfal-geo</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>The program tsfal-geo, or the folder of its Python environment</source>
      <translation>Das Programm tsfal-geo, oder der Ordner seiner Python-Umgebung</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>The rest is this class</source>
      <translation>Der Rest ist diese Klasse</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>The run failed; see the log.</source>
      <translation>Der Lauf ist gescheitert; siehe Protokoll.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>There is no suggestion for this query; press the number of its class.</source>
      <translation>Für diese Frage gibt es keinen Vorschlag; drücken Sie die Ziffer ihrer Klasse.</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>There is one beside the data; choose it there if you trust it: {path}</source>
      <translation>Neben den Daten liegt eines; wählen Sie es dort, wenn Sie ihm vertrauen: {path}</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>This is the first query.</source>
      <translation>Das ist die erste Frage.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>This place lies outside every scene.</source>
      <translation>Diese Stelle liegt außerhalb aller Szenen.</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Tick the groups in the Layers panel. Hold H to hide all but the orthophoto.</source>
      <translation>Haken Sie die Gruppen im Layerfenster an. H gedrückt halten blendet alles außer dem Orthofoto aus.</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>To install it: {command}</source>
      <translation>Zum Installieren: {command}</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <location filename="../panel/dock.py" />
      <source>Train</source>
      <translation>Trainieren</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Train the next round</source>
      <translation>Nächste Runde trainieren</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>Training and mapping run in tsfal-geo, a separate program:</source>
      <translation>Training und Kartierung laufen in tsfal-geo, einem eigenen Programm:</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Trains the next round of a workspace on all its labels, then selects the queries whose answers would help most. A workspace that does not exist yet is created for the folder of rasters. A run that was stopped resumes where it stopped.</source>
      <translation>Trainiert die nächste Runde eines Arbeitsbereichs mit all seinen Labels und wählt dann die Fragen, deren Antworten am meisten helfen. Ein Arbeitsbereich, den es noch nicht gibt, wird für den Ordner mit Rastern angelegt. Ein angehaltener Lauf fährt fort, wo er aufgehört hat.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Undo</source>
      <translation>Rückgängig</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Unsure</source>
      <translation>Unsicher</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Vector file with the area of interest</source>
      <translation>Vektordatei mit dem Gebiet</translation>
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <location filename="../panel/dock.py" />
      <location filename="../panel/start_page.py" />
      <source>Workspace</source>
      <translation>Arbeitsbereich</translation>
    </message>
    <message>
      <location filename="../algs/query.py" />
      <source>Writes a new round of queries from the last round's model, without training.</source>
      <translation>Schreibt eine neue Runde von Fragen mit dem Modell der letzten Runde, ohne Training.</translation>
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Writes the labels of all annotators to one file, as the next round would train on them; with a round, those that it trained on. The ending of the file decides its format.</source>
      <translation>Schreibt die Labels aller Bearbeiter in eine Datei, wie die nächste Runde mit ihnen trainieren würde; mit einer Runde die, mit denen sie trainiert hat. Die Endung der Datei bestimmt ihr Format.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Wrong places: number keys choose the class; the wheel grows and shrinks the place; each click labels it; F leaves the tool.</source>
      <translation>Falsche Stellen: Zifferntasten wählen die Klasse; das Rad vergrößert und verkleinert die Stelle; jeder Klick labelt sie; F verlässt das Werkzeug.</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Your name</source>
      <translation>Ihr Name</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>about {hours} h {minutes} min left</source>
      <translation>noch etwa {hours} h {minutes} min</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>about {minutes} min left</source>
      <translation>noch etwa {minutes} min</translation>
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <source>accuracy</source>
      <translation>Genauigkeit</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>accuracy about {accuracy} ± {error} %</source>
      <translation>Genauigkeit etwa {accuracy} ± {error} %</translation>
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <location filename="../panel/compare_page.py" />
      <source>answers</source>
      <translation>Antworten</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>budget: {spent} spent, {left} left</source>
      <translation>Budget: {spent} verbraucht, {left} übrig</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>change</source>
      <translation>Änderung</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>class</source>
      <translation>Klasse</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>class {number}</source>
      <translation>Klasse {number}</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>colour</source>
      <translation>Farbe</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>done</source>
      <translation>fertig</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>failed</source>
      <translation>gescheitert</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>found automatically</source>
      <translation>von selbst gefunden</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>further options of tsfal-geo train</source>
      <translation>weitere Optionen von tsfal-geo train</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>id</source>
      <translation>Nummer</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>labelled</source>
      <translation>gelabelt</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>labelled share at the end, such as 0.2</source>
      <translation>gelabelter Anteil am Ende, etwa 0.2</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>mIoU</source>
      <translation>mIoU</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>mIoU: no validation scenes</source>
      <translation>mIoU: keine Szenen zur Validierung</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>minutes</source>
      <translation>Minuten</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>name</source>
      <translation>Name</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>no round is complete yet</source>
      <translation>noch keine Runde ist fertig</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <location filename="../panel/pages.py" />
      <source>none</source>
      <translation>keine</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>postgresql://… for a team; else empty</source>
      <translation>postgresql://… für eine Gruppe; sonst leer</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>queries</source>
      <translation>Fragen</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>round</source>
      <translation>Runde</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>round {number}</source>
      <translation>Runde {number}</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>starting …</source>
      <translation>beginnt …</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>stopped; everything finished is kept</source>
      <translation>angehalten; alles Fertige bleibt erhalten</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>stopping …</source>
      <translation>hält an …</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>the map hardly changes any more: good enough?</source>
      <translation>die Karte ändert sich kaum noch: gut genug?</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>tsfal-geo ended with code {code}.</source>
      <translation>tsfal-geo endete mit dem Code {code}.</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>tsfal-geo was not found.</source>
      <translation>tsfal-geo wurde nicht gefunden.</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>tsfal-geo {version} answers: {command}</source>
      <translation>tsfal-geo {version} antwortet: {command}</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{answers} answers</source>
      <translation>{answers} Antworten</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>{command} did not answer as tsfal-geo does ({reason}).</source>
      <translation>{command} antwortete nicht wie tsfal-geo ({reason}).</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>{command} did not answer within 20 seconds.</source>
      <translation>{command} antwortete nicht binnen 20 Sekunden.</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>{command} does not start ({reason}).</source>
      <translation>{command} startet nicht ({reason}).</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>{count} maps are written and shown.</source>
      <translation>{count} Karten sind geschrieben und gezeigt.</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{count} queries are settled by your answers; undo takes the last answer back.</source>
      <translation>{count} Fragen sind durch Ihre Antworten entschieden; Rückgängig nimmt die letzte Antwort zurück.</translation>
    </message>
    <message>
      <location filename="../answering/batch_approval.py" />
      <source>{count} suggestions were accepted; one undo takes them back.</source>
      <translation>{count} Vorschläge wurden angenommen; einmal Rückgängig nimmt sie zurück.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>{name} is not complete yet.</source>
      <translation>{name} ist noch nicht fertig.</translation>
    </message>
    <message>
      <location filename="../answering/batch_approval.py" />
      <source>{name}: {count} open</source>
      <translation>{name}: {count} offen</translation>
    </message>
    <message>
      <location filename="../engine/process.py" />
      <source>{program} does not start: {reason}. Choose the engine under Settings ▸ Options ▸ TSFAL.</source>
      <translation>{program} startet nicht: {reason}. Wählen Sie die Engine unter Einstellungen ▸ Optionen ▸ TSFAL.</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>{scenes} scenes, {classes} classes.</source>
      <translation>{scenes} Szenen, {classes} Klassen.</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{settled} settled by answers</source>
      <translation>{settled} durch Antworten entschieden</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{share} % of the map changed over 50 answers</source>
      <translation>{share} % der Karte änderten sich über 50 Antworten</translation>
    </message>
  </context>
</TS>
