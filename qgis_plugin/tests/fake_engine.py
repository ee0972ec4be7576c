"""Speaks protocol v1 as tsfal-geo does, by the standard library; its first argument chooses how it ends."""

import json
import os
import sys
import threading
import time
from pathlib import Path


def say(kind, /, **values):
    print(json.dumps({"event": kind, **values}, ensure_ascii=False), flush=True)


def watch_stdin():
    while os.read(0, 4096):
        pass
    say("error", code="cancelled", message="stopped; everything done so far is kept")
    os._exit(4)


def live():
    """Answer the messages that a script expects, in its order, with its events; note all messages."""
    path = Path(os.environ["TSFAL_FAKE_LIVE"])
    script = [json.loads(line) for line in path.read_text().splitlines()]
    say("state", round=0, open=0, settled=0, cells=0, rule="head", fitting=False)
    for line in sys.stdin:
        with path.with_suffix(".heard").open("a") as heard:
            heard.write(line)
        if script and script[0][0] == json.loads(line)["do"]:
            for event in script.pop(0)[1]:
                print(json.dumps(event), flush=True)
    say("result", round=0)


def main():
    how = sys.argv[1]
    if how == "--version":
        print("tsfal-geo, version 0.1.0")
        return
    say("hello", protocol=2 if how == "newer" else 1, engine="0.1.0")
    if how == "live":
        live()
        return
    if how not in ("deaf", "flood"):
        threading.Thread(target=watch_stdin, daemon=True).start()
    say("progress", fraction=0.25, stage="training", note="step 1/4", eta_s=250.0)
    if how == "train":
        print("a library's chatter")
        print("and on stderr", file=sys.stderr, flush=True)
        say("log", message="Grüße")
        say("warning", message="a file is not used")
        say("artefact", kind="prediction", path="/ws/rounds/000/town/prediction.tif")
        say("progress", fraction=1.0, stage="training")
        say("result", round=0, status="waiting")
    elif how == "environment":
        say("result", environment=dict(os.environ), arguments=sys.argv[1:], folder=str(Path.cwd()))
    elif how == "mistake":
        say("error", code="raster", message="town.tif: found 1 band, expected 3")
        sys.exit(2)
    elif how == "bug":
        raise RuntimeError("unexpected")
    elif how == "crash":
        os.kill(os.getpid(), 9)
    elif how in ("wait", "deaf"):
        time.sleep(60)
    elif how == "flood":
        for number in range(5_000):
            say("progress", fraction=number / 5_000, stage="mapping")
        say("result", lines=5_000)


main()
