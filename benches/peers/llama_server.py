"""llama.cpp's own server with a GGUF file, in one process that pip can install.

    python -m pip install xllamacpp
    python llama_server.py SmolLM2-135M-Instruct.Q4_1.gguf --port 8080
"""

import argparse
import threading

import xllamacpp

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--parallel", type=int, default=4)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

params = xllamacpp.CommonParams()
params.model.path = args.model
params.port = args.port
params.n_parallel = args.parallel
params.n_ctx = 2048 * args.parallel
params.cpuparams.n_threads = args.threads
server = xllamacpp.Server(params)
print(f"{server.listening_address}/v1", flush=True)
threading.Event().wait()
