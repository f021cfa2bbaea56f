"""Whether a checkpoint's folder is the model that the record would name, checked before anything is started."""

from pathlib import Path

from helpers.core import paths
from helpers.core.errors import UserError
from helpers.models.embedding_archive import fetch_command
from helpers.models.llm.checkpoint import read_shape
from helpers.models.llm.gguf_checkpoint import folder_of, looks_made
from helpers.study.models import LanguageModel


def check_folder(folder: Path, name: str, model: LanguageModel) -> None:
    """Compare a checkpoint's folder with the entry of the catalogue that it is measured as.

    Args:
        folder: with the checkpoint.
        name: of the model in the catalogue.
        model: its entry.

    Raises:
        UserError: one line where the folder has still to be made from a GGUF file, or where its configuration has another
            shape than the entry: the record would be another model's.
    """
    if model.gguf is not None and folder == folder_of(model) and not looks_made(model):
        raise UserError(
            f"model={name}: its checkpoint {paths.relative(folder)} is not there or not complete; fetch it: "
            f"{fetch_command(name)}"
        )
    if not folder.is_dir():  # `find_checkpoint` says so
        return
    expected = {
        "num_hidden_layers": model.layers,
        "hidden_size": model.hidden_size,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
    }
    for key, value in read_shape(folder).items():
        if value != expected[key]:
            raise UserError(
                f"checkpoint {folder}: its config.json has {key} {value}, {name} has {expected[key]}: it is another model; "
                f"give a checkpoint of {name}, or make an entry for this one in data/study/models.yaml"
            )
