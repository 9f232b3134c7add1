"""Which of the artifacts that lie in ``build/`` to run when the user names none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.backend_base import Backend
from runtime.backends import open_backend
from runtime.contract import contract_path, read_contract
from runtime.errors import ArtifactError, BackendError, ContractError


@dataclass(frozen=True)
class Choice:
    """An artifact, open, and why it was chosen, as a clause for the user."""

    artifact: Path
    backend: Backend
    reason: str


def open_newest(folder: Path, backend: str = "auto", threads: int = 0) -> Choice:
    """Open the newest artifact in ``folder`` that a backend can run here.

    What the build step made comes before portable files: those are its raw material, and one that
    was meant for a GPU may run on a processor, but ten times slower.

    Args:
        folder: Where the build step leaves its files; not searched deeper.
        backend: A backend's name, or "auto" for any.
        threads: CPU threads of the network; 0 means one per available core.

    Raises:
        ArtifactError: If there is none; says for each why not.
    """
    targets: dict[Path, str] = {}
    reasons = []
    for artifact in _newest_first(folder):
        try:
            targets[artifact] = read_contract(artifact, verify=False).target
        except ContractError as error:
            reasons.append(f"{artifact.name}: {error}")
    for artifact in sorted(targets, key=lambda path: targets[path] == "portable"):
        try:  # only opening proves that it runs here
            opened = open_backend(artifact, backend, threads)
        except (ArtifactError, BackendError, ContractError) as error:
            reasons.append(f"{artifact.name}: {error}")
            continue
        passed_over = f"; passed over {'; '.join(reasons)}" if reasons else ""
        reason = f"newest in {folder}/ that {opened.name} runs here{passed_over}"
        return Choice(artifact, opened, " ".join(reason.split()))
    found = "; ".join(reasons) or "no artifact with a contract"
    raise ArtifactError(  # with the whole path: started elsewhere, it is another folder
        f"nothing in {folder.absolute()}/ can run here ({found}); build one: make engine, or name "
        "one: --artifact PATH"
    )


def _newest_first(folder: Path) -> list[Path]:
    """Return the files that have a contract beside them."""
    names = (path.with_suffix("") for path in folder.glob("*.json"))
    artifacts = [path for path in names if path.is_file() and contract_path(path).is_file()]
    return sorted(artifacts, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
