"""Opens what a synthesis works on: its material, its model and its review, new or begun earlier."""

from __future__ import annotations

from pathlib import Path

from workbench.models.discovery import find_known_models
from workbench.models.reference import Model, resolve_model
from workbench.settings import Settings
from workbench.synthesis.material import SynthesisMaterial, open_material
from workbench.synthesis.records import SynthesisStarted
from workbench.synthesis.request import SynthesisRequest
from workbench.synthesis.review import REVIEW_SUFFIX, RowReview, create_review, open_review, read_review
from workbench.synthesis.synthesizer import make_start


def find_model(request: SynthesisRequest, material: SynthesisMaterial, settings: Settings) -> Model:
    """The model that writes the rows. Raises ModelError that lists near names."""
    known = find_known_models(settings, material.folder)
    return resolve_model(request.model, material.models, material.folder, known, settings.offload)


def begin_review(request: SynthesisRequest, material: SynthesisMaterial) -> RowReview:
    """A new review of what is going to be written. Raises SynthesisError and FileError."""
    return create_review(make_start(request, material), material.to_cells)


def read_request(path: Path) -> SynthesisRequest:
    """What a review file was begun with. Raises SynthesisError and FileError."""
    first = read_review(path)[0]
    assert isinstance(first, SynthesisStarted)
    return first.request


def continue_review(path: Path) -> tuple[RowReview, SynthesisMaterial]:
    """A review that was begun earlier. Raises WorkbenchError."""
    request = read_request(path)
    material = open_material(Path(request.source), request.seed)
    return open_review(path, material.to_cells), material


def list_reviews(folder: Path) -> tuple[Path, ...]:
    """The reviews in a folder, the newest first."""
    try:
        found = [path for path in folder.iterdir() if path.name.endswith(REVIEW_SUFFIX) and path.is_file()]
        return tuple(sorted(found, key=lambda path: path.stat().st_mtime, reverse=True))
    except OSError:
        return ()
