"""Arguments and options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BenchFile = Annotated[
    Path | None, typer.Argument(metavar="FILE.bench.yaml", help="Bench file. Default: the one in this folder.")
]
RunId = Annotated[
    str, typer.Argument(metavar="RUN", help="Run ID (a prefix is enough), `last`, `last~1`, or `baseline`.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

Variants = Annotated[list[str] | None, typer.Option("--variant", metavar="NAME", help="Only this variant. Repeatable.")]
Sample = Annotated[
    int | None, typer.Option("--sample", min=1, metavar="N", help="A random sample of N cases; see --seed.")
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of --sample. Default: 0.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N cases.")]
Metric = Annotated[
    str, typer.Option("--metric", metavar="NAME", help="Score to compare by. Default: the bench's first.")
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Bit-identical answers from run to run; slower, nothing is batched.")
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Run the bench's own Python scorers and tools as they are now, without asking.")
]

Csv = Annotated[bool, typer.Option("--csv", help="Print every cell as CSV.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the results as Markdown.")]
Reports = Annotated[
    list[Path] | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write a .html, .md, .json, .csv, .parquet, .xml (JUnit), .eee.jsonl or _samples.jsonl file. Repeatable.",
    ),
]

PageReports = Annotated[
    list[Path] | None, typer.Option("--report", metavar="FILE", help="Write a .html, .md or .json report. Repeatable.")
]
"""of a verdict or a search, which have no cells to list"""

StoreFile = Annotated[
    Path | None, typer.Option("--store", metavar="FILE", help="Use this store of runs instead of your own.")
]

Ray = Annotated[
    str,
    typer.Option(
        "--ray", metavar="[ADDRESS]", help="Use the nodes of a Ray cluster. Default address: the one of this machine."
    ),
]

Dtype = Annotated[
    str, typer.Option("--dtype", metavar="TYPE", help="Hugging Face models: float32, float16 or bfloat16.")
]
Quantization = Annotated[
    str, typer.Option("--quantization", metavar="BITS", help="Hugging Face models: 8bit or 4bit (needs bitsandbytes).")
]
