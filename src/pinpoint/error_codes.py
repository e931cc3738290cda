"""Every code that a caller, an operator or somebody at the command line can meet: what it means, and what helps.

The tables of docs/api.md are made from it, and a test finds every code in the sources to be here, and the other way.
Codes are stable: one may be added, none changes its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# What it ends: the whole job; one document, whose neighbours are answered; the load of the model, with the job that
# asked for it; a command of `python -m pinpoint`; a call of the client, which is told by no worker.
Scope = Literal["job", "document", "load", "command", "client"]


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code.

    Attributes:
        code: as it stands on the wire.
        of: what it ends.
        meaning: what was found.
        remedy: what to do about it.
    """

    code: str
    of: tuple[Scope, ...]
    meaning: str
    remedy: str


_JOB: tuple[Scope, ...] = ("job",)
_DOCUMENT: tuple[Scope, ...] = ("document",)
_BOTH: tuple[Scope, ...] = ("job", "document")
_LOAD: tuple[Scope, ...] = ("load",)
_LOAD_COMMAND: tuple[Scope, ...] = ("load", "command")
_COMMAND: tuple[Scope, ...] = ("command",)
_JOB_COMMAND: tuple[Scope, ...] = ("job", "command")
_CLIENT: tuple[Scope, ...] = ("client",)

_FETCH = "fetch the model again"
_OTHER_MODEL = "another model"
_REPORT = "report it"

ERROR_CODES = (
    # The request.
    ErrorCode("invalid_request", _JOB, "not a job, not an object, or a hypothesis template without `{}`",
              "send the shape above"),
    ErrorCode("invalid_json", _JOB, "the job as it was handed over is not JSON that can be read", "send strict JSON"),
    ErrorCode("invalid_encoding", ("job", "document", "command"),
              "the job as it was handed over, or a file of `evaluate`, is not UTF-8; a document is not in its encoding",
              "send it in UTF-8, name the charset in `mime`; `evaluate` takes `--encoding`"),
    ErrorCode("missing_field", _JOB, "a required field, or the job's input, is missing or empty",
              "add it; for a prior, one for each label"),
    ErrorCode("unknown_field", _JOB, "no field of this name here", "correct the name; the message has the nearest"),
    ErrorCode("not_supported", _JOB, "in a decision format: images and other assets", "send text"),
    ErrorCode("conflicting_fields", _JOB, "two forms of one thing, or options that exclude each other", "send one"),
    ErrorCode("wrong_type", _JOB, "a value of another JSON type", 'send the type named; "5" is no number'),
    ErrorCode("out_of_range", _JOB, "a number or choice outside its range", "send one inside"),
    ErrorCode("too_large", _JOB, "over a limit", "send several requests, or shorten"),
    ErrorCode("invalid_unicode", _BOTH,
              "half of a surrogate pair; alone in a document it fails only that document", "send whole characters"),
    ErrorCode("empty_text", _BOTH,
              "nothing visible in a document; it fails only that document, and the job where it is the only one",
              "leave the document out"),
    ErrorCode("unknown_route", _JOB, "a route that is not there", "one that the message names"),
    ErrorCode("unknown_model_name", _JOB, "in a decision format: a `model` that is not served here",
              "a name of the message, or `PINPOINT_SERVED_MODEL_NAMES`"),
    ErrorCode("invalid_api_key", ("job", "client"), "over HTTP: the key is missing or wrong",
              "`authorization: Bearer KEY`; client: `api_key`, RUNPOD_API_KEY, or PINPOINT_API_KEY for a server"),
    ErrorCode("body_too_large", _JOB, "over HTTP: a body over `PINPOINT_MAX_BODY_BYTES`", "send several requests"),
    ErrorCode("body_too_slow", _JOB, "over HTTP: a body that took longer than `PINPOINT_BODY_S`", "send it again"),
    ErrorCode("not_json", _JOB, "over HTTP: a body of another kind, or packed in another way",
              "`content-type: application/json`; gzip and zstd are unpacked"),
    # Its labels and names.
    ErrorCode("invalid_label", _JOB, "a label without visible characters, with a line break, or without tokens",
              "reword it"),
    ErrorCode("label_too_long", _JOB, "a label's name over the limit", "move the meaning to `description`"),
    ErrorCode("duplicate_label", _JOB,
              "two labels that nobody, or not the model, can tell apart; or two equal label ids", "reword one"),
    ErrorCode("too_few_labels", _JOB,
              "fewer labels than there must be, an empty group, a group of one, or a mask that leaves none",
              "add labels, or shorten the mask"),
    ErrorCode("too_many_labels", _JOB, "more labels than a task may have", "split the list"),
    ErrorCode("labels_too_long", _JOB, "the prompt with its labels leaves no room for a document",
              "shorten or split the list"),
    ErrorCode("invalid_id", _JOB, "an id (the job's as well) or a task's name that cannot be shown on one line",
              "change it"),
    ErrorCode("duplicate_id", _JOB, "a document's id that another has", "change it"),
    ErrorCode("unknown_id", _JOB, "`mask` or `prior` names no label of the task", "correct it"),
    # Files.
    ErrorCode("unknown_taxonomy", _JOB, "no taxonomy of this name is deployed, or its file was refused at the start",
              "a name of the message, or `PINPOINT_TAXONOMIES`; [taxonomies.md](taxonomies.md)"),
    ErrorCode("invalid_taxonomy", ("job", "command"),
              "a taxonomy's file that is not plain YAML or JSON in UTF-8; the message has the line", "correct it"),
    ErrorCode("cyclic_tree", ("job", "command"), "an alias in a taxonomy's file stands inside of what it names",
              "write the labels out"),
    ErrorCode("invalid_base64", _DOCUMENT, "`base64` has something in it that is not of the alphabet, or lacks its end",
              "encode the file's bytes and nothing else"),
    ErrorCode("empty_file", _DOCUMENT, "a file of no bytes", "leave it out"),
    ErrorCode("file_too_large", _DOCUMENT, "more bytes than a file may have", "`PINPOINT_MAX_FILE_BYTES`"),
    ErrorCode("mime_mismatch", _DOCUMENT, "the file is not what `mime` says; the message names both", "correct `mime`"),
    ErrorCode("ambiguous_type", _DOCUMENT, "the bytes are files of two types at once", "a file that is one thing"),
    ErrorCode("unsupported_type", _DOCUMENT, "a type of file that is not read; the message names it",
              "save it as one of those that are"),
    ErrorCode("file_damaged", _DOCUMENT, "the file is cut short, or cannot be read as what it is", "send it again"),
    ErrorCode("pdf_encrypted", _DOCUMENT, "a PDF that needs a password", "send it without one"),
    ErrorCode("file_encrypted", _DOCUMENT, "another file that needs a password", "send it without one"),
    ErrorCode("file_expands", _DOCUMENT, "more comes out of the file than is read of one: a bomb", "a smaller one"),
    ErrorCode("file_text_too_long", _DOCUMENT, "more text than a document may have", "send its parts"),
    ErrorCode("too_many_pages", _DOCUMENT, "more pages than a document may have", "send its parts"),
    ErrorCode("too_many_attachments", _DOCUMENT, "a mail with more attachments or parts than are read",
              "send them alone"),
    ErrorCode("nested_too_deep", _DOCUMENT, "parts in parts, or elements in elements, deeper than is read",
              "send the inner part"),
    ErrorCode("image_too_large", _DOCUMENT, "a picture of more pixels than are unpacked", "scale it down"),
    ErrorCode("unsafe_xml", _DOCUMENT, "XML in the file declares entities or a document type", "save it anew"),
    ErrorCode("unsafe_archive", _DOCUMENT, "a name in the file points outside of it", "save it anew"),
    ErrorCode("file_timeout", _DOCUMENT, "reading the file took too long", "`PINPOINT_FILE_S`, `PINPOINT_OCR_S`"),
    ErrorCode("file_memory", _DOCUMENT, "reading the file took too much memory", "a smaller one"),
    ErrorCode("parser_failed", _DOCUMENT, "the process that read the file ended: damaged, hostile, or too large",
              "save it anew"),
    ErrorCode("readers_unavailable", _DOCUMENT, "no process could be started to read the file; the log says why",
              "more memory, fewer `PINPOINT_FILE_PROCESSES`"),
    ErrorCode("needs_ocr", _DOCUMENT, "its pages are pictures, and OCR is off or not installed; the message says which",
              "`PINPOINT_OCR=on`, `pip install -r requirements-ocr.txt`"),
    ErrorCode("url_not_allowed", _DOCUMENT, "an address that may not be fetched: its scheme, host, port, or a user",
              "`PINPOINT_URL_ALLOWLIST`"),
    ErrorCode("url_address_refused", _DOCUMENT, "an address that leads into a private network", "a public one"),
    ErrorCode("fetch_failed", _DOCUMENT, "the file cannot be fetched: no answer, no 200, or a damaged body",
              "see whether the address still holds"),
    ErrorCode("fetch_timeout", _DOCUMENT, "fetching the file took too long", "`PINPOINT_FETCH_S`"),
    # Its way through the worker.
    ErrorCode("document_too_long", _DOCUMENT,
              'see "error" above; the field is `documents[i]` in the short form too',
              "shorten it, or use another mode"),
    ErrorCode("out_of_memory", _DOCUMENT, "a question about this document, all by itself, did not fit the device",
              "a lower `PINPOINT_TOKEN_BUDGET`, or a shorter document"),
    ErrorCode("response_too_large", _JOB, "the answer is over the size limit", "fewer documents, or `top_k`"),
    ErrorCode("result_refused", _JOB, "the platform refused the answer for half a minute",
              "a shorter answer: fewer documents, or `top_k`"),
    ErrorCode("overloaded", _JOB, "more waits on this worker than it takes",
              "send it again later, add workers, or see `PINPOINT_MAX_QUEUED_TOKENS`"),
    ErrorCode("deadline_exceeded", _JOB, "not answered in time",
              "fewer documents, more workers, or a longer `executionTimeout`, in the job's policy or as "
              "`PINPOINT_JOB_DEADLINE_S`"),
    ErrorCode("draining", _JOB, "over HTTP: the server was told to end", "send it to another worker, or again later"),
    ErrorCode("conflict", _JOB, "a job of this id, with another input, is on this worker or was answered by it",
              "a new id"),
    ErrorCode("poison_job", _JOB, "two workers ended while they computed it",
              "look at their logs; a new id, to try all the same"),
    ErrorCode("device_error", _JOB, "the GPU failed; the worker leaves and is replaced", "send it again"),
    ErrorCode("internal", _JOB, "a fault of the worker; its log has the place", _REPORT),
    ErrorCode("not_serialisable", _JOB, "a fault of the worker: an answer that is not JSON", _REPORT),
    ErrorCode("invalid_measurement", _JOB, "a fault of the worker: a score that is no number", _REPORT),
    ErrorCode("invalid_task", _JOB, "a fault of the worker: a task without a label to answer", _REPORT),
    # Settings, and the model's files.
    ErrorCode("invalid_setting", _LOAD_COMMAND, "an environment variable has a value that it cannot have; the worker "
              "ends at its start", "the message names it and what it takes ([settings.md](settings.md))"),
    ErrorCode("no_gpu", _LOAD, "the model needs a GPU and none is visible", "a GPU worker, or the embedded model"),
    ErrorCode("model_not_found", _LOAD_COMMAND,
              "not on this machine, and no name on the Hub or downloads are forbidden; it says where it looked",
              "correct `MODEL_NAME`"),
    ErrorCode("download_failed", _LOAD, "the Hub did not give it", "a token for a gated model; the network"),
    ErrorCode("upload_failed", _COMMAND, "the Hub did not take a checkpoint of `quantize --push`",
              "a token that may write; the same command again"),
    ErrorCode("model_unreadable", _LOAD_COMMAND, "not a checkpoint; the message names the file", "use one that is"),
    ErrorCode("no_safetensors", _LOAD_COMMAND, "not in safetensors", "use a checkpoint that is"),
    ErrorCode("file_not_fetched", _LOAD, "a Git LFS pointer in place of a file", _FETCH),
    ErrorCode("tokenizer_missing", _LOAD, "the model comes without its tokenizer", _FETCH),
    ErrorCode("config_incomplete", _LOAD_COMMAND, "`config.json` lacks a size that the model needs, or it is no number",
              "the model's own `config.json`"),
    ErrorCode("shard_missing", _LOAD_COMMAND, "a weight file, which it names, is missing", _FETCH),
    ErrorCode("shard_damaged", _LOAD_COMMAND,
              "a weight file, which it names, is cut short or damaged, or has a tensor that another one has otherwise",
              _FETCH),
    ErrorCode("kernels_unreadable", _COMMAND, "no list of kernels, or one of another version of Triton",
              "a list that a worker of this version left in its `TRITON_CACHE_DIR`"),
    ErrorCode("index_damaged", _LOAD_COMMAND, "the index of the weight files cannot be read", _FETCH),
    ErrorCode("checkpoint_incomplete", _LOAD_COMMAND, "tensors that the configuration needs are missing", _FETCH),
    ErrorCode("checkpoint_unsuitable", _LOAD_COMMAND,
              "tensors have another shape or type than the configuration needs, no place in it, or are there twice",
              _FETCH),
    ErrorCode("weight_not_finite", _LOAD_COMMAND, "a weight is NaN or infinite", _FETCH),
    ErrorCode("checksum_mismatch", _LOAD, "`PINPOINT_VERIFY_CHECKSUMS` is set, and a file is not as it was written",
              "fetch or write it again"),
    ErrorCode("no_checksums", _LOAD, "`PINPOINT_VERIFY_CHECKSUMS` is set, and nothing says how the files were written",
              "fetch or write it again"),
    ErrorCode("checksums_damaged", _LOAD, "`PINPOINT_VERIFY_CHECKSUMS` is set, and `SHA256SUMS` cannot be read",
              "fetch or write it again"),
    # What the model is.
    ErrorCode("unsupported_family", _LOAD_COMMAND, "its labels cannot be scored exactly, and why",
              "another model ([models.md](models.md))"),
    ErrorCode("unsupported_head", _LOAD_COMMAND, "its last layer is not one that Pinpoint computes exactly",
              _OTHER_MODEL),
    ErrorCode("unsupported_attention", _LOAD, "its attention is not one that Pinpoint computes, and how", _OTHER_MODEL),
    ErrorCode("model_unproven", _LOAD, "what is scored differs from the model's own forward pass; the message has the "
              "number and the part that differs", "another model; report it"),
    ErrorCode("unsupported_head_size", _LOAD, "attention on a GPU does not take heads of that many channels",
              _OTHER_MODEL),
    ErrorCode("unsupported_experts", _LOAD_COMMAND, "experts that cannot be held in `PINPOINT_PRECISION`",
              "the precision that the message names"),
    ErrorCode("precision_unsuitable", _LOAD_COMMAND,
              "the model cannot be held in `PINPOINT_PRECISION`, or the card does not compute it",
              "the precision that the message names"),
    ErrorCode("quantised_elsewhere", _LOAD_COMMAND, "the checkpoint is quantised by another method",
              "its 16-bit original"),
    ErrorCode("adapter_unmerged", _LOAD, "an adapter, beside a model or alone", "merge it into its base model"),
    ErrorCode("chat_template", _LOAD,
              "the chat template does not allow exact scores; its own words are in the message", _OTHER_MODEL),
    ErrorCode("label_boundary", _LOAD, "its tokens merge across the place where a label begins, or are the same for "
              "ordinary labels", _OTHER_MODEL),
    ErrorCode("no_stop_token", _LOAD, "no token ends the model's turn", _OTHER_MODEL),
    ErrorCode("unsafe_tokenizer", _LOAD, "a document's text could become a control token", _OTHER_MODEL),
    ErrorCode("tokenizer_too_large", _LOAD, "tokens that the model has no embedding for", "the model's own tokenizer"),
    ErrorCode("context_too_short", _LOAD, "no prompt with a document has room in what the model reads", _OTHER_MODEL),
    ErrorCode("prompt_version", _LOAD, "its configuration names a version of the prompt that this worker has not",
              "the worker that the model was made for"),
    # The card.
    ErrorCode("does_not_fit", _LOAD, "the GPU has not the memory; the message has the numbers and what fits",
              "`python -m pinpoint plan`"),
    ErrorCode("card_in_use", _LOAD, "other processes hold memory that the plan needs", "a GPU of one's own"),
    ErrorCode("warm_up_out_of_memory", _LOAD, "the first pass ran out of memory that the plan allows it",
              "a lower `PINPOINT_TOKEN_BUDGET`"),
    ErrorCode("misplaced_tensor", _LOAD, "a tensor is not on the device after loading", _REPORT),
    ErrorCode("experts_not_quantised", _LOAD, "experts are not in the precision asked for after loading", _REPORT),
    # Commands.
    ErrorCode("unknown_model", _COMMAND, "`plan`: neither a known model nor a folder with a `config.json`",
              "a folder that holds its `config.json`"),
    ErrorCode("not_planned", _COMMAND, "`plan`: a family that is measured while it is loaded", "load it, and see"),
    ErrorCode("unknown_card", _COMMAND, "`plan`, `classify --price`: no card of this name, or several",
              'its memory, such as "48GB"; the price of its second'),
    ErrorCode("missing_column", _COMMAND, "`classify --out`: the table has no column of this name",
              "`--text`, `--id`"),
    ErrorCode("missing_extra", _COMMAND, "`classify --out`, `evaluate --out`: a library that it needs is not installed",
              "`pip install`, as the message says"),
    ErrorCode("unknown_format", _COMMAND, "`classify --out`: results are not written in this format",
              "a name that ends in .jsonl, .csv or .parquet"),
    ErrorCode("output_of_another_run", _COMMAND,
              "`classify --out`, `evaluate`: the file or folder holds results of another question or of other sources,"
              " or is not ours", "another `--out`, or delete the file and its journal"),
    ErrorCode("output_in_use", _COMMAND, "`classify --out`: another process writes the file", "wait for it"),
    ErrorCode("journal_damaged", _COMMAND, "`classify --out`: the journal beside the output cannot be read",
              "delete both"),
    ErrorCode("unknown_endpoint", _CLIENT, "there is no such endpoint, or the address is no server of Pinpoint's",
              "the endpoint's id, as RunPod's console shows it; the server's address without a path"),
    ErrorCode("unreachable", _CLIENT, "no connection, after all tries", "the network, the address"),
    ErrorCode("rate_limited", _CLIENT, "too many requests (429), after all tries", "later, or less at a time"),
    ErrorCode("service_failed", _CLIENT, "the platform or server answered with a failure, after all tries",
              "its status page, its log"),
    ErrorCode("client_timeout", _CLIENT, "no answer within the client's own `timeout_s`",
              "a longer one; see whether the endpoint has workers"),
    ErrorCode("job_failed", _CLIENT, "a job failed, and not by an error of Pinpoint's: its worker ended, for one",
              "the endpoint's log"),
    ErrorCode("job_cancelled", _CLIENT, "somebody cancelled the job", "send it again"),
    ErrorCode("job_forgotten", _CLIENT, "the platform does not know the job any more: its answer was kept 30 minutes",
              "send it again"),
    ErrorCode("answer_unreadable", _CLIENT, "what was answered is not in Pinpoint's contract",
              "see whether the endpoint runs Pinpoint"),
    ErrorCode("already_quantised", _COMMAND, "`quantize`: the source is quantised", "its original"),
    ErrorCode("destination_in_use", _COMMAND, "`quantize`: the destination holds something else",
              "another folder, or what the message says"),
    ErrorCode("disk_full", _COMMAND, "`quantize`, `classify --out`: not enough room where it is to be written",
              "make room and run it again"),
    ErrorCode("cannot_write", _COMMAND,
              "`quantize`, `teach`, `review`: the destination cannot be written, or another `review` has it",
              "another folder or file"),
    ErrorCode("invalid_task_file", _LOAD_COMMAND, "a taught task's file, which it names, that does not hold together",
              "`python -m pinpoint teach` writes it anew"),
    ErrorCode("task_mismatch", _LOAD_COMMAND, "a task was taught with another model, build or list of labels; the "
              "message has what differs", "teach it anew, with this one"),
    ErrorCode("unreadable_file", ("document", "command"),
              "`classify`: a name that stands for no file, or a file that cannot be read; `evaluate`, `review`: the "
              "file cannot be opened, or is no text", "name another"),
    ErrorCode("invalid_line", ("document", "command"),
              "`evaluate`, `review`, `classify --out`: a line or row, which it names, that cannot be read",
              "correct it"),
    ErrorCode("unknown_label", _JOB_COMMAND, "a labelled document's label is not among those that may be answered",
              "correct one of them"),
    ErrorCode("too_few_documents", _JOB_COMMAND,
              "too few documents for what was asked of them; the message has the counts", "more labelled documents"),
    ErrorCode("one_class", _JOB_COMMAND, "`teach`: all labelled documents have the same label", "add some of others"),
)  # fmt: skip
