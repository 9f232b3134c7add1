"""Which of the artifacts that lie in ``build/`` to run when the user names none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.backends import load_backend
from runtime.contract import contract_path, read_contract
from runtime.errors import ArtifactError, BackendError, ContractError


@dataclass(frozen=True)
class Choice:
    """An artifact and why it was chosen, as a sentence for the user."""

    artifact: Path
    reason: str


def newest_runnable(folder: Path, backend: str = "auto") -> Choice:
    """Find the newest artifact in ``folder`` that a backend can run here.

    Args:
        folder: Where the build step leaves its files; not searched deeper.
        backend: A backend's name, or "auto" for any.

    Raises:
        ArtifactError: If there is none; says for each why not.
    """
    reasons = []
    for artifact in _newest_first(folder):
        try:
            target = read_contract(artifact, verify=False).target
            runner = load_backend(backend, target, threads=1)
        except (BackendError, ContractError) as error:
            reasons.append(f"{artifact.name}: {error}")
            continue
        passed_over = f"; passed over {'; '.join(reasons)}" if reasons else ""
        return Choice(artifact, f"newest in {folder}/ that {runner.name} runs here{passed_over}")
    found = "; ".join(reasons) or "no artifact with a contract"
    raise ArtifactError(
        f"nothing in {folder}/ can run here ({found}); build one: make engine, or name one: "
        "--artifact PATH"
    )


def _newest_first(folder: Path) -> list[Path]:
    """Return the files that have a contract beside them."""
    names = (path.with_suffix("") for path in folder.glob("*.json"))
    artifacts = [path for path in names if path.is_file() and contract_path(path).is_file()]
    return sorted(artifacts, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
