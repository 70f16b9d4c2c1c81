"""Tiny Hugging Face folders that see, in LLaVA's and SmolVLM's shape, with random weights and a processor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
import transformers  # noqa: TID253
from hf_fixture import SHAPE, write_tokenizer

IMAGE = "<image>"
TYPED_CHAT = (
    "{% for message in messages %}{{ '<|' + message.role + '|>' }}"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}{{ '<image>' }}{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 7,
}
PICTURE_TOKENS = 16


def write_llava(folder: Path, chat_template: str = TYPED_CHAT) -> Path:
    """A CLIP encoder, LLaVA's projector and a llama."""
    tokenizer = write_tokenizer(folder, chat_template, (IMAGE,))
    image_id = tokenizer.convert_tokens_to_ids(IMAGE)
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**VISION),
        text_config=transformers.LlamaConfig(vocab_size=len(tokenizer) + 5, max_position_embeddings=200, **SHAPE),
        image_token_index=image_id,
        image_token_id=image_id,
        image_seq_length=PICTURE_TOKENS,
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    _write_model(folder, transformers.LlavaForConditionalGeneration, config)
    size = {"height": VISION["image_size"], "width": VISION["image_size"]}
    pixels = transformers.CLIPImageProcessor(size={"shortest_edge": VISION["image_size"]}, crop_size=size)
    processor = transformers.LlavaProcessor(
        pixels,
        tokenizer,
        patch_size=VISION["patch_size"],
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat_template,
    )
    processor.save_pretrained(folder)
    return folder


def write_gemma3(folder: Path) -> Path:
    """A SigLIP encoder and a Gemma 3, whose text model looks at a picture in both directions."""
    tokenizer = write_tokenizer(folder, TYPED_CHAT.replace(IMAGE, "<boi>"), (IMAGE, "<boi>", "<eoi>"))
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in (IMAGE, "<boi>", "<eoi>")}
    config = transformers.Gemma3Config(
        vision_config=transformers.SiglipVisionConfig(vision_use_head=False, **VISION),
        text_config=transformers.Gemma3TextConfig(
            vocab_size=len(tokenizer) + 5, max_position_embeddings=200, head_dim=8, **SHAPE
        ),
        mm_tokens_per_image=4,
        image_token_index=ids[IMAGE],
        boi_token_index=ids["<boi>"],
        eoi_token_index=ids["<eoi>"],
    )
    _write_model(folder, transformers.Gemma3ForConditionalGeneration, config)
    named = {"image_token": IMAGE, "boi_token": "<boi>", "eoi_token": "<eoi>"}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, extra_special_tokens=named)
    pixels = transformers.Gemma3ImageProcessor(size={"height": VISION["image_size"], "width": VISION["image_size"]})
    transformers.Gemma3Processor(pixels, tokenizer, image_seq_length=4).save_pretrained(folder)
    return folder


def write_qwen_vl(folder: Path, family: str = "Qwen2VL") -> Path:
    """Qwen2-VL or Qwen2.5-VL (`Qwen2_5_VL`): a picture has as many tokens as its size asks for, positions in two
    dimensions, and a text model that knows them."""
    controls = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    shown = "<|vision_start|><|image_pad|><|vision_end|>"
    chat_template = TYPED_CHAT.replace(IMAGE, shown)
    tokenizer = write_tokenizer(folder, chat_template, controls)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in controls}
    vision = {"depth": 2, "patch_size": 7, "spatial_merge_size": 2, "temporal_patch_size": 2, "num_heads": 2}
    if family == "Qwen2VL":
        vision |= {"embed_dim": 32, "hidden_size": SHAPE["hidden_size"], "mlp_ratio": 2}
    else:
        vision |= {"hidden_size": 32, "out_hidden_size": SHAPE["hidden_size"], "intermediate_size": 64}
        vision |= {"window_size": 28, "fullatt_block_indexes": [1]}
    text = {"vocab_size": len(tokenizer) + 5, "max_position_embeddings": 200, **SHAPE}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    config = getattr(transformers, f"{family}Config")(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    _write_model(folder, getattr(transformers, f"{family}ForConditionalGeneration"), config)
    pixels = transformers.Qwen2VLImageProcessor(patch_size=7, merge_size=2, min_pixels=14 * 14, max_pixels=70 * 70)
    pixels.save_pretrained(folder)
    named = {"processor_class": f"{family}Processor", "image_processor_type": "Qwen2VLImageProcessor"}
    settings = folder / "preprocessor_config.json"
    kept = json.loads(settings.read_text()) if settings.exists() else {}
    settings.write_text(json.dumps({**kept, **named}))
    return folder


def _write_model(folder: Path, kind: Any, config: Any) -> None:
    torch.manual_seed(1)
    model = kind(config)
    for name, parameter in model.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
