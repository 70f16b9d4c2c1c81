"""Whatever an adapter's file holds, the base under it stays what it was, to the bit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import peft  # noqa: TID253 - the yardstick
import pytest
import torch  # noqa: TID253 - the yardstick
import transformers  # noqa: TID253 - the yardstick
from answers import ask, complete, generate, open_engine
from hf_fixture import LINEAR, write_hf
from safetensors.torch import load_file, save_file

from workbench.errors import ModelError
from workbench.inference.transformers.engine import TransformersEngine
from workbench.inference.transformers.shared_weights import SharedWeights

ATTENTION = ["q_proj", "v_proj"]


class WeightKind(NamedTuple):
    """A configuration, and whether PEFT saves the embeddings along."""

    config: Callable[[], peft.PeftConfig]
    saves_embeddings: bool = False


def lora(**values: Any) -> Callable[[], peft.PeftConfig]:
    return lambda: peft.LoraConfig(**{"r": 4, "target_modules": ATTENTION, **values})


def ia3(**values: Any) -> Callable[[], peft.PeftConfig]:
    return lambda: peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"], **values)


KINDS = {
    "lora": WeightKind(lora(target_modules=LINEAR)),
    "dora": WeightKind(lora(use_dora=True)),
    "all biases": WeightKind(lora(bias="all")),
    "biases of the targets": WeightKind(lora(bias="lora_only")),
    "biases of dora": WeightKind(lora(bias="all", use_dora=True)),
    "biases of its own": WeightKind(lora(lora_bias=True)),
    "saved embeddings": WeightKind(lora(), True),
    "lora on embeddings that are saved": WeightKind(lora(target_modules=["q_proj", "embed_tokens"]), True),
    "lora on a head that is saved": WeightKind(lora(target_modules=["q_proj", "lm_head"]), True),
    "embeddings and head as whole modules": WeightKind(lora(modules_to_save=["embed_tokens", "lm_head"])),
    "norms as whole modules": WeightKind(lora(modules_to_save=["norm"])),
    "single tokens": WeightKind(lora(trainable_token_indices=[3, 4, 5])),
    "ia3": WeightKind(ia3()),
    "ia3 with saved embeddings": WeightKind(ia3(), True),
    "ia3 with a whole head": WeightKind(ia3(modules_to_save=["lm_head"])),
    "prefix": WeightKind(lambda: peft.PrefixTuningConfig(num_virtual_tokens=5)),
    "prompt": WeightKind(lambda: peft.PromptTuningConfig(num_virtual_tokens=5)),
}
WHOLE = ("all biases", "biases of the targets", "saved embeddings", "lora on a head that is saved")


def write_kind(base: Path, folder: Path, kind: WeightKind) -> Path:
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    config = kind.config()
    config.task_type = "CAUSAL_LM"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        made = peft.get_peft_model(model, config)
        torch.manual_seed(5)
        for _, parameter in sorted(made.named_parameters()):
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)
        if kind.saves_embeddings:
            ends = (made.get_input_embeddings().weight, made.get_output_embeddings().weight)
            for weight in {id(weight): weight for weight in ends}.values():
                weight.add_(torch.randn_like(weight) * 0.2)
            made.save_pretrained(folder, save_embedding_layers=True)
        else:
            made.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    return write_hf(folder, attention_bias=True, tie_word_embeddings=request.param)


@pytest.fixture(scope="module")
def engine(base: Path) -> Iterator[TransformersEngine]:
    made = open_engine(base)
    yield made
    made.close()


def copy_numbers(engine: TransformersEngine) -> dict[str, torch.Tensor]:
    model = engine._adapters._model
    return {name: tensor.clone() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", KINDS)
def test_an_adapter_answers_as_peft_does_and_the_base_stays_the_same_to_the_bit(
    engine: TransformersEngine, base: Path, tmp_path: Path, name: str
) -> None:
    path = write_kind(base, tmp_path / "adapter", KINDS[name])
    before, numbers = complete(engine, ask(1))[0].text, copy_numbers(engine)
    laid = [(path, 1.0)]
    tuned, beside = complete(engine, ask(2, adapters=laid), ask(3))
    assert tuned.text == generate(engine, base, ask(2), laid)
    assert tuned.text != before
    assert beside.text == before == complete(engine, ask(4))[0].text
    assert same(copy_numbers(engine), numbers)


def test_an_adapter_beside_one_that_brings_its_own_embeddings_is_not_changed_by_it(
    engine: TransformersEngine, base: Path, tmp_path: Path
) -> None:
    plain = write_kind(base, tmp_path / "plain", KINDS["lora"])
    whole = write_kind(base, tmp_path / "whole", KINDS["saved embeddings"])
    before = complete(engine, ask(1, adapters=[(plain, 1.0)]))[0].text
    complete(engine, ask(2, adapters=[(whole, 1.0)]))
    assert complete(engine, ask(3, adapters=[(plain, 1.0)]))[0].text == before


@pytest.mark.parametrize("name", WHOLE)
def test_what_replaces_tensors_of_the_base_has_no_scale_and_blends_with_nothing(
    engine: TransformersEngine, base: Path, tmp_path: Path, name: str
) -> None:
    whole = write_kind(base, tmp_path / "whole", KINDS[name])
    plain = write_kind(base, tmp_path / "plain", KINDS["lora"])
    with pytest.raises(ModelError, match="no scale"):
        engine.submit(ask(1, adapters=[(whole, 0.5)]))
    with pytest.raises(ModelError, match="replaces tensors of the base"):
        engine.submit(ask(1, adapters=[(whole, 1.0), (plain, 1.0)]))


def test_an_embedding_smuggled_into_a_plain_lora_is_its_own(
    engine: TransformersEngine, base: Path, tmp_path: Path
) -> None:
    path = write_kind(base, tmp_path / "smuggled", KINDS["lora"])
    file = path / "adapter_model.safetensors"
    tensors = load_file(file)
    shape = engine._adapters._model.get_input_embeddings().weight.shape
    save_file({**tensors, "base_model.model.model.embed_tokens.weight": torch.ones(shape)}, file)
    before, numbers = complete(engine, ask(1))[0].text, copy_numbers(engine)
    complete(engine, ask(2, adapters=[(path, 1.0)]))
    assert complete(engine, ask(3))[0].text == before
    assert same(copy_numbers(engine), numbers)


def test_a_base_that_an_adapter_changes_all_the_same_is_restored_and_the_adapter_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(base)
    before, numbers = complete(engine, ask(1))[0].text, copy_numbers(engine)
    path = write_kind(base, tmp_path / "whole", KINDS["saved embeddings"])
    monkeypatch.setattr(SharedWeights, "guard", lambda self, module: None)
    with pytest.raises(ModelError, match=r"refused.*changed the base.*embed_tokens") as raised:
        engine.submit(ask(2, adapters=[(path, 1.0)]))
    assert "restored" in raised.value.hint
    assert same(copy_numbers(engine), numbers)
    assert complete(engine, ask(3))[0].text == before


def test_a_base_that_cannot_be_restored_answers_nothing_any_more(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(base)
    path = write_kind(base, tmp_path / "whole", KINDS["saved embeddings"])
    monkeypatch.setattr(SharedWeights, "guard", lambda self, module: None)
    monkeypatch.setattr(engine._adapters._loaded, "_reload", None)
    for request in (ask(2, adapters=[(path, 1.0)]), ask(3)):
        with pytest.raises(ModelError, match="changed the base"):
            engine.submit(request)


@pytest.mark.parametrize("place", [0, -1])
def test_one_number_of_a_small_tensor_that_changed_is_found(base: Path, place: int) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    weights = SharedWeights(model)
    assert weights.find_changed() == ()
    with torch.no_grad():
        model.model.norm.weight[place] += 1e-3
    assert weights.find_changed() == ("model.norm.weight",)
