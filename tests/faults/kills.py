"""Kill the commands of the loop at every n-th operation on files, start them again, and compare.

python -m tests.faults.kills COMMAND … [--every N] [--first N]

Each command runs in a fork of this process, which never trains itself. A line tells the kills of each.
"""

import argparse
import hashlib
import shutil
import tempfile
from functools import partial
from pathlib import Path

from tests.helpers.kills import in_child, kill_everywhere
from tests.helpers.loop_case import QuietReporter, tiny_config, write_scenes
from tsfal_geo.labels.history import read_snapshot
from tsfal_geo.labels.model import Label
from tsfal_geo.rounds.loop import create, query, train
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder

OLD, NEW = 0, 5


def begin(command, root, folder, seed=OLD, fresh=False):
    config = tiny_config(train__seed=seed, train__method="supervised", active__budget=0.5)
    command(Request(root, folder, None, config, fresh=fresh), QuietReporter())


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def model(root, number=0):
    return digest(root / "rounds" / f"{number:03d}" / "model.safetensors")


def asked(workspace, number):
    return [(q.scene, q.rank, q.geometry.wkb) for q in workspace.store().read_queries(number)]


def answer(root, position=0):
    """An annotator answers a query of the last round."""
    workspace = WorkspaceFolder.open(root)
    store = workspace.store()
    question = store.read_queries(workspace.current_round)[position]
    label = Label(question.scene, 7, question.geometry, question.qid, workspace.current_round, "ann")
    store.add("ann", [label])


class Case:
    """A folder of scenes, and a workspace that waits for labels and has one answer."""

    def __init__(self, scratch):
        self.scratch = Path(scratch)
        self.folder = write_scenes(self.scratch / "scenes")
        self.base = self.scratch / "base"
        self.empty = self.scratch / "empty"
        self.empty.mkdir()
        self.run(begin, train, self.base, self.folder)
        self.run(answer, self.base)
        self.labels = digest(self.base / "labels" / "ann.gpkg")
        self.old = model(self.base)

    def run(self, action, *args):
        assert in_child(action, *args) == 0

    def undisturbed(self, name, action):
        root = self.scratch / name
        shutil.copytree(self.base, root)
        self.run(action, root)
        return root


def fresh(case, every, first):
    """`train --fresh` up to its first step: the old workspace whole or the new one, and all labels."""

    def check(root):
        workspace = WorkspaceFolder.open(root)
        assert digest(root / "labels" / "ann.gpkg") == case.labels
        found = [path for path in root.rglob("model.safetensors") if digest(path) == case.old]
        assert len(found) == 1, "the old model is there once"
        if workspace.config.train.seed == OLD:
            assert workspace.current_round == 0 and model(root) == case.old
            assert (root / "inputs.json").read_bytes() == (case.base / "inputs.json").read_bytes()
        else:
            assert workspace.current_round == -1 and not any((root / "rounds").iterdir())
            assert "archive" in found[0].parts
            begin(create, root, case.folder, NEW)
        assert not (root / ".fresh").exists()
        begin(create, root, case.folder, NEW, True)
        assert WorkspaceFolder.open(root).current_round == -1

    action = partial(begin, create, folder=case.folder, seed=NEW, fresh=True)
    return kill_everywhere(case.base, case.scratch, action, check, every, first)


def fresh_train(case, every, first):
    """`train --fresh` to its end, run again as `train` of what is there: the bits of an undisturbed run."""
    expected = model(case.undisturbed("new", partial(begin, train, folder=case.folder, seed=NEW, fresh=True)))

    def check(root):
        if WorkspaceFolder.open(root).config.train.seed == OLD:
            assert model(root) == case.old
            begin(train, root, case.folder, NEW, True)
        else:
            begin(train, root, case.folder, NEW)
        assert model(root) == expected
        assert digest(root / "labels" / "ann.gpkg") == case.labels

    action = partial(begin, train, folder=case.folder, seed=NEW, fresh=True)
    return kill_everywhere(case.base, case.scratch, action, check, every, first)


def asking(case, every, first):
    """`query`, run again with a label that came since: the label is taken, and the questions are the same."""

    def again(root):
        answer(root, 1)
        begin(query, root, case.folder)

    expected = asked(WorkspaceFolder.open(case.undisturbed("asked", again)), 1)

    def check(root):
        if WorkspaceFolder.open(root).current_round == 1:
            assert WorkspaceFolder.open(root).store().read_queries(1)
            return
        again(root)
        workspace = WorkspaceFolder.open(root)
        assert workspace.current_round == 1
        assert len(read_snapshot(workspace.store(), 1).labels) == 2
        assert asked(workspace, 1) == expected

    return kill_everywhere(
        case.base, case.scratch, partial(begin, query, folder=case.folder), check, every, first
    )


def training(case, every, first):
    """`train` of a new workspace, run again: the bits of an undisturbed run."""

    def check(root):
        begin(train, root, case.folder)
        assert model(root) == case.old

    return kill_everywhere(
        case.empty, case.scratch, partial(begin, train, folder=case.folder), check, every, first
    )


COMMANDS = {"fresh": fresh, "fresh-train": fresh_train, "query": asking, "train": training}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("commands", nargs="+", choices=COMMANDS)
    parser.add_argument("--every", type=int, default=1, help="operations between two kills")
    parser.add_argument("--first", type=int, default=1, help="operation of the first kill")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tsfal-kills-") as scratch:
        case = Case(scratch)
        for name in options.commands:
            kills = COMMANDS[name](case, options.every, options.first)
            print(f"{name}: {kills} kills, nothing lost or wrong", flush=True)


if __name__ == "__main__":
    main()
