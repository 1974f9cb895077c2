"""What an evaluation says at the terminal, and how it is kept."""

import numpy as np
import pytest

from pairlens.assess import table, write_arrays


def test_arrays_are_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "neighbours.npz"
    write_arrays(path, {"queries": np.arange(3)})

    def killed(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", killed)
        with pytest.raises(KeyboardInterrupt):
            write_arrays(path, {"queries": np.arange(5)})
    assert np.load(path)["queries"].tolist() == [0, 1, 2]
    write_arrays(path, {"queries": np.arange(4)})
    assert np.load(path)["queries"].tolist() == [0, 1, 2, 3]
    assert [file.name for file in tmp_path.iterdir()] == ["neighbours.npz"]


def test_the_table_names_what_was_compared():
    def both(share):
        return {"top1": share, "top5": share + 0.25}

    rows = {"encoder": 0.5, "random": 0.25, "pixels": 0.125}
    result = {
        "seed": 3,
        "data": {"test": 1200},
        "test": {name: {"knn": both(share), "linear": both(share / 2)} for name, share in rows.items()},
        "retrieval": {**{name: both(share) for name, share in rows.items()}, "images": 1200},
    }
    lines = table(result).splitlines()
    assert lines[0] == "top-1 accuracy on 1,200 test images (top-5), seed 3"
    assert [line[:19].strip() for line in lines[2:5]] == ["trained encoder", "untrained encoder", "raw pixels"]
    assert lines[3].split()[2:] == ["25.0%", "(50.0%)", "12.5%", "(37.5%)"]
    assert len({line.index("(") for line in lines[2:5]}) == 1
    assert lines[-2].split()[:3] == ["untrained", "encoder", "25.0%"]
