"""The package of ZeroGPU's machines without their GPU: a call runs in a fork, and all that passes is pickled.

As theirs it wants a visitor's request in the calling thread's context, whose quota would count, and hands on no
exception but Gradio's own kind.
"""

import functools
import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
from gradio.context import LocalContext

CALLS = os.environ.get("LENT_CALLS")  # a file that gets a line for each call: parent, fork, seconds asked for


def GPU(duration):
    return lambda task: functools.partial(_call, task, duration)


def _call(task, duration, *arguments):
    if LocalContext.request.get(None) is None:
        raise gr.Error("No visitor, so no quota")
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    process = fork.Process(target=_in_fork, args=(task, pickle.dumps(arguments), there), daemon=True)
    process.start()
    there.close()
    if CALLS:
        with open(CALLS, "a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {process.pid} {duration(*arguments)}\n")
    try:
        while True:
            try:
                kind, value = pickle.loads(here.recv_bytes())
            except EOFError:
                raise gr.Error("GPU task aborted") from None
            if kind == "error":
                raise gr.Error(value)
            if kind == "end":
                return
            yield value
    finally:
        process.kill()
        process.join()


def _in_fork(task, arguments, there):
    def iterate():
        try:
            for value in task(*pickle.loads(arguments)):
                there.send_bytes(pickle.dumps(("value", value)))
            there.send_bytes(pickle.dumps(("end", None)))
        except Exception as error:
            there.send_bytes(pickle.dumps(("error", type(error).__name__)))

    with ThreadPoolExecutor() as executor:
        executor.submit(iterate)
