"""Workers of a table's trainings stop and end with the process that began them."""

import os
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from tsfal_geo.experiments.running import prepare_worker, work
from tsfal_geo.errors import Cancelled

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    gpu_names = context.Queue()
    gpu_names.put("7")
    stop = context.Event()
    with ProcessPoolExecutor(1, context, prepare_worker, (gpu_names, stop)) as pool:
        device = pool.submit(os.getenv, "CUDA_VISIBLE_DEVICES")
        print(pool.submit(os.getpid).result(), device.result(), flush=True)
        stop.set()
        while True:
            try:
                pool.submit(work, None).result()
            except Cancelled:
                break
            except AttributeError:  # the stop has not arrived yet, and None is no task
                time.sleep(0.05)
        print("stopped", flush=True)
        pool.submit(time.sleep, 600)
        time.sleep(600)
"""


def alive(pid):
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_has_its_gpu_begins_nothing_after_a_stop_and_ends_when_its_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    pid, device = parent.stdout.readline().split()
    assert device == "7" and alive(int(pid))
    assert parent.stdout.readline() == "stopped\n"
    parent.kill()
    parent.wait()
    until = time.monotonic() + 60
    while alive(int(pid)):
        assert time.monotonic() < until, "the worker goes on without anybody"
        time.sleep(0.05)
