<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" sourcelanguage="en" language="fr">
  <context>
    <name>Tsfal</name>
    <message>
      <location filename="../panel/export_page.py" />
      <source>25 pixels</source>
      <translation>25 pixels</translation>
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>A click or the space bar takes a query out. One undo takes back the sheet.</source>
      <translation>Un clic ou la barre d'espace retire une question. Une seule annulation reprend la planche.</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>A live map needs a complete round of the method instant.</source>
      <translation>Une carte en direct demande un tour complet de la méthode instant.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>A number key labels the entire region.</source>
      <translation>Une touche de chiffre donne sa classe à toute la région.</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>A run is in progress; wait for it, or stop it.</source>
      <translation>Un calcul est en cours ; attendez-le, ou arrêtez-le.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Accept / done</source>
      <translation>Accepter / fini</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Accept many</source>
      <translation>Accepter plusieurs</translation>
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>Accept suggestions together</source>
      <translation>Accepter des propositions ensemble</translation>
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>Accept {count}  Return</source>
      <translation>Accepter {count}  Entrée</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>Add class</source>
      <translation>Ajouter une classe</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Add the maps to the project</source>
      <translation>Ajouter les cartes au projet</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Also write all maps as one</source>
      <translation>Écrire aussi toutes les cartes en une</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Also write pictures with a legend</source>
      <translation>Écrire aussi des images avec légende</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Also write polygons, in this format</source>
      <translation>Écrire aussi des polygones, dans ce format</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Answer</source>
      <translation>Répondre</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Answer queries</source>
      <translation>Répondre aux questions</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Area of interest</source>
      <translation>Zone d'intérêt</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Author of the labels</source>
      <translation>Auteur des étiquettes</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>Browse …</source>
      <translation>Parcourir …</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Brush</source>
      <translation>Pinceau</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Brush of {size} pixels: number keys choose the class; B leaves the tool.</source>
      <translation>Pinceau de {size} pixels : les chiffres choisissent la classe ; B quitte l'outil.</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Budget</source>
      <translation>Budget</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>CRS, for a file that does not name it</source>
      <translation>SCR, pour un fichier qui ne le nomme pas</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>Choose a query first: N goes to the next one.</source>
      <translation>Choisissez d'abord une question : N va à la suivante.</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Choose the folder of a workspace first.</source>
      <translation>Choisissez d'abord le dossier d'un espace de travail.</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Choose the folder of orthophotos and a new folder for the workspace.</source>
      <translation>Choisissez le dossier des orthophotos et un nouveau dossier pour l'espace de travail.</translation>
    </message>
    <message>
      <location filename="../answering/keys.py" />
      <source>Class {number}</source>
      <translation>Classe {number}</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Click a query.</source>
      <translation>Cliquez sur une question.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Click wrong places</source>
      <translation>Cliquer les erreurs</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Column of the class</source>
      <translation>Colonne de la classe</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Compare</source>
      <translation>Comparer</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Confidence</source>
      <translation>Confiance</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Configuration (YAML)</source>
      <translation>Configuration (YAML)</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Create workspace</source>
      <translation>Créer l'espace de travail</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Creating a label file for {author} …</source>
      <translation>Création d'un fichier d'étiquettes pour {author} …</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Creating {name} …</source>
      <translation>Création de {name} …</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Enter the classes here</source>
      <translation>Saisir les classes ici</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Enter your name first: labels are kept by author.</source>
      <translation>Entrez d'abord votre nom : les étiquettes sont gardées par auteur.</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Entropy</source>
      <translation>Entropie</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Error mask</source>
      <translation>Masque d'erreurs</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Evaluate</source>
      <translation>Évaluer</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Export</source>
      <translation>Exporter</translation>
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Export labels</source>
      <translation>Exporter les étiquettes</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Export map</source>
      <translation>Exporter la carte</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Export the map</source>
      <translation>Exporter la carte</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>File in the workspace</source>
      <translation>Fichier dans l'espace de travail</translation>
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <location filename="../algs/import_labels.py" />
      <source>File of labels</source>
      <translation>Fichier d'étiquettes</translation>
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Files</source>
      <translation>Fichiers</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Folder</source>
      <translation>Dossier</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Folder of rasters with labels</source>
      <translation>Dossier de rasters avec étiquettes</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Folder of rasters with labels for validation</source>
      <translation>Dossier de rasters avec étiquettes pour la validation</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Folder of rasters, for a new workspace</source>
      <translation>Dossier de rasters, pour un nouvel espace de travail</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Folder of rasters; empty: the workspace's own</source>
      <translation>Dossier de rasters ; vide : ceux de l'espace de travail</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Folder of the maps</source>
      <translation>Dossier des cartes</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Further rasters for each map</source>
      <translation>Autres rasters pour chaque carte</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Hide overlays while held</source>
      <translation>Masquer les calques tant qu'elle est tenue</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>If empty: the folder maps/ of the workspace, its own orthophotos, and all of them.</source>
      <translation>Si vide : le dossier maps/ de l'espace de travail, ses propres orthophotos, en entier.</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Import labels</source>
      <translation>Importer des étiquettes</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Imports labels into a workspace from a GeoPackage, GeoJSON, Shapefile, FlatGeobuf or GeoParquet file, or from a GeoTIFF of classes. Classes are matched by the pairs, by id, or by name. A value that matches none of these stops the import, and the message names it.</source>
      <translation>Importe des étiquettes dans un espace de travail depuis un fichier GeoPackage, GeoJSON, Shapefile, FlatGeobuf ou GeoParquet, ou depuis un GeoTIFF de classes. Les classes sont reconnues par les paires, par numéro ou par nom. Une valeur qui ne correspond à aucune arrête l'import, et le message la nomme.</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>In use by {engine}. You can label; training waits for it.</source>
      <translation>Utilisé par {engine}. Vous pouvez étiqueter ; l'entraînement attend.</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>Install it with: {install} – or choose it under Settings ▸ Options ▸ TSFAL.</source>
      <translation>Installez-le avec : {install} – ou choisissez-le sous Préférences ▸ Options ▸ TSFAL.</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>IoU</source>
      <translation>IoU</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Label store</source>
      <translation>Dépôt d'étiquettes</translation>
    </message>
    <message>
      <location filename="../algs/query.py" />
      <location filename="../algs/train.py" />
      <source>Labelled share at the end</source>
      <translation>Part étiquetée à la fin</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Labelling as {author}. N goes to the first query.</source>
      <translation>Vous étiquetez comme {author}. N va à la première question.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Larger brush</source>
      <translation>Pinceau plus grand</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Layer, for a file with several</source>
      <translation>Couche, pour un fichier qui en a plusieurs</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Layers</source>
      <translation>Couches</translation>
    </message>
    <message>
      <location filename="../panel/contact_sheet.py" />
      <source>Leave these, show others</source>
      <translation>Laisser celles-ci, montrer d'autres</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <location filename="../live/following.py" />
      <source>Live map</source>
      <translation>Carte en direct</translation>
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <source>Live map (M)</source>
      <translation>Carte en direct (M)</translation>
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <source>Live: follow each answer</source>
      <translation>En direct : suivre chaque réponse</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Maps</source>
      <translation>Cartes</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Maps every raster of a folder with the workspace's model. Each map is a cloud-optimised GeoTIFF with the raster's name and grid, and with the names and colours of the classes.</source>
      <translation>Cartographie chaque raster d'un dossier avec le modèle de l'espace de travail. Chaque carte est un GeoTIFF optimisé pour le nuage, avec le nom et la grille du raster et avec les noms et couleurs des classes.</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Mean IoU</source>
      <translation>IoU moyenne</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>N goes to the first query.</source>
      <translation>N va à la première question.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Next</source>
      <translation>Suivante</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: answer the open queries (N), or train.</source>
      <translation>Ensuite : répondre aux questions ouvertes (N), ou entraîner.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: continue the training.</source>
      <translation>Ensuite : poursuivre l'entraînement.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: export the map.</source>
      <translation>Ensuite : exporter la carte.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: open or create a workspace.</source>
      <translation>Ensuite : ouvrir ou créer un espace de travail.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: train the next round.</source>
      <translation>Ensuite : entraîner le tour suivant.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: train to go on with it.</source>
      <translation>Ensuite : entraîner pour continuer.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Next: wait for its first round.</source>
      <translation>Ensuite : attendre son premier tour.</translation>
    </message>
    <message>
      <location filename="../answering/batch_approval.py" />
      <source>No open query has a suggestion; answer some, and train the next round.</source>
      <translation>Aucune question ouverte n'a de proposition ; répondez à quelques-unes, et entraînez le tour suivant.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>No query is left open. Train the next round.</source>
      <translation>Aucune question n'est plus ouverte. Entraînez le tour suivant.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>No query was decided in this round yet.</source>
      <translation>Aucune question n'est encore décidée dans ce tour.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>No query was labelled yet in this session; press the number of a class.</source>
      <translation>Aucune question n'est encore étiquetée dans cette séance ; pressez le chiffre d'une classe.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>No workspace is open.</source>
      <translation>Aucun espace de travail n'est ouvert.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>None of your queries contains this point.</source>
      <translation>Aucune de vos questions ne contient ce point.</translation>
    </message>
    <message>
      <location filename="../store/labels.py" />
      <source>Not saved: edits of QGIS's own tools in {layer} ({reason}). Does each polygon have a class?</source>
      <translation>Non enregistré : des modifications par les outils de QGIS dans {layer} ({reason}). Chaque polygone a-t-il une classe ?</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Number of imported labels</source>
      <translation>Nombre d'étiquettes importées</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Number of processes</source>
      <translation>Nombre de processus</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>One map of all</source>
      <translation>Une carte de toutes</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Open a workspace first.</source>
      <translation>Ouvrez d'abord un espace de travail.</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Open workspace</source>
      <translation>Ouvrir l'espace de travail</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Options</source>
      <translation>Options</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Or create it from a folder of orthophotos (with dsm/ and labels/ beside them):</source>
      <translation>Ou créez-le depuis un dossier d'orthophotos (avec dsm/ et labels/ à côté) :</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Orthophotos</source>
      <translation>Orthophotos</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Other orthophotos</source>
      <translation>Autres orthophotos</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Overall accuracy</source>
      <translation>Exactitude globale</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Pairs value=class, one a line (empty class: leave out)</source>
      <translation>Paires valeur=classe, une par ligne (classe vide : laisser de côté)</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Pick a query</source>
      <translation>Choisir une question</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Picture with legend</source>
      <translation>Image avec légende</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Polygon</source>
      <translation>Polygone</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Polygon: number keys choose the class; a right click ends it; D leaves the tool.</source>
      <translation>Polygone : les chiffres choisissent la classe ; un clic droit le ferme ; D quitte l'outil.</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Polygons</source>
      <translation>Polygones</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Predicts every raster of a folder and compares it with its label raster, each pixel once. The outputs are the mean IoU and the overall accuracy. The JSON file also holds the IoU of each class and the confusion matrix.</source>
      <translation>Prédit chaque raster d'un dossier et le compare à son raster d'étiquettes, chaque pixel une fois. Les sorties sont l'IoU moyenne et l'exactitude globale. Le fichier JSON contient aussi l'IoU de chaque classe et la matrice de confusion.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Previous</source>
      <translation>Précédente</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Probabilities</source>
      <translation>Probabilités</translation>
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <source>Queries (GeoPackage)</source>
      <translation>Questions (GeoPackage)</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>Queries: {open} open · {done} done · {skipped} skipped · {unsure} unsure</source>
      <translation>Questions : {open} ouvertes · {done} finies · {skipped} passées · {unsure} incertaines</translation>
    </message>
    <message>
      <location filename="../algs/query.py" />
      <source>Query</source>
      <translation>Questions</translation>
    </message>
    <message>
      <location filename="../algs/query.py" />
      <source>Query strategy; empty: that of the workspace</source>
      <translation>Stratégie de questions ; vide : celle de l'espace de travail</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Query {rank} ({status}) · {scene} {chip} · {pixels} pixels
{reason}
Suggested class: {suggested}</source>
      <translation>Question {rank} ({status}) · {scene} {chip} · {pixels} pixels
{reason}
Classe proposée : {suggested}</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Redo</source>
      <translation>Rétablir</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>Remove class</source>
      <translation>Retirer la classe</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Reopen the last</source>
      <translation>Rouvrir la dernière</translation>
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <source>Round</source>
      <translation>Tour</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>Round {round} is complete.</source>
      <translation>Le tour {round} est complet.</translation>
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Round; empty: the labels of now</source>
      <translation>Tour ; vide : les étiquettes d'à présent</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Rounds of queries</source>
      <translation>Tours de questions</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Same as last</source>
      <translation>Comme la dernière</translation>
    </message>
    <message>
      <location filename="../algs/import_labels.py" />
      <source>Scene of all labels in the file</source>
      <translation>Scène de toutes les étiquettes du fichier</translation>
    </message>
    <message>
      <location filename="../algs/evaluate.py" />
      <source>Scores</source>
      <translation>Scores</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Settings, one key=value a line</source>
      <translation>Réglages, un clé=valeur par ligne</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Share of the labelled chips to use</source>
      <translation>Part des tuiles étiquetées à utiliser</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Show all scenes</source>
      <translation>Montrer toutes les scènes</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>Show the previous round</source>
      <translation>Montrer le tour précédent</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Skip</source>
      <translation>Passer</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Smaller brush</source>
      <translation>Pinceau plus petit</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Smallest polygon</source>
      <translation>Plus petit polygone</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Smallest polygon in m²</source>
      <translation>Plus petit polygone en m²</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <source>Source of each class</source>
      <translation>Origine de chaque classe</translation>
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <source>Status</source>
      <translation>État</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Steps of the first round</source>
      <translation>Pas du premier tour</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Stop</source>
      <translation>Arrêter</translation>
    </message>
    <message>
      <location filename="../engine/job.py" />
      <source>Stopped; everything finished is kept.</source>
      <translation>Arrêté ; tout ce qui est fini est gardé.</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>Stopped; everything finished is kept. Train again to resume.</source>
      <translation>Arrêté ; tout ce qui est fini est gardé. Entraînez à nouveau pour reprendre.</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>Test</source>
      <translation>Tester</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>The classes come from the label rasters, if there are any.</source>
      <translation>Les classes viennent des rasters d'étiquettes, s'il y en a.</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>The classes or options cannot be read: {error}</source>
      <translation>Les classes ou options sont illisibles : {error}</translation>
    </message>
    <message>
      <location filename="../engine/job.py" />
      <source>The engine is running already; wait for it, or stop it.</source>
      <translation>Le moteur tourne déjà ; attendez-le, ou arrêtez-le.</translation>
    </message>
    <message>
      <location filename="../live/live_engine.py" />
      <source>The live session has ended (code {code}); answers are saved as before.</source>
      <translation>La séance en direct est finie (code {code}) ; les réponses sont enregistrées comme avant.</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>The live session is off.</source>
      <translation>La séance en direct est éteinte.</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>The live session is starting …</source>
      <translation>La séance en direct commence …</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>The model's prediction everywhere, no labels</source>
      <translation>La prédiction du modèle partout, sans étiquettes</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>The program tsfal-geo</source>
      <translation>Le programme tsfal-geo</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>The program tsfal-geo, or the folder of its Python environment</source>
      <translation>Le programme tsfal-geo, ou le dossier de son environnement Python</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>The rest is this class</source>
      <translation>Le reste est de cette classe</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>The run failed; see the log.</source>
      <translation>Le calcul a échoué ; voir le journal.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>There is no suggestion for this query; press the number of its class.</source>
      <translation>Il n'y a pas de proposition pour cette question ; pressez le chiffre de sa classe.</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>There is one beside the data; choose it there if you trust it: {path}</source>
      <translation>Il y en a un à côté des données ; choisissez-le là si vous lui faites confiance : {path}</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>This is the first query.</source>
      <translation>C'est la première question.</translation>
    </message>
    <message>
      <location filename="../answering/session.py" />
      <source>This place lies outside every scene.</source>
      <translation>Cet endroit est hors de toutes les scènes.</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Tick the groups in the Layers panel. Hold H to hide all but the orthophoto.</source>
      <translation>Cochez les groupes dans le panneau Couches. Tenez H pour ne voir que l'orthophoto.</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>To install it: {command}</source>
      <translation>Pour l'installer : {command}</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <location filename="../panel/dock.py" />
      <source>Train</source>
      <translation>Entraîner</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>Train the next round</source>
      <translation>Entraîner le tour suivant</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>Training and mapping run in tsfal-geo, a separate program:</source>
      <translation>L'entraînement et la cartographie tournent dans tsfal-geo, un programme à part :</translation>
    </message>
    <message>
      <location filename="../algs/train.py" />
      <source>Trains the next round of a workspace on all its labels, then selects the queries whose answers would help most. A workspace that does not exist yet is created for the folder of rasters. A run that was stopped resumes where it stopped.</source>
      <translation>Entraîne le tour suivant d'un espace de travail sur toutes ses étiquettes, puis choisit les questions dont les réponses aideraient le plus. Un espace de travail qui n'existe pas encore est créé pour le dossier de rasters. Un calcul arrêté reprend où il en était.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Undo</source>
      <translation>Annuler</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Unsure</source>
      <translation>Incertaine</translation>
    </message>
    <message>
      <location filename="../algs/export.py" />
      <source>Vector file with the area of interest</source>
      <translation>Fichier vecteur de la zone d'intérêt</translation>
    </message>
    <message>
      <location filename="../algs/parameters.py" />
      <location filename="../panel/dock.py" />
      <location filename="../panel/start_page.py" />
      <source>Workspace</source>
      <translation>Espace de travail</translation>
    </message>
    <message>
      <location filename="../algs/query.py" />
      <source>Writes a new round of queries from the last round's model, without training.</source>
      <translation>Écrit un nouveau tour de questions avec le modèle du dernier tour, sans entraînement.</translation>
    </message>
    <message>
      <location filename="../algs/export_labels.py" />
      <source>Writes the labels of all annotators to one file, as the next round would train on them; with a round, those that it trained on. The ending of the file decides its format.</source>
      <translation>Écrit les étiquettes de tous les annotateurs dans un fichier, telles que le tour suivant les apprendrait ; avec un tour, celles qu'il a apprises. L'extension du fichier décide de son format.</translation>
    </message>
    <message>
      <location filename="../answering/answering.py" />
      <source>Wrong places: number keys choose the class; the wheel grows and shrinks the place; each click labels it; F leaves the tool.</source>
      <translation>Erreurs : les chiffres choisissent la classe ; la molette agrandit et réduit l'endroit ; chaque clic l'étiquette ; F quitte l'outil.</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>Your name</source>
      <translation>Votre nom</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>about {hours} h {minutes} min left</source>
      <translation>encore {hours} h {minutes} min environ</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>about {minutes} min left</source>
      <translation>encore {minutes} min environ</translation>
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <source>accuracy</source>
      <translation>exactitude</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>accuracy about {accuracy} ± {error} %</source>
      <translation>exactitude d'environ {accuracy} ± {error} %</translation>
    </message>
    <message>
      <location filename="../live/live_panel.py" />
      <location filename="../panel/compare_page.py" />
      <source>answers</source>
      <translation>réponses</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>budget: {spent} spent, {left} left</source>
      <translation>budget : {spent} dépensé, {left} restant</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>change</source>
      <translation>changement</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>class</source>
      <translation>classe</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>class {number}</source>
      <translation>classe {number}</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>colour</source>
      <translation>couleur</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>done</source>
      <translation>fini</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>failed</source>
      <translation>échoué</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>found automatically</source>
      <translation>trouvé automatiquement</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>further options of tsfal-geo train</source>
      <translation>autres options de tsfal-geo train</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>id</source>
      <translation>numéro</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>labelled</source>
      <translation>étiqueté</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>labelled share at the end, such as 0.2</source>
      <translation>part étiquetée à la fin, par exemple 0.2</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>mIoU</source>
      <translation>mIoU</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>mIoU: no validation scenes</source>
      <translation>mIoU : pas de scènes de validation</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>minutes</source>
      <translation>minutes</translation>
    </message>
    <message>
      <location filename="../panel/widgets.py" />
      <source>name</source>
      <translation>nom</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>no round is complete yet</source>
      <translation>aucun tour n'est encore complet</translation>
    </message>
    <message>
      <location filename="../panel/export_page.py" />
      <location filename="../panel/pages.py" />
      <source>none</source>
      <translation>aucune</translation>
    </message>
    <message>
      <location filename="../panel/start_page.py" />
      <source>postgresql://… for a team; else empty</source>
      <translation>postgresql://… pour une équipe ; sinon vide</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>queries</source>
      <translation>questions</translation>
    </message>
    <message>
      <location filename="../panel/compare_page.py" />
      <source>round</source>
      <translation>tour</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>round {number}</source>
      <translation>tour {number}</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>starting …</source>
      <translation>démarrage …</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>stopped; everything finished is kept</source>
      <translation>arrêté ; tout ce qui est fini est gardé</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>stopping …</source>
      <translation>arrêt …</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>the map hardly changes any more: good enough?</source>
      <translation>la carte ne change presque plus : assez bonne ?</translation>
    </message>
    <message>
      <location filename="../panel/runs.py" />
      <source>tsfal-geo ended with code {code}.</source>
      <translation>tsfal-geo s'est terminé avec le code {code}.</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>tsfal-geo was not found.</source>
      <translation>tsfal-geo est introuvable.</translation>
    </message>
    <message>
      <location filename="../panel/options.py" />
      <source>tsfal-geo {version} answers: {command}</source>
      <translation>tsfal-geo {version} répond : {command}</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{answers} answers</source>
      <translation>{answers} réponses</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>{command} did not answer as tsfal-geo does ({reason}).</source>
      <translation>{command} n'a pas répondu comme tsfal-geo ({reason}).</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>{command} did not answer within 20 seconds.</source>
      <translation>{command} n'a pas répondu en 20 secondes.</translation>
    </message>
    <message>
      <location filename="../engine/engine.py" />
      <source>{command} does not start ({reason}).</source>
      <translation>{command} ne démarre pas ({reason}).</translation>
    </message>
    <message>
      <location filename="../plugin.py" />
      <source>{count} maps are written and shown.</source>
      <translation>{count} cartes sont écrites et montrées.</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{count} queries are settled by your answers; undo takes the last answer back.</source>
      <translation>{count} questions sont réglées par vos réponses ; annuler reprend la dernière réponse.</translation>
    </message>
    <message>
      <location filename="../answering/batch_approval.py" />
      <source>{count} suggestions were accepted; one undo takes them back.</source>
      <translation>{count} propositions sont acceptées ; une annulation les reprend.</translation>
    </message>
    <message>
      <location filename="../panel/dock.py" />
      <source>{name} is not complete yet.</source>
      <translation>{name} n'est pas encore complet.</translation>
    </message>
    <message>
      <location filename="../answering/batch_approval.py" />
      <source>{name}: {count} open</source>
      <translation>{name} : {count} ouvertes</translation>
    </message>
    <message>
      <location filename="../engine/process.py" />
      <source>{program} does not start: {reason}. Choose the engine under Settings ▸ Options ▸ TSFAL.</source>
      <translation>{program} ne démarre pas : {reason}. Choisissez le moteur sous Préférences ▸ Options ▸ TSFAL.</translation>
    </message>
    <message>
      <location filename="../panel/pages.py" />
      <source>{scenes} scenes, {classes} classes.</source>
      <translation>{scenes} scènes, {classes} classes.</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{settled} settled by answers</source>
      <translation>{settled} réglées par les réponses</translation>
    </message>
    <message>
      <location filename="../live/following.py" />
      <source>{share} % of the map changed over 50 answers</source>
      <translation>{share} % de la carte ont changé en 50 réponses</translation>
    </message>
  </context>
</TS>
