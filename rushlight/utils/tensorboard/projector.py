"""Files for TensorBoard's projector: points, what they are called, their pictures."""

import os

from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import EmbeddingInfo, ProjectorConfig

from . import values


def write(log_dir, place, tag, points, metadata, pictures, header):
    """Writes the files of one embedding into the folder ``place`` of ``log_dir`` and enters it into projector_config.pbtxt.

    AssertionError where there are not as many texts or pictures as points.
    """
    points = values.array(points)
    if points.ndim != 2:
        raise AssertionError(f"mat should be 2D, where mat.size(0) is the number of data points\n  Its shape is {points.shape}.")
    folder = os.path.join(log_dir, *place.split("/"))
    os.makedirs(folder, exist_ok=True)
    found = EmbeddingInfo(tensor_name=f"{tag}:{place.partition('/')[0]}", tensor_path=f"{place}/tensors.tsv")
    if metadata is not None:
        if len(metadata) != len(points):
            raise AssertionError(f"#labels should equal with #data points\n  There are {len(metadata)} and {len(points)}.")
        _write_rows(os.path.join(folder, "metadata.tsv"), [header, *metadata] if header else metadata)
        found.metadata_path = f"{place}/metadata.tsv"
    if pictures is not None:
        shape = tuple(pictures.shape)
        if shape[0] != len(points):
            raise AssertionError(f"#images should equal with #data points\n  There are {shape[0]} and {len(points)}.")
        values.sprite(pictures).save(os.path.join(folder, "sprite.png"))
        found.sprite.image_path = f"{place}/sprite.png"
        found.sprite.single_image_dim.extend([shape[3], shape[2]])
    _write_rows(os.path.join(folder, "tensors.tsv"), points.tolist())
    with open(os.path.join(log_dir, "projector_config.pbtxt"), "a") as file:
        file.write(text_format.MessageToString(ProjectorConfig(embeddings=[found])))


def _write_rows(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write("\t".join(map(str, row)) if isinstance(row, (list, tuple)) else str(row))
            file.write("\n")
