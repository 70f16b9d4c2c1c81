"""The cases of other suites that come out otherwise here, each with the reason, as docs/import.md has them."""

from __future__ import annotations

_MODEL = "the bench chooses the model; what a file says of it is named when the prompt is opened"
_TOOLS = "only functions are offered to a model; other tools are named when the prompt is opened"
_MISSING = "a variable without a value is an error, so that a typo cannot pass"
_STATE = "state is kept by Dotprompt's runtime and has no counterpart; such a file is not imported"
_CONTEXT = "what an application tells of its user has no counterpart; such a file is not imported"
_THIS = "`this` outside a block is all of the input, which has no name here"
_FETCHED = "a picture is a file or a data URL; nothing is fetched from an address"
_NAMED = "named schemas are registered in a program, which an import does not run; the loss list says so"
_ADDRESS = "a message holds pictures by their bytes, never by an address, and no audio"
_STRICT = "what a value brings is never a role, so that no input has to be refused for looking like one"

DEVIATIONS: dict[str, dict[str, str]] = {
    "dotprompt": {
        "helpers/json: arrays 1": _THIS,
        "helpers/json: basic 1": _THIS,
        "helpers/json: empty_values 1": _THIS,
        "helpers/json: indented 1": _THIS,
        "helpers/json: indented_4_spaces 1": _THIS,
        "helpers/json: nested_objects 1": _THIS,
        "helpers/media: basic 1": _FETCHED,
        "helpers/media: content_types 1": _FETCHED,
        "helpers/media: content_types 2": _FETCHED,
        "helpers/media: url_only 1": _FETCHED,
        "helpers/role: system_only_prompt 1": "a conversation so far stands where the template says, nowhere else",
        "metadata: metadata_context_variables 1": _CONTEXT,
        "metadata: metadata_context_variables 2": _CONTEXT,
        "metadata: metadata_context_variables 3": _CONTEXT,
        "metadata: metadata_state 1": _STATE,
        "metadata: metadata_state 2": _STATE,
        "metadata: metadata_state 3": _STATE,
        "picoschema: named_schema_override_description 1": _NAMED,
        "picoschema: nested_named_schema 1": _NAMED,
    },
    "prompty": {
        "render: missing_variable_renders_empty": _MISSING,
        "jinja: missing_variable_renders_empty": _MISSING,
        "jinja: b2_float_integral_minimal": "a number is printed as it was written: 1.0, not 1",
        "jinja: strict_forged_boundary_throws": _STRICT,
        "jinja: strict_multiline_boundary_throws": _STRICT,
        "parse: no_role_marker_defaults_to_system": "a body without any role is the user's message",
        "parse: empty_content": "an empty system message is not sent",
        "load: basic_load": _MODEL,
        "load: connection_types_load": _MODEL,
        "load: embedding_load": _MODEL,
        "load: file_reference_in_tree_allowed": _MODEL,
        "load: file_reference_traversal_rejected": "no file is read for a connection, inside the folder or outside",
        "load: file_resolution": _MODEL,
        "load: template_string_invalid": "files of version 1 are read too, which have such a template",
        "load: tools_custom_load": _TOOLS,
        "load: tools_function_load": _MODEL,
        "load: model_shorthand": _MODEL,
        "load: env_resolution": _MODEL,
        "load: env_default": _MODEL,
        "load: env_missing_error": _MODEL,
        "load: tools_mcp_load": _TOOLS,
        "load: tools_openapi_load": _TOOLS,
        "wire: chat_multipart_content": _ADDRESS,
        "wire: chat_image_part": _ADDRESS,
        "wire: chat_image_base64": _ADDRESS,
        "wire: options_additional_properties": "an option that no variant has is named when the prompt is opened",
        "wire: structured_output_nested_optional": "an optional field may be left out; it is not asked for as null",
        "wire: chat_audio_part": _ADDRESS,
        "wire: chat_audio_mp3": _ADDRESS,
        "wire: tools_strict_mode": "`strict` of a tool is not sent; `constrained_calls` of a variant does that",
    },
}
"""Suite -> case -> why."""
