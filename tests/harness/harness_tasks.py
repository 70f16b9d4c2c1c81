"""Small tasks of our own in lm-eval's form, with their data beside them."""

from __future__ import annotations

import json

CHOICES = """\
task: parcels
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/parcels.jsonl}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
doc_to_choice: ["the house", "my parcel"]
metric_list: [{{metric: acc}}]
metadata: {{version: 1}}
"""
GENERATION = """\
task: letters
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/parcels.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{target}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 6, do_sample: false, num_beams: 1}}
metric_list: [{{metric: exact_match}}]
metadata: {{version: 1}}
"""
PERPLEXITY = """\
task: words
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/parcels.jsonl}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{question}}}}"
metric_list: [{{metric: word_perplexity}}]
metadata: {{version: 1}}
"""
ROWS = [
    {"question": "Where is my parcel? It is in ", "answer": 0, "target": "the house"},
    {"question": "And mine?", "answer": 1, "target": "x"},
    {"question": "the kettle is here; Be kind. ünïcode", "answer": 0, "target": "y"},
]


def write_tasks(folder):
    """The tasks parcels, letters and words; the folder, for `include`."""
    (folder / "parcels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, text in (("parcels", CHOICES), ("letters", GENERATION), ("words", PERPLEXITY)):
        (folder / f"{name}.yaml").write_text(text.format(folder=folder))
    return folder
