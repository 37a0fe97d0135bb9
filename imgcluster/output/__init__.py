"""What a clustering leaves on the disk: cluster folders, tables, reports, plots, exports.

A cluster folder is understood from six things, each a module or two:

* the plan: which file goes where under which name (`folder_plan`, `names`, `companions`, `link_modes`);
* the tree, built in a hidden folder beside the output folder, then exchanged with it (`folders`);
* the marker in it, signed: which files are ours, and how each is known again (`marker`; `moved`, `contents`);
* the journal of a move, by which every image can be put back (`move_journal`);
* its life: in which state a folder is found, and the next step from there to rest (`life`);
* taking it apart: ours goes, moved images go home, the last file of an image stays (`dismantle`, `undo`).

What is said about the clustering lies in tables (`manifest`, `model_file`, `history`). `trust` signs what is
foreign, `staged_install` adds files to a finished clustering.
"""
