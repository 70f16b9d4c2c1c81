"""Adapters laid over a base: the same answers as peft gives by itself, alone and side by side."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peft  # noqa: TID253 - the yardstick
import pytest
import torch  # noqa: TID253 - the yardstick
from answers import ask, complete, generate, open_engine
from hf_fixture import LINEAR, write_adapter, write_hf, write_tokenizer
from safetensors.torch import load_file, save_file

from workbench.errors import ModelError
from workbench.inference.transformers.engine import TransformersEngine
from workbench.models.reference import Adapter, Applied

KINDS: dict[str, Callable[[], peft.PeftConfig]] = {
    "lora": lambda: peft.LoraConfig(r=4, target_modules=LINEAR),
    "attention only": lambda: peft.LoraConfig(r=3, lora_alpha=12, target_modules=["q_proj", "v_proj"]),
    "rslora": lambda: peft.LoraConfig(r=4, use_rslora=True, target_modules=LINEAR),
    "patterns": lambda: peft.LoraConfig(
        r=4, target_modules=LINEAR, rank_pattern={"q_proj": 2, "layers.1.mlp.up_proj": 6}, alpha_pattern={"v_proj": 20}
    ),
    "one layer": lambda: peft.LoraConfig(r=4, target_modules=LINEAR, layers_to_transform=[1]),
    "embedding": lambda: peft.LoraConfig(r=4, target_modules=["embed_tokens", "q_proj"]),
    "dora": lambda: peft.LoraConfig(r=4, use_dora=True, target_modules=LINEAR),
    "head": lambda: peft.LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["lm_head"]),
    "ia3": lambda: peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "prefix": lambda: peft.PrefixTuningConfig(num_virtual_tokens=5),
    "projected prefix": lambda: peft.PrefixTuningConfig(
        num_virtual_tokens=5, prefix_projection=True, encoder_hidden_size=8
    ),
    "prompt": lambda: peft.PromptTuningConfig(num_virtual_tokens=5),
}
SCALED = ("lora", "attention only", "rslora", "patterns", "embedding", "dora")
MIXED = ("lora", "attention only", "rslora", "patterns", "one layer")


@pytest.fixture(scope="module")
def adapters(tiny_hf: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {
        name: write_adapter(tiny_hf, folder / name, config(), seed) for seed, (name, config) in enumerate(KINDS.items())
    }


@pytest.fixture(scope="module")
def engine(tiny_hf: Path) -> Iterator[TransformersEngine]:
    made = open_engine(tiny_hf)
    yield made
    made.close()


def apply(engine: TransformersEngine, path: Path, scale: float = 1.0) -> None:
    engine._adapters.apply([Applied(Adapter(path.name, path), scale)], ())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_adapter_answers_as_peft_does(
    engine: TransformersEngine, tiny_hf: Path, adapters: dict[str, Path], kind: str
) -> None:
    request = ask(1, adapters=[(adapters[kind], 1.0)])
    answer = complete(engine, request)[0]
    assert answer.text == generate(engine, tiny_hf, request, [(adapters[kind], 1.0)])
    assert answer.text != complete(engine, ask(2))[0].text
    assert answer.prompt_tokens == len(engine.tokenize(request).ids)


@pytest.mark.parametrize("kind", SCALED)
@pytest.mark.parametrize("scale", [0.5, -1.0])
def test_a_scale_is_applied_as_peft_applies_it(
    engine: TransformersEngine, tiny_hf: Path, adapters: dict[str, Path], kind: str, scale: float
) -> None:
    laid = [(adapters[kind], scale)]
    request = ask(1, adapters=laid)
    assert complete(engine, request)[0].text == generate(engine, tiny_hf, request, laid)


def test_a_scale_of_nothing_is_the_base(engine: TransformersEngine, adapters: dict[str, Path]) -> None:
    base, off = complete(engine, ask(1), ask(2, adapters=[(adapters["lora"], 0.0)]))
    assert base.text == off.text


@pytest.mark.parametrize("kinds", [("lora", "rslora"), ("attention only", "patterns"), ("dora", "lora")])
def test_a_blend_answers_as_adapters_that_are_active_together(
    engine: TransformersEngine, tiny_hf: Path, adapters: dict[str, Path], kinds: tuple[str, str]
) -> None:
    laid = [(adapters[kinds[0]], 0.5), (adapters[kinds[1]], 0.7)]
    request = ask(1, adapters=laid)
    blended, turned = complete(engine, request, ask(2, adapters=laid[::-1]))
    assert blended.text == turned.text == generate(engine, tiny_hf, request, laid)


def test_a_batch_of_everything_answers_as_each_does_alone(
    engine: TransformersEngine, adapters: dict[str, Path]
) -> None:
    sets: list[list[tuple[Path, float]]] = [[]]
    sets += [[(path, 1.0)] for path in adapters.values()]
    sets += [[(adapters["lora"], 0.5)], [(adapters["lora"], 0.5), (adapters["rslora"], 0.5)], []]
    sets += [[(adapters["lora"], 1.0), (adapters["prefix"], 1.0)]]
    requests = [ask(number, adapters=laid) for number, laid in enumerate(sets)]
    alone = [complete(engine, request)[0].text for request in requests]
    together = [answer.text for answer in complete(engine, *requests)]
    assert together == alone
    assert len(set(alone)) > len(KINDS)


def test_the_base_and_plain_loras_share_one_pass_over_the_weights(
    engine: TransformersEngine, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    evaluate = engine._cache.evaluate

    def watch(module: Any, inputs: Any, kept: int) -> Any:
        sizes.append(len(inputs))
        return evaluate(module, inputs, kept)

    monkeypatch.setattr(engine._cache, "evaluate", watch)
    laid: list[list[tuple[Path, float]]] = [[]] + [[(adapters[kind], 1.0)] for kind in MIXED]
    laid += [
        [(adapters["lora"], 0.5)],
        [(adapters["lora"], 0.5), (adapters["rslora"], 2.0)],
        [(adapters["prefix"], 1.0)],
    ]
    complete(engine, *(ask(number, adapters=one, max_tokens=4, stop=()) for number, one in enumerate(laid)))
    assert max(sizes) == len(laid)


def test_adapters_too_large_to_stack_answer_the_same(
    engine: TransformersEngine, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    laid: list[list[tuple[Path, float]]] = [[]] + [[(adapters[kind], 1.0)] for kind in SCALED]
    requests = [ask(number, adapters=one) for number, one in enumerate(laid)]
    stacked = [answer.text for answer in complete(engine, *requests)]
    monkeypatch.setattr("workbench.inference.transformers.batched_lora.MOST_STACKED", 0)
    assert [answer.text for answer in complete(engine, *requests)] == stacked


def test_another_scale_or_blend_of_loaded_adapters_loads_nothing(
    engine: TransformersEngine, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [(adapters["lora"], 1.0), (adapters["rslora"], 1.0)]
    before = complete(engine, ask(1, adapters=both))[0].text
    monkeypatch.setattr("workbench.inference.transformers.adapters.load_part", None)
    assert complete(engine, ask(1, adapters=[(path, 0.3) for path, _ in both]))[0].text != before


def test_weights_are_held_once(engine: TransformersEngine, adapters: dict[str, Path]) -> None:
    base = engine._adapters._model.model.layers[0].mlp.up_proj.weight
    for kind in ("lora", "dora", "ia3"):
        applied_adapters = engine._adapters.apply([Applied(Adapter(kind, adapters[kind]), 1.0)], ())
        module = applied_adapters.module.peft_model if kind == "lora" else applied_adapters.module
        found = [tensor for name, tensor in module.named_parameters() if "layers.0.mlp.up_proj" in name]
        assert any(tensor.data_ptr() == base.data_ptr() for tensor in found)


def test_an_adapter_that_was_trained_anew_is_read_anew(
    engine: TransformersEngine, tiny_hf: Path, adapters: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "changing"
    shutil.copytree(adapters["lora"], path)
    before = complete(engine, ask(1, adapters=[(path, 1.0)]))[0].text
    shutil.rmtree(path)
    write_adapter(tiny_hf, path, KINDS["lora"](), seed=99)
    assert complete(engine, ask(1, adapters=[(path, 1.0)]))[0].text != before


def test_overlays_that_nobody_uses_are_dropped(
    tiny_hf: Path, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.inference.transformers.adapters.MOST_KEPT", 2)
    engine = open_engine(tiny_hf)
    laid = [[(adapters[kind], scale)] for kind in MIXED for scale in (0.5, 1.0)]
    first = [complete(engine, ask(1, adapters=one))[0].text for one in laid]
    assert engine._adapters._shared is not None
    assert len(engine._adapters._shared.peft_model.peft_config) <= 2
    assert [complete(engine, ask(1, adapters=one))[0].text for one in laid] == first


@pytest.mark.parametrize("kinds", [("lora", "ia3"), ("prefix", "prompt")])
def test_what_cannot_be_laid_together_is_refused(
    engine: TransformersEngine, adapters: dict[str, Path], kinds: tuple[str, str]
) -> None:
    with pytest.raises(ModelError, match="together"):
        engine.submit(ask(1, adapters=[(adapters[kind], 1.0) for kind in kinds]))


@pytest.mark.parametrize("kind", ["ia3", "prefix", "prompt", "head"])
def test_an_adapter_without_a_scale_is_taken_whole_or_not_at_all(
    engine: TransformersEngine, adapters: dict[str, Path], kind: str
) -> None:
    with pytest.raises(ModelError, match="no scale"):
        engine.submit(ask(1, adapters=[(adapters[kind], 0.5)]))


def _cut(path: Path) -> None:
    file = path / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-64])


def _pickle(path: Path) -> None:
    (path / "adapter_model.safetensors").rename(path / "adapter_model.bin")


def _change(path: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    file = path / "adapter_model.safetensors"
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file)


def _drop(path: Path) -> None:
    _change(path, lambda tensors: tensors.pop(sorted(tensors)[0]))


def _widen(path: Path) -> None:
    _change(path, lambda tensors: tensors.update({sorted(tensors)[0]: torch.zeros(4, 99)}))


def _spoil(path: Path) -> None:
    _change(path, lambda tensors: tensors[sorted(tensors)[0]].fill_(float("nan")))


def _configure(**values: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        file = path / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_cut, "cut off"),
        (_pickle, "pickled"),
        (_drop, "lacks its lora_A"),
        (_widen, r"mlp.down_proj in layer 0 goes from 99 to 32 values"),
        (_spoil, "not numbers"),
        (_configure(peft_type="OFT"), "its type is OFT"),
        (_configure(peft_type="NEWEST"), "its type is NEWEST"),
        (_configure(r="many"), "describes no adapter"),
        (_configure(target_modules=["c_attn"]), "does not fit"),
        (_configure(init_lora_weights="pissa"), "pissa"),
        (lambda path: (path / "adapter_config.json").write_text("{"), "describes no adapter"),
        (lambda path: (path / "adapter_model.safetensors").unlink(), "has no adapter_model"),
    ],
)
def test_a_bad_adapter_is_refused_with_the_reason_and_harms_nothing(
    engine: TransformersEngine, adapters: dict[str, Path], tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    good = ask(1, adapters=[(adapters["lora"], 1.0)])
    before = complete(engine, good)[0].text
    path = tmp_path / "bad"
    shutil.copytree(adapters["lora"], path)
    damage(path)
    with pytest.raises(ModelError, match=words) as raised:
        engine.submit(ask(2, adapters=[(path, 1.0)]))
    assert raised.value.hint
    assert not engine.busy
    assert complete(engine, good)[0].text == before


def test_keys_of_a_newer_peft_are_left_aside(
    engine: TransformersEngine, adapters: dict[str, Path], tmp_path: Path
) -> None:
    path = Path(shutil.copytree(adapters["lora"], tmp_path / "newer"))
    _configure(use_moebius=True)(path)
    plain, newer = complete(engine, ask(1, adapters=[(adapters["lora"], 1.0)]), ask(2, adapters=[(path, 1.0)]))
    assert newer.text == plain.text


def test_an_adapter_given_twice_counts_with_both_scales(engine: TransformersEngine, adapters: dict[str, Path]) -> None:
    path = adapters["lora"]
    whole, halves = complete(engine, ask(1, adapters=[(path, 1.0)]), ask(2, adapters=[(path, 0.5), (path, 0.5)]))
    assert whole.text == halves.text


def test_a_prefix_of_another_shape_is_refused_before_it_touches_the_cache(
    engine: TransformersEngine, adapters: dict[str, Path], tmp_path: Path
) -> None:
    other = write_hf(tmp_path / "wide", num_key_value_heads=4)
    path = write_adapter(other, tmp_path / "for-wide", KINDS["prefix"]())
    before = complete(engine, ask(1, adapters=[(adapters["prefix"], 1.0)]))[0].text
    with pytest.raises(ModelError, match="shape"):
        engine.submit(ask(1, adapters=[(path, 1.0)]))
    assert complete(engine, ask(1, adapters=[(adapters["prefix"], 1.0)]))[0].text == before


def test_an_adapter_for_another_width_is_refused(engine: TransformersEngine, tmp_path: Path) -> None:
    other = write_hf(tmp_path / "wide", hidden_size=64)
    path = write_adapter(other, tmp_path / "for-wide", KINDS["lora"]())
    with pytest.raises(ModelError, match="hidden size of 64"):
        engine.submit(ask(1, adapters=[(path, 1.0)]))


def test_a_gguf_adapter_is_pointed_to_its_other_form(engine: TransformersEngine, tmp_path: Path) -> None:
    applied = Applied(Adapter("a", tmp_path / "a.gguf", "gguf"), 1.0)
    with pytest.raises(ModelError, match="PEFT"):
        engine._adapters.apply([applied], ())


SLOW = "(([a-z._0-9]+)+)+!"


@pytest.mark.parametrize(
    "config",
    [
        {"target_modules": SLOW},
        {"exclude_modules": SLOW},
        {"alpha_pattern": {SLOW: 4}},
        {"rank_pattern": {SLOW: 4}},
        {"target_modules": r"(?=(a|a)*b)((.|[a-z])+)+\1!"},
    ],
)
def test_an_expression_that_would_be_matched_for_ever_is_refused_or_matched_soon(
    engine: TransformersEngine, adapters: dict[str, Path], tmp_path: Path, config: dict[str, Any]
) -> None:
    path = Path(shutil.copytree(adapters["lora"], tmp_path / "slow"))
    _configure(**config)(path)
    started = time.monotonic()
    try:
        complete(engine, ask(1, adapters=[(path, 1.0)]))  # it may match nothing, and change nothing
    except ModelError as error:
        assert "regular expression" in error.message or "target" in error.message
    assert time.monotonic() - started < 120  # peft alone needs longer than anyone lives


@pytest.mark.parametrize("key", ["modules_to_save", "layers_pattern"])
def test_an_expression_where_names_belong_is_refused(
    engine: TransformersEngine, adapters: dict[str, Path], tmp_path: Path, key: str
) -> None:
    path = Path(shutil.copytree(adapters["lora"], tmp_path / "slow"))
    _configure(**{key: [SLOW]})(path)
    with pytest.raises(ModelError):
        engine.submit(ask(1, adapters=[(path, 1.0)]))


@pytest.mark.parametrize(
    "config",
    [
        {"target_modules": r"model\.layers\.\d+\.self_attn\.(q|v)_proj"},
        {"target_modules": r".*\.(up|down)_proj", "exclude_modules": r".*layers\.0\..*"},
        {"target_modules": LINEAR, "rank_pattern": {r"layers\.[1].*up_proj": 6}, "alpha_pattern": {"[qk]_proj": 20}},
    ],
)
def test_expressions_mean_what_they_mean_to_peft(
    engine: TransformersEngine, tiny_hf: Path, adapters: dict[str, Path], tmp_path: Path, config: dict[str, Any]
) -> None:
    path = write_adapter(tiny_hf, tmp_path / "patterns", peft.LoraConfig(r=4, **config))
    for laid in ([(path, 1.0)], [(adapters["lora"], 0.5), (path, 0.5)]):
        request = ask(1, adapters=laid)
        assert complete(engine, request)[0].text == generate(engine, tiny_hf, request, laid)


def test_a_chat_template_or_tokens_beside_an_adapter_that_are_not_used_are_said(
    engine: TransformersEngine, adapters: dict[str, Path], tmp_path: Path
) -> None:
    def notes(path: Path) -> tuple[str, ...]:
        return complete(engine, ask(1, adapters=[(path, 1.0)], max_tokens=1))[0].notes

    assert notes(adapters["lora"]) == ()
    path = Path(shutil.copytree(adapters["lora"], tmp_path / "own"))
    write_tokenizer(path)
    assert notes(path) == ()  # the same as the base's
    other = Path(shutil.copytree(adapters["lora"], tmp_path / "other"))
    made = write_tokenizer(other, "{{ messages[0].content }}")
    made.add_tokens(["<|call|>"], special_tokens=True)
    made.save_pretrained(other)
    template, tokenizer = notes(other)
    assert "other comes with another chat template" in template
    assert "1 added tokens" in tokenizer
    assert "<|call|>" in tokenizer
