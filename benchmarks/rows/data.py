"""Loaders and files."""

from rushlight.bench import row


@row("epoch TensorDataset 10,000 x 118, batch 256", 15)
def _epoch(torch):
    data = torch.utils.data.TensorDataset(torch.randn(10_000, 118), torch.randn(10_000))
    loader = torch.utils.data.DataLoader(data, 256, shuffle=True)

    def epoch():
        for _ in loader:
            pass

    return epoch


@row("epoch map-style data set of tensors", 2)
def _epoch_map(torch):
    x, y = torch.randn(4000, 118), torch.randn(4000)

    class Data(torch.utils.data.Dataset):
        def __getitem__(self, i):
            return x[i], y[i]

        def __len__(self):
            return 4000

    loader = torch.utils.data.DataLoader(Data(), 256, shuffle=True)

    def epoch():
        for _ in loader:
            pass

    return epoch


@row("save and load 8 MB", 1)
def _save(torch):
    import os
    import tempfile

    state = {f"layer{i}.weight": torch.randn(512, 512) for i in range(8)}
    path = os.path.join(tempfile.mkdtemp(), "model.pt")

    def run():
        torch.save(state, path)
        torch.load(path)

    return run
